using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Expressions;

/// <summary>A compiled expression. Belongs to one node of one graph and keeps no state.</summary>
public abstract class Expression
{
    /// <summary>Whether the expression may read outputs of other activities, so that instances keep them.</summary>
    public virtual bool ReadsOutputs => false;

    /// <summary>Evaluates the expression for one execution of its activity.</summary>
    /// <returns>A workflow value; see <see cref="ValueConverter"/>.</returns>
    public abstract ValueTask<object?> EvaluateAsync(ActivityContext context);
}

/// <summary>Where an expression stands in a definition.</summary>
/// <param name="Type">Name of the syntax.</param>
/// <param name="Value">Text or JSON of the expression.</param>
/// <param name="Node">The activity it belongs to.</param>
/// <param name="Property">The input it belongs to.</param>
public sealed record ExpressionSource(string Type, JsonElement Value, ActivityNode Node, string Property);

/// <summary>What compiling an expression gives: an expression, a literal, or nothing at all.</summary>
/// <param name="Expression">The expression; null for a literal.</param>
/// <param name="Literal">The literal value, not yet converted to the input's type.</param>
/// <param name="IsUnset">Whether the input counts as not given.</param>
public readonly record struct CompiledExpression(Expression? Expression, object? Literal, bool IsUnset)
{
    /// <summary>The input counts as not given.</summary>
    public static CompiledExpression Unset { get; } = new(null, null, true);

    /// <summary>A literal value.</summary>
    public static CompiledExpression OfLiteral(object? value) => new(null, value, false);

    /// <summary>An expression to evaluate.</summary>
    public static implicit operator CompiledExpression(Expression expression) => new(expression, null, false);
}

/// <summary>A kind of expression. Implement it to add one; register it with <see cref="ExpressionSyntaxes.With"/>.</summary>
public interface IExpressionSyntax
{
    /// <summary>Name as in definitions, for example <c>JavaScript</c>.</summary>
    string Type { get; }

    /// <summary>How designers offer the syntax; null for one that they do not offer.</summary>
    ExpressionDescriptor? Descriptor => new(Type);

    /// <summary>Compiles one expression.</summary>
    /// <exception cref="ExpressionException">The expression cannot work; the problem is reported with its place.</exception>
    CompiledExpression Compile(ExpressionSource source);
}

/// <summary>An expression cannot be compiled or evaluated.</summary>
public sealed class ExpressionException(string code, string message, Exception? inner = null) : WorkflowException(code, message, inner);

/// <summary>Stands for an expression that could not be compiled, and says why when it is evaluated.</summary>
internal sealed class FaultyExpression(string message) : Expression
{
    public override ValueTask<object?> EvaluateAsync(ActivityContext context) => throw new ExpressionException("expression.faulty", message);
}
