using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>
/// The files of one embedded server: <c>data/</c> (the cluster, with <c>log/</c> in it), <c>password</c>, <c>start.log</c>
/// and <c>lock</c>, which one program at a time holds. The system lets go of the lock when that program ends, however it ends.
/// </summary>
internal sealed class PostgresFolder : IDisposable
{
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnerFolder = OwnerFile | UnixFileMode.UserExecute;
    private const string SettingsFile = "conclave.conf";
    // What the runtime reports for a file that another holds: ERROR_SHARING_VIOLATION, or EWOULDBLOCK.
    private static readonly int LockedResult =
        OperatingSystem.IsWindows() ? unchecked((int)0x80070020) : OperatingSystem.IsMacOS() ? 35 : 11;
    private readonly PostgresAccount? _account;
    private FileStream? _lock;

    private PostgresFolder(string root, PostgresAccount? account) => (Root, _account) = (root, account);

    public string Root { get; }

    public string Data => Path.Combine(Root, "data");

    public string StartLog => Path.Combine(Root, "start.log");

    public bool IsInitialized => File.Exists(Path.Combine(Data, "PG_VERSION"));

    private string PasswordFile => Path.Combine(Root, "password");

    private string ProcessFile => Path.Combine(Data, "postmaster.pid");

    /// <summary>The usual place: of the machine for root, of the user for anyone else.</summary>
    public static string DefaultRoot() => Path.Combine(
        Runtime.DataFolder.Default() ?? throw new EmbeddedPostgresException("postgres.no_data_folder", "This account has no home folder for the database. Set Postgres:DataFolder."),
        "postgres");

    /// <summary>Makes the folder if need be and takes its lock.</summary>
    public static PostgresFolder Open(string root, PostgresAccount? account)
    {
        var folder = new PostgresFolder(Path.GetFullPath(root), account);
        try
        {
            folder.Create();
            folder._lock = folder.TakeLock();
            return folder;
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            throw folder.Unusable(exception);
        }
    }

    /// <summary>The major version that wrote the cluster.</summary>
    public string MajorVersion() => File.ReadAllText(Path.Combine(Data, "PG_VERSION")).Trim();

    /// <summary>Reads the password; null when the file is missing.</summary>
    public string? FindPassword() => File.Exists(PasswordFile) ? File.ReadAllText(PasswordFile).Trim() : null;

