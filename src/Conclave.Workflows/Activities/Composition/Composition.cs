using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Activities;

/// <summary>Gives the workflow an output, which whoever started it receives when it ends.</summary>
[Activity("Elsa", "Composition", "Gives the workflow an output, which whoever started it receives when it ends.")]
public sealed class SetOutput : Activity
{
    /// <summary>Name of the output.</summary>
    [Input(Description = "The output to set, one of those that the workflow declares.", DisplayName = "Output", UIHint = InputUIHints.OutputPicker)]
    public Input<string> OutputName { get; set; } = new();

    /// <summary>The value.</summary>
    [Input(Description = "The value to give, usually a variable or an expression.", DisplayName = "Value")]
    public Input<object> OutputValue { get; set; } = new();

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var name = context.Get(OutputName);
        if (string.IsNullOrEmpty(name))
            throw new WorkflowException("set_output.missing_name", $"{Node}: no output is chosen.");
        context.SetWorkflowOutput(name, context.Get(OutputValue));
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Completes the workflow, or the activity that it is used as.</summary>
[Activity("Elsa", "Composition", "Completes the workflow here. Where it is used as an activity, the flow around it goes on through the outcome chosen.", IsTerminal = true)]
public sealed class Complete : Activity
{
    /// <summary>One outcome as text, or a list of them.</summary>
    [Input(Description = "The outcome, or a list of outcomes, of those that the workflow declares. Empty is Done.", UIHint = InputUIHints.OutcomePicker, DefaultSyntax = "Object")]
    public Input<object> Outcomes { get; set; } = new();

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var outcomes = ValueConverter.Enumerate(context.Get(Outcomes))
            .Select(o => ValueConverter.ToText(o) ?? "")
            .Where(o => o.Length > 0)
            .ToArray();
        context.CompleteComposite(outcomes.Length == 0 ? ["Done"] : outcomes);
        return ValueTask.CompletedTask;
    }
}

/// <summary>A workflow used as an activity. It runs in the same instance, in a scope of its own.</summary>
[Activity("Elsa", "Workflows", "Runs a workflow as one step of another. The toolbox offers each such workflow under its own name.", IsBrowsable = false)]
public sealed class WorkflowDefinitionActivity : Activity
{
    internal const string TypeName = "Elsa.WorkflowDefinitionActivity";

    private readonly List<(string Name, Input<object> Input)> _inputs = [];
    private ActivityNode? _workflow;

    /// <summary>The workflow.</summary>
    public WorkflowDefinition Target { get; internal set; } = null!;

    internal override void Configure(ActivityConfiguration configuration)
    {
        foreach (var declared in Target.Inputs)
        {
            if (configuration.TryGet(declared.Name, out var json)
                && configuration.CompileInput<object>(declared.Name, json, isWrapped: true) is { } input)
                _inputs.Add((declared.Name, input));
        }

        Node.Outputs = new Output[Target.Outputs.Count];
        for (var i = 0; i < Node.Outputs.Length; i++)
        {
            var output = new Output<object> { Name = Target.Outputs[i].Name, Index = i };
            Node.Outputs[i] = output;
            if (configuration.TryGet(output.Name, out var binding))
                configuration.BindOutput(output, binding);
        }

        _workflow = configuration.CompileWorkflow(Target);
    }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        foreach (var (_, input) in _inputs)
            await context.EvaluateAsync(input);
        context.Schedule(_workflow!);
    }

    /// <inheritdoc/>
    public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        context.CompleteWith(child.Outcomes);
        return ValueTask.CompletedTask;
    }

    /// <summary>Hands the evaluated inputs to the workflow's scope.</summary>
    internal void PassInputs(ActivityContext context, ActivityContext workflow)
    {
        var declared = workflow.Node.Variables;
        foreach (var (name, input) in _inputs)
        {
            for (var i = 0; i < declared.Count; i++)
            {
                if (declared[i].IsInput && declared[i].Definition.Name == name)
                    workflow.SetOwnVariable(declared[i], context.Get(input), context.Node.LogPersistence.IncludesInput(name));
            }
        }
    }

    internal Output? FindOutput(string name) => Array.Find(Node.Outputs, o => o.Name == name);
}
