using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Executions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Workflows.Runtime.RunTests;

/// <summary>Reads from the journal what a run did outside and what it was answered.</summary>
public sealed class RunRecorder(InstanceRunner runner, ActivityExecutions executions)
{
    private const int MostExecutions = 10_000;

    /// <summary>Records a run.</summary>
    /// <exception cref="WorkflowException">There is no such instance (<c>instance.not_found</c>), it has not ended, or the journal does not have all of it (<c>test.not_recorded</c>).</exception>
    public async Task<RunRecording> RecordAsync(string tenant, string instanceId, CancellationToken cancellationToken)
    {
        var instance = await runner.ReadAsync(tenant, instanceId, cancellationToken)
            ?? throw new WorkflowException("instance.not_found", $"There is no instance '{instanceId}'.");
        if (instance.Status != WorkflowStatus.Finished || instance.SubStatus == WorkflowSubStatus.Cancelled)
            throw Incomplete($"Instance '{instanceId}' has not ended by itself. Only a run that finished or faulted can become a test.");
        var found = await executions.FindAsync(tenant, instanceId, new ExecutionFilter { Most = MostExecutions }, cancellationToken);
        if (found.Count > MostExecutions)
            throw Incomplete($"Instance '{instanceId}' executed {found.Count:N0} activities; a test has {MostExecutions:N0} at most.");
        if (found.Count == 0 || found.Items[0].Depth > 0)
            throw Incomplete($"The journal of instance '{instanceId}' is past its retention.");
        var definition = instance.Graph.Definition;
        return new RunRecording
        {
            DefinitionId = definition.DefinitionId,
            VersionId = definition.Id,
            Version = definition.Version,
            InstanceId = instance.Id,
            CorrelationId = instance.CorrelationId,
            TriggerActivityId = instance.TriggerActivityId,
            Input = ToJson(instance.Input),
            Executions = [.. found.Items.Where(e => IsRecorded(e, instance)).Select(Record)],
            SubStatus = instance.SubStatus,
            Output = ToJson(instance.Output),
        };
    }

    /// <summary>Values as JSON.</summary>
    public static Dictionary<string, JsonElement> ToJson(IReadOnlyDictionary<string, object?> values) => values.ToDictionary(v => v.Key, v => ValueConverter.ToJson(v.Value));

    private static bool IsRecorded(ActivityExecution execution, WorkflowInstance instance)
    {
        var node = execution.Node ?? throw Incomplete($"The version that instance '{instance.Id}' ran on was deleted.");
        return execution.Status is ActivityStatus.Completed or ActivityStatus.Faulted
            && (node.Activity.IsAnsweredInTests || execution.HasWaited || node.Id == instance.TriggerActivityId);
    }

    private static RecordedExecution Record(ActivityExecution execution)
    {
        var node = execution.Node!;
        var (inputs, outputs) = (execution.Inputs, execution.Outputs);
        if (node.Outputs.Any(o => !node.LogPersistence.IncludesOutput(o.Name)))
            throw Incomplete($"{node}: the journal does not keep its outputs. Choose 'Include' in the settings of its log, and run the workflow once more.");
        if (outputs.FirstOrDefault(o => LargeValues.IsShortened(o.Value)).Key is { } large)
            throw Incomplete($"{node}: its output {large} is larger than {LargeValues.Limit / 1024} KiB, of which the journal keeps only the beginning.");
        return new RecordedExecution(
            execution.NodeId, ToJson(inputs), ToJson(outputs), execution.Outcomes ?? [],
            execution.Status == ActivityStatus.Faulted ? execution.Exception?.Message ?? "It faulted." : null);
    }

    private static WorkflowException Incomplete(string message) => new("test.not_recorded", message);
}
