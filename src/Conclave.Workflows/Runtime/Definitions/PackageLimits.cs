using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>How much a package of definitions may hold. What is really read counts, never what an archive says of itself.</summary>
public sealed record PackageLimits
{
    /// <summary>The limits used when none are given.</summary>
    public static PackageLimits Default { get; } = new();

    /// <summary>Most files in an archive or folder, and most definitions in one document; default 10,000.</summary>
    public int MaxEntries { get; init; } = 10_000;

    /// <summary>Longest archive in bytes, as it arrives; default 64 MiB. It is held in memory.</summary>
    public int MaxArchiveBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Longest file in bytes, inflated; default 32 MiB. One definition has <see cref="Definition"/> besides.</summary>
    public int MaxFileBytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>Most bytes of all files together, inflated; default 256 MiB.</summary>
    public long MaxTotalBytes { get; init; } = 256 * 1024 * 1024;

    /// <summary>Most bytes that one compressed byte may become; default 200. Files below 1 MiB are not judged by it.</summary>
    public int MaxCompressionRatio { get; init; } = 200;

    /// <summary>Limits of each definition; default <see cref="DefinitionLimits.Default"/>.</summary>
    public DefinitionLimits Definition { get; init; } = DefinitionLimits.Default;
}
