using System.Reflection;
using System.Text.Json;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Activities;

/// <summary>Binds one JSON property of an activity to one property of its class, without reflection at load time.</summary>
internal abstract class ActivityMember(string name)
{
    /// <summary>Descriptor name, in Pascal case.</summary>
    public string Name { get; } = name;

    public abstract void Bind(ActivityConfiguration configuration, JsonElement value);

    protected static Action<Activity, TProperty> Setter<TActivity, TProperty>(PropertyInfo property)
        where TActivity : Activity
    {
        var set = property.SetMethod!.CreateDelegate<Action<TActivity, TProperty>>();
        return (activity, value) => set((TActivity)activity, value);
    }

    protected static Func<Activity, TProperty> Getter<TActivity, TProperty>(PropertyInfo property)
        where TActivity : Activity
    {
        var get = property.GetMethod!.CreateDelegate<Func<TActivity, TProperty>>();
        return activity => get((TActivity)activity);
    }
}

/// <summary>An <see cref="Input{T}"/>: literals are converted here, once; everything else becomes an expression.</summary>
internal sealed class InputMember<TActivity, T>(PropertyInfo property, InputAttribute attribute) : InputMember(property.Name, attribute)
    where TActivity : Activity
{
    private readonly Action<Activity, Input<T>> _set = Setter<TActivity, Input<T>>(property);
    private readonly Func<Activity, Input<T>?> _get = Getter<TActivity, Input<T>?>(property);

    public override Input? Get(Activity activity) => _get(activity);

    protected override Input BindLiteral(ActivityConfiguration configuration, object? literal)
    {
        var input = new Input<T>((T?)new Input<T>().ConvertValue(literal));
        _set(configuration.Activity, input);
        return input;
    }

    protected override Input BindExpression(ActivityConfiguration configuration)
    {
        var input = new Input<T>();
        _set(configuration.Activity, input);
        return input;
    }
}

/// <summary>What all inputs share: reading the wrapped form.</summary>
internal abstract class InputMember(string name, InputAttribute attribute) : ActivityMember(name)
{
    public InputAttribute Attribute { get; } = attribute;

    public abstract Input? Get(Activity activity);

    public override void Bind(ActivityConfiguration configuration, JsonElement value)
    {
        if (!WrappedValue.TryRead(value, out var wrapped))
        {
            if (WrappedValue.IsForgotten(value))
                configuration.Problem("input.not_wrapped", $"The input is a bare {(value.ValueKind == JsonValueKind.Array ? "list" : "object")}, so that it counts as not set, as in Elsa. Write {{\"typeName\": …, \"expression\": {{\"type\": \"Object\", \"value\": …}}}}.", Name, ProblemSeverity.Warning);
            return;
        }

        var source = configuration.CompileExpression(Name, wrapped);
        if (source.IsUnset)
            return;
        if (source.Expression is null)
        {
            try
            {
                BindLiteral(configuration, source.Literal);
                return;
            }
            catch (Expressions.ValueConversionException exception)
            {
                configuration.Problem("input.bad_literal", exception.Message, Name);
                source = new(new Expressions.FaultyExpression(exception.Message), null, false);
            }
        }

        var input = BindExpression(configuration);
        input.Expression = source.Expression;
        configuration.AddEvaluatedInput(Name, input, Attribute.AutoEvaluate);
    }

    protected abstract Input BindLiteral(ActivityConfiguration configuration, object? literal);

    protected abstract Input BindExpression(ActivityConfiguration configuration);
}

/// <summary>An <see cref="Output{T}"/>: always present, bound when the author captures it.</summary>
internal sealed class OutputMember<TActivity, T>(PropertyInfo property) : OutputMember(property.Name)
    where TActivity : Activity
{
    private readonly Action<Activity, Output<T>> _set = Setter<TActivity, Output<T>>(property);

    protected override Output Create(Activity activity)
    {
        var output = new Output<T>();
        _set(activity, output);
        return output;
    }
}

/// <summary>What all outputs share: reading the binding.</summary>
internal abstract class OutputMember(string name) : ActivityMember(name)
{
    /// <summary>Place among the activity's outputs.</summary>
    public int Index { get; set; }

