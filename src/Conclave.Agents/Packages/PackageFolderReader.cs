namespace Conclave.Agents.Packages;

/// <summary>Reads the folder of a package.</summary>
internal static class PackageFolderReader
{
    private static readonly EnumerationOptions OneFolder = new() { AttributesToSkip = 0, IgnoreInaccessible = true };

    /// <summary>Its files, as they are; names that begin with a dot are left out.</summary>
    /// <exception cref="IOException">A file cannot be read; it may be gone again.</exception>
    /// <exception cref="UnauthorizedAccessException">A file cannot be read.</exception>
    public static async Task<PackageContent> ReadAsync(string folder, AgentPackageLimits limits, CancellationToken cancellationToken)
    {
        var files = new PackageFiles(limits);
        await CollectAsync(new DirectoryInfo(folder), "", files, cancellationToken);
        return files.ToContent(Path.GetFileName(folder));
    }

    /// <summary>What changes when a file does: names, lengths and times.</summary>
    public static string Fingerprint(string folder)
    {
        var text = new System.Text.StringBuilder();
        Note(new DirectoryInfo(folder), text);
        return text.ToString();
    }

    private static async Task CollectAsync(DirectoryInfo folder, string prefix, PackageFiles files, CancellationToken cancellationToken)
    {
        foreach (var entry in Entries(folder))
        {
            var path = prefix + entry.Name;
            if (entry.LinkTarget is not null)
                files.Refuse("link", "Links are not followed. Put the file itself there.", path);
            else if (entry is DirectoryInfo inner)
                await CollectAsync(inner, path + "/", files, cancellationToken);
            else if (files.MayRead(path, ((FileInfo)entry).Length))
                files.Add(path, await File.ReadAllBytesAsync(entry.FullName, cancellationToken));
            if (files.IsFull)
                return;
        }
    }

    private static void Note(DirectoryInfo folder, System.Text.StringBuilder text)
    {
        foreach (var entry in Entries(folder))
        {
            if (entry is DirectoryInfo inner && entry.LinkTarget is null)
                Note(inner, text.Append(entry.Name).Append('/'));
            else
                text.Append(entry.Name).Append(' ').Append((entry as FileInfo)?.Length).Append(' ').Append(entry.LastWriteTimeUtc.Ticks).Append('\n');
        }
    }

    private static IEnumerable<FileSystemInfo> Entries(DirectoryInfo folder) =>
        folder.EnumerateFileSystemInfos("*", OneFolder).Where(e => e.Name[0] != '.').OrderBy(e => e.Name, StringComparer.Ordinal);
}
