using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Instances as Elsa's clients read them. Members without a value are left out.</summary>
internal static class InstanceJson
{
    /// <summary>Writes an item of a list.</summary>
    public static void Write(Utf8JsonWriter writer, InstanceSummary summary)
    {
        writer.WriteStartObject();
        WriteMembers(writer, summary);
        writer.WriteEndObject();
    }

    /// <summary>Writes an instance with its state.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="summary">Its row.</param>
    /// <param name="instance">Its state; null when its version was deleted, so that nobody can read it.</param>
    /// <param name="starts">When its executions began.</param>
    public static void Write(Utf8JsonWriter writer, InstanceSummary summary, WorkflowInstance? instance, IReadOnlyDictionary<int, DateTimeOffset>? starts)
    {
        writer.WriteStartObject();
        WriteMembers(writer, instance is null ? summary : SummaryOf(instance));
        if (summary.ParentId is { } parent)
            writer.WriteString("parentWorkflowInstanceId", parent);
        writer.WriteBoolean("isSystem", instance?.Graph.Definition.IsSystem == true);
        writer.WritePropertyName("workflowState");
        if (instance is null)
            WriteEmptyState(writer, summary);
        else
            WorkflowStateJson.Write(writer, instance, starts);
        writer.WriteEndObject();
    }

    /// <summary>The row that an instance has, so that what is shown of it is of one moment.</summary>
    private static InstanceSummary SummaryOf(WorkflowInstance instance)
    {
        var definition = instance.Graph.Definition;
        return new InstanceSummary(
            instance.Id,
            definition.DefinitionId,
            definition.Id,
            definition.Version,
            instance.Status,
            instance.SubStatus,
            instance.CorrelationId,
            instance.Name,
            instance.ParentInstanceId,
            instance.Incidents.Count,
            instance.CreatedAt,
            instance.UpdatedAt,
            instance.FinishedAt);
    }

    private static void WriteMembers(Utf8JsonWriter writer, InstanceSummary summary)
    {
        writer.WriteString("id", summary.Id);
        writer.WriteString("definitionId", summary.DefinitionId);
        writer.WriteString("definitionVersionId", summary.DefinitionVersionId);
        writer.WriteNumber("version", summary.Version);
        writer.WriteString("status", summary.Status.ToString());
        writer.WriteString("subStatus", summary.SubStatus.ToString());
        writer.WriteBoolean("isExecuting", summary.SubStatus == WorkflowSubStatus.Executing);
        if (summary.CorrelationId is { } correlationId)
            writer.WriteString("correlationId", correlationId);
        if (summary.Name is { } name)
            writer.WriteString("name", name);
        writer.WriteNumber("incidentCount", summary.IncidentCount);
        writer.WriteString("createdAt", summary.CreatedAt);
        writer.WriteString("updatedAt", summary.UpdatedAt);
        if (summary.FinishedAt is { } finished)
            writer.WriteString("finishedAt", finished);
    }

    private static void WriteEmptyState(Utf8JsonWriter writer, InstanceSummary summary)
    {
        writer.WriteStartObject();
        writer.WriteString("id", summary.Id);
        writer.WriteString("definitionId", summary.DefinitionId);
        writer.WriteString("definitionVersionId", summary.DefinitionVersionId);
        writer.WriteNumber("definitionVersion", summary.Version);
        writer.WriteString("status", summary.Status.ToString());
        writer.WriteString("subStatus", summary.SubStatus.ToString());
        foreach (var list in (ReadOnlySpan<string>)["bookmarks", "incidents", "completionCallbacks", "activityExecutionContexts", "scheduledActivities"])
        {
            writer.WriteStartArray(list);
            writer.WriteEndArray();
        }

        foreach (var values in (ReadOnlySpan<string>)["input", "output", "properties"])
        {
            writer.WriteStartObject(values);
            writer.WriteEndObject();
        }

        writer.WriteString("createdAt", summary.CreatedAt);
        writer.WriteString("updatedAt", summary.UpdatedAt);
        writer.WriteEndObject();
    }
}
