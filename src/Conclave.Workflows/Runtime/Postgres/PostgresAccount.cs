using System.Globalization;
using System.Runtime.InteropServices;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>The unprivileged account that PostgreSQL runs under when this program is root.</summary>
internal sealed partial record PostgresAccount(string Name, uint UserId, uint GroupId)
{
    private const string PasswordFile = "/etc/passwd";
    private static readonly string[] Usual = ["conclave", "postgres", "nobody"];

    /// <summary>Finds the account; null when this program is not root and PostgreSQL can run as it does.</summary>
    public static PostgresAccount? ForThisProcess(string? wanted)
    {
        // On Windows pg_ctl and initdb drop an administrator's rights by themselves.
        if (OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess) return null;
        var accounts = Read();
        var name = wanted ?? Array.Find(Usual, accounts.ContainsKey);
        if (name is not null && accounts.TryGetValue(name, out var account) && account.UserId != 0) return account;
        throw new EmbeddedPostgresException("postgres.account_missing",
            $"PostgreSQL refuses to run as root, and {PasswordFile} holds no unprivileged account named " +
            $"'{wanted ?? string.Join("', '", Usual)}'. Run Conclave as an ordinary user, or make an account with " +
            "'useradd --system conclave', or name another one in Postgres:Account.");
    }

    /// <summary>Makes the account the owner of a file or folder.</summary>
    public void Own(string path)
    {
        if (ChangeOwner(path, UserId, GroupId) == 0) return;
        throw new EmbeddedPostgresException("postgres.no_permission",
            $"Cannot give '{path}' to the account '{Name}', which PostgreSQL runs under because Conclave runs as root: " +
            $"{Marshal.GetLastPInvokeErrorMessage()}. Put Postgres:DataFolder on a file system with owners.");
    }

    /// <summary>Names the first folder on the way to a path that others may not enter; null when there is none.</summary>
    public static string? ClosedFolderAbove(string path)
    {
        if (OperatingSystem.IsWindows()) return null;
        var above = new Stack<DirectoryInfo>();
        for (var folder = new DirectoryInfo(path).Parent; folder is not null; folder = folder.Parent) above.Push(folder);
        return above.FirstOrDefault(f => f.Exists && !f.UnixFileMode.HasFlag(UnixFileMode.OtherExecute))?.FullName;
    }

    private static Dictionary<string, PostgresAccount> Read()
    {
        var accounts = new Dictionary<string, PostgresAccount>(StringComparer.Ordinal);
        if (!File.Exists(PasswordFile)) return accounts;
        foreach (var line in File.ReadLines(PasswordFile))
        {
            var fields = line.Split(':');
            if (fields.Length < 4 || !TryId(fields[2], out var user) || !TryId(fields[3], out var group)) continue;
            accounts.TryAdd(fields[0], new PostgresAccount(fields[0], user, group));
        }
        return accounts;
    }

    // macOS writes nobody as -2.
    private static bool TryId(string text, out uint id)
    {
        var valid = long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number);
        id = unchecked((uint)number);
        return valid;
    }

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, uint user, uint group);
}
