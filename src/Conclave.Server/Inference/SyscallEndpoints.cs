using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Syscalls;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Hosting;
using Conclave.Server.OpenApi;
using Conclave.Server.Tools;
using static Conclave.Server.Api.JsonText;

namespace Conclave.Server.Inference;

/// <summary>Questions that are answered whether or not somebody waits, with the names that AIOS has for them.</summary>
internal static class SyscallEndpoints
{
    private const double LongestTime = 7 * 86_400;

    public static void Map(RouteGroupBuilder scheduler)
    {
        var group = scheduler.WithTags("Syscalls");
        group.MapPost("/submit", SubmitAsync).RequirePermission(Permissions.CallModels)
            .Describe("SubmitSyscall", "Submit a question that is answered whether or not somebody waits", o => o.Takes<SubmitShape>().Answers<SyscallShape>(202));
        group.MapGet("/status", ListAsync).RequirePermission(Permissions.CallModels, Permissions.ReadInference)
            .Describe("ListSyscalls", "List submitted questions, newest first", o => o.Query<SyscallStatus>("status", "Active, Executing, Suspending or Done.").Pages().Answers<PageShape<SyscallShape>>());
        group.MapGet("/status/{pid}", FindAsync).RequirePermission(Permissions.CallModels, Permissions.ReadInference)
            .Describe("GetSyscall", "See how far a submitted question is, and its answer", o => o.Answers<SyscallShape>());
        group.MapPost("/cancel/{pid}", CancelAsync).RequirePermission(Permissions.CallModels)
            .Describe("CancelSyscall", "Cancel a submitted question", o => o.Answers(204));
    }

    private static async Task SubmitAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var name = JsonText.CheckName("agent_name", Text(body, "agent_name")) ?? throw ApiException.Bad("'agent_name' is missing.");
        var action = Text(body, "query_type") ?? SyscallAction.Chat;
        if (!SyscallAction.Known.Contains(action))
            throw new ApiException(400, "syscall.unknown", $"There is no action '{action}'. There are {string.Join(", ", SyscallAction.Known)}.");
        // An agent's budget, files and permissions are used by who may talk to it.
        var agent = JsonText.CheckName("aid", Text(body, "aid"));
        if (agent is not null)
            context.Demand(Permissions.ExecuteAgents);
        if (SyscallAction.UsesTools(action))
            context.Demand(Permissions.ExecuteTools);
        var query = body.TryGetProperty("query_data", out var data) ? data : throw ApiException.Bad("'query_data' is missing.");
        var syscall = new Syscall(
            context.Tenant(), Guid.CreateVersion7().ToString("N"), agent ?? $"user:{context.Actor()}", name, action, query.GetRawText(), Priority(body), SyscallStatus.Active,
            context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow())
        {
            TimeLimit = TimeLimit(body),
            Caller = context.Actor(),
        };
        try
        {
            SyscallQuery.Check(action, query);
            if (SyscallAction.UsesTools(action))
                await new ToolsOfSyscalls(context.RequestServices.GetRequiredService<ServerRuntime>().Tools).OfferAsync(syscall, SyscallQuery.ToolNames(query), context.RequestAborted);
        }
        catch (InferenceException exception)
        {
            throw new ApiException(400, exception.Code, exception.Message);
        }

        await Store(context).AddAsync(syscall, context.RequestAborted);
        context.Response.Headers.Location = $"/api/scheduler/status/{syscall.Pid}";
        await context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, SyscallShape.Of(syscall), SyscallJson.Default.SyscallShape), status: 202);
    }

    private static async Task ListAsync(HttpContext context)
    {
        var limit = context.Limit();
        SyscallStatus? status = context.Query("status") is { } text
            ? Enum.TryParse<SyscallStatus>(text, ignoreCase: true, out var read) && Enum.IsDefined(read) ? read : throw ApiException.Bad("'status' must be Active, Executing, Suspending or Done.")
            : null;
        var found = await Store(context).ListAsync(context.Tenant(), OnlyCaller(context), status, Cursor.Read(context.Query("cursor")), limit, context.RequestAborted);
        await context.WritePageAsync(
            found, found.Count == limit ? Cursor.Of(found[^1].CreatedAt, found[^1].Pid) : null,
            (writer, syscall) => JsonSerializer.Serialize(writer, SyscallShape.Of(syscall), SyscallJson.Default.SyscallShape));
    }

    private static async Task FindAsync(HttpContext context, string pid)
    {
        var syscall = await OwnAsync(context, pid, Permissions.ReadInference);
        await context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, SyscallShape.Of(syscall), SyscallJson.Default.SyscallShape));
    }

    private static async Task CancelAsync(HttpContext context, string pid)
    {
        await OwnAsync(context, pid, Permissions.ManageInference);
        if (!await Store(context).CancelAsync(context.Tenant(), pid, context.RequestAborted))
            throw new ApiException(409, "syscall.done", $"Syscall '{pid}' is done already.");
        context.Response.StatusCode = 204;
    }

    /// <summary>One of the caller's own; with a right that reaches further, anybody's.</summary>
    private static async Task<Syscall> OwnAsync(HttpContext context, string pid, string forOthers)
    {
        var syscall = await Store(context).FindAsync(context.Tenant(), pid, context.RequestAborted);
        return syscall is not null && (syscall.Caller == context.Actor() || context.User.Has(forOthers)) ? syscall : throw None(pid);
    }

    private static string? OnlyCaller(HttpContext context) => context.User.Has(Permissions.ReadInference) ? null : context.Actor();

    private static SyscallStore Store(HttpContext context) => context.RequestServices.GetRequiredService<ServerRuntime>().Syscalls;

    private static CallPriority Priority(JsonElement body) => Text(body, "priority") switch
    {
        null or "P2" => CallPriority.P2,
        "P1" => CallPriority.P1,
        "P3" => CallPriority.P3,
        _ => throw ApiException.Bad("'priority' must be P1, P2 or P3."),
    };

    private static TimeSpan? TimeLimit(JsonElement body)
    {
        if (!body.TryGetProperty("time_limit", out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var seconds) && seconds is > 0 and <= LongestTime
            ? TimeSpan.FromSeconds(seconds)
            : throw ApiException.Bad($"'time_limit' must be a number of seconds up to {LongestTime:0}.");
    }

    private static ApiException None(string pid) => new(404, "syscall.not_found", $"There is no syscall '{pid}'.");
}
