using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Definitions;

/// <summary>What an activity can ask for and say while it is compiled.</summary>
internal sealed class ActivityConfiguration(GraphCompiler compiler, ActivityNode node)
{
    private List<EvaluatedInput>? _inputs;

    public ActivityNode Node => node;

    public Activity Activity => node.Activity;

    public WorkflowEngine Engine => compiler.Engine;

    /// <summary>A member of the activity's JSON, whatever the case of its name.</summary>
    public bool TryGet(string property, out JsonElement value) => JsonShapes.TryGet(node.Json, property, out value);

    public ActivityNode? CompileChild(JsonElement json, string port) => compiler.CompileActivity(json, node, port);

    /// <summary>Compiles a list of children; items that are not activities are reported.</summary>
    public ActivityNode[] CompileChildren(string property)
    {
        if (!TryGet(property, out var list))
            return [];
        var children = new List<ActivityNode>();
        foreach (var item in JsonShapes.Items(list))
        {
            if (compiler.CompileActivity(item, node, property) is { } child)
                children.Add(child);
        }

        return [.. children];
    }

    public ActivityNode? CompileWorkflow(WorkflowDefinition workflow) => compiler.CompileWorkflow(workflow, node);

    /// <summary>Compiles an expression in the scope of this activity.</summary>
    public CompiledExpression CompileExpression(string property, WrappedValue value)
    {
        if (compiler.Engine.Expressions.Find(value.Type) is not { } syntax)
        {
            Problem("expression.unknown_type", $"The expression type '{value.Type}' is not known, so the input counts as not set. Known types: {string.Join(", ", compiler.Engine.Expressions.Types)}.", property, ProblemSeverity.Warning);
            return CompiledExpression.Unset;
        }

        try
        {
            var compiled = syntax.Compile(new ExpressionSource(value.Type, value.Value, node, property));
            if (compiled.Expression is { ReadsOutputs: true })
                compiler.KeepsOutputs = true;
            return compiled;
        }
        catch (ExpressionException exception)
        {
            Problem(exception.Code, exception.Message, property);
            return new CompiledExpression(new FaultyExpression(exception.Message), null, false);
        }
    }

    /// <summary>Compiles an unwrapped expression such as the condition of a case; unset conditions are null.</summary>
    public Input<T>? CompileInput<T>(string property, JsonElement json, bool isWrapped)
    {
        if (!(isWrapped ? WrappedValue.TryRead(json, out var value) : WrappedValue.TryReadExpression(json, out value)))
            return null;
        var compiled = CompileExpression(property, value);
        if (compiled.IsUnset)
            return null;
        if (compiled.Expression is null)
        {
            try
            {
                return new Input<T>((T?)new Input<T>().ConvertValue(compiled.Literal));
            }
            catch (ValueConversionException exception)
            {
                Problem("input.bad_literal", exception.Message, property);
                compiled = new CompiledExpression(new FaultyExpression(exception.Message), null, false);
            }
        }

        var input = new Input<T> { Expression = compiled.Expression };
        AddEvaluatedInput(property, input, beforeRun: false);
        return input;
    }

    /// <summary>Makes instances keep the outputs of activities, because a script reads them.</summary>
    public void KeepOutputs() => compiler.KeepsOutputs = true;

    public void AddEvaluatedInput(string name, Input input, bool beforeRun)
    {
        _inputs ??= [];
        input.Slot = _inputs.Count;
        _inputs.Add(new EvaluatedInput(name, input, beforeRun));
    }

    public void BindOutput(Output output, JsonElement binding)
    {
        if (!JsonShapes.TryGet(binding, "memoryReference", out var reference) || JsonShapes.GetString(reference, "id") is not { Length: > 0 } id)
            return;
        output.Variable = (node.Parent ?? node).FindVariable(id);
        if (output.Variable is null)
            output.Target = id;
    }

    /// <summary>Reads a property that every activity may have.</summary>
    public void BindCommon(JsonProperty property)
    {
        if (property.NameEquals("name"u8))
            node.Name = property.Value.ValueKind == JsonValueKind.String ? property.Value.GetString() : null;
        else if (property.NameEquals("customProperties"u8))
            BindCustomProperties(property.Value);
        else if (property.NameEquals("canStartWorkflow"u8))
            node.CanStartWorkflow |= JsonShapes.AsBoolean(property.Value) ?? false;
        else if (property.NameEquals("runAsynchronously"u8))
            node.RunAsynchronously |= JsonShapes.AsBoolean(property.Value) ?? false;
    }

    /// <summary>Reports a problem; the property may be given by its descriptor name and is shown as in the JSON.</summary>
    public void Problem(string code, string message, string? property = null, ProblemSeverity severity = ProblemSeverity.Error) =>
        compiler.Report(new DefinitionProblem(
            code, message, node.Id, property is null ? null : JsonNamingPolicy.CamelCase.ConvertName(property), severity));

    public void Fatal(string code, string message, string? property = null) =>
        compiler.Fatal(new DefinitionProblem(code, message, node.Id, property));

    public void Finish()
    {
        if (_inputs is null)
            return;
        node.EvaluatedInputs = [.. _inputs];
        node.EvaluatesBeforeRun = _inputs.Exists(i => i.BeforeRun);
    }

    private void BindCustomProperties(JsonElement properties)
    {
        if (properties.ValueKind != JsonValueKind.Object)
            return;
        foreach (var property in properties.EnumerateObject())
        {
            switch (property.Name)
            {
                case "canStartWorkflow" or "CanStartWorkflow":
                    node.CanStartWorkflow |= JsonShapes.AsBoolean(property.Value) ?? false;
                    break;
                case "runAsynchronously" or "RunAsynchronously":
                    node.RunAsynchronously |= JsonShapes.AsBoolean(property.Value) ?? false;
                    break;
                case "mergeMode":
                    BindMergeMode(property.Value);
                    break;
                case "commitStrategyName":
                    node.CommitStrategyName = property.Value.ValueKind == JsonValueKind.String ? property.Value.GetString() : null;
                    break;
                case "resilienceStrategy" or "retry" or "timeout":
                    node.Policy ??= ActivityPolicy.Read(properties, this);
                    break;
                case "logPersistenceConfig" or "logPersistenceMode":
                    node.LogPersistence = LogPersistence.Read(properties, node.Definition.CustomProperties);
                    break;
            }
        }
    }

    private void BindMergeMode(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && Enum.IsDefined((MergeMode)number))
            node.MergeMode = (MergeMode)number;
        else if (value.ValueKind == JsonValueKind.String)
        {
            var text = value.GetString();
            if (string.IsNullOrEmpty(text))
                return;
            if (Enum.TryParse<MergeMode>(text, ignoreCase: true, out var mode) && Enum.IsDefined(mode))
                node.MergeMode = mode;
            else
                Problem("activity.unknown_merge_mode", $"The merge mode '{text}' is not known. Use one of {string.Join(", ", Enum.GetNames<MergeMode>())}.", "mergeMode", ProblemSeverity.Warning);
        }
    }
}
