using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Instances;

// Workflows that run inside an activity of another one, or are started by it.
public sealed partial class InstanceRunner
{
    internal static ChildWorkflowResult Result(WorkflowInstance child) => new(
        child.Id, child.Graph.Definition.Id, child.CorrelationId, child.Status, child.SubStatus, child.Output);

    internal static WorkflowStart StartOf(ChildWorkflowRequest request, WorkflowInstance parent) => new()
    {
        InstanceId = request.InstanceId,
        CorrelationId = request.CorrelationId,
        Input = request.Input,
        ParentInstanceId = request.ParentInstanceId,
        FlowchartMode = parent.FlowchartMode,
    };

    internal void ChildNotStarted(string parentId, WorkflowInstance child) =>
        LogChildNotStarted(parentId, child.Id, child.Graph.Definition.DefinitionId);

    /// <summary>Runs a workflow inside an activity of another one.</summary>
    internal async ValueTask<ChildWorkflowResult> ExecuteChildAsync(DurableBurst parent, ChildWorkflowRequest request, CancellationToken cancellationToken)
    {
        var engine = parent.Workflows.Engine;
        var graph = await parent.Workflows.FindPublishedAsync(request.DefinitionId, cancellationToken)
            ?? throw new WorkflowException("workflow.not_found", $"No published workflow has the definition id '{request.DefinitionId}'.");
        if (parent.Depth >= engine.Options.MaxWorkflowDepth)
            throw new WorkflowException("workflow.nested_too_deep", $"Workflows execute each other more than {engine.Options.MaxWorkflowDepth} levels deep: {graph.Definition.Name ?? graph.Definition.DefinitionId} is one too many.");
        var child = await FindUnfinishedAsync(parent, request, cancellationToken)
            ?? new DurableBurst(this, parent.Workflows, engine.CreateInstance(graph, StartOf(request, parent.Instance)), 0, isHeld: false, parent.Priority, parent.Token)
            {
                IsNested = true,
                Depth = parent.Depth + 1,
                Exchange = parent.Exchange,
            };
        parent.Add(child);
        await engine.RunAsync(child.Instance, new DurableHost(this, child), cancellationToken);
        return Result(child.Instance);
    }

    /// <summary>A child that an earlier attempt of the same activity had begun and stored before its process died.</summary>
    private async ValueTask<DurableBurst?> FindUnfinishedAsync(DurableBurst parent, ChildWorkflowRequest request, CancellationToken cancellationToken)
    {
        if (!parent.IsRepeated)
            return null;
        var held = await WaitForAsync(parent.Tenant, request.InstanceId, cancellationToken);
        return held is null ? null : await LoadAsync(held, parent.Priority, true, parent.Exchange, cancellationToken, isNested: true, depth: parent.Depth + 1);
    }
}
