namespace Conclave.Inference;

/// <summary>Why a call was refused or failed. Each surface says it in its own protocol's shape.</summary>
/// <param name="failure">What kind of failure it is.</param>
/// <param name="code">Stable code, listed in <c>docs/errors.md</c>, such as <c>inference.queue_full</c>.</param>
/// <param name="message">What happened, the facts, and what to do; fit for the caller.</param>
/// <param name="inner">What caused it.</param>
public sealed class InferenceException(InferenceFailure failure, string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What kind of failure it is.</summary>
    public InferenceFailure Failure { get; } = failure;

    /// <summary>Stable code.</summary>
    public string Code { get; } = code;

    /// <summary>When another try makes sense; null where that is not known.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The request's member that is wrong, such as <c>messages</c>; null where none is.</summary>
    public string? Parameter { get; init; }
}

/// <summary>Kinds of failures; each has one HTTP status.</summary>
public enum InferenceFailure
{
    /// <summary>The request makes no sense: 400.</summary>
    BadRequest,

    /// <summary>Not allowed: 403.</summary>
    Forbidden,

    /// <summary>No such model, alias or server: 404.</summary>
    ModelNotFound,

    /// <summary>The conversation is longer than any model that may answer it takes: 400.</summary>
    ContextTooLong,

    /// <summary>A budget is used up: 402 on our own API, 429 with type <c>insufficient_quota</c> on OpenAI's.</summary>
    BudgetExhausted,

    /// <summary>The queue is full, or a rate limit is reached: 429 with Retry-After.</summary>
    QueueFull,

    /// <summary>The deadline passed while it waited or ran: 504.</summary>
    DeadlineExceeded,

    /// <summary>No server can answer now: 503 with Retry-After.</summary>
    Unavailable,

    /// <summary>The servers that were tried failed: 502.</summary>
    ServerFailed,

    /// <summary>The answer fits the schema neither at once nor after a repair: 422.</summary>
    SchemaMismatch,

    /// <summary>Another call with the same idempotency key has another body: 422; or still runs elsewhere: 409.</summary>
    IdempotencyConflict,
}
