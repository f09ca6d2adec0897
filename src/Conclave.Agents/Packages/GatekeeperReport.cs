namespace Conclave.Agents.Packages;

/// <summary>What the gatekeeper found.</summary>
/// <param name="Content">What it looked at.</param>
public sealed record GatekeeperReport(PackageContent Content)
{
    /// <summary>The manifest; null when it cannot be used.</summary>
    public AgentManifest? Manifest { get; init; }

    /// <summary>Stages that were passed, in their order; those after a stage that found something were not looked at.</summary>
    public IReadOnlyList<PackageStage> Passed { get; init; } = [];

    /// <summary>Why it may not run; empty when it may.</summary>
    public IReadOnlyList<PackageProblem> Problems { get; init; } = [];

    /// <summary>What its logic listed.</summary>
    public IReadOnlyList<LogicTool> Tools { get; init; } = [];

    /// <summary>Whether it may run.</summary>
    public bool IsAccepted => Problems.Count == 0;
}
