using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <summary>An activity that holds a list of activities and variables that they share.</summary>
public abstract class Container : Activity
{
    /// <summary>The activities inside, in document order.</summary>
    public IReadOnlyList<ActivityNode> Activities { get; private set; } = [];

    internal override void Configure(ActivityConfiguration configuration) =>
        Activities = configuration.CompileChildren("activities");
}

/// <summary>The synthetic activity above the root of every workflow.</summary>
[Activity("Elsa", "Workflows", "Runs a workflow's root activity.", IsBrowsable = false)]
public sealed class Workflow : Activity
{
    /// <summary>The root activity.</summary>
    [Port(IsBrowsable = false)]
    public ActivityNode? Root { get; set; }

    /// <summary>Result of the workflow.</summary>
    [Output(Description = "The result of the workflow.")]
    public Output<object>? Result { get; set; }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        if (context.Parent?.Node.Activity is WorkflowDefinitionActivity caller)
            caller.PassInputs(context.Parent, context);
        if (Root is null)
            context.Complete();
        else
            context.Schedule(Root);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        context.CompleteWith(context.RequestedOutcomes);
        return ValueTask.CompletedTask;
    }
}

/// <summary>Runs activities one after the other.</summary>
[Activity("Elsa", "Workflows", "Runs activities one after the other.", IsBrowsable = false, IsContainer = true)]
public sealed class Sequence : Container
{
    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        Next(context);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        if (context.IsBreaking || child.Node.Descriptor.IsTerminal)
            context.Complete();
        else
            Next(context);
        return ValueTask.CompletedTask;
    }

    private void Next(ActivityContext context)
    {
        if (context.Counter >= Activities.Count)
            context.Complete();
        else
            context.Schedule(Activities[context.Counter++]);
    }
}

/// <summary>Runs activities side by side.</summary>
[Activity("Elsa", "Workflows", "Runs activities side by side and completes when all have.", IsBrowsable = false, IsContainer = true)]
public sealed class Parallel : Container
{
    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        foreach (var child in Activities)
            context.Schedule(child);
        if (Activities.Count == 0)
            context.Complete();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        if (++context.Counter == Activities.Count || context.IsBreaking)
            context.Complete();
        return ValueTask.CompletedTask;
    }
}
