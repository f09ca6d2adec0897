namespace Conclave.Agents;

/// <summary>Something about agents that is refused.</summary>
/// <param name="failure">What kind of refusal it is.</param>
/// <param name="code">Stable code, listed in <c>docs/errors.md</c>, such as <c>agents.paused</c>.</param>
/// <param name="message">What is wrong and what to do; fit for the caller.</param>
public sealed class AgentException(AgentFailure failure, string code, string message) : Exception(message)
{
    /// <summary>What kind of refusal it is.</summary>
    public AgentFailure Failure { get; } = failure;

    /// <summary>Stable code.</summary>
    public string Code { get; } = code;

    /// <summary>What is wrong where: paths of the configuration with what is wrong with each; empty where nothing is to be told.</summary>
    public IReadOnlyDictionary<string, string[]> Errors { get; init; } = new Dictionary<string, string[]>();

    /// <summary>When another try makes sense; null where that is not known.</summary>
    public TimeSpan? RetryAfter { get; init; }
}

/// <summary>Kinds of refusals; each has one HTTP status.</summary>
public enum AgentFailure
{
    /// <summary>What was asked for makes no sense: 400.</summary>
    BadRequest,

    /// <summary>There is none: 404.</summary>
    NotFound,

    /// <summary>Not as things stand: 409.</summary>
    Conflict,

    /// <summary>It was changed meanwhile: 412.</summary>
    Changed,

    /// <summary>Too much at once: 429.</summary>
    Busy,
}
