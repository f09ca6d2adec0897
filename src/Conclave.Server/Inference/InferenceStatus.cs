using Conclave.Inference;

namespace Conclave.Server.Inference;

/// <summary>The HTTP status of each kind of failure of a model call.</summary>
internal static class InferenceStatus
{
    /// <summary>The status of a failure; OpenAI's API has another one for a budget that is used up.</summary>
    public static int Of(InferenceException exception) => exception.Failure switch
    {
        InferenceFailure.BadRequest or InferenceFailure.ContextTooLong => 400,
        InferenceFailure.BudgetExhausted => 402,
        InferenceFailure.Forbidden => 403,
        InferenceFailure.ModelNotFound => 404,
        // One that still runs can be asked for again.
        InferenceFailure.IdempotencyConflict => exception.RetryAfter is null ? 422 : 409,
        InferenceFailure.SchemaMismatch => 422,
        InferenceFailure.QueueFull => 429,
        InferenceFailure.ServerFailed => 502,
        InferenceFailure.DeadlineExceeded => 504,
        _ => 503,
    };
}
