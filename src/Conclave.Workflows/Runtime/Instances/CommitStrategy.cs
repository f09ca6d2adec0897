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
    public static bool IsBefore(WorkflowDefinition workflow, ActivityNode node, bool isStored)
    {
        var own = node.CommitStrategyName;
        if (!string.IsNullOrEmpty(own))
            return Is(own, "CommitAlways") || Is(own, "Executing");
        return (node.Descriptor.HasEffect && !isStored) || Is(workflow.Options.CommitStrategyName, "ActivityExecuting");
    }

    /// <summary>Whether the instance is stored after an activity.</summary>
    public static bool IsAfter(WorkflowDefinition workflow, ActivityNode node)
    {
        var own = node.CommitStrategyName;
        if (!string.IsNullOrEmpty(own))
            return Is(own, "CommitAlways") || Is(own, "Executed");
        return node.Descriptor.HasEffect || Is(workflow.Options.CommitStrategyName, "ActivityExecuted");
    }

    /// <summary>Whether an activity must never be the reason to store the instance.</summary>
    public static bool IsNever(ActivityNode node) => Is(node.CommitStrategyName, "CommitNever");

    private static bool Is(string? name, string strategy) =>
        name is not null && name.StartsWith(strategy, StringComparison.OrdinalIgnoreCase)
        && (name.Length == strategy.Length || name.AsSpan(strategy.Length).StartsWith("Strategy", StringComparison.OrdinalIgnoreCase));
}
