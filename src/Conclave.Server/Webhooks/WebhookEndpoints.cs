using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Hosting;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Http;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Telemetry;
using Microsoft.Extensions.Options;

namespace Conclave.Server.Webhooks;

/// <summary>Requests to HTTP endpoints of workflows.</summary>
public static class WebhookEndpoints
{
    /// <summary>Adds what requests to workflows need.</summary>
    public static IServiceCollection AddWebhooks(this IServiceCollection services)
    {
        services.AddOptions<WebhookOptions>().BindConfiguration(WebhookOptions.Section);
        services.AddSingleton<HttpRequestReader>();
        services.AddSingleton<WebhookRoutes>();
        services.AddSingleton<WebhookHandler>();
        return services;
    }

    /// <summary>Maps the base path of endpoints, and the status of what they started.</summary>
    public static void MapWebhooks(this WebApplication app)
    {
        var basePath = app.Services.GetRequiredService<IOptions<WebhookOptions>>().Value.BasePath;
        var handler = app.Services.GetRequiredService<WebhookHandler>();
        // Past sign-in, rights and limits: these requests are the workflows' business, and much of their time would be spent there.
        app.Map($"{basePath}/{{**path}}", (RequestDelegate)handler.HandleAsync).ShortCircuit();
        app.MapGet("/status/{instanceId}", WebhookStatus.GetAsync)
            .Describe("GetStatus", "See how an instance stands that a request started; its id is the key", o => o.Answers<StatusShape>());
    }
}

