using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Where a burst is stored before it has ended, by the names that definitions use.</summary>
/// <remarks>
/// Workflows: <c>WorkflowExecuting</c>, <c>WorkflowExecuted</c>, <c>ActivityExecuting</c>, <c>ActivityExecuted</c>. Activities:
/// <c>CommitAlways</c>, <c>CommitNever</c>, <c>Executing</c>, <c>Executed</c>. Names in the designer may end in <c>Strategy</c>. Activities that
/// touch the world are stored before and after unless they say <c>CommitNever</c>; those whose effects are recorded elsewhere
/// (<see cref="ActivityDescriptor.IsRecorded"/>) only before.
/// </remarks>
public static class CommitStrategy
{
    /// <summary>What workflows may choose.</summary>
    public static IReadOnlyList<StrategyDescriptor> ForWorkflows { get; } =
    [
        new("WorkflowExecuting", "Workflow executing", "Stores the instance before its first activity runs, and when it ends or waits."),
        new("WorkflowExecuted", "Workflow executed", "Stores the instance when it ends or waits, as is done without a choice. Activities that touch the world are stored before and after."),
        new("ActivityExecuting", "Activity executing", "Stores the instance before each activity. Safest, and slowest for workflows of many small steps."),
        new("ActivityExecuted", "Activity executed", "Stores the instance after each activity, so that none that has completed runs again after a crash."),
    ];

    /// <summary>What activities may choose; it goes before the choice of the workflow.</summary>
    public static IReadOnlyList<StrategyDescriptor> ForActivities { get; } =
    [
        new("CommitAlways", "Always", "Stores the instance before and after this activity."),
        new("CommitNever", "Never", "This activity is never the reason to store the instance. After a crash it may run again."),
        new("Executing", "Executing", "Stores the instance before this activity, so that nothing before it runs again after a crash."),
        new("Executed", "Executed", "Stores the instance after this activity, so that it does not run again after a crash."),
    ];

    /// <summary>Whether the instance is stored before its first activity runs.</summary>
    internal static bool IsAtStart(WorkflowDefinition definition) => Is(definition.Options.CommitStrategyName, "WorkflowExecuting");

    /// <summary>Whether the instance is stored before an activity.</summary>
    /// <param name="workflow">The workflow that runs.</param>
    /// <param name="node">The activity.</param>
    /// <param name="isStored">Whether the instance is stored at all.</param>
    /// <param name="isHeld">Whether nobody else may run it.</param>
    /// <param name="hasChanged">Whether anything happened since it was stored.</param>
    internal static bool IsBefore(WorkflowDefinition workflow, ActivityNode node, bool isStored, bool isHeld, bool hasChanged)
    {
        var own = node.CommitStrategyName;
        if (!string.IsNullOrEmpty(own))
            return Is(own, "CommitAlways") || Is(own, "Executing");
        // A repeated burst might come to the effect on another way, with another idempotency key: what a script decides may depend on the time.
        if (node.Descriptor.HasEffect && (hasChanged || !isHeld))
            return true;
        // A workflow that is executed inside an activity may have effects of its own.
        return (isStored && !isHeld && node.Descriptor.Kind == ActivityKind.Task) || Is(workflow.Options.CommitStrategyName, "ActivityExecuting");
    }

    /// <summary>Whether the instance is stored after an activity.</summary>
    /// <param name="workflow">The workflow that runs.</param>
    /// <param name="node">The activity.</param>
    /// <param name="isOpen">Whether it has only scheduled others so far.</param>
    internal static bool IsAfter(WorkflowDefinition workflow, ActivityNode node, bool isOpen)
    {
        var own = node.CommitStrategyName;
        if (!string.IsNullOrEmpty(own))
            return Is(own, "CommitAlways") || Is(own, "Executed");
        // What is recorded under the activity's key is found there by a repeated burst.
        return node.Descriptor is { HasEffect: true, IsRecorded: false } || (!isOpen && Is(workflow.Options.CommitStrategyName, "ActivityExecuted"));
    }

    /// <summary>Whether an activity must never be the reason to store the instance.</summary>
    internal static bool IsNever(ActivityNode node) => Is(node.CommitStrategyName, "CommitNever");

    private static bool Is(string? name, string strategy) =>
        name is not null && name.StartsWith(strategy, StringComparison.OrdinalIgnoreCase)
        && (name.Length == strategy.Length || name.AsSpan(strategy.Length).StartsWith("Strategy", StringComparison.OrdinalIgnoreCase));
}
