using System.Text.Json;
using Conclave.Server.Agents;
using Conclave.Server.Approvals;
using Conclave.Server.Hosting;
using Conclave.Server.Inference;
using Conclave.Server.Tools;
using Conclave.Workflows.Runtime;

namespace Conclave.Server.Api;

/// <summary>The server's own API, described in <c>docs/api.md</c>.</summary>
public static class ApiEndpoints
{
    internal const int DefaultLimit = 50;
    internal const int LargestLimit = 500;

    /// <summary>Adds what the API needs.</summary>
    public static IServiceCollection AddConclaveApi(this IServiceCollection services) => services
        .AddSingleton<IdempotentReplies>()
        .AddBudgets()
        // Parameters that do not fit become problems like everything else, not answers without a body.
        .Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);

    /// <summary>Maps the API.</summary>
    public static void MapConclaveApi(this WebApplication app)
    {
        // Like routing, which does not tell /API from /api.
        app.UseWhen(context => context.Request.Path.StartsWithSegments("/api", StringComparison.OrdinalIgnoreCase) && context.ModelApi() is null, api =>
        {
            api.Use(Problems.HandleAsync);
            api.Use(CheckTextAsync);
            api.UseMiddleware<IdempotencyMiddleware>();
        });
        var group = app.MapGroup("/api").RequireAuthorization();
        WorkflowEndpoints.Map(group.MapGroup("/workflows"));
        InstanceEndpoints.Map(group.MapGroup("/instances"));
        RunTestEndpoints.Map(group.MapGroup("/run-tests"));
        StimulusEndpoints.Map(group);
        QueueEndpoints.Map(group.MapGroup("/queue"));
        ApprovalEndpoints.Map(group.MapGroup("/approvals"));
        BudgetEndpoints.Map(group.MapGroup("/inference/budgets"));
        SyscallEndpoints.Map(group.MapGroup("/scheduler"));
        var inference = group.MapGroup("/inference");
        CallEndpoints.Map(inference);
        TokenStreamEndpoint.Map(inference);
        ServerEndpoints.Map(inference);
        ModelEndpoints.Map(inference);
        RoutingEndpoints.Map(inference);
        AgentEndpoints.Map(group.MapGroup("/agents"));
        PackageEndpoints.Map(group.MapGroup("/agent-packages"));
        ToolEndpoints.Map(group);
        group.MapFallback("{**path}", (HttpContext context) => Problems.WriteAsync(context, 404, "request.no_such_path", "The API has nothing at this path. docs/api.md lists what it has."));
    }

    /// <summary>The runtime of a request.</summary>
    internal static WorkflowRuntime Runtime(this HttpContext context) => context.RequestServices.GetRequiredService<ServerRuntime>().Runtime;

    /// <summary>Whose workflows a request is about.</summary>
    internal static string Tenant(this HttpContext context) => Tenants.Default;

    /// <summary>Who makes a request.</summary>
    internal static string Actor(this HttpContext context) => context.User.Identity?.Name ?? "";

    /// <summary>How many items a list may show.</summary>
    internal static int Limit(this HttpContext context) => context.Request.Query["limit"].ToString() switch
    {
        "" => DefaultLimit,
        var text when int.TryParse(text, out var limit) && limit is >= 1 and <= LargestLimit => limit,
        var text => throw ApiException.Bad($"'limit' must be 1 to {LargestLimit}; it is '{text}'."),
    };

    /// <summary>A value of the query; null when it is missing or empty.</summary>
    internal static string? Query(this HttpContext context, string name) => context.Request.Query[name].ToString() is { Length: > 0 } text ? text : null;

    /// <summary>Writes JSON.</summary>
    internal static async Task WriteJsonAsync(this HttpContext context, Action<Utf8JsonWriter> write, int status = 200, string? contentType = null)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
            write(writer);
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType ?? "application/json; charset=utf-8";
        context.Response.Headers.CacheControl = "no-store";
        context.Response.ContentLength = buffer.Length;
        await context.Response.Body.WriteAsync(buffer.GetBuffer().AsMemory(0, (int)buffer.Length), context.RequestAborted);
    }

    /// <summary>Writes a page of a list.</summary>
    internal static Task WritePageAsync<T>(this HttpContext context, IReadOnlyList<T> items, string? next, Action<Utf8JsonWriter, T> write) =>
        context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var item in items)
                write(writer, item);
            writer.WriteEndArray();
            writer.WriteString("next", next);
            writer.WriteEndObject();
        });

    /// <summary>Reads the body as a JSON object; an empty body is an empty object.</summary>
    internal static async Task<JsonElement> ReadObjectAsync(this HttpContext context)
    {
        var body = await context.ReadJsonAsync();
        return body.ValueKind == JsonValueKind.Object ? body : throw ApiException.Bad("The body must be a JSON object.");
    }

    /// <summary>Reads the body as JSON; an empty body is an empty object.</summary>
    internal static async Task<JsonElement> ReadJsonAsync(this HttpContext context)
    {
        var bytes = await context.ReadBodyAsync();
        return bytes.Length == 0 ? JsonElement.Parse("{}") : JsonText.Parse(bytes);
    }

    /// <summary>Reads the whole body; Kestrel limits its size.</summary>
    internal static async Task<byte[]> ReadBodyAsync(this HttpContext context)
    {
        using var buffer = new MemoryStream();
        await context.Request.Body.CopyToAsync(buffer, context.RequestAborted);
        return buffer.ToArray();
    }

    /// <summary>PostgreSQL has no NUL characters: refused here, no command has to fail for one.</summary>
    internal static Task CheckTextAsync(HttpContext context, RequestDelegate next) =>
        context.Request.Query.Any(q => q.Key.Contains('\0') || q.Value.Any(v => v?.Contains('\0') == true))
            ? throw new ApiException(StatusCodes.Status400BadRequest, "request.malformed", "The query has a NUL character.")
            : next(context);
}
