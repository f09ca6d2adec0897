using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Conclave.Agents.Tools.Workspace;

/// <summary>Opens files below a folder and never outside it, whatever links there are and whoever changes them meanwhile.</summary>
/// <remarks>
/// Commands in the sandbox may put links into their workspace, and the server must not follow them with its own rights: the kernel resolves each path
/// (<c>openat2</c> with <c>RESOLVE_BENEATH</c> and <c>RESOLVE_NO_SYMLINKS</c>, Linux 5.6). Checking first and opening then would lose a race.
/// </remarks>
internal sealed partial class BeneathFolder : IDisposable
{
    private const long OpenAt2 = 437;
    private const ulong Resolve = 0x08 | 0x04 | 0x02;
    private const int NotThere = 2;
    private const int Exists = 17;
    private const int NotAFolder = 20;
    private const int IsAFolder = 21;
    private const int NoSuchCall = 38;
    private const int TooManyLinks = 40;
    private const int CrossDevice = 18;

    // Pipes and sockets have no position; devices cannot be made in a workspace.
    private const int Current = 1;

    private const uint ReadOnly = 0;
    private const uint WriteOnly = 1;
    private const uint Create = 0x40;
    private const uint Exclusive = 0x80;
    private const uint NonBlocking = 0x800;
    private const uint CloseOnExec = 0x80000;

    private static readonly uint Directory = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x4000u : 0x10000u;

    private readonly SafeFileHandle _root;
    private readonly int? _owner;

