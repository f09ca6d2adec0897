using System.Globalization;
using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Approvals;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Stimuli;

namespace Conclave.Server.Api;

/// <summary>Events, and the tasks that workflows wait for.</summary>
internal static class StimulusEndpoints
{
    public static void Map(RouteGroupBuilder group)
    {
        group.MapPost("/events/{name}", PublishAsync).RequirePermission(Permissions.TriggerEvents).WithTags("Events and tasks")
            .Describe("PublishEvent", "Tell workflows of an event", o => o.Takes<EventRequest>(isOptional: true).Answers<DeliveryShape>());
        group.MapGet("/tasks", ListTasksAsync).RequirePermission(Permissions.ReadTasks).WithTags("Events and tasks")
            .Describe("ListTasks", "List the tasks that workflows wait for", o => o.Pages().Answers<PageShape<TaskShape>>());
        group.MapPost("/tasks/{taskId}/complete", CompleteAsync).RequirePermission(Permissions.CompleteTasks).WithTags("Events and tasks")
            .Describe("CompleteTask", "Complete a task", o => o.Takes<TaskResultRequest>(isOptional: true).Answers<DeliveryShape>());
    }

    private static async Task PublishAsync(HttpContext context, string name)
    {
        var body = await context.ReadObjectAsync();
        JsonText.CheckName("name", name);
        var payload = body.TryGetProperty("payload", out var given) ? ValueConverter.FromJson(given) : null;
        var delivery = await context.Runtime().Stimuli.PublishAsync(
            context.Tenant(),
            new EventPublished(0, name, Text(body, "correlationId"), Text(body, "instanceId"), payload),
            Text(body, "id") ?? context.Features.Get<IdempotentRequest>()?.InstanceId,
            WorkPriority.P1,
            context.RequestAborted);
        await WriteAsync(context, delivery);
    }

    private static async Task ListTasksAsync(HttpContext context)
    {
        var limit = context.Limit();
        var waiting = await context.Runtime().Instances.FindWaitingAsync(
            context.Tenant(), "Elsa.RunTask", new BookmarkFilter(), ReadCursor(context.Query("cursor")), limit, context.RequestAborted);
        await context.WritePageAsync(waiting, waiting.Count == limit ? CursorOf(waiting[^1]) : null, (writer, task) =>
        {
            writer.WriteStartObject();
            writer.WriteString("taskId", Member(task.Payload, "TaskId"));
            writer.WriteString("taskName", Member(task.Payload, "TaskName"));
            writer.WriteString("definitionId", task.DefinitionId);
            writer.WriteString("instanceId", task.InstanceId);
            writer.WriteString("activityId", task.ActivityId);
            writer.WriteString("createdAt", task.CreatedAt);
            writer.WriteEndObject();
        });
    }

    private static async Task CompleteAsync(HttpContext context, string taskId)
    {
        var body = await context.ReadObjectAsync();
        var result = body.TryGetProperty("result", out var given) ? ValueConverter.FromJson(given) : null;
        var delivery = await context.Runtime().Stimuli.CompleteTaskAsync(context.Tenant(), taskId, result, context.RequestAborted);
        if (delivery.Resumed == 0)
            delivery = await ApprovalEndpoints.TryCompleteTaskAsync(context, taskId, body.TryGetProperty("result", out given) ? given : null) ? delivery with { Resumed = 1, IsWaiting = false } : delivery;
        if (delivery.Resumed == 0)
            throw new ApiException(404, "task.not_found", $"No workflow waits for the task '{taskId}'. It was completed already, or its workflow has ended.");
        await WriteAsync(context, delivery);
    }

    private static Task WriteAsync(HttpContext context, Delivery delivery) => context.WriteJsonAsync(writer =>
    {
        writer.WriteStartObject();
        writer.WriteStartArray("started");
        foreach (var id in delivery.Started)
            writer.WriteStringValue(id);
        writer.WriteEndArray();
        writer.WriteNumber("resumed", delivery.Resumed);
        writer.WriteBoolean("waiting", delivery.IsWaiting);
        writer.WriteBoolean("duplicate", delivery.IsDuplicate);
        writer.WriteEndObject();
    });

    private static string? Text(JsonElement body, string name) =>
        !body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null ? null
        : value.ValueKind != JsonValueKind.String ? throw ApiException.Bad($"'{name}' must be a text.")
        : value.GetString() is { Length: > 0 } text ? JsonText.CheckName(name, text) : null;

    private static string CursorOf(StoredBookmark last) => Cursor.Of(last.CreatedAt, string.Create(CultureInfo.InvariantCulture, $"{last.Number}/{last.InstanceId}"));

    private static BookmarkCursor? ReadCursor(string? text)
    {
        if (Cursor.Read(text) is not { } after)
            return null;
        return after.Id.Split('/', 2) is [var number, var instance] && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var parsed)
            ? new BookmarkCursor(after.Time, instance, parsed)
            : throw Cursor.Bad();
    }

    /// <summary>A member of a payload's text, such as <c>RunTaskStimulus { TaskId = x, TaskName = y }</c>.</summary>
    private static string? Member(string payload, string name)
    {
        var start = payload.IndexOf($"{name} = ", StringComparison.Ordinal);
        if (start < 0)
            return null;
        start += name.Length + 3;
        var end = payload.IndexOf(", TaskName = ", start, StringComparison.Ordinal) is >= 0 and var comma ? comma : payload.LastIndexOf(" }", StringComparison.Ordinal);
        return payload[start..end];
    }
}
