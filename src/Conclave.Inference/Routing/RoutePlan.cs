namespace Conclave.Inference;

/// <summary>Where a call may go.</summary>
/// <param name="Candidates">In order of preference; those of one <see cref="RouteCandidate.Tier"/> are equal but for load. Never empty.</param>
/// <param name="Decision">Why.</param>
public sealed record RoutePlan(IReadOnlyList<RouteCandidate> Candidates, RouteDecision Decision);

/// <summary>A model on a server that may answer a call.</summary>
/// <param name="Tier">0 for the first choice; higher tiers are for when all of the lower ones fail or are overloaded.</param>
/// <param name="Server">The server.</param>
/// <param name="Model">The model on it, as known now.</param>
public sealed record RouteCandidate(int Tier, ModelServer Server, ServedModel Model)
{
    /// <summary>How long the call may wait for this tier before the next one is asked too; null for as long as it takes.</summary>
    public TimeSpan? MaxWait { get; init; }
}

/// <summary>Why a call goes where it goes; kept with the call and shown to who asks.</summary>
/// <param name="Requested">What the caller named.</param>
/// <param name="Rule">Name of the rule that matched; null when the caller named a model.</param>
/// <param name="Complexity">The complexity score from 0 to 1; null when no rule asked for it.</param>
/// <param name="Reasons">What was chosen or left out and why, in sentences.</param>
public sealed record RouteDecision(string Requested, string? Rule, double? Complexity, IReadOnlyList<string> Reasons)
{
    /// <summary>What the call was about, hashed beyond reading (base64 of 128 bytes), for predictions from ratings; null for texts to embed.</summary>
    public string? Features { get; init; }
}