    /// <param name="root">The folder.</param>
    /// <param name="owner">The user that owns what is made; null for this process's own.</param>
    public BeneathFolder(string root, int? owner)
    {
        if (!OperatingSystem.IsLinux())
            throw new ToolException("workspace.unavailable", "Workspaces need Linux 5.6 or newer.");
        _owner = owner;
        var descriptor = OpenRoot(root, (int)(Directory | CloseOnExec));
        if (descriptor < 0)
            throw new IOException($"'{root}' cannot be opened: {Marshal.GetLastPInvokeErrorMessage()}");
        _root = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Opens a file to read it; null when there is none.</summary>
    /// <exception cref="ToolException">It is a folder, a link or another thing than a file.</exception>
    public FileStream? OpenRead(string path)
    {
        // Without blocking: a pipe that nobody writes to would wait for ever.
        if (Open(path, ReadOnly | NonBlocking, 0) is not { } handle)
            return null;
        if ((File.GetAttributes(handle) & FileAttributes.Directory) != 0 || Seek((int)handle.DangerousGetHandle(), 0, Current) < 0)
        {
            handle.Dispose();
            throw new ToolException("workspace.not_a_file", $"'{path}' is not a file.");
        }

        return new FileStream(handle, FileAccess.Read, bufferSize: 1);
    }

    /// <summary>Opens a folder; null when there is none.</summary>
    public SafeFileHandle? OpenFolder(string path) => path is "" or "." ? Open(".", ReadOnly | Directory, 0) : Open(path, ReadOnly | Directory, 0);

    /// <summary>Writes a file, or replaces it as a whole; folders on the way are made.</summary>
    public void Write(string path, ReadOnlySpan<byte> content)
    {
        var (folder, name) = Split(path);
        using var parent = MakeFolder(folder);
        var draft = $".{Guid.NewGuid():n}.draft";
        using (var handle = OpenAt(parent, draft, WriteOnly | Create | Exclusive, 0b110_100_100) ?? throw new IOException($"'{path}' cannot be written."))
        {
            RandomAccess.Write(handle, content, 0);
            Own(handle);
        }

        // The name is the last part and no link is followed for it: it is replaced, whatever it was.
        if (RenameAt((int)parent.DangerousGetHandle(), draft, (int)parent.DangerousGetHandle(), name) != 0)
        {
            var error = Marshal.GetLastPInvokeErrorMessage();
            _ = UnlinkAt((int)parent.DangerousGetHandle(), draft, 0);
            throw new ToolException("workspace.not_a_file", $"'{path}' cannot be written: {error}.");
        }
    }

    /// <summary>Deletes a file.</summary>
    /// <returns>Whether it was there.</returns>
    public bool Delete(string path)
    {
        var (folder, name) = Split(path);
        using var parent = OpenFolder(folder);
        if (parent is null)
            return false;
        if (UnlinkAt((int)parent.DangerousGetHandle(), name, 0) == 0)
            return true;
        return Marshal.GetLastPInvokeError() is NotThere ? false
            : throw new ToolException("workspace.not_a_file", $"'{path}' cannot be deleted: {Marshal.GetLastPInvokeErrorMessage()}.");
    }

    public void Dispose() => _root.Dispose();

    private SafeFileHandle MakeFolder(string path)
    {
        var folder = OpenFolder("")!;
        foreach (var part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var next = OpenAt(folder, part, ReadOnly | Directory, 0);
            if (next is null)
            {
                if (MakeDirAt((int)folder.DangerousGetHandle(), part, 0b111_101_101) != 0 && Marshal.GetLastPInvokeError() != Exists)
                    throw new IOException($"The folder '{path}' cannot be made: {Marshal.GetLastPInvokeErrorMessage()}.");
                next = OpenAt(folder, part, ReadOnly | Directory, 0) ?? throw new IOException($"The folder '{path}' cannot be made.");
                Own(next);
            }

            folder.Dispose();
            folder = next;
        }

        return folder;
    }

    private SafeFileHandle? Open(string path, uint flags, uint mode) => OpenAt(_root, path, flags, mode);

    private static SafeFileHandle? OpenAt(SafeFileHandle folder, string path, uint flags, uint mode)
    {
        var how = new OpenHow { Flags = flags | CloseOnExec, Mode = mode, Resolve = Resolve };
        var descriptor = SystemCall(OpenAt2, (int)folder.DangerousGetHandle(), path, ref how, (nuint)Marshal.SizeOf<OpenHow>());
        if (descriptor >= 0)
            return new SafeFileHandle((nint)descriptor, ownsHandle: true);
        return Marshal.GetLastPInvokeError() switch
        {
            NotThere => null,
            NotAFolder or IsAFolder => throw new ToolException("workspace.not_a_file", $"'{path}' is not of the kind that was asked for."),
            TooManyLinks or CrossDevice => throw new ToolException("workspace.link", $"'{path}' is a link, or leaves the workspace. Links are not followed."),
            NoSuchCall => throw new ToolException("workspace.unavailable", "Workspaces need Linux 5.6 or newer."),
            _ => throw new ToolException("workspace.not_a_file", $"'{path}' cannot be opened: {Marshal.GetLastPInvokeErrorMessage()}."),
        };
    }

    private static (string Folder, string Name) Split(string path)
    {
        var slash = path.LastIndexOf('/');
        var (folder, name) = slash < 0 ? ("", path) : (path[..slash], path[(slash + 1)..]);
        return name is "" or "." or ".." ? throw new ToolException("tool.input_path", $"'{path}' names no file.") : (folder, name);
    }

    private void Own(SafeFileHandle handle)
    {
        if (_owner is { } owner)
            _ = ChangeOwner((int)handle.DangerousGetHandle(), (uint)owner, (uint)owner);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct OpenHow
    {
        public ulong Flags;
        public ulong Mode;
        public ulong Resolve;
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenRoot(string path, int flags);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial long SystemCall(long number, long folder, string path, ref OpenHow how, nuint size);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Seek(int file, long offset, int origin);

    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakeDirAt(int folder, string path, uint mode);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnlinkAt(int folder, string path, int flags);

    [LibraryImport("libc", EntryPoint = "renameat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameAt(int oldFolder, string oldPath, int newFolder, string newPath);

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    private static partial int ChangeOwner(int file, uint user, uint group);
}
