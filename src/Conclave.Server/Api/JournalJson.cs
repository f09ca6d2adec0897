using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Server.Api;

/// <summary>Journal entries as JSON.</summary>
internal static class JournalJson
{
    public static void Write(Utf8JsonWriter writer, StoredJournalEntry stored, ActivityNode? node)
    {
        writer.WriteStartObject();
        WriteMembers(writer, stored, node);
        writer.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter writer, InstanceOperation operation)
    {
        writer.WriteStartObject();
        WriteMembers(writer, operation);
        writer.WriteEndObject();
    }

    public static void WriteMembers(Utf8JsonWriter writer, StoredJournalEntry stored, ActivityNode? node)
    {
        var entry = stored.Entry;
        writer.WriteNumber("sequence", entry.Sequence);
        writer.WriteString("timestamp", entry.Timestamp);
        writer.WriteString("event", entry.Event.ToString());
        writer.WriteString("activityId", node?.Id ?? entry.NodeId[(entry.NodeId.LastIndexOf(':') + 1)..]);
        writer.WriteString("nodeId", entry.NodeId);
        writer.WriteString("activityType", node?.Type);
        writer.WriteString("activityName", node?.Name);
        writer.WriteNumber("activityInstance", entry.ActivityInstance);
        writer.WriteString("definitionVersionId", stored.VersionId);
        if (entry.Event == ExecutionEvent.Completed && node is not null)
        {
            WriteValues(writer, "inputs", JournalValues.Inputs(node, entry.Details));
            WriteValues(writer, "outputs", JournalValues.Outputs(node, entry.Details));
            writer.WritePropertyName("outcomes");
            ValueConverter.WriteJson(writer, entry.Details?.Outcomes ?? ["Done"]);
        }

        WriteException(writer, entry.Exception);
    }

    public static void WriteMembers(Utf8JsonWriter writer, InstanceOperation operation)
    {
        writer.WriteNumber("sequence", operation.Sequence);
        writer.WriteString("timestamp", operation.CreatedAt);
        writer.WriteString("event", "Operation");
        writer.WriteString("operation", operation.Operation);
        writer.WriteString("actor", operation.Actor);
        writer.WriteString("reason", operation.Reason);
        writer.WriteString("details", operation.Details);
    }

    /// <summary>What went wrong; nothing when nothing did.</summary>
    public static void WriteException(Utf8JsonWriter writer, ExceptionState? exception)
    {
        if (exception is null)
            return;
        writer.WriteStartObject("exception");
        writer.WriteString("type", exception.Type);
        writer.WriteString("message", exception.Message);
        writer.WriteEndObject();
    }

    private static void WriteValues(Utf8JsonWriter writer, string name, Dictionary<string, object?> values)
    {
        writer.WritePropertyName(name);
        ValueConverter.WriteJson(writer, values);
    }
}
