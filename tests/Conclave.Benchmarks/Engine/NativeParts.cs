using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Benchmarks.Engine;

/// <summary>Does nothing, so that what is measured is the engine.</summary>
[Activity("Bench", "Benchmarks", "Does nothing.")]
public sealed class NoOp : Activity
{
    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>
/// Expressions in C#, as Elsa's figures use delegates: <c>increment:name</c> and <c>lessThan:name:limit</c>.
/// </summary>
public sealed class NativeSyntax : IExpressionSyntax
{
    /// <inheritdoc/>
    public string Type => "Native";

    /// <inheritdoc/>
    public CompiledExpression Compile(ExpressionSource source)
    {
        var parts = source.Value.GetString()!.Split(':');
        return parts[0] switch
        {
            "increment" => new Increment(parts[1]),
            "lessThan" => new LessThan(parts[1], int.Parse(parts[2], System.Globalization.CultureInfo.InvariantCulture)),
            _ => throw new ExpressionException("native.unknown", parts[0]),
        };
    }

    private sealed class Increment(string name) : Expression
    {
        public override ValueTask<object?> EvaluateAsync(ActivityContext context) => new((int)context.GetVariable(name)! + 1);
    }

    private sealed class LessThan(string name, int limit) : Expression
    {
        public override ValueTask<object?> EvaluateAsync(ActivityContext context) =>
            new(ValueConverter.Box((int)context.GetVariable(name)! < limit));
    }
}

/// <summary>Counts log entries and forgets them, as a journal that has written them would.</summary>
public sealed class CountingSink : IExecutionLogSink
{
    /// <summary>Entries seen.</summary>
    public long Count { get; private set; }

    /// <inheritdoc/>
    public void Write(WorkflowInstance instance, ReadOnlySpan<LogEntry> entries) => Count += entries.Length;
}