    /// <summary>Gives the activity its output, unbound.</summary>
    public Output Attach(Activity activity)
    {
        var output = Create(activity);
        output.Name = Name;
        output.Index = Index;
        return output;
    }

    public override void Bind(ActivityConfiguration configuration, JsonElement value) =>
        configuration.BindOutput(configuration.Node.Outputs[Index], value);

    protected abstract Output Create(Activity activity);
}

/// <summary>A property that holds one embedded child.</summary>
internal sealed class PortMember<TActivity>(PropertyInfo property) : ActivityMember(property.Name)
    where TActivity : Activity
{
    private readonly Action<Activity, ActivityNode?> _set = Setter<TActivity, ActivityNode?>(property);

    public override void Bind(ActivityConfiguration configuration, JsonElement value)
    {
        if (configuration.CompileChild(value, Name) is { } child)
            _set(configuration.Activity, child);
    }
}

/// <summary>An input that is plain JSON: a boolean, a text or a choice.</summary>
internal sealed class PlainMember<TActivity, T>(PropertyInfo property) : ActivityMember(property.Name)
    where TActivity : Activity
{
    private readonly Action<Activity, T> _set = Setter<TActivity, T>(property);

    public override void Bind(ActivityConfiguration configuration, JsonElement value)
    {
        // Some documents wrap what others write plainly.
        if (WrappedValue.TryRead(value, out var wrapped) && wrapped.Type == "Literal")
            value = wrapped.Value;
        if (value.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined)
            return;
        try
        {
            _set(configuration.Activity, Expressions.ValueConverter.Convert<T>(Expressions.ValueConverter.FromJson(value))!);
        }
        catch (Expressions.ValueConversionException exception)
        {
            configuration.Problem("input.bad_literal", exception.Message, Name);
        }
    }
}

/// <summary>The wrapped form of an input: <c>{"typeName", "expression": {"type", "value"}}</c>, or a bare primitive.</summary>
internal readonly record struct WrappedValue(string Type, JsonElement Value)
{
    /// <summary>Reads an input; false when it counts as unset.</summary>
    public static bool TryRead(JsonElement value, out WrappedValue wrapped)
    {
        wrapped = default;
        switch (value.ValueKind)
        {
            case JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False:
                wrapped = new WrappedValue("Literal", value);
                return true;
            case JsonValueKind.Object:
                if (!value.TryGetProperty("typeName"u8, out _) && !JsonShapes.TryGet(value, "typeName", out _))
                    return false;
                if (!value.TryGetProperty("expression"u8, out var expression) && !JsonShapes.TryGet(value, "expression", out expression))
                    return false;
                return TryReadExpression(expression, out wrapped);
            default:
                return false;
        }
    }

    /// <summary>Whether an author seems to mean a value that counts as unset: a list or an object with something in it, but no expression.</summary>
    public static bool IsForgotten(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.GetArrayLength() > 0,
        JsonValueKind.Object => value.GetPropertyCount() > 0 && !JsonShapes.TryGet(value, "typeName", out _) && !JsonShapes.TryGet(value, "expression", out _),
        _ => false,
    };

    /// <summary>Reads a bare expression: <c>{"type", "value"}</c>.</summary>
    public static bool TryReadExpression(JsonElement expression, out WrappedValue wrapped)
    {
        wrapped = default;
        if (expression.ValueKind != JsonValueKind.Object)
            return false;
        var type = expression.TryGetProperty("type"u8, out var given) && given.ValueKind == JsonValueKind.String
            ? TypeName(given)
            : "Literal";
        expression.TryGetProperty("value"u8, out var inner);
        wrapped = new WrappedValue(type, inner);
        return true;
    }

    private static string TypeName(JsonElement type) =>
        type.ValueEquals("Literal"u8) ? "Literal"
        : type.ValueEquals("JavaScript"u8) ? "JavaScript"
        : type.ValueEquals("Object"u8) ? "Object"
        : type.ValueEquals("Variable"u8) ? "Variable"
        : type.GetString()!;
}
