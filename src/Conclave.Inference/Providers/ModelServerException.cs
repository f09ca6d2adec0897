namespace Conclave.Inference.Providers;

/// <summary>A model server failed, or refused a request.</summary>
/// <param name="failure">What kind of failure it is; the gateway decides by it whether another server is tried.</param>
/// <param name="message">What the server said, without secrets.</param>
/// <param name="inner">What caused it.</param>
public sealed class ModelServerException(ModelServerFailure failure, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What kind of failure it is.</summary>
    public ModelServerFailure Failure { get; } = failure;

    /// <summary>The HTTP status, if there was one.</summary>
    public int? Status { get; init; }

    /// <summary>The server's own word for the failure, such as <c>context_length_exceeded</c>; null for none.</summary>
    public string? Code { get; init; }

    /// <summary>What the server itself said, without who said it; null for nothing.</summary>
    public string? Said { get; init; }

    /// <summary>When the server wants to be asked again; null when it did not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether another server may do better.</summary>
    public bool MayPassElsewhere => Failure is not (ModelServerFailure.BadRequest or ModelServerFailure.Refused);

    /// <summary>Whether it speaks against the server, so that its circuit breaker counts it.</summary>
    public bool IsServersFault => Failure is ModelServerFailure.Unreachable or ModelServerFailure.Timeout or ModelServerFailure.ServerError
        or ModelServerFailure.InvalidAnswer or ModelServerFailure.Cut;
}

/// <summary>Kinds of failures of a model server.</summary>
public enum ModelServerFailure
{
    /// <summary>No connection.</summary>
    Unreachable,

    /// <summary>No answer, or no next token, in time.</summary>
    Timeout,

    /// <summary>A 5xx.</summary>
    ServerError,

    /// <summary>The connection ended in the middle of an answer.</summary>
    Cut,

    /// <summary>What came is not the protocol.</summary>
    InvalidAnswer,

    /// <summary>429, 503 or 529: too much to do.</summary>
    Overloaded,

    /// <summary>The key is missing, wrong or out of credit.</summary>
    Unauthorized,

    /// <summary>It does not have the model.</summary>
    ModelNotFound,

    /// <summary>The conversation is too long for the model.</summary>
    ContextTooLong,

    /// <summary>The request is wrong whoever answers it.</summary>
    BadRequest,

    /// <summary>The model's provider refuses the content.</summary>
    Refused,
}
