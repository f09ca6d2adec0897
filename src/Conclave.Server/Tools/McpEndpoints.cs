using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace Conclave.Server.Tools;

/// <summary>The Model Context Protocol over streamable HTTP at <c>/mcp</c>: each published workflow that says so is a tool.</summary>
/// <remarks>Source: Model Context Protocol specification 2025-06-18, "Transports".</remarks>
internal static class McpEndpoints
{
    private const string SessionHeader = "Mcp-Session-Id";
    private const string Path = "/mcp";

    public static void MapMcp(this WebApplication app)
    {
        app.UseWhen(context => context.Request.Path == Path, mcp => mcp.Use(Problems.HandleAsync));
        app.MapPost(Path, PostAsync).RequirePermission(Permissions.ExecuteTools).ExcludeFromDescription();
        app.MapGet(Path, GetAsync).RequirePermission(Permissions.ExecuteTools).ExcludeFromDescription();
        app.MapDelete(Path, DeleteAsync).RequirePermission(Permissions.ExecuteTools).ExcludeFromDescription();
    }

    private static async Task PostAsync(HttpContext context)
    {
        var publisher = Check(context);
        var accept = context.Request.Headers.Accept.ToString();
        if (!accept.Contains("application/json", StringComparison.OrdinalIgnoreCase) || !accept.Contains("text/event-stream", StringComparison.OrdinalIgnoreCase))
            throw new ApiException(406, "mcp.not_acceptable", "The Accept header must name application/json and text/event-stream.");
        JsonRpcMessage message;
        try
        {
            message = (JsonRpcMessage?)await JsonSerializer.DeserializeAsync(context.Request.Body, McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(JsonRpcMessage)), context.RequestAborted)
                ?? throw new JsonException("It is null.");
        }
        catch (JsonException exception)
        {
            throw new ApiException(400, "mcp.bad_message", $"The body is no JSON-RPC message: {exception.Message}");
        }

        var session = Session(context, publisher);
        if (session is null)
        {
            if (message is not JsonRpcRequest { Method: "initialize" })
                throw new ApiException(400, "mcp.no_session", $"The first message of a session is 'initialize'; later ones carry the header {SessionHeader}.");
            session = await publisher.OpenAsync(context.Tenant(), context.Actor()) ?? throw new ApiException(429, "mcp.too_many_sessions", "Too many sessions are open. Try again later.") { RetryAfter = "60" };
        }

        var response = context.Response;
        response.Headers[SessionHeader] = session.Id;
        response.Headers.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache,no-store";
        if (!await session.Transport.HandlePostRequestAsync(message, response.Body, context.RequestAborted) && !response.HasStarted)
        {
            response.Headers.ContentType = default;
            response.StatusCode = StatusCodes.Status202Accepted;
        }
    }

    private static async Task GetAsync(HttpContext context)
    {
        var session = Session(context, Check(context)) ?? throw new ApiException(400, "mcp.no_session", $"The header {SessionHeader} is missing.");
        context.Response.Headers.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-cache,no-store";
        await context.Response.Body.FlushAsync(context.RequestAborted);
        await session.Transport.HandleGetRequestAsync(context.Response.Body, context.RequestAborted);
    }

    private static async Task DeleteAsync(HttpContext context)
    {
        var publisher = Check(context);
        if (Session(context, publisher) is { } session)
            await publisher.CloseAsync(session);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    /// <summary>Pages of others must not use what a browser is signed in to.</summary>
    private static McpPublisher Check(HttpContext context)
    {
        var publisher = context.RequestServices.GetRequiredService<McpPublisher>();
        return publisher.AllowsOrigin(context.Request) ? publisher
            : throw new ApiException(403, "mcp.origin_refused", "Pages of this origin may not call. The setting Cors:AllowedOrigins names those that may.");
    }

    private static McpPublishedSession? Session(HttpContext context, McpPublisher publisher) => context.Request.Headers[SessionHeader].ToString() is not { Length: > 0 } id ? null
        : publisher.Find(id, context.Tenant(), context.Actor()) ?? throw new ApiException(404, "mcp.session_ended", "There is no such session, or it has ended. Begin a new one with 'initialize'.");
}
