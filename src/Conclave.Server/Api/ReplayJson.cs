using System.Text.Json;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Replay;

namespace Conclave.Server.Api;

/// <summary>Replays as JSON.</summary>
internal static class ReplayJson
{
    // Loops in parallel may have very many at once.
    private const int MostOpen = 1_000;

    /// <summary>Writes how an instance stood.</summary>
    public static void Write(Utf8JsonWriter writer, string id, ReplayState state)
    {
        writer.WriteStartObject();
        writer.WriteString("instanceId", id);
        writer.WriteNumber("position", state.Position);
        WriteTime(writer, "timestamp", state.Timestamp);
        writer.WriteNumber("firstPosition", state.FirstPosition);
        writer.WriteString("definitionVersionId", state.VersionId);
        if (state.Definition is { } definition)
            writer.WriteNumber("version", definition.Version);
        else
            writer.WriteNull("version");
        writer.WriteString("subStatus", state.SubStatus.ToString());
        WriteCounts(writer, state.Count);
        writer.WriteStartArray("activities");
        foreach (var activity in state.Activities)
            WriteActivity(writer, activity);
        writer.WriteEndArray();
        writer.WriteStartArray("open");
        foreach (var execution in state.Open.Take(MostOpen))
            WriteOpen(writer, execution);
        writer.WriteEndArray();
        writer.WriteNumber("openCount", state.Open.Count);
        writer.WriteStartArray("variables");
        foreach (var scope in state.Scopes.Take(MostOpen))
        {
            foreach (var (name, value) in scope.Variables)
                WriteValue(writer, scope.Number, name, value);
        }

        writer.WriteEndArray();
        writer.WriteStartArray("output");
        foreach (var (name, value) in state.Output)
            WriteValue(writer, 0, name, value);
        writer.WriteEndArray();
        writer.WriteStartArray("operations");
        foreach (var operation in state.Operations)
            JournalJson.Write(writer, operation);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>What a step says, to be written later, when the state has gone on.</summary>
    public static Action<Utf8JsonWriter> Prepare(ReplayStep step)
    {
        var (subStatus, node) = (step.State.SubStatus, step.Entry is { } entry ? step.State.FindActivity(entry.Entry.NodeId)?.Node : null);
        var counts = Enum.GetValues<ReplayStatus>().Select(step.State.Count).ToArray();
        return writer =>
        {
            writer.WriteStartObject();
            if (step.Entry is { } stored)
                JournalJson.WriteMembers(writer, stored, node);
            else
                JournalJson.WriteMembers(writer, step.Operation!);
            writer.WriteString("subStatus", subStatus.ToString());
            WriteCounts(writer, status => counts[(int)status]);
            writer.WriteStartArray("changes");
            foreach (var change in step.Changes)
                WriteValue(writer, change.ActivityInstance, change.Name, change.Value);
            writer.WriteEndArray();
            writer.WriteEndObject();
        };
    }

    private static void WriteActivity(Utf8JsonWriter writer, ReplayedActivity activity)
    {
        var last = activity.Last;
        writer.WriteStartObject();
        writer.WriteString("activityId", activity.ActivityId);
        writer.WriteString("nodeId", activity.NodeId);
        writer.WriteString("activityType", activity.Node?.Type);
        writer.WriteString("activityName", activity.Node?.Name);
        writer.WriteString("status", last.Status.ToString());
        WriteCounts(writer, activity.Count);
        writer.WriteNumber("activityInstance", last.Number);
        WriteTime(writer, "startedAt", last.StartedAt);
        WriteTime(writer, "endedAt", last.EndedAt);
        writer.WritePropertyName("inputs");
        ValueConverter.WriteJson(writer, last.Inputs);
        writer.WritePropertyName("outputs");
        ValueConverter.WriteJson(writer, last.Outputs);
        writer.WritePropertyName("outcomes");
        ValueConverter.WriteJson(writer, last.Outcomes);
        JournalJson.WriteException(writer, last.Exception);
        writer.WriteEndObject();
    }

    private static void WriteOpen(Utf8JsonWriter writer, ReplayedExecution execution)
    {
        writer.WriteStartObject();
        writer.WriteNumber("activityInstance", execution.Number);
        writer.WriteNumber("parentInstance", execution.ParentNumber);
        writer.WriteString("activityId", execution.Activity.ActivityId);
        writer.WriteString("nodeId", execution.NodeId);
        writer.WriteString("status", execution.Status.ToString());
        WriteTime(writer, "startedAt", execution.StartedAt);
        writer.WriteEndObject();
    }

    private static void WriteCounts(Utf8JsonWriter writer, Func<ReplayStatus, int> count)
    {
        writer.WriteStartObject("counts");
        foreach (var status in Enum.GetValues<ReplayStatus>())
            writer.WriteNumber(JsonNamingPolicy.CamelCase.ConvertName(status.ToString()), count(status));
        writer.WriteEndObject();
    }

    private static void WriteValue(Utf8JsonWriter writer, int activityInstance, string name, RecordedValue value)
    {
        writer.WriteStartObject();
        writer.WriteString("name", name);
        if (activityInstance > 0)
            writer.WriteNumber("activityInstance", activityInstance);
        writer.WriteBoolean("isKnown", value.IsKnown);
        writer.WritePropertyName("value");
        ValueConverter.WriteJson(writer, value.Value);
        writer.WriteEndObject();
    }

    private static void WriteTime(Utf8JsonWriter writer, string name, DateTimeOffset? time)
    {
        if (time is { } known)
            writer.WriteString(name, known);
        else
            writer.WriteNull(name);
    }
}
