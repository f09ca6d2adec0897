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
[Activity("Elsa", "Workflows", "The workflow itself: it runs its root activity and ends with it.", IsBrowsable = false)]
public sealed class Workflow : Activity
{
    /// <summary>The root activity.</summary>
    [Port(IsBrowsable = false)]
    public ActivityNode? Root { get; set; }

    /// <summary>Result of the workflow.</summary>
    [Output(Description = "The result of the workflow, if its root gives one.")]
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

/// <summary>Runs the activities inside one after the other, from the first to the last.</summary>
[Activity("Elsa", "Workflows", "Runs the activities inside one after the other, from the first to the last.", IsBrowsable = false, IsContainer = true)]
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

    internal override void Migrate(ActivityContext from, ActivityContext to, MigrationProblems problems)
    {
        var before = ((Sequence)from.Node.Activity).Activities;
        // The counter is that of the next step: the one before it runs, or faulted.
        if (from.Counter == 0 || IndexOf(before[from.Counter - 1].Id) is not (>= 0 and var current))
        {
            if (from.Counter > 0)
                problems.PositionLost(from.Node, $"it is at '{before[from.Counter - 1].Id}', which it no longer has.");
            return;
        }

        to.Counter = current + 1;
        for (var i = 0; i < from.Counter - 1; i++)
        {
            if (IndexOf(before[i].Id) > current)
                problems.PositionLost(from.Node, $"'{before[i].Id}' is done and comes after '{before[from.Counter - 1].Id}' now: it would run twice.");
        }

        var done = before.Take(from.Counter).Select(a => a.Id).ToHashSet(StringComparer.Ordinal);
        foreach (var step in Activities.Take(current).Where(a => !done.Contains(a.Id)))
            problems.Skipped(step, $"it comes before '{Activities[current].Id}', where the instance is, and does not run.");
    }

    private int IndexOf(string id)
    {
        for (var i = 0; i < Activities.Count; i++)
        {
            if (Activities[i].Id == id)
                return i;
        }

        return -1;
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
[Activity("Elsa", "Workflows", "Runs the activities inside side by side and goes on when all have completed.", IsBrowsable = false, IsContainer = true)]
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

    internal override void Migrate(ActivityContext from, ActivityContext to, MigrationProblems problems) =>
        to.Counter = MigrateCompleted(((Parallel)from.Node.Activity).Activities, Activities, from.Counter, problems);

    /// <summary>The count of completed branches that leaves as many to wait for as there were. Branches that are new never start.</summary>
    internal static int MigrateCompleted(
        IReadOnlyList<ActivityNode> before, IReadOnlyList<ActivityNode> now, int completed, MigrationProblems problems)
    {
        var known = before.Select(b => b.Id).ToHashSet(StringComparer.Ordinal);
        foreach (var branch in now.Where(b => !known.Contains(b.Id)))
            problems.Skipped(branch, "the branches have started already, and it does not run.");
        return now.Count - (before.Count - completed);
    }
}
