using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Where a burst is stored before it has ended, by the names that definitions use.</summary>
/// <remarks>
/// Workflows: <c>WorkflowExecuting</c>, <c>WorkflowExecuted</c>, <c>ActivityExecuting</c>, <c>ActivityExecuted</c>. Activities:
/// <c>CommitAlways</c>, <c>CommitNever</c>, <c>Executing</c>, <c>Executed</c>. Names in the designer may end in <c>Strategy</c>. Activities that
/// touch the world are stored before and after unless they say <c>CommitNever</c>.
/// </remarks>
internal static class CommitStrategy
{
    /// <summary>Whether the instance is stored before its first activity runs.</summary>
    public static bool IsAtStart(WorkflowDefinition definition) => Is(definition.Options.CommitStrategyName, "WorkflowExecuting");

    /// <summary>Whether the instance is stored before an activity.</summary>
    /// <param name="workflow">The workflow that runs.</param>
    /// <param name="node">The activity.</param>
    /// <param name="isStored">Whether the instance is stored at all.</param>
    /// <param name="isHeld">Whether nobody else may run it.</param>
    public static bool IsBefore(WorkflowDefinition workflow, ActivityNode node, bool isStored, bool isHeld)
    {
        var own = node.CommitStrategyName;
        if (!string.IsNullOrEmpty(own))
            return Is(own, "CommitAlways") || Is(own, "Executing");
        // A workflow that is executed inside an activity may have effects of its own.
        var needsHold = node.Descriptor.HasEffect || (isStored && node.Descriptor.Kind == ActivityKind.Task);
        return (needsHold && !isHeld) || Is(workflow.Options.CommitStrategyName, "ActivityExecuting");
    }

    /// <summary>Whether the instance is stored after an activity.</summary>
    /// <param name="workflow">The workflow that runs.</param>
    /// <param name="node">The activity.</param>
    /// <param name="isOpen">Whether it has only scheduled others so far.</param>
    public static bool IsAfter(WorkflowDefinition workflow, ActivityNode node, bool isOpen)
    {
        var own = node.CommitStrategyName;
        if (!string.IsNullOrEmpty(own))
            return Is(own, "CommitAlways") || Is(own, "Executed");
        return node.Descriptor.HasEffect || (!isOpen && Is(workflow.Options.CommitStrategyName, "ActivityExecuted"));
    }

    /// <summary>Whether an activity must never be the reason to store the instance.</summary>
    public static bool IsNever(ActivityNode node) => Is(node.CommitStrategyName, "CommitNever");

    private static bool Is(string? name, string strategy) =>
        name is not null && name.StartsWith(strategy, StringComparison.OrdinalIgnoreCase)
        && (name.Length == strategy.Length || name.AsSpan(strategy.Length).StartsWith("Strategy", StringComparison.OrdinalIgnoreCase));
}
