namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Somebody else has taken the instance; what this burst did is not stored.</summary>
internal sealed class HoldLostException(string instanceId) : Exception($"Somebody else has taken instance {instanceId}.")
{
    /// <summary>Why its commit was not stored.</summary>
    public CommitOutcome Outcome { get; init; } = CommitOutcome.Refused;
}
