using System.Collections.Concurrent;
using System.Text.Json;
using System.Threading.Channels;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Agents.Packages;

/// <summary>The packages of all tenants, as the database has them. Every process has them at hand, and hears of changes.</summary>
/// <remarks>Contents stay for <see cref="KeepsContents"/> after they were replaced, for turns that began with them.</remarks>
/// <param name="database">The database.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Gets what could not be read.</param>
public sealed partial class AgentPackages(NpgsqlDataSource database, TimeProvider time, ILogger<AgentPackages> logger)
{
    /// <summary>Channel on which changes are told, as <c>tenant:name</c>.</summary>
    public const string Channel = "conclave_agent_package";

    /// <summary>How long replaced contents are kept.</summary>
    public static readonly TimeSpan KeepsContents = TimeSpan.FromDays(30);

    private const string SelectSql = """
        select p.tenant, p.name, p.source, p.enabled, p.hash, p.refused, p.created_at, p.updated_at, p.updated_by, p.removed_at, c.manifest, c.tools,
               array(select f.path from conclave.agent_package_file f where f.tenant = p.tenant and f.hash = p.hash and f.path like 'behaviours/%' order by f.path)
          from conclave.agent_package p
          left join conclave.agent_package_content c on c.tenant = p.tenant and c.hash = p.hash
        """;

    private readonly ConcurrentDictionary<(string Tenant, string Name), AgentPackage> _packages = [];
    private readonly Channel<(string Tenant, string Name)> _told = System.Threading.Channels.Channel.CreateUnbounded<(string, string)>();

    /// <summary>Called when a package was changed by any process and this one has taken the change over: tenant and name.</summary>
    public event Action<string, string>? Changed;

    /// <summary>A package; null when there never was one of that name.</summary>
    public AgentPackage? Find(string tenant, string name) => _packages.GetValueOrDefault((tenant, name));

    /// <summary>All packages of a tenant, by name; those that are gone, too.</summary>
    public IReadOnlyList<AgentPackage> List(string tenant) =>
        [.. _packages.Values.Where(p => p.Tenant == tenant).OrderBy(p => p.Name, StringComparer.Ordinal)];

    /// <summary>Why a package cannot be used; null when it can. One that was never there counts as gone.</summary>
    public string? WhyLost(string tenant, string name) => (Find(tenant, name)?.State ?? PackageState.Removed) switch
    {
        PackageState.Accepted => null,
        PackageState.Disabled => $"Its package '{name}' is turned off. Turn it on.",
        PackageState.Rejected => $"Its package '{name}' was refused. Mend it.",
        _ => $"Its package '{name}' is gone. Put it back, or make the agent of another one.",
    };

