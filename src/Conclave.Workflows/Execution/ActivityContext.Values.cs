using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Execution;

/// <content>Variables, workflow inputs and outputs, as the activity's scope sees them.</content>
public sealed partial class ActivityContext
{
    /// <summary>Sets an output, and whatever the author captures it in.</summary>
    /// <exception cref="ValueConversionException">The value does not fit the type of the variable that captures it.</exception>
    public void Set<T>(Output<T>? output, T? value)
    {
        if (output is not null)
            SetOutput(output, value is bool flag ? ValueConverter.Box(flag) : value);
    }

    /// <summary>The value that this execution has set an output to; the default when it has not.</summary>
    public T? Find<T>(Output? output) => output is not null && Outputs?[output.Index] is { } value ? value is T typed ? typed : ValueConverter.Convert<T>(value) : default;

    /// <summary>The value of a variable of this scope or around it, by name; null when there is none.</summary>
    public object? GetVariable(string name) => TryGetVariable(name, out var value) ? value : null;

    /// <summary>Looks a variable up by name, from the inside out.</summary>
    public bool TryGetVariable(string name, out object? value)
    {
        for (var context = this; context is not null; context = context.Parent)
        {
            if (context.Dynamic is { } dynamic)
            {
                foreach (var variable in dynamic)
                {
                    if (!variable.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                        continue;
                    value = variable.Value;
                    return true;
                }
            }

            var declared = context.Node.Variables;
            for (var i = 0; i < declared.Count; i++)
            {
                if (!declared[i].Definition.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                    continue;
                value = context.Variables![i];
                return true;
            }

            if (context.Node.Activity is Workflow)
                break;
        }

        value = null;
        return false;
    }

    /// <summary>Sets a variable by name; one that does not exist is added to the workflow.</summary>
    /// <exception cref="ValueConversionException">The value does not fit the variable's type.</exception>
    public void SetVariable(string name, object? value) => SetVariable(name, value, Node.LogPersistence.IncludesAll);

    private void SetVariable(string name, object? value, bool isKept)
    {
        var context = this;
        for (; ; context = context.Parent!)
        {
            if (context.Dynamic is { } dynamic
                && Array.Find(dynamic, v => v.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } existing)
            {
                existing.Value = value;
                Note(context, existing.Name, value, isKept);
                return;
            }

            var declared = context.Node.Variables;
            for (var i = 0; i < declared.Count; i++)
            {
                if (!declared[i].Definition.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                    continue;
                Set(context, declared[i], value, isKept);
                return;
            }

            if (context.Node.Activity is Workflow || context.Parent is null)
                break;
        }

        context.Dynamic = [.. context.Dynamic ?? [], new DynamicVariable(name, value)];
        Note(context, name, value, isKept);
    }

    /// <summary>Sets a variable that belongs to an execution around this one, such as a loop's current value.</summary>
    internal bool TrySetDynamic(string name, object? value)
    {
        for (var context = this; context is not null; context = context.Parent)
        {
            if (Array.Find(context.Dynamic ?? [], v => v.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } variable)
            {
                variable.Value = value;
                Note(context, variable.Name, value, Node.LogPersistence.IncludesAll);
                return true;
            }

            if (context.Node.Activity is Workflow)
                break;
        }

        return false;
    }

    /// <summary>The value of a compiled variable.</summary>
    internal object? GetVariable(ScopeVariable variable) => ScopeOf(variable).Variables![variable.Slot];

    /// <summary>Sets a compiled variable, converted to its type.</summary>
    internal void SetVariable(ScopeVariable variable, object? value) => SetVariable(variable, value, Node.LogPersistence.IncludesAll);

    /// <summary>Sets a compiled variable of this execution itself.</summary>
    internal void SetOwnVariable(ScopeVariable variable, object? value, bool isKept) => Set(this, variable, value, isKept);

    /// <summary>Notes the values that the execution began with, beside the defaults of its variables.</summary>
    internal void NoteGivenValues()
    {
        var isKept = (Parent ?? this).Node.LogPersistence.IncludesAll;
        foreach (var variable in Dynamic ?? [])
            Note(this, variable.Name, variable.Value, isKept);
        if (Parent is not null || Instance.InitialVariables.Count == 0)
            return;
        foreach (var variable in Node.Variables)
        {
            if (Instance.InitialVariables.ContainsKey(variable.Definition.Name))
                Note(this, variable.Definition.Name, Variables![variable.Slot], isKept && !variable.IsInMemory);
        }
    }

    /// <summary>The value of a workflow input: of the workflow used as an activity around this one, or of the instance.</summary>
    internal object? GetInput(string name)
    {
        var workflow = this;
        while (workflow.Node.Activity is not Workflow)
            workflow = workflow.Parent!;
        if (workflow.Parent is null)
            return Find(Instance.Input, name);
        var declared = workflow.Node.Variables;
        for (var i = 0; i < declared.Count; i++)
        {
            if (declared[i].IsInput && declared[i].Definition.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                return workflow.Variables![i];
        }

        return null;
    }

    /// <summary>Sets an output of the nearest workflow used as an activity that declares it, else of the instance.</summary>
    internal void SetWorkflowOutput(string name, object? value) => SetWorkflowOutput(name, value, Node.LogPersistence.IncludesAll);

    private void SetWorkflowOutput(string name, object? value, bool isKept)
    {
        for (var context = this; context is not null; context = context.Parent)
        {
            if (context.Node.Activity is WorkflowDefinitionActivity activity && activity.FindOutput(name) is { } output)
            {
                context.SetOutput(output, value);
                return;
            }
        }

        Instance.SetOutput(name, value);
        Instance.Log.Note(LogNoteKind.Output, 0, name, value, isKept);
    }

    internal void SetOutput(Output output, object? value)
    {
        Outputs ??= new object?[Node.Outputs.Length];
        Outputs[output.Index] = value;
        if (output.Variable is { } variable)
            (Parent ?? this).SetVariable(variable, value, Node.LogPersistence.IncludesOutput(output.Name));
        else if (output.Target is { } target)
            SetTarget(target, value, Node.LogPersistence.IncludesOutput(output.Name));
        if (Instance.ActivityOutputs is { } kept)
            kept[Node.Index] = Outputs;
        if (output.Name == "Result")
            Instance.LastResult = value;
    }

    internal void RestoreOutputs(object?[]? outputs) => Outputs = outputs;

    private void SetTarget(string target, object? value, bool isKept)
    {
        var owner = Parent ?? this;
        if (Node.Definition.Outputs.Any(o => o.Name == target))
            owner.SetWorkflowOutput(target, value, isKept);
        else if (owner.TryGetVariable(target, out _))
            owner.SetVariable(target, value, isKept);
    }

    private void SetVariable(ScopeVariable variable, object? value, bool isKept) => Set(ScopeOf(variable), variable, value, isKept);

    private static void Set(ActivityContext scope, ScopeVariable variable, object? value, bool isKept)
    {
        var converted = ValueConverter.Convert(value, variable.Type);
        scope.Variables![variable.Slot] = converted;
        Note(scope, variable.Definition.Name, converted, isKept && !variable.IsInMemory);
    }

    private static void Note(ActivityContext scope, string name, object? value, bool isKept) =>
        scope.Instance.Log.Note(LogNoteKind.Variable, scope.Number, name, value, isKept);

    private ActivityContext ScopeOf(ScopeVariable variable)
    {
        var context = this;
        while (context.Node != variable.Scope)
            context = context.Parent ?? throw new WorkflowException("variable.not_found", $"Variable '{variable.Definition.Name}' is not in the scope of {Node}.");
        return context;
    }

    private static object? Find(IReadOnlyDictionary<string, object?> values, string name)
    {
        if (values.TryGetValue(name, out var value))
            return value;
        foreach (var (key, candidate) in values)
        {
            if (key.Equals(name, StringComparison.OrdinalIgnoreCase))
                return candidate;
        }

        return null;
    }
}
