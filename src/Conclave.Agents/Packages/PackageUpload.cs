using System.IO.Compression;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Agents.Packages;

/// <summary>What an upload holds.</summary>
/// <param name="Content">The package.</param>
/// <param name="Import">What became of a package of another kind; null for one of ours.</param>
public sealed record UploadedPackage(PackageContent Content, ImportReport? Import);

/// <summary>Reads uploads: a zip with the files of a package, at its root or in one folder, or <c>agent.yaml</c> alone.</summary>
/// <remarks>Nothing is written to disk. What is really read counts, never what the archive says of itself.</remarks>
public static class PackageUpload
{
    private const int MostRatio = 200;
    private const int RatioFrom = 1024 * 1024;
    private const int DeepestFolders = 8;

    /// <summary>Reads an upload; what is wrong with it is among the content's problems.</summary>
    public static UploadedPackage Read(ReadOnlyMemory<byte> bytes, AgentPackageLimits? limits = null)
    {
        limits ??= AgentPackageLimits.Default;
        var files = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        var problems = new PackageFiles(limits);
        if (DefinitionPackage.IsZip(bytes))
            ReadZip(bytes, files, problems, limits);
        else if (bytes.Length <= limits.MaxTextBytes && !bytes.Span.Contains((byte)0))
            files[PackageContent.Manifest] = bytes.ToArray();
        else
            problems.Refuse("not_a_zip", "The upload is neither a zip archive nor an agent.yaml. Make a zip of the package's folder.", null);

        var prefix = PrefixOf(files.Keys, PackageContent.Manifest);
        if (prefix is null && ForeignPackages.Convert(files, limits) is { } foreign)
            return foreign;
        foreach (var (path, content) in files)
        {
            if (prefix is { Length: > 0 } && !path.StartsWith(prefix, StringComparison.Ordinal))
                problems.Refuse("unexpected_file", $"The file is not in the folder of the package, '{prefix}'. Take it out.", path);
            else if (problems.MayRead(path[(prefix?.Length ?? 0)..], content.Length))
                problems.Add(path[(prefix?.Length ?? 0)..], content);
        }

        return new UploadedPackage(problems.ToContent(null), null);
    }

    /// <summary>The folder of the file of that name that is nearest to the root, with <c>/</c>; null when there is none.</summary>
    internal static string? PrefixOf(IEnumerable<string> paths, string name) => paths
        .Where(p => p == name || p.EndsWith("/" + name, StringComparison.Ordinal))
        .Select(p => p[..^name.Length])
        .OrderBy(p => p.Count(c => c == '/')).ThenBy(p => p, StringComparer.Ordinal)
        .FirstOrDefault();

    private static void ReadZip(ReadOnlyMemory<byte> bytes, SortedDictionary<string, byte[]> files, PackageFiles problems, AgentPackageLimits limits)
    {
        // Every entry has such a mark, so that an archive with millions is refused before anything is built for them.
        if (bytes.Span.Count("PK\u0001\u0002"u8) > 4 * limits.MaxFiles)
        {
            problems.Refuse("too_many_files", $"The archive holds more than {4 * limits.MaxFiles:N0} entries. Take some out.", null);
            return;
        }

        try
        {
            using var archive = new ZipArchive(DefinitionPackage.AsStream(bytes), ZipArchiveMode.Read);
            var total = 0L;
            foreach (var entry in archive.Entries)
            {
                var name = entry.FullName;
                // Folders, and what a Mac adds beside each file.
                if (name.EndsWith('/') || name.Split('/').Any(part => part.StartsWith("._", StringComparison.Ordinal) || part is "__MACOSX" or ".DS_Store"))
                    continue;
                if (Unsafe(name))
                    problems.Refuse("unsafe_name", "The name leads out of the archive, or is none. Make the archive again from a folder.", name);
                else if (files.ContainsKey(name))
                    problems.Refuse("duplicate_name", "The file is in the archive more than once. Make the archive again.", name);
                else if (entry.IsEncrypted)
                    problems.Refuse("encrypted", "The file is encrypted. Make the archive without a password.", name);
                // The upper half says what a Unix system made it of; 0xA000 is a link.
                else if (((entry.ExternalAttributes >> 16) & 0xF000) == 0xA000)
                    problems.Refuse("link", "Links are not followed. Put the file itself there.", name);
                else if (Inflate(entry, limits, problems) is { } content)
                {
                    if ((total += content.Length) > limits.MaxTotalBytes)
                    {
                        problems.Refuse("too_large", $"The package holds more than {limits.MaxTotalBytes:N0} bytes. Make it smaller.", null);
                        return;
                    }

                    files[name] = content;
                }

                if (problems.IsFull)
                    return;
            }
        }
        catch (Exception exception) when (DefinitionPackage.IsCorruption(exception))
        {
            problems.Refuse("corrupt", $"The archive is damaged: {exception.Message} Make it again, or send it again.", null);
        }
    }

    private static byte[]? Inflate(ZipArchiveEntry entry, AgentPackageLimits limits, PackageFiles problems)
    {
        using var content = entry.Open();
        using var inflated = new MemoryStream();
        var chunk = new byte[64 * 1024];
        int count;
        while ((count = content.Read(chunk)) > 0)
        {
            inflated.Write(chunk, 0, count);
            if (inflated.Length > limits.MaxFileBytes)
            {
                problems.Refuse("too_large", $"The file is larger than {limits.MaxFileBytes:N0} bytes. Make it smaller.", entry.FullName);
                return null;
            }

            if (inflated.Length > RatioFrom && inflated.Length / MostRatio > entry.CompressedLength)
            {
                problems.Refuse("too_compressed", $"The file inflates to more than {MostRatio} times its compressed size. Take it out.", entry.FullName);
                return null;
            }
        }

        if (inflated.Length == entry.Length)
            return inflated.ToArray();
        problems.Refuse("corrupt", "The file is damaged: its length is not what the archive says. Make the archive again.", entry.FullName);
        return null;
    }

    private static bool Unsafe(string name) =>
        name.Length is 0 or > 400 || name.Any(char.IsControl) || name.Contains('\\') || name.Contains(':') || name.Split('/') is var parts
        && (parts.Length > DeepestFolders || Array.Exists(parts, part => part is "" or "." or ".."));
}
