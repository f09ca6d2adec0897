using System.Collections.Concurrent;
using System.Text.Json;
using Conclave.Agents.Tools;
using Microsoft.Extensions.Logging;

namespace Conclave.Agents.Packages;

/// <summary>The tools of packages' logic, as tools of the registry.</summary>
/// <remarks>
/// The script is part of a tool's definition, and so of its hash. Tools of a package that went away, or was turned off, stay for <see cref="Stays"/>, as long
/// as a turn may take: turns that began before go on with them.
/// </remarks>
public sealed partial class PackageTools : ToolSource
{
    /// <summary>How long tools outlive their package.</summary>
    public static readonly TimeSpan Stays = TimeSpan.FromDays(1);

    private readonly AgentPackages _packages;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<(string Tenant, string Hash), IReadOnlyList<ToolDefinition>> _made = [];
    private readonly ConcurrentDictionary<string, (int Revision, DateTimeOffset Until, IReadOnlyList<ToolDefinition> Tools)> _lists = new(StringComparer.Ordinal);
    private readonly System.Threading.Channels.Channel<(string Tenant, string Name)> _changed = System.Threading.Channels.Channel.CreateUnbounded<(string, string)>();

    private int _revision;

    /// <summary>Follows the packages; <see cref="LoadAsync"/> fills it.</summary>
    public PackageTools(AgentPackages packages, TimeProvider time, ILogger<PackageTools> logger)
    {
        _packages = packages;
        _time = time;
        _logger = logger;
        packages.Changed += (tenant, name) =>
        {
            Interlocked.Increment(ref _revision);
            _changed.Writer.TryWrite((tenant, name));
        };
    }

    /// <inheritdoc/>
    public override string Name => "packages";

    /// <summary>Whoever may add packages may change their tools.</summary>
    public override bool IsTrusted => true;

    /// <inheritdoc/>
    public override IReadOnlyList<ToolDefinition> List(string tenant)
    {
        // Looked at for every look-up of a tool. Those of packages that are gone may stay a minute longer.
        var (now, revision) = (_time.GetUtcNow(), Volatile.Read(ref _revision));
        if (_lists.TryGetValue(tenant, out var list) && list.Revision == revision && list.Until > now)
            return list.Tools;
        list = (revision, now + TimeSpan.FromMinutes(1), [.. _packages.List(tenant).Where(IsThere).SelectMany(p => _made.GetValueOrDefault((tenant, p.Current!.Hash), []))]);
        _lists[tenant] = list;
        return list.Tools;
    }

    /// <summary>Makes the tools of all packages of a tenant. Call it at start.</summary>
    public async Task LoadAsync(string tenant, CancellationToken cancellationToken)
    {
        foreach (var package in _packages.List(tenant).Where(IsThere))
            await MakeAsync(package, cancellationToken);
        OnChanged();
    }

    /// <summary>Follows changes of packages until it is stopped.</summary>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        await foreach (var (tenant, name) in _changed.Reader.ReadAllAsync(cancellationToken))
        {
            try
            {
                if (_packages.Find(tenant, name) is { } package && IsThere(package))
                    await MakeAsync(package, cancellationToken);
                OnChanged();
            }
            catch (Exception exception) when (exception is Npgsql.NpgsqlException or TimeoutException or InvalidOperationException)
            {
                // Packages are read again once the database answers, which tells of them once more.
                LogNotMade(exception, name);
            }
        }
    }

    private bool IsThere(AgentPackage package) =>
        package.Current is not null && (package.IsUsable || package.UpdatedAt + Stays > _time.GetUtcNow());

    private async Task MakeAsync(AgentPackage package, CancellationToken cancellationToken)
    {
        var version = package.Current!;
        if (version.Tools.Count == 0 || _made.ContainsKey((package.Tenant, version.Hash)))
            return;
        var file = await _packages.ReadFileAsync(package.Tenant, version.Hash, PackageContent.Logic, cancellationToken)
            ?? throw new InvalidOperationException($"The content {version.Hash} of package '{package.Name}' has no {PackageContent.Logic}.");
        _made[(package.Tenant, version.Hash)] = [.. version.Tools.Select(t => Define(version, t, LogicScript.Text(file)))];
        Interlocked.Increment(ref _revision);
    }

    private static ToolDefinition Define(PackageVersion version, LogicTool tool, string logic) => new()
    {
        Name = LogicTool.FullName(version.Manifest.Name, tool.Name),
        Version = version.Manifest.Version.Split('-', '+')[0],
        Category = version.Manifest.Name,
        Description = tool.Description,
        Parameters = tool.Parameters,
        Kind = ToolKinds.Logic,
        Settings = JsonSerializer.SerializeToElement(new LogicSettings(LogicScript.Function(logic, tool.Name), LogicScript.FunctionName, $"package:{version.Manifest.Name}"), PackageJson.Default.LogicSettings),
        Permissions = new ToolAccess
        {
            Memory = version.Manifest.Logic.Memory,
            Network = version.Manifest.Logic.Http,
            Events = version.Manifest.Logic.Events,
            Home = version.Manifest.Logic.Home,
            Workspace = version.Manifest.Logic.Workspace,
        },
        Annotations = new ToolAnnotations { ReadOnly = tool.ReadOnly, Idempotent = tool.Idempotent, OpenWorld = version.Manifest.Logic.Http.Count > 0 },
        // Each call has a sandbox of its own: nothing is shared.
        Concurrency = tool.ReadOnly ? 0 : 1,
    };

    [LoggerMessage(4602, LogLevel.Warning, "The tools of package {Name} could not be read; it is tried again once the database answers.")]
    private partial void LogNotMade(Exception exception, string name);
}

/// <summary>Settings of a tool of the kind <c>logic</c>.</summary>
internal sealed record LogicSettings(string Script, string Function, string Scope);
