using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Agents.Packages;

/// <summary>Gathers the files of a package and refuses those that cannot be part of one, by their names and sizes.</summary>
internal sealed class PackageFiles(AgentPackageLimits limits)
{
    private const int LongestPath = 200;
    private const int MostProblems = 50;

    private readonly List<PackageFile> _files = [];
    private readonly List<PackageProblem> _problems = [];
    private long _total;

    /// <summary>Whether there is no room for more.</summary>
    public bool IsFull { get; private set; }

    /// <summary>Whether a file may be read at all.</summary>
    /// <param name="path">Path in the package, with <c>/</c>.</param>
    /// <param name="length">Bytes, as far as that is known before.</param>
    public bool MayRead(string path, long length)
    {
        if (IsFull)
            return false;
        if (_files.Count >= limits.MaxFiles)
        {
            IsFull = true;
            Refuse("too_many_files", $"The package holds more than {limits.MaxFiles:N0} files. Take some out.", null);
        }
        else if (!IsPlain(path))
            Refuse("unsafe_name", "The name may have letters, digits, '.', '-' and '_' alone, and may not begin with '.' or lead out of the package. Rename the file.", path);
        else if (KindOf(path) is null)
        {
            Refuse("unexpected_file", "A package has agent.yaml, logic.js, README.md, LICENSE, behaviours/*.json, and assets of the types " +
                $"{string.Join(", ", AssetTypes.Endings)}. Take the file out.", path);
        }
        else if (length > limits.Longest(path))
            Refuse("too_large", $"The file is larger than {limits.Longest(path):N0} bytes. Make it smaller.", path);
        else
            return true;
        return false;
    }

    /// <summary>Adds a file that may be read.</summary>
    public void Add(string path, ReadOnlyMemory<byte> content)
    {
        if ((_total += content.Length) > limits.MaxTotalBytes)
        {
            IsFull = true;
            Refuse("too_large", $"The package holds more than {limits.MaxTotalBytes:N0} bytes. Make it smaller.", null);
        }
        else
            _files.Add(new PackageFile(path, content));
    }

    /// <summary>Notes a file that is not read.</summary>
    public void Refuse(string code, string message, string? path)
    {
        _problems.Add(new PackageProblem(PackageStage.Assets, $"agent_package.{code}", message, path is null ? null : PackagedDefinition.Printable(path)));
        IsFull |= _problems.Count >= MostProblems;
    }

    /// <summary>What was gathered.</summary>
    public PackageContent ToContent(string? name) =>
        new(name, [.. _files.OrderBy(f => f.Path, StringComparer.Ordinal)], [.. _problems.OrderBy(p => p.File, StringComparer.Ordinal)]);

    private static bool IsPlain(string path) =>
        path.Length is > 0 and <= LongestPath
        && Array.TrueForAll(path.Split('/'), part => part.Length > 0 && part[0] != '.' && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_'));

    private static string? KindOf(string path) => path switch
    {
        PackageContent.Manifest or PackageContent.Logic or "README.md" or "LICENSE" => path,
        _ when PackageContent.IsBehaviour(path) && !PackageContent.BehaviourName(path).Contains('/', StringComparison.Ordinal) => PackageContent.Behaviours,
        _ when path.StartsWith(PackageContent.Assets, StringComparison.Ordinal) && AssetTypes.Find(path) is not null => PackageContent.Assets,
        _ => null,
    };
}
