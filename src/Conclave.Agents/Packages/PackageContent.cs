using System.Security.Cryptography;
using System.Text;

namespace Conclave.Agents.Packages;

/// <summary>A file of a package.</summary>
/// <param name="Path">Path in the package, with <c>/</c>.</param>
/// <param name="Content">Its bytes.</param>
public sealed record PackageFile(string Path, ReadOnlyMemory<byte> Content)
{
    /// <summary>SHA-256 of the content, as 64 lower-case hex digits.</summary>
    public string Sha256 => field ??= Convert.ToHexStringLower(SHA256.HashData(Content.Span));
}

/// <summary>The files of a package as they were read; nothing has been checked but what reading them must refuse.</summary>
/// <param name="Name">Name of the folder; null for an upload, which is named by its manifest.</param>
/// <param name="Files">Its files, ordered by path.</param>
/// <param name="Problems">What was not read, and why.</param>
public sealed record PackageContent(string? Name, IReadOnlyList<PackageFile> Files, IReadOnlyList<PackageProblem> Problems)
{
    /// <summary>Name of the manifest.</summary>
    public const string Manifest = "agent.yaml";

    /// <summary>Name of the script with the package's own tools.</summary>
    public const string Logic = "logic.js";

    /// <summary>Where the workflows of the package are.</summary>
    public const string Behaviours = "behaviours/";

    /// <summary>Where everything else is.</summary>
    public const string Assets = "assets/";

    /// <summary>SHA-256 over the paths and hashes of all files, and of what could not be read; 64 lower-case hex digits.</summary>
    public string Hash => field ??= HashOf();

    /// <summary>A file; null when there is none of that path.</summary>
    public PackageFile? Find(string path) => Files.FirstOrDefault(f => f.Path == path);

    /// <summary>Files of the package's own behaviours, without folder and ending.</summary>
    public IReadOnlyList<string> BehaviourNames => [.. Files.Where(f => IsBehaviour(f.Path)).Select(f => BehaviourName(f.Path))];

    internal static bool IsBehaviour(string path) => path.StartsWith(Behaviours, StringComparison.Ordinal) && path.EndsWith(".json", StringComparison.Ordinal);

    internal static string BehaviourName(string path) => path[Behaviours.Length..^".json".Length];

    private string HashOf()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in Files)
            hash.AppendData(Encoding.UTF8.GetBytes($"{file.Path}\n{file.Sha256}\n"));
        foreach (var problem in Problems)
            hash.AppendData(Encoding.UTF8.GetBytes($"{problem}\n"));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

/// <summary>How much a package may hold.</summary>
public sealed record AgentPackageLimits
{
    /// <summary>The limits used when none are given.</summary>
    public static AgentPackageLimits Default { get; } = new();

    /// <summary>Most files; default 200.</summary>
    public int MaxFiles { get; init; } = 200;

    /// <summary>Longest manifest and longest <c>logic.js</c>, in bytes; default 256 KiB.</summary>
    public int MaxTextBytes { get; init; } = 256 * 1024;

    /// <summary>Longest other file, in bytes; default 4 MiB.</summary>
    public int MaxFileBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Most bytes of all files together; default 16 MiB.</summary>
    public long MaxTotalBytes { get; init; } = 16 * 1024 * 1024;

    internal int Longest(string path) => path is PackageContent.Manifest or PackageContent.Logic ? MaxTextBytes : MaxFileBytes;
}
