namespace Conclave.Agents.Packages;

/// <summary>Where a package comes from.</summary>
public enum PackageSource
{
    /// <summary>From the folder of packages: it comes and goes with it.</summary>
    Folder,

    /// <summary>Somebody uploaded it.</summary>
    Upload,
}

/// <summary>How a package stands.</summary>
public enum PackageState
{
    /// <summary>Agents can be made of it, and work.</summary>
    Accepted,

    /// <summary>Nothing of it has passed the gatekeeper.</summary>
    Rejected,

    /// <summary>Somebody turned it off.</summary>
    Disabled,

    /// <summary>It is gone; turns that began before go on.</summary>
    Removed,
}

/// <summary>A package of a tenant.</summary>
/// <param name="Tenant">Whose it is.</param>
/// <param name="Name">Its name.</param>
/// <param name="Source">Where it comes from.</param>
public sealed record AgentPackage(string Tenant, string Name, PackageSource Source)
{
    /// <summary>Whether it may be used, as far as people say.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>The content that is used; null while none has passed.</summary>
    public PackageVersion? Current { get; init; }

    /// <summary>Newer content that did not pass; null when the newest is used.</summary>
    public RefusedContent? Refused { get; init; }

    /// <summary>When it was first seen.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it was last changed.</summary>
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>Who changed it.</summary>
    public string UpdatedBy { get; init; } = "";

    /// <summary>When it went away; null while it is there.</summary>
    public DateTimeOffset? RemovedAt { get; init; }

    /// <summary>How it stands.</summary>
    public PackageState State => RemovedAt is not null ? PackageState.Removed
        : Current is null ? PackageState.Rejected
        : Enabled ? PackageState.Accepted
        : PackageState.Disabled;

    /// <summary>Whether agents can be made of it, and begin turns.</summary>
    public bool IsUsable => State == PackageState.Accepted;
}

/// <summary>Content of a package that has passed the gatekeeper.</summary>
/// <param name="Hash">Hash of all its files, see <see cref="PackageContent.Hash"/>.</param>
/// <param name="Manifest">Its manifest.</param>
/// <param name="Tools">The tools of its logic.</param>
/// <param name="Behaviours">Its own behaviours, by their files without folder and ending.</param>
public sealed record PackageVersion(string Hash, AgentManifest Manifest, IReadOnlyList<LogicTool> Tools, IReadOnlyList<string> Behaviours)
{
    /// <summary>What an agent of it is, to begin with.</summary>
    public AgentConfiguration ToConfiguration() => Manifest.ToConfiguration([.. Tools.Select(t => t.Name)], Behaviours);
}

/// <summary>Content that did not pass the gatekeeper; it is kept nowhere.</summary>
public sealed record RefusedContent
{
    /// <summary>Its hash.</summary>
    public required string Hash { get; set; }

    /// <summary>Its version; null when the manifest cannot be read.</summary>
    public string? Version { get; set; }

    /// <summary>Why.</summary>
    public required IReadOnlyList<PackageProblem> Problems { get; set; }

    /// <summary>When it was looked at.</summary>
    public required DateTimeOffset At { get; set; }
}
