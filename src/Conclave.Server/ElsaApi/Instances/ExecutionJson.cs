using System.Text.Json;
using Conclave.Workflows.Runtime.Executions;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Executions of activities as Elsa's clients read them. Members without a value are left out.</summary>
internal static class ExecutionJson
{
    /// <summary>Type of an activity whose version was deleted since.</summary>
    public const string UnknownType = "Elsa.NotFoundActivity";

    /// <summary>Splits the id of an execution into its instance and its number; null when it is none.</summary>
    public static (string InstanceId, int Number)? ReadId(string? id) =>
        id?.LastIndexOf('-') is > 0 and var dash && int.TryParse(id.AsSpan(dash + 1), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var number)
            ? (id[..dash], number)
            : null;

    /// <summary>Writes a record; as a summary without values.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="execution">The execution.</param>
    /// <param name="isSummary">Whether only what a list shows is written.</param>
    /// <param name="scheduledBy">The execution in another instance that started this one; null for none.</param>
    public static void Write(Utf8JsonWriter writer, ActivityExecution execution, bool isSummary, ActivityExecution? scheduledBy = null)
    {
        writer.WriteStartObject();
        writer.WriteString("id", WorkflowStateJson.ActivityInstanceId(execution.InstanceId, execution.Number));
        writer.WriteString("workflowInstanceId", execution.InstanceId);
        writer.WriteString("activityId", IdOf(execution));
        writer.WriteString("activityNodeId", execution.NodeId);
        writer.WriteString("activityType", execution.Node?.Type ?? UnknownType);
        writer.WriteNumber("activityTypeVersion", execution.Node?.Version ?? 1);
        if (execution.Node?.Name is { } name)
            writer.WriteString("activityName", name);
        if (!isSummary)
            WriteValues(writer, execution, scheduledBy);
        if (execution.HasRetries)
        {
            writer.WriteStartObject("metadata");
            writer.WriteBoolean("HasRetryAttempts", true);
            writer.WriteEndObject();
        }

        writer.WriteString("startedAt", execution.StartedAt);
        writer.WriteBoolean("hasBookmarks", execution.HasBookmarks);
        writer.WriteString("status", execution.Status.ToString());
        writer.WriteNumber("aggregateFaultCount", execution.FaultCount);
        if (execution.CompletedAt is { } completed)
            writer.WriteString("completedAt", completed);
        writer.WriteEndObject();
    }

    private static void WriteValues(Utf8JsonWriter writer, ActivityExecution execution, ActivityExecution? scheduledBy)
    {
        // Even when it is empty: Studio asks every second for a record that has no values at all.
        WorkflowStateJson.WriteValues(writer, "activityState", execution.Inputs);
        if (execution.Outcomes is { } outcomes)
            WorkflowStateJson.WriteValues(writer, "payload", [KeyValuePair.Create("Outcomes", (object?)outcomes)]);
        if (execution.Outputs is { Count: > 0 } outputs)
            WorkflowStateJson.WriteValues(writer, "outputs", outputs);
        WorkflowStateJson.WriteException(writer, "exception", execution.Exception);
        if (execution.Node?.Policy?.Strategy is { } strategy)
        {
            writer.WriteStartObject("properties");
            writer.WritePropertyName("ResilienceStrategy");
            ResilienceEndpoints.Write(writer, strategy);
            writer.WriteEndObject();
        }

        if (execution.ParentNumber > 0)
        {
            writer.WriteString("schedulingActivityExecutionId", WorkflowStateJson.ActivityInstanceId(execution.InstanceId, execution.ParentNumber));
            if (execution.Node?.Parent is { } parent)
                writer.WriteString("schedulingActivityId", parent.Id);
            writer.WriteString("schedulingWorkflowInstanceId", execution.InstanceId);
        }
        else if (scheduledBy is not null)
        {
            writer.WriteString("schedulingActivityExecutionId", WorkflowStateJson.ActivityInstanceId(scheduledBy.InstanceId, scheduledBy.Number));
            writer.WriteString("schedulingActivityId", IdOf(scheduledBy));
            writer.WriteString("schedulingWorkflowInstanceId", scheduledBy.InstanceId);
        }

        writer.WriteNumber("callStackDepth", execution.Depth);
    }

    /// <summary>Writes how often an activity ran.</summary>
    public static void Write(Utf8JsonWriter writer, ActivityStats stats)
    {
        writer.WriteStartObject();
        writer.WriteString("activityId", stats.ActivityId);
        writer.WriteString("activityNodeId", stats.NodeId);
        writer.WriteNumber("startedCount", stats.Started);
        writer.WriteNumber("completedCount", stats.Completed);
        writer.WriteNumber("uncompletedCount", stats.Started - stats.Completed);
        writer.WriteBoolean("isBlocked", stats.IsBlocked);
        writer.WriteBoolean("isFaulted", stats.IsFaulted);
        writer.WriteNumber("aggregateFaultCount", stats.FaultCount);
        if (stats.HasRetries)
        {
            writer.WriteStartObject("metadata");
            writer.WriteBoolean("HasRetryAttempts", true);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    private static string IdOf(ActivityExecution execution) => execution.Node?.Id ?? execution.NodeId[(execution.NodeId.LastIndexOf(':') + 1)..];
}
