using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <summary>Moves between states when triggers complete.</summary>
[Activity("Elsa", "Flow", "Moves between named states. The triggers of the current state's transitions wait side by side; the first that completes, and whose condition holds, leads on.", DisplayName = "State machine",
    Icon = ActivityIcons.States, Color = "#7c3aed")]
public sealed class StateMachine : Activity
{
    private const int EntryTag = -1;

    private State[] _states = [];
    private Transition[] _transitions = [];

    /// <summary>The states, as the author wrote them.</summary>
    [Input(Description = "The states.", IsBrowsable = false)]
    public JsonElement States { get; set; }

    /// <summary>The transitions, as the author wrote them.</summary>
    [Input(Description = "The transitions between states.", IsBrowsable = false)]
    public JsonElement Transitions { get; set; }

    /// <summary>State to begin with; null for the first.</summary>
    [Input(Description = "The state to begin with.", IsBrowsable = false)]
    public string? InitialState { get; set; }

    /// <summary>State to begin with instead, in documents that were saved while running.</summary>
    [Input(Description = "The current state.", IsBrowsable = false)]
    public string? CurrentState { get; set; }

    internal override void Configure(ActivityConfiguration configuration)
    {
        _states = ReadStates(configuration);
        _transitions = ReadTransitions(configuration);
        foreach (var transition in _transitions)
        {
            if (StateOf(transition.To) < 0 || StateOf(transition.From) < 0)
                configuration.Problem("state_machine.unknown_state", $"A transition leads from '{transition.From}' to '{transition.To}', and one of them is not a state.", "transitions");
        }
    }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var initial = string.IsNullOrWhiteSpace(CurrentState) ? InitialState : CurrentState;
        context.Counter = string.IsNullOrWhiteSpace(initial) ? (_states.Length > 0 ? 0 : -1) : StateOf(initial);
        return EnterAsync(context);
    }

    /// <inheritdoc/>
    public override async ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        if (context.IsBreaking)
        {
            context.Complete();
            return;
        }

        if (child.Tag == EntryTag)
        {
            await ListenAsync(context);
            return;
        }

        var (index, phase) = Math.DivRem(child.Tag, 3);
        var transition = _transitions[index];
        if (StateOf(transition.From) != context.Counter)
            return;
        switch ((Phase)phase)
        {
            case Phase.Trigger:
                if (!await TakeAsync(context, index))
                    context.Schedule(transition.Trigger!, Tag(index, Phase.Trigger), null);
                break;
            case Phase.Exit:
                await ActAsync(context, index);
                break;
            case Phase.Action:
                await MoveAsync(context, transition);
                break;
        }
    }

    internal override void Migrate(ActivityContext from, ActivityContext to, MigrationProblems problems)
    {
        var old = (StateMachine)from.Node.Activity;
        to.Counter = from.Counter < 0 ? from.Counter : StateOf(old._states[from.Counter].Name);
        if (from.Counter < 0)
            return;
        var state = old._states[from.Counter].Name;
        if (to.Counter < 0)
        {
            problems.PositionLost(from.Node, $"it is in state '{state}', which it no longer has.");
            return;
        }

        // Triggers are scheduled when the state is entered; while an entry runs, that is still to come.
        for (var child = from.FirstChild; child is not null; child = child.NextSibling)
        {
            if (child.Tag == EntryTag)
                return;
        }

        foreach (var added in _transitions.Where(t => t.From == state && t.Trigger is { } trigger
                     && !Array.Exists(old._transitions, o => o.From == state && o.Trigger?.Id == trigger.Id)))
            problems.Skipped(added.Trigger!, $"state '{state}' has been entered already; this transition is listened to when it is entered again.");
    }

    internal override int MigrateTag(Activity from, ActivityNode child, int tag, MigrationProblems problems)
    {
        if (tag == EntryTag)
            return tag;
        var (index, phase) = Math.DivRem(tag, 3);
        var old = ((StateMachine)from)._transitions[index];
        var found = Array.FindIndex(_transitions, t => t.From == old.From && (Phase)phase switch
        {
            Phase.Trigger => t.Trigger?.Id == child.Id,
            Phase.Action => t.Action?.Id == child.Id && t.To == old.To,
            _ => t.To == old.To && t.Trigger?.Id == old.Trigger?.Id,
        });
        if (found < 0)
            problems.PositionLost(child, $"the transition from '{old.From}' to '{old.To}', which it belongs to, no longer exists.");
        return found < 0 ? tag : Tag(found, (Phase)phase);
    }

    private async ValueTask EnterAsync(ActivityContext context)
    {
        if (context.Counter < 0)
            context.Complete();
        else if (_states[context.Counter].Entry is { } entry)
            context.Schedule(entry, EntryTag, null);
        else
            await ListenAsync(context);
    }

    /// <summary>Takes the first transition without a trigger whose condition holds, else waits for the triggers.</summary>
    private async ValueTask ListenAsync(ActivityContext context)
    {
        var state = _states[context.Counter].Name;
        var outbound = Enumerable.Range(0, _transitions.Length)
            .Where(i => _transitions[i].From == state && StateOf(_transitions[i].To) >= 0)
            .ToList();
        if (outbound.Count == 0)
        {
            context.Complete();
            return;
        }

        foreach (var index in outbound)
        {
            if (_transitions[index].Trigger is null && await TakeAsync(context, index))
                return;
        }

        foreach (var index in outbound)
        {
            if (_transitions[index].Trigger is { } trigger)
                context.Schedule(trigger, Tag(index, Phase.Trigger), null);
        }
    }

    private async ValueTask<bool> TakeAsync(ActivityContext context, int index)
    {
        var transition = _transitions[index];
        if (transition.HasCondition && !await context.EvaluateAsync(transition.Condition))
            return false;
        for (var child = context.FirstChild; child is not null;)
        {
            var next = child.NextSibling;
            child.Cancel();
            child.Detach();
            context.Instance.Release(child);
            child = next;
        }

        context.Instance.Unschedule(context);
        if (_states[context.Counter].Exit is { } exit)
            context.Schedule(exit, Tag(index, Phase.Exit), null);
        else
            await ActAsync(context, index);
        return true;
    }

    private async ValueTask ActAsync(ActivityContext context, int index)
    {
        var transition = _transitions[index];
        if (transition.Action is { } action)
            context.Schedule(action, Tag(index, Phase.Action), null);
        else
            await MoveAsync(context, transition);
    }

    private ValueTask MoveAsync(ActivityContext context, Transition transition)
    {
        context.Counter = StateOf(transition.To);
        return EnterAsync(context);
    }

    private static int Tag(int transition, Phase phase) => (transition * 3) + (int)phase;

    private int StateOf(string? name) => Array.FindIndex(_states, s => s.Name == name);

    private static State[] ReadStates(ActivityConfiguration configuration)
    {
        if (!configuration.TryGet("states", out var list))
            return [];
        var states = new List<State>();
        foreach (var item in JsonShapes.Items(list))
        {
            states.Add(new State(
                JsonShapes.GetString(item, "name") ?? "",
                Child(configuration, item, "entry"),
                Child(configuration, item, "exit")));
        }

        return [.. states];
    }

    private static Transition[] ReadTransitions(ActivityConfiguration configuration)
    {
        if (!configuration.TryGet("transitions", out var list))
            return [];
        var transitions = new List<Transition>();
        foreach (var item in JsonShapes.Items(list))
        {
            var hasCondition = JsonShapes.TryGet(item, "condition", out var condition) && condition.ValueKind != JsonValueKind.Null;
            var input = hasCondition
                ? configuration.CompileInput<bool>($"transitions[{transitions.Count}].condition", condition, isWrapped: true)
                : null;
            transitions.Add(new Transition(
                JsonShapes.GetString(item, "from") ?? "",
                JsonShapes.GetString(item, "to") ?? "",
                Child(configuration, item, "trigger"),
                input,
                input is not null,
                Child(configuration, item, "action")));
        }

        return [.. transitions];
    }

    private static ActivityNode? Child(ActivityConfiguration configuration, JsonElement item, string port) =>
        JsonShapes.TryGet(item, port, out var child) ? configuration.CompileChild(child, port) : null;

    private enum Phase
    {
        Trigger,
        Exit,
        Action,
    }

    private sealed record State(string Name, ActivityNode? Entry, ActivityNode? Exit);

    private sealed record Transition(
        string From, string To, ActivityNode? Trigger, Input<bool>? Condition, bool HasCondition, ActivityNode? Action);
}
