namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>Which folder of workflow files belongs to which tenant, and how it is watched.</summary>
public sealed record WorkflowFolderOptions
{
    /// <summary>The folder; need not exist yet. Kept as given, so a relative path counts from the current folder.</summary>
    public required string Folder { get; init; }

    /// <summary>Owner of the workflows.</summary>
    public required string Tenant { get; init; }

    /// <summary>Whether the workflows are published; default <see cref="PublishChoice.AsFile"/>.</summary>
    public PublishChoice Publish { get; init; } = PublishChoice.AsFile;

    /// <summary>How much the folder may hold; default <see cref="PackageLimits.Default"/>.</summary>
    public PackageLimits Limits { get; init; } = PackageLimits.Default;

    /// <summary>Name of a file that says that the folder it is in belongs to somebody else; null reads every folder.</summary>
    public string? SkipFoldersWith { get; init; }

    /// <summary>How long the folder must be quiet after a change before it is read; default 300 ms.</summary>
    public TimeSpan Settle { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>How often the folder is looked through when no change is reported, since reports get lost; default 30 s.</summary>
    public TimeSpan Rescan { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long to wait before a file that does not parse is read again; default 250 ms.</summary>
    public TimeSpan RereadDelay { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How often a file that does not parse is read again before it is reported; default 4.</summary>
    public int Rereads { get; init; } = 4;
}
