using System.ComponentModel;
using System.Diagnostics;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>What a PostgreSQL program answered.</summary>
internal sealed record ToolResult(int ExitCode, string Output);

/// <summary>Runs PostgreSQL's own programs, as an unprivileged account when this program is root.</summary>
internal sealed class PostgresTools(PostgresAccount? account, string workingFolder)
{
    /// <summary>Runs a program to its end. It is killed when the caller stops waiting.</summary>
    public async Task<ToolResult> RunAsync(
        string program, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        using var process = Start(program, arguments);
        try
        {
            if (!process.StartInfo.RedirectStandardOutput)
            {
                await process.WaitForExitAsync(cancellationToken);
                return new ToolResult(process.ExitCode, "");
            }
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return new ToolResult(process.ExitCode, await output + await errors);
        }
        catch (OperationCanceledException)
        {
            try { process.Kill(); }
            catch (InvalidOperationException) { }    // it has just ended
            throw;
        }
    }

    private Process Start(string program, IReadOnlyList<string> arguments)
    {
        // On Windows the server inherits the pipes of pg_ctl and would keep them open as long as it runs.
        var redirect = !OperatingSystem.IsWindows() || !(arguments is ["start", ..]);
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = workingFolder,
            UseShellExecute = false,
            CreateNoWindow = true,
            RedirectStandardInput = redirect,
            RedirectStandardOutput = redirect,
            RedirectStandardError = redirect,
        };
        if (account is not null) start.UserName = account.Name;
        // Settings for other PostgreSQL programs must not leak in, and messages are read below, so English.
        foreach (var name in start.Environment.Keys.Where(k => k.StartsWith("PG", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(name);
        start.Environment["LC_ALL"] = "C";
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            throw NotStarted(program, exception);
        }
    }

    private EmbeddedPostgresException NotStarted(string program, Win32Exception exception)
    {
        var closed = account is null
            ? null
            : PostgresAccount.ClosedFolderAbove(program) ?? PostgresAccount.ClosedFolderAbove(workingFolder);
        if (closed is null)
        {
            return new EmbeddedPostgresException("postgres.binaries_unusable",
                $"Cannot run '{program}' in '{workingFolder}': {exception.Message}. " +
                "Check that the file may be executed and is a program for this system.", exception);
        }
        return new EmbeddedPostgresException("postgres.no_permission",
            $"Cannot run '{program}' in '{workingFolder}' as the account '{account!.Name}', which PostgreSQL runs under " +
            $"because Conclave runs as root: others may not enter '{closed}'. Allow it with 'chmod o+x {closed}', or " +
            "move the program or Postgres:DataFolder elsewhere, or run Conclave as an ordinary user.", exception);
    }
}
