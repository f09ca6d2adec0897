using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Activities;

/// <summary>When a join goes on.</summary>
public enum FlowJoinMode
{
    /// <summary>When every inbound connection was followed.</summary>
    WaitAll,

    /// <summary>When every inbound connection was visited and at least one was followed.</summary>
    WaitAllActive,

    /// <summary>At the first arrival; what still runs on the way here is cancelled.</summary>
    WaitAny,
}

/// <summary>Merges branches of a flowchart. The flowchart decides when it runs.</summary>
[Activity("Elsa", "Branching", "Brings branches of a flowchart together, so that what follows runs once.", DisplayName = "Join")]
public sealed class FlowJoin : Activity
{
    /// <summary>When the join goes on.</summary>
    [Input(Description = "WaitAll waits for every incoming branch; WaitAllActive for those that were taken; WaitAny goes on at the first one and cancels the others.")]
    public Input<FlowJoinMode> Mode { get; set; } = new(FlowJoinMode.WaitAny);

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Complete();
        return ValueTask.CompletedTask;
    }

    /// <summary>The mode, evaluated before the join itself runs.</summary>
    internal async ValueTask<FlowJoinMode> ModeAsync(ActivityContext flowchart, ActivityNode join) => Mode.Expression is null
        ? Mode.Literal
        : ValueConverter.Convert<FlowJoinMode?>(await Mode.Expression.EvaluateAsync(flowchart))
            ?? throw new WorkflowException("input.missing", $"{join}: the join mode evaluated to nothing.");
}
