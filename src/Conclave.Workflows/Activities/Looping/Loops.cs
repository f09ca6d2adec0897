using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Activities;

/// <summary>An activity that runs its body again and again; <c>Break</c> inside ends it.</summary>
public abstract class Loop : Activity
{
    /// <summary>What runs in each round.</summary>
    [Port]
    public ActivityNode? Body { get; set; }

    /// <inheritdoc/>
    public override bool HandlesBreak => true;

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context) => NextAsync(context);

    /// <inheritdoc/>
    public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        if (!context.IsBreaking)
            return NextAsync(context);
        context.Complete();
        return ValueTask.CompletedTask;
    }

    /// <summary>Schedules the next round, or completes.</summary>
    protected abstract ValueTask NextAsync(ActivityContext context);
}

/// <summary>Repeats while a condition is true.</summary>
[Activity("Elsa", "Looping", "Repeats the activity in Body as long as a condition is true. Break inside it ends the loop.")]
public sealed class While : Loop
{
    /// <summary>Evaluated anew before each round.</summary>
    [Input(Description = "The condition, evaluated anew before each round. A loop whose condition never becomes false faults in the end.", AutoEvaluate = false, UIHint = InputUIHints.SingleLine)]
    public Input<bool> Condition { get; set; } = new();

    /// <inheritdoc/>
    protected override async ValueTask NextAsync(ActivityContext context)
    {
        if (Body is not null && await context.EvaluateAsync(Condition))
            context.Schedule(Body);
        else
            context.Complete();
    }
}

/// <summary>Counts.</summary>
[Activity("Elsa", "Looping", "Repeats the activity in Body for each number from a start to an end; getCurrentValue() in it is the number.")]
public sealed class For : Loop
{
    /// <summary>First number.</summary>
    [Input(Description = "The number of the first round.")]
    public Input<int> Start { get; set; } = new(0);

    /// <summary>Last number.</summary>
    [Input(Description = "The number to count to.")]
    public Input<int> End { get; set; } = new(0);

    /// <summary>Added after each round; negative counts down.</summary>
    [Input(Description = "What is added after each round. A negative number counts down; 0 is an error.")]
    public Input<int> Step { get; set; } = new(1);

    /// <summary>Whether the last number has a round of its own.</summary>
    [Input(Description = "Run a round for the end number too.")]
    public Input<bool> OuterBoundInclusive { get; set; } = new(true);

    /// <summary>The number of the round.</summary>
    [Output(Description = "The number of the current round.")]
    public Output<object>? CurrentValue { get; set; }

    /// <inheritdoc/>
    protected override ValueTask NextAsync(ActivityContext context)
    {
        var step = context.Get(Step);
        if (step == 0)
            throw new WorkflowException("for.zero_step", $"{Node}: a step of 0 never reaches the end. Give a positive or a negative step.");
        // Counter holds the number of rounds so far, so that int.MaxValue as an end cannot overflow the current value.
        var current = context.Get(Start) + ((long)context.Counter * step);
        var end = context.Get(End);
        var goesOn = step > 0 ? current < end : current > end;
        if (Body is null || !(goesOn || (context.Get(OuterBoundInclusive) && current == end)))
        {
            context.Complete();
            return ValueTask.CompletedTask;
        }

        context.Counter++;
        object value = (int)current;
        context.Set(CurrentValue, value);
        context.Schedule(Body, 0, [new DynamicVariable("CurrentValue", value)]);
        return ValueTask.CompletedTask;
    }
}

/// <summary>Takes items one after the other.</summary>
[Activity("Elsa", "Looping", "Repeats the activity in Body for each item of a list, one after the other. In it, getCurrentValue() is the item and getCurrentIndex() its place.")]
public sealed class ForEach : Loop
{
    /// <summary>The items.</summary>
    [Input(Description = "The list to go through: a variable, an expression, or texts written here.", UIHint = InputUIHints.MultiText)]
    public Input<IReadOnlyList<object?>> Items { get; set; } = new([]);

    /// <summary>The item of the round.</summary>
    [Output(Description = "The item of the current round.")]
    public Output<object>? CurrentValue { get; set; }

    /// <inheritdoc/>
    protected override ValueTask NextAsync(ActivityContext context)
    {
        var items = context.Get(Items) ?? [];
        if (Body is null || context.Counter >= items.Count)
        {
            context.Complete();
            return ValueTask.CompletedTask;
        }

        var index = context.Counter++;
        context.Set(CurrentValue, items[index]);
        context.Schedule(Body, 0, [new DynamicVariable("CurrentIndex", index), new DynamicVariable("CurrentValue", items[index])]);
        return ValueTask.CompletedTask;
    }
}

/// <summary>Takes items side by side.</summary>
[Activity("Elsa", "Looping", "Runs the activity in Body for every item of a list side by side, and goes on when all have completed. In it, getCurrentValue() is the item.")]
public sealed class ParallelForEach : Activity
{
    /// <summary>The items.</summary>
    [Input(Description = "The list to go through: a variable, an expression, or JSON such as [1, 2, 3].")]
    public Input<object> Items { get; set; } = new(Array.Empty<object>());

    /// <summary>What runs for each item.</summary>
    [Port]
    public ActivityNode? Body { get; set; }

    /// <inheritdoc/>
    public override bool HandlesBreak => true;

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        if (Body is not null)
        {
            foreach (var item in ValueConverter.Enumerate(context.Get(Items)))
                context.Schedule(Body, 0, [new DynamicVariable("CurrentValue", item), new DynamicVariable("CurrentIndex", context.Counter++)]);
        }

        if (context.Counter == 0)
            context.Complete();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        if (--context.Counter == 0 || context.IsBreaking)
            context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Ends the nearest loop around it; the flow goes on after that loop.</summary>
[Activity("Elsa", "Looping", "Ends the nearest loop around it; the flow goes on after that loop.", IsTerminal = true)]
public sealed class Break : Activity
{
    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Break();
        context.Complete();
        return ValueTask.CompletedTask;
    }
}
