using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Agents.Packages;

/// <summary>Which folder of packages belongs to which tenant, and how it is watched.</summary>
public sealed record PackageFolderOptions
{
    /// <summary>The folder with a folder for each package; need not exist yet.</summary>
    public required string Folder { get; init; }

    /// <summary>Owner of the packages.</summary>
    public required string Tenant { get; init; }

    /// <summary>How much a package may hold.</summary>
    public AgentPackageLimits Limits { get; init; } = AgentPackageLimits.Default;

    /// <summary>How long the folder must be quiet after a change before it is read; default 300 ms.</summary>
    public TimeSpan Settle { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>How often the folder is looked through when no change is reported; default 30 s.</summary>
    public TimeSpan Rescan { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>Keeps the packages of a tenant like the folders in a folder: each folder with an <c>agent.yaml</c> is one.</summary>
/// <remarks>
/// Any number of processes may watch the same folder: they take turns, and each brings in only what it saw change, so that processes with different
/// files, as during a rolling update, do not undo each other's changes. A folder that is not there at all removes nothing: it may be a volume that is not mounted yet.
/// </remarks>
/// <param name="options">Which folder, and whose.</param>
/// <param name="install">Looks at packages and brings them in.</param>
/// <param name="packages">What is there already.</param>
/// <param name="database">Where processes take turns.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Gets what went wrong.</param>
public sealed partial class PackageFolder(
    PackageFolderOptions options, PackageInstall install, AgentPackages packages, NpgsqlDataSource database, TimeProvider time, ILogger<PackageFolder> logger)
{
    /// <summary>Who changes packages from here.</summary>
    public const string Actor = "folder of packages";

    private static readonly EnumerationOptions OneFolder = new() { AttributesToSkip = 0, IgnoreInaccessible = true };

    private readonly Dictionary<string, string> _seen = new(StringComparer.Ordinal);
    private bool _hasLooked;

    /// <summary>Brings in what has changed until it is stopped; also what changed before the call.</summary>
    /// <exception cref="OperationCanceledException">It was stopped; it ends in no other way.</exception>
    public Task WatchAsync(CancellationToken cancellationToken) => new FolderWatch(options.Folder, options.Settle, options.Rescan, time)
    {
        NotWatched = reason => LogNotWatched(options.Folder, reason, options.Rescan.TotalSeconds),
    }.RunAsync(TryLookAsync, cancellationToken);

    /// <summary>Looks once, whatever happens: failures are logged. Not while <see cref="WatchAsync"/> runs.</summary>
    public async Task TryLookAsync(CancellationToken cancellationToken)
    {
        try
        {
            await LookAsync(cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Whatever it was: a watch that ended here would never be missed.
            LogFailed(exception, options.Folder, options.Rescan.TotalSeconds);
        }
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        if (!Directory.Exists(options.Folder) || (_hasLooked && !HasChanged(Fingerprints())))
            return;
        await using var turn = await TakeTurnAsync(cancellationToken);
        // Read while nobody else does, or an older content could come after a newer one.
        var present = Fingerprints();
        foreach (var (name, fingerprint) in present)
        {
            // What was refused may have waited for something that is there now.
            if (_seen.GetValueOrDefault(name) == fingerprint && packages.Find(options.Tenant, name) is { Refused: null, RemovedAt: null })
                continue;
            await BringInAsync(name, cancellationToken);
            _seen[name] = fingerprint;
        }

        var gone = _hasLooked ? _seen.Keys : packages.List(options.Tenant).Where(p => p.Source == PackageSource.Folder).Select(p => p.Name);
        foreach (var name in gone.Where(n => !present.ContainsKey(n)).ToList())
        {
            if (packages.Find(options.Tenant, name) is { Source: PackageSource.Folder, RemovedAt: null })
            {
                await packages.RemoveAsync(options.Tenant, name, Actor, cancellationToken);
                LogRemoved(name);
            }

            _seen.Remove(name);
        }

        _hasLooked = true;
    }

    private async Task BringInAsync(string name, CancellationToken cancellationToken)
    {
        PackageContent content;
        try
        {
            content = await PackageFolderReader.ReadAsync(Path.Combine(options.Folder, name), options.Limits, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            content = new PackageContent(name, [], [new PackageProblem(PackageStage.Assets, "agent_package.unreadable", $"The folder cannot be read: {exception.Message} Let the server read it.")]);
        }

        var report = await install.CheckAsync(options.Tenant, content, cancellationToken);
        var known = await packages.RefreshAsync(options.Tenant, name, cancellationToken);
        if (known is { Source: PackageSource.Folder, RemovedAt: null }
            && (report.IsAccepted ? known.Refused is null && known.Current?.Hash == content.Hash : IsSame(known.Refused, report)))
            return;
        await install.InstallAsync(options.Tenant, name, report, PackageSource.Folder, Actor, cancellationToken);
    }

    private static bool IsSame(RefusedContent? refused, GatekeeperReport report) =>
        refused is not null && refused.Hash == report.Content.Hash && refused.Problems.SequenceEqual(report.Problems);

    private bool HasChanged(SortedDictionary<string, string> present) =>
        present.Count != _seen.Count || present.Any(p => _seen.GetValueOrDefault(p.Key) != p.Value)
        || present.Keys.Any(name => packages.Find(options.Tenant, name) is null);

    /// <summary>Folders with a manifest; an empty fingerprint for one that went away meanwhile.</summary>
    private SortedDictionary<string, string> Fingerprints()
    {
        var fingerprints = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var folder in new DirectoryInfo(options.Folder).EnumerateDirectories("*", OneFolder))
        {
            if (folder.Name[0] == '.' || folder.LinkTarget is not null || !Path.Exists(Path.Combine(folder.FullName, PackageContent.Manifest)))
                continue;
            try
            {
                fingerprints[folder.Name] = PackageFolderReader.Fingerprint(folder.FullName);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                fingerprints[folder.Name] = "";
            }
        }

        return fingerprints;
    }

    /// <summary>Waits until no other process brings packages of the tenant in; disposing the connection ends the turn.</summary>
    private async Task<NpgsqlConnection> TakeTurnAsync(CancellationToken cancellationToken)
    {
        var connection = await database.OpenConnectionAsync(cancellationToken);
        try
        {
            // Held by a transaction, so that it works through a pooler; closing the connection rolls it back.
            await connection.BeginTransactionAsync(cancellationToken);
            await using var command = new NpgsqlCommand("select pg_advisory_xact_lock(hashtextextended('agent_package:' || $1, 0))", connection) { CommandTimeout = 0 };
            command.Parameters.AddValue(options.Tenant);
            await command.ExecuteNonQueryAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    [LoggerMessage(4621, LogLevel.Warning, "Cannot watch folder {Folder} for changes ({Reason}); it is looked through every {Seconds:F0} s instead.")]
    private partial void LogNotWatched(string folder, string reason, double seconds);

    [LoggerMessage(4622, LogLevel.Error, "Could not bring in the packages of folder {Folder}; trying again when a file changes or in {Seconds:F0} s.")]
    private partial void LogFailed(Exception exception, string folder, double seconds);

    [LoggerMessage(4623, LogLevel.Warning, "Package {Name} is gone, because its folder is; its agents take no messages.")]
    private partial void LogRemoved(string name);
}
