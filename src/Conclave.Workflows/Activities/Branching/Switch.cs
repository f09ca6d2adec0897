using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <summary>Which matching cases a switch takes.</summary>
public enum SwitchMode
{
    /// <summary>The first.</summary>
    MatchFirst,

    /// <summary>Every one.</summary>
    MatchAny,
}

/// <summary>One case of a switch.</summary>
/// <param name="Label">Name of the case; the outcome in a flowchart.</param>
/// <param name="Condition">When the case matches; null never matches.</param>
/// <param name="Activity">What runs; null for none.</param>
internal sealed record SwitchCase(string Label, Input<bool>? Condition, ActivityNode? Activity)
{
    public static SwitchCase[] Read(ActivityConfiguration configuration)
    {
        if (!configuration.TryGet("cases", out var list))
            return [];
        var cases = new List<SwitchCase>();
        foreach (var item in JsonShapes.Items(list))
        {
            if (item.ValueKind != JsonValueKind.Object)
            {
                configuration.Problem("switch.bad_case", "A case is an object with a label and a condition.", "cases");
                continue;
            }

            var label = JsonShapes.GetString(item, "label") ?? $"Case {cases.Count + 1}";
            var condition = JsonShapes.TryGet(item, "condition", out var json)
                ? configuration.CompileInput<bool>($"cases[{cases.Count}].condition", json, isWrapped: JsonShapes.TryGet(json, "expression", out _))
                : null;
            var child = JsonShapes.TryGet(item, "activity", out var activity) ? configuration.CompileChild(activity, label) : null;
            cases.Add(new SwitchCase(label, condition, child));
        }

        return [.. cases];
    }

    /// <summary>The cases that match, in order; only the first in <see cref="SwitchMode.MatchFirst"/>.</summary>
    public static async ValueTask<List<SwitchCase>> MatchAsync(ActivityContext context, SwitchCase[] cases, SwitchMode mode)
    {
        var matching = new List<SwitchCase>();
        foreach (var candidate in cases)
        {
            if (!await context.EvaluateAsync(candidate.Condition))
                continue;
            matching.Add(candidate);
            if (mode == SwitchMode.MatchFirst)
                break;
        }

        return matching;
    }
}

/// <summary>Runs the activity of the case that matches.</summary>
[Activity("Elsa", "Branching", "Checks cases in order and runs the activity of the first that matches, or of all that do. Default runs when none matches.")]
public sealed class Switch : Activity
{
    private SwitchCase[] _cases = [];

    /// <summary>The cases, as the author wrote them.</summary>
    [Input(Description = "The cases in the order in which they are checked: a label and a condition each.", UIHint = InputUIHints.SwitchEditor)]
    public JsonElement Cases { get; set; }

    /// <summary>Which matching cases run.</summary>
    [Input(Description = "MatchFirst stops at the first case that is true; MatchAny runs every case that is.")]
    public Input<SwitchMode> Mode { get; set; } = new(SwitchMode.MatchFirst);

    /// <summary>Runs when no case matches.</summary>
    [Port]
    public ActivityNode? Default { get; set; }

    /// <summary>Label of the case that ran.</summary>
    [Output(Description = "The label of the case that ran; a list in mode MatchAny.")]
    public Output<object>? Output { get; set; }

    internal override void Configure(ActivityConfiguration configuration) => _cases = SwitchCase.Read(configuration);

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var mode = context.Get(Mode);
        var matching = await SwitchCase.MatchAsync(context, _cases, mode);
        if (matching.Count > 0)
            context.Set(Output, mode == SwitchMode.MatchFirst ? matching[0].Label : matching.Select(m => m.Label).ToArray());
        var scheduled = matching.Select(m => m.Activity).OfType<ActivityNode>().ToList();
        if (matching.Count == 0 && Default is not null)
            scheduled.Add(Default);
        foreach (var child in scheduled)
            context.Schedule(child);
        context.Counter = scheduled.Count;
        if (scheduled.Count == 0)
            context.Complete();
    }

    /// <inheritdoc/>
    public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        if (--context.Counter == 0 || context.IsBreaking)
            context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Goes on through the case that matches.</summary>
[Activity("Elsa", "Branching", "Splits the flow by cases: goes on through the port of the first that matches, or of all that do. Default is for when none matches.", DisplayName = "Switch (flow)")]
[FlowNode("Default")]
public sealed class FlowSwitch : Activity
{
    private static readonly IReadOnlyList<string> Default = ["Default"];

    private SwitchCase[] _cases = [];

    /// <summary>The cases, as the author wrote them.</summary>
    [Input(Description = "The cases in the order in which they are checked: a label and a condition each.", UIHint = InputUIHints.FlowSwitchEditor)]
    public JsonElement Cases { get; set; }

    /// <summary>Which matching cases are followed.</summary>
    [Input(Description = "MatchFirst stops at the first case that is true; MatchAny follows every case that is.")]
    public Input<SwitchMode> Mode { get; set; } = new(SwitchMode.MatchFirst);

    internal override void Configure(ActivityConfiguration configuration) => _cases = SwitchCase.Read(configuration);

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var matching = await SwitchCase.MatchAsync(context, _cases, context.Get(Mode));
        context.CompleteWith(matching.Count == 0 ? Default : matching.ConvertAll(m => m.Label));
    }
}
