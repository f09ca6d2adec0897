using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Conclave.Agents.Sandbox;

namespace Conclave.Agents.Tools.Workspace;

/// <summary>The folders that agents keep their files in, one for each, and the earlier versions of what was written there through tools.</summary>
/// <param name="folder">Folder of all workspaces.</param>
/// <param name="sandbox">Knows who owns what is in them.</param>
public sealed partial class Workspaces(string folder, SandboxHost sandbox)
{
    /// <summary>Largest file that tools read or write whole, in bytes.</summary>
    public const int LargestFile = 4 << 20;

    private const int MostVersions = 20;

    /// <summary>An agent's folder, made when it is not there.</summary>
    public string FolderOf(string tenant, string agentId)
    {
        var files = Path.Combine(folder, NameOf(tenant), NameOf(agentId), "files");
        if (Directory.Exists(files))
            return files;
        Directory.CreateDirectory(files);
        if (OperatingSystem.IsWindows())
            return files;
        if (sandbox.UserId is { } user)
        {
            // Commands pass through what is above theirs, and list nothing.
            foreach (var above in (ReadOnlySpan<string>)[folder, Path.Combine(folder, NameOf(tenant)), Path.Combine(folder, NameOf(tenant), NameOf(agentId))])
                File.SetUnixFileMode(above, (UnixFileMode)0b111_001_001);
            _ = ChangeOwner(files, (uint)user, (uint)user);
        }

        File.SetUnixFileMode(files, (UnixFileMode)0b111_000_000);
        return files;
    }

    /// <summary>Reads a file; null when there is none.</summary>
    /// <exception cref="ToolException">It is too large, or no file.</exception>
    public async Task<byte[]?> ReadAsync(string tenant, string agentId, string path, CancellationToken cancellationToken)
    {
        using var beneath = Open(tenant, agentId);
        await using var file = beneath.OpenRead(path);
        if (file is null)
            return null;
        if (file.Length > LargestFile)
            throw new ToolException("workspace.too_large", $"'{path}' has {file.Length:N0} bytes; tools read files of at most {LargestFile:N0}.");
        var content = new byte[file.Length];
        await file.ReadExactlyAsync(content, cancellationToken);
        return content;
    }

    /// <summary>Writes a file; what was there before becomes a version.</summary>
    /// <returns>Number of the version that was kept; null when the file is new.</returns>
    public async Task<int?> WriteAsync(string tenant, string agentId, string path, byte[] content, CancellationToken cancellationToken)
    {
        if (content.Length > LargestFile)
            throw new ToolException("workspace.too_large", $"{content.Length:N0} bytes are too many for a file; tools write at most {LargestFile:N0}.");
        var files = FolderOf(tenant, agentId);
        if (FolderSize.Exceeds(files, sandbox.WorkspaceBytes - content.Length))
            throw new ToolException("workspace.full", "The workspace holds as much as it may. Delete files first.");
        var before = await ReadAsync(tenant, agentId, path, cancellationToken);
        var version = before is null ? null : (int?)Keep(tenant, agentId, path, before);
        using var beneath = Open(tenant, agentId);
        beneath.Write(path, content);
        return version;
    }

    /// <summary>Deletes a file; what was there becomes a version.</summary>
    /// <returns>Number of the version; null when there was no file.</returns>
    public async Task<int?> DeleteAsync(string tenant, string agentId, string path, CancellationToken cancellationToken)
    {
        if (await ReadAsync(tenant, agentId, path, cancellationToken) is not { } before)
            return null;
        var version = Keep(tenant, agentId, path, before);
        using var beneath = Open(tenant, agentId);
        return beneath.Delete(path) ? version : null;
    }

