using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Http;

/// <summary>Kinds of failures of a request.</summary>
public enum OutboundHttpFailure
{
    /// <summary>The request or its answer is not acceptable; another attempt ends the same way.</summary>
    Refused,

    /// <summary>The server could not be reached, or the connection broke.</summary>
    ConnectionFailed,

    /// <summary>The answer did not come in time.</summary>
    Timeout,

    /// <summary>The server answered that it cannot serve the request now.</summary>
    Unavailable,
}

/// <summary>A request of a workflow failed without an answer that the workflow could use.</summary>
public sealed class OutboundHttpException : WorkflowException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="code">Stable code, for example <c>http.address_refused</c>.</param>
    /// <param name="message">What happened and what to do.</param>
    /// <param name="failure">Kind of failure.</param>
    /// <param name="inner">What caused it.</param>
    public OutboundHttpException(string code, string message, OutboundHttpFailure failure, Exception? inner = null)
        : base(code, message, inner)
    {
        Failure = failure;
        IsPermanent = failure == OutboundHttpFailure.Refused;
    }

    /// <summary>Kind of failure.</summary>
    public OutboundHttpFailure Failure { get; }

    internal static OutboundHttpException Refused(string code, string message, Exception? inner = null) =>
        new(code, message, OutboundHttpFailure.Refused, inner);
}
