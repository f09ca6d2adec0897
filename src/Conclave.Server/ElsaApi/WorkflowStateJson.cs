using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Server.ElsaApi;

/// <summary>The state of an instance as Elsa writes it.</summary>
internal static class WorkflowStateJson
{
    /// <summary>Id of one execution of an activity across instances; it may stand in a path.</summary>
    public static string ActivityInstanceId(string instanceId, int number) => $"{instanceId}-{number}";

    /// <summary>Writes the state as one JSON object.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="starts">When its executions began, by number; without them they seem to have begun with the instance.</param>
    public static void Write(Utf8JsonWriter writer, WorkflowInstance instance, IReadOnlyDictionary<int, DateTimeOffset>? starts = null)
    {
        var definition = instance.Graph.Definition;
        writer.WriteStartObject();
        writer.WriteString("id", instance.Id);
        writer.WriteString("definitionId", definition.DefinitionId);
        writer.WriteString("definitionVersionId", definition.Id);
        writer.WriteNumber("definitionVersion", definition.Version);
        WriteIfSet(writer, "parentWorkflowInstanceId", instance.ParentInstanceId);
        WriteIfSet(writer, "correlationId", instance.CorrelationId);
        WriteIfSet(writer, "name", instance.Name);
        writer.WriteString("status", instance.Status.ToString());
        writer.WriteString("subStatus", instance.SubStatus.ToString());
        writer.WriteBoolean("isExecuting", instance.SubStatus == WorkflowSubStatus.Executing);
        writer.WriteBoolean("isSystem", definition.IsSystem);
        writer.WriteStartArray("bookmarks");
        foreach (var bookmark in instance.Bookmarks)
            WriteBookmark(writer, bookmark);
        writer.WriteEndArray();
        writer.WriteStartArray("incidents");
        foreach (var incident in instance.Incidents)
            WriteIncident(writer, instance, incident);
        writer.WriteEndArray();
        // Children tell their parents through the contexts below; there are no callbacks by name.
        writer.WriteStartArray("completionCallbacks");
        writer.WriteEndArray();
        writer.WriteStartArray("activityExecutionContexts");
        foreach (var context in instance.Contexts)
            WriteContext(writer, context, starts?.TryGetValue(context.Number, out var at) == true ? at : instance.CreatedAt);
        writer.WriteEndArray();
        writer.WriteStartArray("scheduledActivities");
        foreach (var (node, owner) in instance.Scheduled)
        {
            writer.WriteStartObject();
            writer.WriteString("activityNodeId", node.NodeId);
            if (owner is not null)
                writer.WriteString("ownerContextId", ActivityInstanceId(instance.Id, owner.Number));
            writer.WriteStartObject("input");
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteNumber("executionLogSequence", instance.Log.Sequence);
        WriteValues(writer, "input", instance.Input);
        WriteValues(writer, "output", instance.Output);
        writer.WriteStartObject("properties");
        WriteValues(writer, "Variables", instance.Graph.Root.Variables
            .Where(v => !v.IsInput && !v.IsInMemory)
            .DistinctBy(v => v.Definition.Id)
            .Select(v => KeyValuePair.Create(v.Definition.Id, instance.GetVariable(v))));
        writer.WriteEndObject();
        writer.WriteString("createdAt", instance.CreatedAt);
        writer.WriteString("updatedAt", instance.UpdatedAt);
        if (instance.FinishedAt is { } finished)
            writer.WriteString("finishedAt", finished);
        writer.WriteEndObject();
    }

    /// <summary>Writes an exception with its inner ones.</summary>
    public static void WriteException(Utf8JsonWriter writer, string name, ExceptionState? exception)
    {
        if (exception is null)
            return;
        writer.WriteStartObject(name);
        writer.WriteString("type", exception.Type);
        writer.WriteString("message", exception.Message);
        WriteIfSet(writer, "stackTrace", exception.StackTrace);
        WriteException(writer, "innerException", exception.Inner);
        writer.WriteEndObject();
    }

    /// <summary>Writes values by name; their names stay as they are.</summary>
    public static void WriteValues(Utf8JsonWriter writer, string name, IEnumerable<KeyValuePair<string, object?>> values)
    {
        writer.WriteStartObject(name);
        foreach (var (key, value) in values)
        {
            writer.WritePropertyName(key);
            ValueConverter.WriteJson(writer, value);
        }

        writer.WriteEndObject();
    }

    /// <summary>Writes what an instance waits for.</summary>
    public static void WriteBookmark(Utf8JsonWriter writer, Bookmark bookmark)
    {
        var (context, node) = (bookmark.Context, bookmark.Context.Node);
        writer.WriteStartObject();
        writer.WriteString("id", bookmark.Id);
        writer.WriteString("name", bookmark.Name);
        writer.WriteString("hash", Convert.ToHexStringLower(BookmarkKey.Of(bookmark.Name, bookmark.Payload)));
        WriteValues(writer, "payload", bookmark.Payload.Members.Select(m => KeyValuePair.Create(JsonNamingPolicy.CamelCase.ConvertName(m.Name), m.Value)));
        writer.WriteString("activityId", node.Id);
        writer.WriteString("activityNodeId", node.NodeId);
        writer.WriteString("activityInstanceId", ActivityInstanceId(context.Instance.Id, context.Number));
        writer.WriteString("createdAt", bookmark.CreatedAt);
        writer.WriteBoolean("autoBurn", bookmark.AutoBurn);
        writer.WriteBoolean("autoComplete", false);
        writer.WriteEndObject();
    }

    private static void WriteIncident(Utf8JsonWriter writer, WorkflowInstance instance, Incident incident)
    {
        writer.WriteStartObject();
        writer.WriteString("activityId", incident.ActivityId);
        writer.WriteString("activityNodeId", incident.ActivityNodeId);
        writer.WriteString("activityType", incident.ActivityType);
        writer.WriteString("activityInstanceId", ActivityInstanceId(instance.Id, incident.ActivityInstance));
        writer.WriteString("message", incident.Message);
        WriteException(writer, "exception", incident.Exception);
        writer.WriteString("timestamp", incident.Timestamp);
        writer.WriteEndObject();
    }

    private static void WriteContext(Utf8JsonWriter writer, ActivityContext context, DateTimeOffset startedAt)
    {
        var depth = 0;
        for (var above = context.Parent; above is not null; above = above.Parent)
            depth++;
        writer.WriteStartObject();
        writer.WriteString("id", ActivityInstanceId(context.Instance.Id, context.Number));
        writer.WriteNumber("callStackDepth", depth);
        if (context.Parent is { } parent)
            writer.WriteString("parentContextId", ActivityInstanceId(context.Instance.Id, parent.Number));
        writer.WriteString("scheduledActivityNodeId", context.Node.NodeId);
        if (context.Parent is { } owner)
            writer.WriteString("ownerActivityNodeId", owner.Node.NodeId);
        writer.WriteStartObject("properties");
        writer.WriteEndObject();
        writer.WriteStartObject("metadata");
        writer.WriteEndObject();
        WriteValues(writer, "activityState", context.InputValues);
        writer.WriteStartArray("dynamicVariables");
        foreach (var (name, value) in context.DynamicValues)
        {
            writer.WriteStartObject();
            writer.WriteString("id", name);
            writer.WriteString("name", name);
            writer.WriteString("typeName", "Object");
            writer.WriteBoolean("isArray", false);
            if (value is not null)
                writer.WriteString("value", ValueConverter.ToText(value));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteString("status", context.Status.ToString());
        writer.WriteBoolean("isExecuting", context.Status == ActivityStatus.Running && context.Instance.SubStatus == WorkflowSubStatus.Executing);
        writer.WriteNumber("faultCount", context.Status == ActivityStatus.Faulted ? 1 : 0);
        writer.WriteString("startedAt", startedAt);
        writer.WriteEndObject();
    }

    private static void WriteIfSet(Utf8JsonWriter writer, string name, string? value)
    {
        if (value is not null)
            writer.WriteString(name, value);
    }
}
