using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <summary>Where a flowchart begins.</summary>
[Activity("Elsa", "Flow", "Marks where the flowchart begins, whatever else has no incoming connection.", IsStart = true)]
public sealed class Start : Activity
{
    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Where a flowchart ends.</summary>
[Activity("Elsa", "Flow", "Ends the flowchart at once; other branches that still run are cancelled.", IsTerminal = true)]
public sealed class End : Activity
{
    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Holds one activity inside a flowchart.</summary>
[Activity("Elsa", "Flow", "Runs the activity inside and goes on when it has completed, so that one that has no ports fits into a flowchart.", DisplayName = "Container")]
public sealed class FlowNode : Activity
{
    /// <summary>The activity to run.</summary>
    [Port]
    public ActivityNode? Body { get; set; }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        if (Body is null)
            context.Complete();
        else
            context.Schedule(Body);
        return ValueTask.CompletedTask;
    }
}