    /// <summary>Reads the password, or makes one. Done before the cluster exists, so that no cluster is without.</summary>
    public string MakePassword()
    {
        if (FindPassword() is { } existing) return existing;
        var password = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24));
        var draft = PasswordFile + ".new";
        File.Delete(draft);
        WriteOwnerOnly(draft, password + "\n");
        File.Move(draft, PasswordFile);
        return password;
    }

    /// <summary>A copy of the password for <c>initdb</c>, which may run under another account.</summary>
    public string WritePasswordCopy(string password)
    {
        var copy = Path.Combine(Root, "password.initdb");
        File.Delete(copy);
        WriteOwnerOnly(copy, password);
        _account?.Own(copy);
        return copy;
    }

    /// <summary>Where the next cluster is prepared. It moves to <see cref="Data"/> once complete, so none is half-made.</summary>
    public string NewData()
    {
        var folder = Path.Combine(Root, "data.new");
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        return folder;
    }

    /// <summary>Puts a complete cluster in its place.</summary>
    public void Adopt(string newData)
    {
        using (var settings = new FileStream(Path.Combine(newData, "postgresql.conf"), FileMode.Append))
        {
            settings.Write(Encoding.UTF8.GetBytes(
                $"\n# Written at every start. Change settings with 'alter system'.\ninclude '{SettingsFile}'\n"));
            settings.Flush(flushToDisk: true);
        }
        if (Directory.Exists(Data)) Directory.Delete(Data);    // only ever empty: a cluster has a PG_VERSION
        Directory.Move(newData, Data);
    }

    public void WriteSettings(string text)
    {
        var path = Path.Combine(Data, SettingsFile);
        File.Delete(path);
        WriteOwnerOnly(path, text);
        _account?.Own(path);
    }

    /// <summary>The process id in <c>postmaster.pid</c> when it is a running PostgreSQL of this folder; null otherwise.</summary>
    public int? RunningServer()
    {
        if (ReadProcessId() is not { } id) return null;
        if (OperatingSystem.IsLinux())
        {
            // The id may be in use again by something else, or a dead process that nobody waited for, with no command line.
            try { return File.ReadAllText($"/proc/{id}/cmdline").Contains(Data, StringComparison.Ordinal) ? id : null; }
            catch (IOException) { return null; }
        }
        try
        {
            using var process = Process.GetProcessById(id);
            return process.ProcessName.StartsWith("postgres", StringComparison.Ordinal) ? id : null;
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    /// <summary>Clears what a server that was killed left behind. Call it with no server running.</summary>
    /// <remarks>
    /// PostgreSQL replaces the file by itself unless the id in it is in use again. The file stays, with an id that
    /// PostgreSQL knows to be no server, since it also holds the key of the shared memory through which PostgreSQL sees
    /// that sessions of the old server still run.
    /// </remarks>
    public bool ClearStaleFiles()
    {
        if (!OperatingSystem.IsWindows())
            foreach (var socket in Directory.EnumerateFileSystemEntries(Root, ".s.PGSQL.*")) File.Delete(socket);
        File.Delete(StartLog);
        if (!File.Exists(ProcessFile)) return false;
        var lines = File.ReadAllLines(ProcessFile);
        File.Delete(ProcessFile);
        if (lines.Length == 0 || OperatingSystem.IsWindows()) return true;
        // pg_ctl tells the server that this process starts it, so its id cannot be that of another server.
        lines[0] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        WriteOwnerOnly(ProcessFile, string.Join('\n', lines) + "\n");
        _account?.Own(ProcessFile);
        return true;
    }

    /// <summary>The last lines that the server wrote, oldest first, and where.</summary>
    public (string File, string Text) RecentLog()
    {
        try
        {
            var logs = new DirectoryInfo(Path.Combine(Data, "log"));
            var files = (logs.Exists ? logs.GetFiles("*.log") : []).OrderBy(f => f.LastWriteTimeUtc).TakeLast(1)
                .Prepend(new FileInfo(StartLog)).Where(f => f.Exists).ToList();
            var text = string.Join('\n', files.SelectMany(f => Tail(f, 12)));
            return (files.Count == 0 ? StartLog : files[^1].FullName, text);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return (StartLog, exception.Message);
        }
    }

    public void Dispose() => _lock?.Dispose();

    public EmbeddedPostgresException Unusable(Exception exception) => PostgresFailure.IsDiskFull(exception.Message)
        ? new EmbeddedPostgresException("postgres.disk_full",
            $"The disk of '{Root}' is full: {exception.Message} Free some space and start again; no data was lost.", exception)
        : new EmbeddedPostgresException("postgres.no_permission",
            $"Cannot use the data folder '{Root}' as {Environment.UserName}: {exception.Message} Give that user the " +
            "folder, or set Postgres:DataFolder to one that it owns.", exception);

    private static IEnumerable<string> Tail(FileInfo file, int lines)
    {
        using var stream = new FileStream(file.FullName, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        stream.Seek(-Math.Min(stream.Length, 8_192), SeekOrigin.End);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(lines);
    }

    private static void WriteOwnerOnly(string path, string text)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = OwnerFile;
        using var stream = new FileStream(path, options);
        stream.Write(Encoding.UTF8.GetBytes(text));
        stream.Flush(flushToDisk: true);
    }

    private void Create()
    {
        if (Directory.Exists(Root)) return;
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(Root);
        else
        {
            if (Path.GetDirectoryName(Root) is { } above) Directory.CreateDirectory(above);
            Directory.CreateDirectory(Root, OwnerFolder);
        }
        _account?.Own(Root);
    }

    // The process id goes into a file of its own, since nobody else may open the one that is locked.
    private FileStream TakeLock()
    {
        var owner = Path.Combine(Root, "lock.owner");
        FileStream held;
        try
        {
            held = new FileStream(Path.Combine(Root, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when (exception.HResult == LockedResult)
        {
            throw new EmbeddedPostgresException("postgres.data_folder_in_use",
                $"Another Conclave{Holder()} runs PostgreSQL in '{Root}'. Stop it, or give this one another " +
                "Postgres:DataFolder, or let it connect to the database of the other.", exception);
        }
        File.WriteAllText(owner, Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        return held;

        string Holder()
        {
            try { return $" (process {File.ReadAllText(owner)})"; }
            catch (IOException) { return ""; }    // it has only just started
        }
    }

    private int? ReadProcessId()
    {
        try
        {
            return File.Exists(ProcessFile) &&
                int.TryParse(File.ReadLines(ProcessFile).FirstOrDefault(), CultureInfo.InvariantCulture, out var id)
                ? id : null;
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }
}
