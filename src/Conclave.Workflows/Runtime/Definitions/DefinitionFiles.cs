namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>A file in a folder of definitions.</summary>
/// <param name="Name">Path below the folder, with <c>/</c>.</param>
/// <param name="Path">Where its content is, links resolved.</param>
/// <param name="Length">Bytes.</param>
/// <param name="ChangedAt">When it was last written, in UTC.</param>
internal readonly record struct DefinitionFile(string Name, string Path, long Length, DateTime ChangedAt);

/// <summary>Finds the files of a folder of definitions.</summary>
internal static class DefinitionFiles
{
    private const int MostLinks = 40;

    private static readonly EnumerationOptions OneFolder = new()
    {
        AttributesToSkip = 0,
        IgnoreInaccessible = true,
        MatchCasing = MatchCasing.CaseInsensitive,
    };

    /// <summary>
    /// The <c>.json</c> files of a folder and the folders in it, ordered by name. Names with a leading dot are left out. Links
    /// to files count while they stay in the folder, as Kubernetes mounts its configuration; links to folders do not: what
    /// they show is found where it is.
    /// </summary>
    /// <param name="folder">The folder; need not exist.</param>
    /// <param name="skipFoldersWith">Name of a file; folders in the folder that have one are left out with all that is in them. Null leaves none out.</param>
    public static List<DefinitionFile> List(string folder, string? skipFoldersWith = null)
    {
        var files = new List<DefinitionFile>();
        if (RealPath(Path.GetFullPath(folder)) is { } root && Directory.Exists(root))
            Collect(new DirectoryInfo(root), root, "", files, skipFoldersWith);
        files.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return files;
    }

    private static void Collect(DirectoryInfo folder, string root, string prefix, List<DefinitionFile> files, string? skipFoldersWith)
    {
        try
        {
            foreach (var entry in folder.EnumerateFileSystemInfos("*", OneFolder))
            {
                if (entry.Name.StartsWith('.'))
                    continue;
                var isLink = entry.LinkTarget is not null;
                if (entry is DirectoryInfo inner)
                {
                    if (!isLink && (skipFoldersWith is null || !File.Exists(Path.Combine(inner.FullName, skipFoldersWith))))
                        Collect(inner, root, prefix + entry.Name + "/", files, skipFoldersWith);
                }
                else if (entry.Name.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
                    && (isLink ? Followed(entry.FullName, root) : (FileInfo)entry) is { Exists: true } file)
                {
                    files.Add(new DefinitionFile(prefix + entry.Name, file.FullName, file.Length, file.LastWriteTimeUtc));
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It went away meanwhile, which its files do too.
        }
    }

    private static FileInfo? Followed(string link, string root) =>
        RealPath(link) is { } path && path.StartsWith(root.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar, StringComparison.Ordinal)
            ? new FileInfo(path)
            : null;

    /// <summary>The path without links, each folder on the way resolved; null when it leads nowhere or in a circle.</summary>
    private static string? RealPath(string path)
    {
        var followed = 0;
        var rest = new Stack<string>();
        var current = Split(path, rest);
        while (rest.TryPop(out var part))
        {
            if (part == "..")
            {
                current = Path.GetDirectoryName(current) ?? current;
                continue;
            }

            var next = Path.Combine(current, part);
            string? target;
            try
            {
                target = new FileInfo(next).LinkTarget;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                return null;
            }

            if (target is null)
                current = next;
            else if (++followed > MostLinks)
                return null;
            else if (Path.IsPathRooted(target))
                current = Split(target, rest);
            else
                Push(target, rest);
        }

        return Path.Exists(current) ? current : null;
    }

    private static string Split(string path, Stack<string> rest)
    {
        var root = Path.GetPathRoot(path)!;
        Push(path[root.Length..], rest);
        return root;
    }

    private static void Push(string path, Stack<string> rest)
    {
        var parts = path.Split(
            [Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar], StringSplitOptions.RemoveEmptyEntries);
        for (var i = parts.Length - 1; i >= 0; i--)
        {
            if (parts[i] != ".")
                rest.Push(parts[i]);
        }
    }
}
