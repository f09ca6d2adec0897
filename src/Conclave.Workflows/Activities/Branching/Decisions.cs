using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <summary>Runs one of two activities.</summary>
[Activity("Elsa", "Branching", "Runs the activity in Then when the condition is true and the one in Else when it is not, and goes on afterwards. An empty side does nothing.")]
public sealed class If : Activity
{
    /// <summary>What decides.</summary>
    [Input(Description = "What decides, usually an expression such as getTotal() < 100 in JavaScript. Anything but true counts as false.", UIHint = InputUIHints.SingleLine)]
    public Input<bool> Condition { get; set; } = new();

    /// <summary>Runs when the condition is true.</summary>
    [Port]
    public ActivityNode? Then { get; set; }

    /// <summary>Runs when the condition is false.</summary>
    [Port]
    public ActivityNode? Else { get; set; }

    /// <summary>Whether the condition was true.</summary>
    [Output(Description = "Whether the condition was true.")]
    public Output<bool>? Result { get; set; }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var result = context.Get(Condition);
        context.Set(Result, result);
        if ((result ? Then : Else) is { } branch)
            context.Schedule(branch);
        else
            context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Takes one of two ways in a flowchart.</summary>
[Activity("Elsa", "Branching", "Splits the flow: goes on through True when the condition holds and through False when it does not.", DisplayName = "Decision")]
[FlowNode("True", "False")]
public sealed class FlowDecision : Activity
{
    private static readonly IReadOnlyList<string> True = ["True"];
    private static readonly IReadOnlyList<string> False = ["False"];

    /// <summary>What decides.</summary>
    [Input(Description = "What decides, usually an expression such as getTotal() < 100 in JavaScript. Anything but true counts as false.", UIHint = InputUIHints.SingleLine)]
    public Input<bool> Condition { get; set; } = new();

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.CompleteWith(context.Get(Condition) ? True : False);
        return ValueTask.CompletedTask;
    }
}

/// <summary>Splits the flow into branches that run side by side. Bring them together again with a Join.</summary>
[Activity("Elsa", "Branching", "Splits the flow into branches that run side by side. Bring them together again with a Join.", DisplayName = "Fork (flow)")]
public sealed class FlowFork : Activity
{
    /// <summary>Names of the branches; each is an outcome.</summary>
    [Input(Description = "Names of the branches. Each becomes a port to connect; without any the flow goes on through Done.", UIHint = InputUIHints.DynamicOutcomes)]
    public Input<IReadOnlyList<string>> Branches { get; set; } = new([]);

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.CompleteWith(context.Get(Branches) is { Count: > 0 } branches ? branches : null);
        return ValueTask.CompletedTask;
    }
}

/// <summary>When a fork completes.</summary>
public enum ForkJoinMode
{
    /// <summary>When one branch has completed; the others are cancelled.</summary>
    WaitAny,

    /// <summary>When all branches have completed.</summary>
    WaitAll,
}

/// <summary>Runs branches side by side.</summary>
[Activity("Elsa", "Control Flow", "Runs its branches side by side and goes on when all of them, or the first, have completed.", IsBrowsable = false)]
public sealed class Fork : Activity
{
    private ActivityNode[] _branches = [];

    /// <summary>When the fork completes.</summary>
    [Input(Description = "WaitAll goes on when every branch has completed; WaitAny when the first has, and cancels the others.")]
    public ForkJoinMode JoinMode { get; set; } = ForkJoinMode.WaitAll;

    /// <inheritdoc/>
    public override bool HandlesBreak => true;

    internal override void Configure(ActivityConfiguration configuration) => _branches = configuration.CompileChildren("branches");

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        foreach (var branch in _branches)
            context.Schedule(branch);
        if (_branches.Length == 0)
            context.Complete();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        if (++context.Counter == _branches.Length || JoinMode == ForkJoinMode.WaitAny || context.IsBreaking)
            context.Complete();
        return ValueTask.CompletedTask;
    }

    internal override void Migrate(ActivityContext from, ActivityContext to, MigrationProblems problems) =>
        to.Counter = Parallel.MigrateCompleted(((Fork)from.Node.Activity)._branches, _branches, from.Counter, problems);
}
