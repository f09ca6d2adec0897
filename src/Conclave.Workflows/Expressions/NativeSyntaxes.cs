using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Expressions;

/// <summary><c>Literal</c>: a value written down; converted to the input's type when the workflow is compiled.</summary>
internal sealed class LiteralSyntax : IExpressionSyntax
{
    public string Type => "Literal";

    public ExpressionDescriptor Descriptor { get; } = new("Literal") { IsBrowsable = false };

    public CompiledExpression Compile(ExpressionSource source) =>
        CompiledExpression.OfLiteral(ValueConverter.FromJson(source.Value));
}

/// <summary><c>Object</c>: a value as JSON text, or as JSON itself.</summary>
internal sealed class ObjectSyntax(string type) : IExpressionSyntax
{
    public string Type => type;

    public ExpressionDescriptor Descriptor { get; } = new(type) { IsBrowsable = false, MonacoLanguage = "json", Order = 1 };

    public CompiledExpression Compile(ExpressionSource source)
    {
        if (source.Value.ValueKind != JsonValueKind.String)
            return CompiledExpression.OfLiteral(ValueConverter.FromJson(source.Value));
        var text = source.Value.GetString()!;
        if (string.IsNullOrWhiteSpace(text))
            return CompiledExpression.OfLiteral(null);
        try
        {
            return CompiledExpression.OfLiteral(ValueConverter.FromJson(JsonElement.Parse(text)));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // People type bare words into these editors; a list input takes them as its only item.
            if (text.AsSpan().TrimStart() is not (['{', ..] or ['[', ..]))
                return CompiledExpression.OfLiteral(text);
            throw new ExpressionException("expression.bad_json", $"The value is not valid JSON: {exception.Message}", exception);
        }
    }
}

/// <summary><c>Variable</c>: the value of the variable with an id, in the nearest scope.</summary>
internal sealed class VariableSyntax : IExpressionSyntax
{
    public string Type => "Variable";

    public ExpressionDescriptor Descriptor { get; } = new("Variable") { Order = 4 };

    public CompiledExpression Compile(ExpressionSource source)
    {
        var reference = Reference.Read(source.Value);
        if (reference.Key is not { } key)
            return CompiledExpression.Unset;
        return source.Node.FindVariable(key) is { } variable
            ? new VariableExpression(variable)
            : new NamedVariableExpression(reference.Name ?? key);
    }

    private sealed class VariableExpression(ScopeVariable variable) : Expression
    {
        public override ValueTask<object?> EvaluateAsync(ActivityContext context) => new(context.GetVariable(variable));
    }

    /// <summary>A variable that no id leads to: one that exists only while the workflow runs, such as a loop's current value.</summary>
    private sealed class NamedVariableExpression(string name) : Expression
    {
        public override ValueTask<object?> EvaluateAsync(ActivityContext context) => context.TryGetVariable(name, out var value)
            ? new(value)
            : throw new ExpressionException("variable.not_found", $"There is no variable '{name}' in the scope of {context.Node}.");
    }
}

/// <summary><c>Input</c>: a workflow input by name.</summary>
internal sealed class InputSyntax : IExpressionSyntax
{
    public string Type => "Input";

    public ExpressionDescriptor Descriptor { get; } = new("Input") { Order = 5 };

    public CompiledExpression Compile(ExpressionSource source)
    {
        var reference = Reference.Read(source.Value);
        return (reference.Name ?? reference.Key) is { } name ? new InputExpression(name) : CompiledExpression.Unset;
    }

    private sealed class InputExpression(string name) : Expression
    {
        public override ValueTask<object?> EvaluateAsync(ActivityContext context) => new(context.GetInput(name));
    }
}

/// <summary><c>Output</c>: the last output of an activity, as <c>{activityId, outputName}</c> or <c>"activityId.outputName"</c>.</summary>
internal sealed class OutputSyntax : IExpressionSyntax
{
    public string Type => "Output";

    /// <summary>Written by hand: Elsa's designer has no editor for it.</summary>
    public ExpressionDescriptor? Descriptor => null;

    public CompiledExpression Compile(ExpressionSource source)
    {
        var value = source.Value;
        if (value.ValueKind == JsonValueKind.String && value.GetString() is { } text && text.AsSpan().TrimStart() is ['{', ..])
            value = Reference.Parse(text);
        if (value.ValueKind == JsonValueKind.Object)
        {
            var activity = JsonShapes.GetString(value, "activityId") ?? JsonShapes.GetString(value, "activityName");
            return activity is null ? CompiledExpression.Unset : new OutputExpression(activity, JsonShapes.GetString(value, "outputName"));
        }

        if (value.ValueKind != JsonValueKind.String || value.GetString() is not { Length: > 0 } path)
            return CompiledExpression.Unset;
        var dot = path.LastIndexOf('.');
        return dot < 0 ? new OutputExpression(path, null) : new OutputExpression(path[..dot], path[(dot + 1)..]);
    }

    private sealed class OutputExpression(string activity, string? output) : Expression
    {
        public override bool ReadsOutputs => true;

        public override ValueTask<object?> EvaluateAsync(ActivityContext context) => new(context.Instance.FindOutput(activity, output));
    }
}

/// <summary>A syntax that definitions may name but this engine does not run; says so when it is evaluated.</summary>
internal sealed class UnavailableSyntax(string type, string reason) : IExpressionSyntax
{
    public string Type => type;

    public ExpressionDescriptor? Descriptor => null;

    public CompiledExpression Compile(ExpressionSource source) => throw new ExpressionException("expression.unavailable", $"{type}: {reason}");
}

/// <summary>A reference to a variable or an input: an object or its JSON text with <c>id</c> and <c>name</c>, or the bare key.</summary>
internal readonly record struct Reference(string? Key, string? Name)
{
    public static Reference Read(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String)
        {
            var text = value.GetString()!;
            if (text.AsSpan().TrimStart() is not ['{', ..])
                return string.IsNullOrEmpty(text) ? default : new Reference(text, null);
            value = Parse(text);
        }

        if (value.ValueKind != JsonValueKind.Object)
            return default;
        var name = JsonShapes.GetString(value, "name");
        return new Reference(JsonShapes.GetString(value, "id") ?? name, name);
    }

    public static JsonElement Parse(string text)
    {
        try
        {
            return JsonElement.Parse(text);
        }
        catch (JsonException exception)
        {
            throw new ExpressionException("expression.bad_json", $"The reference is not valid JSON: {exception.Message}", exception);
        }
    }
}
