using System.Globalization;
using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Gateway;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Hosting;
using Conclave.Server.OpenApi;

namespace Conclave.Server.Inference;

/// <summary>Model calls for operators: those that ended, those that run and wait, and what they came to.</summary>
internal static class CallEndpoints
{
    public static void Map(RouteGroupBuilder inference)
    {
        var group = inference.WithTags("Model calls");
        group.MapGet("/calls", ListAsync).RequirePermission(Permissions.ReadInference)
            .Describe("ListModelCalls", "List model calls that have ended, newest first", o => o
                .Query("agentId", "Calls of an agent.").Query("instanceId", "Calls of a workflow instance.").Query("model", "Answered by a model.").Query("server", "Answered by a server.")
                .Query<CallPhase>("outcome", "Completed, Failed or Cancelled.").Query<DateTimeOffset>("from", "Not before.").Query<DateTimeOffset>("until", "Before.")
                .Pages().Answers<PageShape<CallShape>>());
        group.MapGet("/calls/{id}", FindAsync).RequirePermission(Permissions.ReadInference)
            .Describe("GetModelCall", "See a model call: where it went and why, what it took", o => o.Answers<CallShape>());
        group.MapGet("/queue", QueueAsync).RequirePermission(Permissions.ReadInference)
            .Describe("GetModelQueue", "See which model calls run and which wait, with places and expected waits", o => o.Answers<CallQueueShape>().Refuses(503));
        group.MapGet("/stats", StatsAsync).RequirePermission(Permissions.ReadInference)
            .Describe("GetModelStats", "See what model calls came to: share of local calls, tokens, cost", o => o
                .Query<DateTimeOffset>("from", "Not before; a day ago without it.").Query<DateTimeOffset>("until", "Before; now without it.").Answers<CallStatsShape>());
    }

    private static async Task ListAsync(HttpContext context)
    {
        var limit = context.Limit();
        var filter = new CallFilter(
            context.Query("agentId"), context.Query("instanceId"), context.Query("model"), context.Query("server"),
            context.Query("outcome") is { } text
                ? Enum.TryParse<CallPhase>(text, ignoreCase: true, out var outcome) && Enum.IsDefined(outcome) ? outcome : throw ApiException.Bad("'outcome' must be Completed, Failed or Cancelled.")
                : null,
            Time(context, "from"), Time(context, "until"));
        var calls = await History(context).ListAsync(context.Tenant(), filter, Cursor.Read(context.Query("cursor")), limit, context.RequestAborted);
        await context.WritePageAsync(
            calls, calls.Count == limit ? Cursor.Of(calls[^1].CreatedAt, calls[^1].Id) : null,
            (writer, call) => JsonSerializer.Serialize(writer, CallShape.Of(call), CallJson.Default.CallShape));
    }

    private static async Task FindAsync(HttpContext context, string id)
    {
        var call = await History(context).FindAsync(context.Tenant(), id, context.RequestAborted)
            ?? throw new ApiException(404, "inference.no_such_call", $"There is no model call '{id}', or it has not ended yet.");
        await context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, CallShape.Of(call), CallJson.Default.CallShape));
    }

    private static Task QueueAsync(HttpContext context)
    {
        var role = context.RequestServices.GetRequiredService<InferenceRole>();
        if (!role.IsRunning)
            throw new ApiException(503, "inference.elsewhere", "This process does not have the role inference, so it knows no queue. Ask one that has.");
        var queue = CallQueueShape.Of(role.Scheduler.Snapshot().Of(context.Tenant()), id => role.Pool.Find(id)?.Server.Name ?? id);
        return context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, queue, CallJson.Default.CallQueueShape));
    }

    private static async Task StatsAsync(HttpContext context)
    {
        var until = Time(context, "until") ?? context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow();
        var from = Time(context, "from") ?? until.AddDays(-1);
        var sums = await History(context).SumAsync(context.Tenant(), from, until, context.RequestAborted);
        var answered = sums.Where(s => s.Server is not null).ToList();
        var stats = new CallStatsShape(
            from, until, sums.Sum(s => s.Calls), sums.Sum(s => s.Failed),
            answered.Count == 0 ? null : (double)answered.Where(s => s.IsLocal).Sum(s => s.Calls) / answered.Sum(s => s.Calls),
            sums.Sum(s => s.InputTokens), sums.Sum(s => s.OutputTokens), sums.Sum(s => s.Cost),
            [.. sums.Select(s => new CallSumShape(s.Server, s.Model, s.IsLocal, s.Calls, s.Failed, s.InputTokens, s.OutputTokens, s.Cost))]);
        await context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, stats, CallJson.Default.CallStatsShape));
    }

    private static CallHistory History(HttpContext context) => new(context.RequestServices.GetRequiredService<ServerRuntime>().Database);

    private static DateTimeOffset? Time(HttpContext context, string name) => context.Query(name) switch
    {
        null => null,
        var text when DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) => time.ToUniversalTime(),
        _ => throw ApiException.Bad($"'{name}' must be a time such as 2026-11-25T10:00:00Z."),
    };
}