/// <summary>Handles requests to HTTP endpoints of workflows.</summary>
/// <remarks>
/// A trigger's burst runs at once, in this process; its answer goes out when the burst is stored. Who does not wait for an answer, or
/// whose workflow waits for something itself, gets 202 and a place to ask.
/// </remarks>
internal sealed class WebhookHandler(
    ServerRuntime server, WebhookRoutes routes, HttpRequestReader reader, IdempotentReplies replies, WebhookAccess access, IHostApplicationLifetime lifetime)
{
    public async Task HandleAsync(HttpContext context)
    {
        var started = WorkflowTelemetry.Now();
        await Problems.HandleAsync(context, AnswerAsync);
        WorkflowTelemetry.WebhookAnswered(context.Response.StatusCode, started);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = reader.EncodedPath(context.Request) ?? "";
        var triggers = routes.Of(Tenants.Default);
        var found = triggers.Find(context.Request.Method, path);
        if (found.IsFound)
        {
            await StartAsync(context, found.Matches[0]);
            return;
        }

        var scope = $"{context.Request.Method} {path}";
        if (await FindWaitingAsync(context, path) is { } waiting)
        {
            await access.CheckAsync(context, waiting.Bookmark);
            await ResumeAsync(context, scope, waiting.Bookmark, waiting.RouteData);
            return;
        }

        // The bookmark that an earlier request with this key resumed is gone, its answer is not.
        if (KeyOf(context) is { } key && await AnswerAgainAsync(context, scope, key))
            return;

        if (found.IsMethodRefused)
        {
            context.Response.Headers.Allow = string.Join(", ", found.Allowed);
            throw new ApiException(405, "http_endpoint.method_not_allowed", $"No workflow listens here for {context.Request.Method}; {string.Join(", ", found.Allowed)} would be answered.");
        }

        throw new ApiException(404, "http_endpoint.not_found", "No published workflow listens at this path, and none waits here.");
    }

    private async Task StartAsync(HttpContext context, HttpRouteMatch<WorkflowTrigger> match)
    {
        var trigger = match.Values[0];
        await access.CheckAsync(context, trigger.Payload);
        var workflows = server.Runtime.Catalog.Of(trigger.Tenant);
        var graph = await workflows.GetGraphAsync(trigger.VersionId, context.RequestAborted);
        var keepsRawBody = graph.FindActivity(trigger.ActivityId)?.Activity is HttpEndpoint { NeedsRawBody: true };
        await HandleOnceAsync(context, match.RouteData, keepsRawBody, $"{match.Method} {match.Path}", null, TimeoutOf(trigger), (request, exchange, id, token) =>
            server.Runtime.Runner.StartAsync(
                trigger.Tenant,
                graph,
                new WorkflowStart { InstanceId = id, TriggerActivityId = trigger.ActivityId, TriggerInput = request, CorrelationId = CorrelationOf(context) },
                exchange,
                token)!);
    }

    private Task ResumeAsync(HttpContext context, string scope, StoredBookmark bookmark, IReadOnlyDictionary<string, string> routeData) => HandleOnceAsync(
        context, routeData, keepsRawBody: true, scope, bookmark.InstanceId, null, (request, exchange, _, token) =>
            server.Runtime.Runner.ResumeAsync(Tenants.Default, bookmark.InstanceId, bookmark.Number, request, exchange, token));

    /// <summary>Reads the request, makes sure that it is handled once under its idempotency key, runs the burst and answers.</summary>
    private async Task HandleOnceAsync(
        HttpContext context,
        IReadOnlyDictionary<string, string> routeData,
        bool keepsRawBody,
        string scope,
        string? instanceId,
        TimeSpan? timeout,
        Func<HttpRequestData, RequestContext, string?, CancellationToken, Task<RequestRun?>> run)
    {
        var read = await reader.ReadAsync(context.Request, routeData, keepsRawBody, context.RequestAborted);
        if (read.IsRefused)
        {
            await HttpReply.Refuse(read.Refusal).WriteToAsync(context.Response, context.RequestAborted);
            return;
        }

        var reply = new HttpReply(read.Request);
        var key = KeyOf(context);
        if (key is not null)
        {
            var begun = await replies.BeginAsync(Tenants.Default, scope, key, HashOf(read.Request), instanceId, context.RequestAborted);
            if (await AnswerEarlierAsync(context, scope, key, begun))
                return;
            instanceId = begun.InstanceId;
        }

        RequestRun? done = null;
        var isStored = false;
        await using var hold = key is null ? null : replies.Hold(Tenants.Default, scope, key);
        try
        {
            var exchange = new RequestContext(reply)
            {
                MayStore = _ => !reply.IsRefusal,
                ReplyOf = key is null ? null : instance => reply.IsRefusal ? null : new ReplyWrite(Tenants.Default, scope, key, instance.Id, Finish(reply, instance).Serialize(), server.Runtime.Options.Keep),
            };
            // Whoever hangs up does not stop what was begun; the end of the server and the endpoint's own limit do, and it goes on in the queue.
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopped);
            if (timeout is { } longest)
                limit.CancelAfter(longest);
            done = await run(read.Request, exchange, instanceId, limit.Token);
            isStored = done?.Outcome == CommitOutcome.Stored && !reply.IsRefusal;
        }
        finally
        {
            if (key is not null && !isStored)
                await replies.ReleaseAsync(Tenants.Default, scope, key);
        }

        if (done is null)
        {
            if (key is not null)
                await replies.ForgetAsync(Tenants.Default, scope, key);
            throw new ApiException(404, "http_endpoint.not_waiting", "The workflow that waited here has gone on already.");
        }

        if (isStored || reply.IsRefusal)
            await (isStored ? Finish(reply, done.Instance) : reply).WriteToAsync(context.Response, context.RequestAborted);
        // Somebody took it over while this process seemed dead: it goes on there.
        else if (await server.Runtime.Runner.ReadAsync(Tenants.Default, done.Instance.Id, context.RequestAborted) is { } stored)
            await Finish(new HttpReply(), stored).WriteToAsync(context.Response, context.RequestAborted);
        else
            throw new ApiException(409, "instance.not_activated", "The workflow's activation strategy allows no other instance while one runs. Nothing was started.");
    }

    /// <summary>Answers a request whose bookmark is gone, if an earlier one with its key resumed it.</summary>
    private async Task<bool> AnswerAgainAsync(HttpContext context, string scope, string key)
    {
        var read = await reader.ReadAsync(context.Request, new Dictionary<string, string>(), keepsRawBody: true, context.RequestAborted);
        if (read.IsRefused || await replies.FindAsync(Tenants.Default, scope, key, HashOf(read.Request), context.RequestAborted) is not { } earlier)
            return false;
        return await AnswerEarlierAsync(context, scope, key, earlier is { State: IdempotencyState.Running, IsRepeated: true } ? earlier with { State = IdempotencyState.First } : earlier);
    }

    /// <summary>Answers for an earlier request with the same key; false when the request is to be handled.</summary>
    private async Task<bool> AnswerEarlierAsync(HttpContext context, string scope, string key, IdempotentRequest earlier)
    {
        HttpReply reply;
        switch (earlier.State)
        {
            case IdempotencyState.Running:
                throw new ApiException(409, "idempotency.running", "A request with this idempotency key still runs. Wait, and repeat the request with the same key.") { RetryAfter = "1" };
            case IdempotencyState.Different:
                throw new ApiException(422, "idempotency.different", "This idempotency key belongs to another request. Use a new key for a new request.");
            case IdempotencyState.Answered:
                reply = HttpReply.Deserialize(earlier.Reply!);
                break;
            case IdempotencyState.First when earlier.IsRepeated
                && await server.Runtime.Runner.ReadAsync(Tenants.Default, earlier.InstanceId, context.RequestAborted) is { } begun:
                // It died after its burst was stored for the first time; a worker has gone on, without anybody to answer.
                reply = Finish(new HttpReply(), begun);
                await replies.EndAsync(Tenants.Default, scope, key, reply.Serialize(), context.RequestAborted);
                break;
            default:
                return false;
        }

        context.Response.Headers["Idempotent-Replayed"] = "true";
        await reply.WriteToAsync(context.Response, context.RequestAborted);
        return true;
    }

    private static byte[] HashOf(HttpRequestData request) =>
        IdempotentReplies.HashOf(request.Method, request.Path, request.QueryString, request.RawBody ?? request.Body);

    /// <summary>The workflow's answer, or ours when it gave none.</summary>
    private static HttpReply Finish(HttpReply reply, WorkflowInstance instance)
    {
        if (reply.IsAnswered)
            return reply;
        var url = $"/status/{instance.Id}";
        if (instance.SubStatus is WorkflowSubStatus.Faulted or WorkflowSubStatus.Cancelled)
        {
            return HttpReply.Of(
                500,
                HttpProblem.ContentType,
                new Dictionary<string, string[]> { ["Location"] = [url] },
                HttpProblem.Write(500, "workflow.faulted", $"The workflow failed before it answered. Its instance {instance.Id} says why."));
        }

        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("instanceId", instance.Id);
            writer.WriteString("status", instance.Status.ToString());
            writer.WriteString("subStatus", instance.SubStatus.ToString());
            writer.WriteString("statusUrl", url);
            writer.WriteEndObject();
        }

        return HttpReply.Of(
            instance.Status == WorkflowStatus.Finished ? 200 : 202,
            "application/json",
            new Dictionary<string, string[]> { ["Location"] = [url] },
            buffer.ToArray());
    }

    /// <summary>The bookmark of an instance that waits at the path; null when none does.</summary>
    private async Task<(StoredBookmark Bookmark, IReadOnlyDictionary<string, string> RouteData)?> FindWaitingAsync(HttpContext context, string path)
    {
        var templates = await routes.TemplatesOf(Tenants.Default, context.RequestAborted);
        var candidates = new List<(string Path, IReadOnlyDictionary<string, string> RouteData)> { (HttpEndpointPath.Normalize(Uri.UnescapeDataString(path)), new Dictionary<string, string>()) };
        candidates.AddRange(templates.Find("GET", path).Matches.Select(m => (m.Path, m.RouteData)));
        var method = context.Request.Method.ToLowerInvariant();
        var instanceId = JsonText.CheckName("x-workflow-instance-id", Named(context, "x-workflow-instance-id", "workflowInstanceId"));
        var correlationId = instanceId is null ? CorrelationOf(context) : null;
        foreach (var (candidate, routeData) in candidates)
        {
            var key = BookmarkKey.Of("Elsa.HttpEndpoint", candidate, method);
            // Two are enough to know that one alone is not meant.
            var waiting = await FindAsync(new BookmarkFilter(key, instanceId, correlationId), 2);
            if (waiting.Count == 1)
                return (waiting[0], routeData);
            if (waiting.Count > 1)
                throw new ApiException(409, "http_endpoint.ambiguous", "Several instances wait at this path. Name one in the header x-workflow-instance-id or x-correlation-id, or give each a path of its own.");
            if ((instanceId ?? correlationId) is not null && (await FindAsync(new BookmarkFilter(key), 1)).Count > 0)
                throw new ApiException(404, "http_endpoint.not_found", "The instance that the request names does not wait here.");
        }

        return null;

        Task<List<StoredBookmark>> FindAsync(BookmarkFilter filter, int limit) =>
            server.Runtime.Instances.FindWaitingAsync(Tenants.Default, "Elsa.HttpEndpoint", filter, null, limit, context.RequestAborted);
    }

    private static string? CorrelationOf(HttpContext context) => JsonText.CheckName("x-correlation-id", Named(context, "x-correlation-id", "correlationId"));

    private static string? Named(HttpContext context, string header, string query) =>
        context.Request.Headers[header].ToString() is { Length: > 0 } inHeader ? inHeader : context.Query(query);

    private static string? KeyOf(HttpContext context)
    {
        var headers = context.Request.Headers;
        var key = headers["Idempotency-Key"].ToString() is { Length: > 0 } given ? given : headers["webhook-id"].ToString();
        if (key.Length > IdempotentReplies.LongestKey)
            throw ApiException.Bad($"The idempotency key is longer than {IdempotentReplies.LongestKey} characters.");
        return key.Length > 0 ? key : null;
    }

    private static TimeSpan? TimeoutOf(WorkflowTrigger trigger) =>
        trigger.Payload.TryGetProperty("RequestTimeout", out var value) && value.ValueKind == JsonValueKind.String
        && TimeSpan.TryParse(value.GetString(), System.Globalization.CultureInfo.InvariantCulture, out var timeout) && timeout > TimeSpan.Zero
            ? timeout
            : null;
}