    /// <summary>The versions of a file that are kept, the newest first.</summary>
    public IReadOnlyList<FileVersion> Versions(string tenant, string agentId, string path)
    {
        var kept = new DirectoryInfo(VersionsOf(tenant, agentId, path));
        return !kept.Exists ? [] : [.. kept.GetFiles().Select(f => int.TryParse(f.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? new FileVersion(number, f.Length, new DateTimeOffset(f.LastWriteTimeUtc)) : null).OfType<FileVersion>().OrderByDescending(v => v.Number)];
    }

    /// <summary>Writes an earlier version again; what was there becomes a version in turn.</summary>
    /// <exception cref="ToolException">There is no such version.</exception>
    public async Task RollBackAsync(string tenant, string agentId, string path, int version, CancellationToken cancellationToken)
    {
        var kept = Path.Combine(VersionsOf(tenant, agentId, path), version.ToString(CultureInfo.InvariantCulture));
        if (!File.Exists(kept))
            throw new ToolException("workspace.no_version", $"There is no version {version} of '{path}'.");
        await WriteAsync(tenant, agentId, path, await File.ReadAllBytesAsync(kept, cancellationToken), cancellationToken);
    }

    /// <summary>The files below a folder of the workspace, by path. Links are left out.</summary>
    /// <param name="tenant">Whose agent.</param>
    /// <param name="agentId">The agent.</param>
    /// <param name="path">The folder; empty for the workspace.</param>
    /// <param name="most">Most entries.</param>
    public IReadOnlyList<WorkspaceFile> List(string tenant, string agentId, string path, int most)
    {
        using var beneath = Open(tenant, agentId);
        var entries = new List<WorkspaceFile>();
        Add(path.Trim('/') is "." ? "" : path.Trim('/'), 0);
        return entries;

        void Add(string at, int depth)
        {
            // Opened by the kernel below the workspace; read through its descriptor, so that it is this folder and no other one.
            using var handle = beneath.OpenFolder(at);
            if (handle is null || depth > 32)
                return;
            foreach (var entry in new DirectoryInfo($"/proc/self/fd/{handle.DangerousGetHandle()}/").EnumerateFileSystemInfos().OrderBy(e => e.Name, StringComparer.Ordinal))
            {
                if (entries.Count >= most)
                    return;
                if ((entry.Attributes & FileAttributes.ReparsePoint) != 0)
                    continue;
                var inside = at.Length == 0 ? entry.Name : $"{at}/{entry.Name}";
                if (entry is FileInfo file)
                    entries.Add(new WorkspaceFile(inside, file.Length, new DateTimeOffset(file.LastWriteTimeUtc)));
                else
                    Add(inside, depth + 1);
            }
        }
    }

    private BeneathFolder Open(string tenant, string agentId) => new(FolderOf(tenant, agentId), sandbox.UserId);

    private int Keep(string tenant, string agentId, string path, byte[] content)
    {
        var kept = VersionsOf(tenant, agentId, path);
        Directory.CreateDirectory(kept);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(kept, (UnixFileMode)0b111_000_000);
        for (var number = Versions(tenant, agentId, path) is [var newest, ..] ? newest.Number + 1 : 1; ; number++)
        {
            try
            {
                using var file = new FileStream(Path.Combine(kept, number.ToString(CultureInfo.InvariantCulture)), FileMode.CreateNew);
                file.Write(content);
            }
            catch (IOException) when (File.Exists(Path.Combine(kept, number.ToString(CultureInfo.InvariantCulture))))
            {
                // Another call took the number.
                continue;
            }

            foreach (var old in Versions(tenant, agentId, path).Skip(MostVersions))
                File.Delete(Path.Combine(kept, old.Number.ToString(CultureInfo.InvariantCulture)));
            return number;
        }
    }

    private string VersionsOf(string tenant, string agentId, string path) => Path.Combine(
        folder, NameOf(tenant), NameOf(agentId), "versions", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Normal(path)))));

    private static string Normal(string path) => string.Join('/', path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(p => p != "."));

    // Ids may have characters that mean something in paths; those that have none stay readable.
    private static string NameOf(string id) => id.Length is > 0 and <= 64 && id[0] != '.' && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
        ? id : "~" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(id)).AsSpan(0, 16));

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, uint user, uint group);
}

/// <summary>A file of a workspace.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="ChangedAt">When it was written.</param>
public sealed record WorkspaceFile(string Path, long Bytes, DateTimeOffset ChangedAt);

/// <summary>An earlier version of a file.</summary>
/// <param name="Number">Its number, from 1.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="KeptAt">When it was replaced.</param>
public sealed record FileVersion(int Number, long Bytes, DateTimeOffset KeptAt);
