using System.Text.Json;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Activities;

/// <summary>An input of an activity: a value known when the workflow is compiled, or an expression evaluated when it runs.</summary>
public abstract class Input
{
    /// <summary>The expression; null when the value is literal.</summary>
    public Expression? Expression { get; internal set; }

    /// <summary>Place of the evaluated value in the activity's context; -1 when the value is literal.</summary>
    internal int Slot { get; set; } = -1;

    /// <summary>The literal value, boxed; JSON that nobody gave is null, for it cannot be written.</summary>
    internal abstract object? LiteralValue { get; }

    /// <summary>Converts an evaluated value to the input's type.</summary>
    internal abstract object? ConvertValue(object? value);
}

/// <summary>An input with values of type <typeparamref name="T"/>.</summary>
/// <param name="literal">The value when the author gives none.</param>
public sealed class Input<T>(T? literal = default) : Input
{
    /// <summary>The literal value.</summary>
    public T? Literal { get; internal set; } = literal;

    internal override object? LiteralValue => Literal is JsonElement { ValueKind: JsonValueKind.Undefined } ? null : Literal;

    internal override object? ConvertValue(object? value)
    {
        if (value is T)
            return value;
        var converted = ValueConverter.Convert<T>(value);
        return converted is bool flag ? ValueConverter.Box(flag) : converted;
    }
}
