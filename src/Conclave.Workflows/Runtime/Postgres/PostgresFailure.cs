using System.Net;
using System.Net.Sockets;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>Tells from PostgreSQL's own words why it did not start, and what to do about it.</summary>
internal static class PostgresFailure
{
    public static bool IsDiskFull(string text) =>
        text.Contains("No space left on device", StringComparison.OrdinalIgnoreCase) ||
        text.Contains("not enough space on the disk", StringComparison.OrdinalIgnoreCase) ||
        text.Contains("Disk quota exceeded", StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether another program listens on the port.</summary>
    public static bool IsPortTaken(string text, int? port) =>
        text.Contains("Address already in use", StringComparison.Ordinal) ||
        text.Contains("could not bind", StringComparison.Ordinal) ||
        (port is { } number && IsPortTaken(number));

    /// <summary>Whether sessions of a killed server still run; they end by themselves when they notice.</summary>
    public static bool IsOldServerEnding(string text) =>
        text.Contains("pre-existing shared memory block", StringComparison.Ordinal);

    public static bool IsTimeout(string text) => text.Contains("did not start in time", StringComparison.Ordinal);

    public static EmbeddedPostgresException NotInitialized(PostgresFolder folder, PostgresAccount? account, ToolResult result)
    {
        if (IsDiskFull(result.Output)) return DiskFull(folder, result.Output);
        if (IsDenied(result.Output)) return Denied(folder, account, result.Output);
        return new EmbeddedPostgresException("postgres.init_failed",
            $"initdb could not make a database cluster in '{folder.Root}' (exit code {result.ExitCode}). Nothing was kept; " +
            $"correct the cause and start again. It said: {result.Output.Trim()}");
    }

    public static EmbeddedPostgresException NotStarted(
        PostgresFolder folder, PostgresAccount? account, int? port, string said, EmbeddedPostgresOptions options)
    {
        var (file, log) = folder.RecentLog();
        var all = said + "\n" + log;
        if (IsTimeout(said))
        {
            return new EmbeddedPostgresException("postgres.start_timeout",
                $"PostgreSQL in '{folder.Root}' was not ready after {options.StartTimeout}; it may still be recovering " +
                $"from a crash. Raise Postgres:StartTimeout and start again. Log: {file}\n{log}");
        }
        if (port is not null && IsPortTaken(all, port))
        {
            return new EmbeddedPostgresException("postgres.port_taken",
                $"Port {port} on 127.0.0.1 is taken by another program. Stop that program, or set Postgres:Port to another " +
                "port, to 0 for any free one, or leave it out.");
        }
        if (IsDiskFull(all)) return DiskFull(folder, log);
        if (IsDenied(all)) return Denied(folder, account, log.Length == 0 ? said : log);
        return new EmbeddedPostgresException("postgres.start_failed",
            $"PostgreSQL in '{folder.Root}' did not start. Log: {file}\n{all.Trim()}");
    }

    public static EmbeddedPostgresException OtherVersion(PostgresFolder folder, string found, int mine) => new(
        "postgres.data_folder_version",
        $"The database in '{folder.Root}' was written by PostgreSQL {found}; this Conclave runs PostgreSQL {mine}, which " +
        $"cannot read it. Nothing was changed. Name the programs of PostgreSQL {found} in {PostgresBinaries.Variable}, or move " +
        $"the data with pg_upgrade or pg_dump of PostgreSQL {mine}, or set Postgres:DataFolder to a new folder.");

    public static EmbeddedPostgresException NoPassword(PostgresFolder folder) => new(
        "postgres.password_missing",
        $"'{folder.Root}' holds a database but not its file 'password'. Put the file back from a backup. Without one, allow " +
        "local access in data/pg_hba.conf for a moment ('trust'), set a new password with 'alter role conclave password', " +
        "and write it to that file, readable by its owner only.");

    public static EmbeddedPostgresException NotUsable(PostgresFolder folder, Exception exception) => new(
        "postgres.start_failed",
        $"PostgreSQL in '{folder.Root}' started but refused to work: {exception.Message} If it is about the password, the " +
        "file 'password' there is not the one of this database. " + $"Log: {folder.RecentLog().File}", exception);

    // On a busy machine the log does not say it yet.
    private static bool IsPortTaken(int port)
    {
        using var listener = new TcpListener(IPAddress.Loopback, port);
        try
        {
            listener.Start();
            return false;
        }
        catch (SocketException exception)
        {
            return exception.SocketErrorCode == SocketError.AddressAlreadyInUse;
        }
    }

    private static bool IsDenied(string text) =>
        text.Contains("Permission denied", StringComparison.OrdinalIgnoreCase) ||
        text.Contains("Operation not permitted", StringComparison.Ordinal) ||
        text.Contains("wrong ownership", StringComparison.Ordinal) ||
        text.Contains("has invalid permissions", StringComparison.Ordinal);

    private static EmbeddedPostgresException DiskFull(PostgresFolder folder, string said) => new("postgres.disk_full",
        $"The disk of '{folder.Root}' is full. Free some space and start again; no committed data was lost. " +
        $"PostgreSQL said: {said.Trim()}");

    private static EmbeddedPostgresException Denied(PostgresFolder folder, PostgresAccount? account, string said)
    {
        var closed = account is null ? null : PostgresAccount.ClosedFolderAbove(folder.Root);
        return new EmbeddedPostgresException("postgres.no_permission",
            $"PostgreSQL, running as '{account?.Name ?? Environment.UserName}', may not use '{folder.Root}'. " +
            (closed is null
                ? "Give it the folder and everything in it, or set Postgres:DataFolder to one that it owns. "
                : $"Others may not enter '{closed}': allow it with 'chmod o+x {closed}', or set Postgres:DataFolder. ") +
            $"It said: {said.Trim()}");
    }
}
