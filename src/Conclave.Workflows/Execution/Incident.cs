namespace Conclave.Workflows.Execution;

/// <summary>An activity faulted.</summary>
/// <param name="ActivityId">Id of the activity.</param>
/// <param name="ActivityNodeId">Node id of the activity.</param>
/// <param name="ActivityType">Type of the activity.</param>
/// <param name="ActivityInstance">Number of the execution within the instance.</param>
/// <param name="Message">What went wrong.</param>
/// <param name="Exception">The exception; null when there was none.</param>
/// <param name="Timestamp">When it happened.</param>
public sealed record Incident(
    string ActivityId,
    string ActivityNodeId,
    string ActivityType,
    int ActivityInstance,
    string Message,
    ExceptionState? Exception,
    DateTimeOffset Timestamp);

/// <summary>An exception in the form that is stored and shown.</summary>
/// <param name="Type">Full type name.</param>
/// <param name="Message">Message.</param>
/// <param name="StackTrace">Stack trace; null when it says nothing to the author.</param>
/// <param name="Inner">Inner exception.</param>
public sealed record ExceptionState(string Type, string Message, string? StackTrace, ExceptionState? Inner)
{
    /// <summary>Describes an exception, inner ones included.</summary>
    public static ExceptionState From(Exception exception) => new(
        exception is FaultException { FaultType: { } type } ? type : exception.GetType().FullName!,
        exception.Message,
        exception.StackTrace,
        exception.InnerException is { } inner ? From(inner) : null);
}

/// <summary>A failure that the author of a workflow can act on: a bad input, a missing variable, the Fault activity.</summary>
/// <param name="code">Stable code.</param>
/// <param name="message">What happened and what to do.</param>
/// <param name="inner">What caused it.</param>
public class WorkflowException(string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Stable code; listed in <c>docs/errors.md</c>.</summary>
    public string Code { get; } = code;

    /// <summary>Whether another attempt would fail in the same way, so that none is made; default false.</summary>
    public bool IsPermanent { get; init; }

    /// <summary>When the next attempt makes sense, as the other side said; null leaves it to the strategy.</summary>
    public TimeSpan? RetryAfter { get; init; }
}

/// <summary>The exception of the Fault activity.</summary>
public sealed class FaultException(string code, string category, string faultType, string message)
    : WorkflowException(code, message)
{
    /// <summary>Category that the author gave.</summary>
    public string Category { get; } = category;

    /// <summary>Type that the author gave.</summary>
    public string FaultType { get; } = faultType;
}
