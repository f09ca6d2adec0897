using System.Globalization;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Approvals;
using Conclave.Server.OpenApi;
using Conclave.Server.Webhooks;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Stimuli;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Whether a caller waits until the workflows that hear an event have run.</summary>
internal enum WorkflowExecutionMode
{
    Asynchronous,
    Synchronous,
}

/// <summary>Tasks, events and bookmarks: what workflows wait for.</summary>
internal static class StimulusEndpoints
{
    private const string TriggerEvent = "trigger:event";
    private const string EventType = "Elsa.Event";

    /// <summary>Most workflows that a caller waits for; an event for more is delivered through the queue.</summary>
    private const int MostAtOnce = 50;

    private const int LargestInput = 1024 * 1024;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapPost("/tasks/{taskId}/complete", CompleteTaskAsync).RequirePermission("tasks:complete")
            .Describe("ElsaCompleteTask", "Complete a task", o => o.Takes<TaskRequest>(isOptional: true));
        group.MapPost("/events/{eventName}/trigger", TriggerAsync).RequirePermission(TriggerEvent)
            .Describe("ElsaTriggerEvent", "Tell workflows of an event", o => o.Takes<EventRequest>(isOptional: true).Answers(200, "It is delivered; a synchronous one has run.").OrWhatTheWorkflowAnswers());
        group.MapGet("/events/trigger", TriggerByLinkAsync).AllowAnonymous()
            .Describe("ElsaTriggerEventByLink", "Tell workflows of an event with a link", o => o.Required("t", "The proof in the link.").Answers(200, "The workflows have run.").OrWhatTheWorkflowAnswers());
        group.MapPost("/events/{eventName}/link", LinkEventAsync).RequirePermission(TriggerEvent)
            .Describe("ElsaLinkEvent", "Make a link that triggers an event", o => o.Takes<LinkRequest>(isOptional: true).Answers<SignedLinkShape>());
        group.MapMethods("/bookmarks/resume", ["GET", "POST"], ResumeByLinkAsync).AllowAnonymous()
            .Describe("ElsaResumeBookmarkByLink", "Go on at a bookmark with a link", o => o
                .Required("t", "The proof in the link.").Query<bool>("async", "true does not wait.").Query("in", "Input as JSON.").Takes<ResumeRequest>(isOptional: true)
                .Answers(200, "It goes on.").Refuses(404).OrWhatTheWorkflowAnswers());
        group.MapPost("/bookmarks/{bookmarkId}/link", LinkBookmarkAsync).RequirePermission(InstanceApi.Write)
            .Describe("ElsaLinkBookmark", "Make a link that resumes a bookmark", o => o.Takes<LinkRequest>(isOptional: true).Answers<SignedLinkShape>());
    }

    private static async Task CompleteTaskAsync(HttpContext context, string taskId)
    {
        var body = await context.ReadObjectAsync();
        var result = ElsaQuery.TryGet(body, "result", out var given) ? ValueConverter.FromJson(given) : null;
        var delivery = await context.Runtime().Stimuli.CompleteTaskAsync(context.Tenant(), taskId, result, context.RequestAborted);
        if (delivery.Resumed == 0 && !await ApprovalEndpoints.TryCompleteTaskAsync(context, taskId, ElsaQuery.TryGet(body, "result", out given) ? given : null))
            throw new ApiException(404, "task.not_found", $"No workflow waits for the task '{taskId}'. It was completed already, or its workflow has ended.");
    }

    private static async Task TriggerAsync(HttpContext context, string eventName)
    {
        var body = await context.ReadObjectAsync();
        var mode = ElsaQuery.Choice<WorkflowExecutionMode>("workflowExecutionMode", ElsaQuery.TextOf(body, "workflowExecutionMode")) ?? WorkflowExecutionMode.Asynchronous;
        var heard = new EventHeard(
            context.Tenant(),
            JsonText.CheckName("eventName", eventName)!,
            JsonText.CheckName("workflowInstanceId", ElsaQuery.TextOf(body, "workflowInstanceId")),
            JsonText.CheckName("correlationId", ElsaQuery.TextOf(body, "correlationId")),
            ElsaQuery.TryGet(body, "input", out var input) ? ValueConverter.FromJson(input) : null);
        if (ElsaQuery.TextOf(body, "activityInstanceId") is { } activityInstanceId)
            await ResumeExecutionAsync(context, heard, activityInstanceId);
        else if (mode == WorkflowExecutionMode.Asynchronous)
            await PublishAsync(context, heard);
        else
            await RunAsync(context, heard);
    }

    private static async Task TriggerByLinkAsync(HttpContext context, SignedLinks links)
    {
        if (context.Query("t") is not { } token || links.ReadEvent(token) is not { } heard)
            throw BadLink();
        await RunAsync(context, new EventHeard(heard.Tenant, heard.EventName, null, null, null));
    }

    /// <summary>Makes a link by which somebody without an account triggers an event.</summary>
    private static async Task LinkEventAsync(HttpContext context, string eventName, SignedLinks links)
    {
        var body = await context.ReadObjectAsync();
        ElsaQuery.TryGet(body, "lifetime", out var lifetime);
        await WriteLinkAsync(context, links, "events/trigger", links.EventToken(context.Tenant(), JsonText.CheckName("eventName", eventName)!, lifetime));
    }

    /// <summary>Makes a link by which somebody without an account resumes a bookmark.</summary>
    private static async Task LinkBookmarkAsync(HttpContext context, string bookmarkId, SignedLinks links)
    {
        var body = await context.ReadObjectAsync();
        ElsaQuery.TryGet(body, "lifetime", out var lifetime);
        var colon = bookmarkId.LastIndexOf(':');
        if (colon < 1 || !int.TryParse(bookmarkId.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            || (await context.Runtime().Runner.ReadAsync(context.Tenant(), bookmarkId[..colon], context.RequestAborted))?.Bookmarks.Any(b => b.Number == number) != true)
            throw new ApiException(404, "bookmark.not_found", $"No instance waits at the bookmark '{bookmarkId}'.");
        await WriteLinkAsync(context, links, "bookmarks/resume", links.BookmarkToken(context.Tenant(), bookmarkId[..colon], number, lifetime));
    }

    private static async Task ResumeByLinkAsync(HttpContext context, SignedLinks links)
    {
        if (context.Query("t") is not { } token || links.ReadBookmark(token) is not { } bookmark)
            throw BadLink();
        var input = await ReadInputAsync(context);
        var runtime = context.Runtime();
        var instance = await runtime.Runner.ReadAsync(bookmark.Tenant, bookmark.InstanceId, context.RequestAborted);
        if (instance?.Bookmarks.Any(b => b.Number == bookmark.Bookmark) != true)
            throw NotWaiting();
        if (context.Flag("async") == true)
        {
            await runtime.Stimuli.ResumeAsync(bookmark.Tenant, bookmark.InstanceId, bookmark.Bookmark, input, context.RequestAborted);
            return;
        }

        var reply = new HttpReply();
        // Once it has begun it goes on, whether or not the caller waits.
        var run = await runtime.Runner.ResumeAsync(bookmark.Tenant, bookmark.InstanceId, bookmark.Bookmark, input, new RequestContext(reply), CancellationToken.None)
            ?? throw NotWaiting();
        if (reply.IsAnswered && run.Outcome == CommitOutcome.Stored)
            await reply.WriteToAsync(context.Response, context.RequestAborted);
    }

    private static async Task<object?> ReadInputAsync(HttpContext context)
    {
        if (context.Request.ContentLength > LargestInput)
            throw new ApiException(400, "request.too_large", "The input may have at most 1 MiB.");
        if (HttpMethods.IsPost(context.Request.Method) && await context.ReadObjectAsync() is var body && ElsaQuery.TryGet(body, "input", out var given))
            return ValueConverter.FromJson(given);
        return context.Query("in") is { } text ? ValueConverter.FromJson(JsonText.Parse(System.Text.Encoding.UTF8.GetBytes(text))) : null;
    }

    /// <summary>Delivers an event through the queue.</summary>
    private static Task<Delivery> PublishAsync(HttpContext context, EventHeard heard) => context.Runtime().Stimuli.PublishAsync(
        heard.Tenant, new EventPublished(0, heard.Name, heard.CorrelationId, heard.InstanceId, heard.Input), null, WorkPriority.P1, context.RequestAborted);

    /// <summary>Runs what hears an event in this request; the first that writes an HTTP response answers it.</summary>
    private static async Task RunAsync(HttpContext context, EventHeard heard)
    {
        var runtime = context.Runtime();
        var key = BookmarkKey.Of(EventType, heard.Name);
        var workflows = runtime.Catalog.Of(heard.Tenant);
        var triggers = heard.InstanceId is null ? workflows.Triggers.Find(key) : [];
        var waiting = await runtime.Instances.FindWaitingAsync(
            heard.Tenant, EventType, new BookmarkFilter(key, heard.InstanceId, heard.CorrelationId), null, MostAtOnce + 1, context.RequestAborted);
        // One that nobody hears yet may wait for its bookmark; one that very many hear would keep the caller for too long.
        if (triggers.Count + waiting.Count is 0 or > MostAtOnce)
        {
            await PublishAsync(context, heard);
            return;
        }

        HttpReply? answer = null;
        foreach (var trigger in triggers)
        {
            var reply = new HttpReply();
            var run = await runtime.Runner.StartAsync(
                heard.Tenant,
                await workflows.GetGraphAsync(trigger.VersionId, context.RequestAborted),
                new WorkflowStart { TriggerActivityId = trigger.ActivityId, TriggerInput = heard.Input, CorrelationId = heard.CorrelationId },
                new RequestContext(reply),
                CancellationToken.None);
            answer ??= reply.IsAnswered && run.Outcome == CommitOutcome.Stored ? reply : null;
        }

        foreach (var bookmark in waiting)
        {
            var reply = new HttpReply();
            var run = await runtime.Runner.ResumeAsync(heard.Tenant, bookmark.InstanceId, bookmark.Number, heard.Input, new RequestContext(reply), CancellationToken.None);
            answer ??= reply.IsAnswered && run?.Outcome == CommitOutcome.Stored ? reply : null;
        }

        if (answer is not null)
            await answer.WriteToAsync(context.Response, context.RequestAborted);
    }

    /// <summary>Tells one execution of an activity of an event.</summary>
    private static async Task ResumeExecutionAsync(HttpContext context, EventHeard heard, string activityInstanceId)
    {
        var key = ExecutionJson.ReadId(activityInstanceId) ?? throw ApiException.Bad($"'activityInstanceId' must be the id of an execution; it is '{activityInstanceId}'.");
        var hash = BookmarkKey.Of(EventType, heard.Name);
        var instance = await context.Runtime().Runner.ReadAsync(heard.Tenant, key.InstanceId, context.RequestAborted);
        var bookmark = instance?.Bookmarks.FirstOrDefault(b => b.Context.Number == key.Number && b.Name == EventType && BookmarkKey.Of(b.Name, b.Payload).AsSpan().SequenceEqual(hash))
            ?? throw new ApiException(404, "event.not_heard", $"Execution '{activityInstanceId}' does not wait for the event '{heard.Name}'.");
        await context.Runtime().Stimuli.ResumeAsync(heard.Tenant, key.InstanceId, bookmark.Number, heard.Input, context.RequestAborted);
    }

    private static Task WriteLinkAsync(HttpContext context, SignedLinks links, string path, string token) => context.WriteJsonAsync(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("token", token);
        writer.WriteString("url", links.Url(path, token));
        writer.WriteEndObject();
    });

    private static ApiException BadLink() => ApiException.Bad("The link is not valid, or no longer.");

    private static ApiException NotWaiting() => new(404, "bookmark.not_found", "The workflow does not wait here any more. The link was used already, or the workflow has ended.");

    private sealed record EventHeard(string Tenant, string Name, string? InstanceId, string? CorrelationId, object? Input);
}