    /// <summary>Reads all packages. Call it at start, and when notifications may have been lost.</summary>
    public async Task LoadAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(SelectSql);
        foreach (var package in await ReadAsync(command, cancellationToken))
            Take(package);
    }

    /// <summary>Reads one package again.</summary>
    public async Task<AgentPackage?> RefreshAsync(string tenant, string name, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"{SelectSql} where p.tenant = $1 and p.name = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(name);
        var package = (await ReadAsync(command, cancellationToken)).FirstOrDefault();
        if (package is not null)
            Take(package);
        return package;
    }

    /// <summary>Content that has passed, whether or not it is used still; null when it is gone.</summary>
    public async Task<PackageVersion?> FindVersionAsync(string tenant, string hash, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select c.manifest, c.tools, array(select f.path from conclave.agent_package_file f where f.tenant = c.tenant and f.hash = c.hash and f.path like 'behaviours/%' order by f.path)
              from conclave.agent_package_content c where c.tenant = $1 and c.hash = $2
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(hash);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? ReadVersion(reader, hash, 0) : null;
    }

    /// <summary>A file of a content that has passed; null when there is none.</summary>
    public async Task<PackageFile?> ReadFileAsync(string tenant, string hash, string path, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select content from conclave.agent_package_file where tenant = $1 and hash = $2 and path = $3");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(hash);
        command.Parameters.AddValue(path);
        return await command.ExecuteScalarAsync(cancellationToken) is byte[] content ? new PackageFile(path, content) : null;
    }

    /// <summary>Paths, lengths and hashes of the files of a content.</summary>
    public async Task<IReadOnlyList<PackageFileEntry>> ListFilesAsync(string tenant, string hash, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select path, length(content), sha256 from conclave.agent_package_file where tenant = $1 and hash = $2 order by path");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(hash);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var files = new List<PackageFileEntry>();
        while (await reader.ReadAsync(cancellationToken))
            files.Add(new PackageFileEntry(reader.GetString(0), reader.GetInt32(1), reader.GetString(2)));
        return files;
    }

    /// <summary>Hears what the channel tells; does not wait for anything.</summary>
    public void Hear(string payload)
    {
        var colon = payload.IndexOf(':', StringComparison.Ordinal);
        if (colon >= 0)
            _told.Writer.TryWrite((payload[..colon], payload[(colon + 1)..]));
    }

    /// <summary>Takes over what was heard, until it is stopped.</summary>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        await foreach (var (tenant, name) in _told.Reader.ReadAllAsync(cancellationToken))
        {
            try
            {
                await RefreshAsync(tenant, name, cancellationToken);
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
            {
                // The connection that listens is lost as well; everything is read again once it is back.
                LogNotRead(exception, name);
            }
        }
    }

    private void Take(AgentPackage package)
    {
        var known = _packages.GetValueOrDefault((package.Tenant, package.Name));
        _packages[(package.Tenant, package.Name)] = package;
        // What this process did itself it hears of as well.
        if (known is null || known.UpdatedAt != package.UpdatedAt || known.State != package.State || known.Current?.Hash != package.Current?.Hash)
            Changed?.Invoke(package.Tenant, package.Name);
    }

    private static async Task<List<AgentPackage>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var packages = new List<AgentPackage>();
        while (await reader.ReadAsync(cancellationToken))
        {
            packages.Add(new AgentPackage(reader.GetString(0), reader.GetString(1), reader.GetString(2) == "folder" ? PackageSource.Folder : PackageSource.Upload)
            {
                Enabled = reader.GetBoolean(3),
                Current = reader.IsDBNull(4) ? null : ReadVersion(reader, reader.GetString(4), 10),
                Refused = reader.IsDBNull(5) ? null : JsonSerializer.Deserialize(reader.GetString(5), PackageJson.Default.RefusedContent),
                CreatedAt = reader.GetFieldValue<DateTimeOffset>(6),
                UpdatedAt = reader.GetFieldValue<DateTimeOffset>(7),
                UpdatedBy = reader.GetString(8),
                RemovedAt = reader.IsDBNull(9) ? null : reader.GetFieldValue<DateTimeOffset>(9),
            });
        }

        return packages;
    }

    private static PackageVersion ReadVersion(NpgsqlDataReader reader, string hash, int from) => new(
        hash,
        JsonSerializer.Deserialize(reader.GetString(from), PackageJson.Default.AgentManifest)!,
        JsonSerializer.Deserialize(reader.GetString(from + 1), PackageJson.Default.IReadOnlyListLogicTool)!,
        Array.ConvertAll(reader.GetFieldValue<string[]>(from + 2), PackageContent.BehaviourName));

    [LoggerMessage(4601, LogLevel.Warning, "Package {Name} could not be read after it was changed; it is read again once the database answers.")]
    private partial void LogNotRead(Exception exception, string name);
}

/// <summary>A file of a package, without its content.</summary>
/// <param name="Path">Path in the package.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Sha256">SHA-256, as 64 lower-case hex digits.</param>
public sealed record PackageFileEntry(string Path, int Length, string Sha256);
