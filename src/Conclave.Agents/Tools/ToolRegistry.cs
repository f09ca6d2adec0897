using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Conclave.Agents.Sandbox;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Agents.Tools;

/// <summary>The tools that there are: from code, from files, from the database.</summary>
/// <remarks>
/// All processes have the same: definitions are in the database, and a change is told by <c>NOTIFY</c>. A tool whose definition differs from the one that was
/// approved, or first seen, is not run until somebody approves it. Of several tools with one name the first counts: code's own, then stored ones, then other sources in the order of
/// their names.
/// </remarks>
public sealed partial class ToolRegistry : IDisposable
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly NpgsqlDataSource _database;
    private readonly ToolStore _store;
    private readonly SandboxHost _sandbox;
    private readonly Func<string, string?> _settings;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly List<ToolSource> _sources = [];
    private readonly Lock _changing = new();
    private readonly ConcurrentDictionary<string, Snapshot> _tenants = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ToolKind> _kinds = new(StringComparer.Ordinal);
    private readonly ConditionalWeakTable<ToolDefinition, string> _hashes = [];
    private readonly Channel<string> _toLoad = Channel.CreateUnbounded<string>();
    private readonly SemaphoreSlim _loading = new(1);

    /// <summary>Makes a registry; <see cref="LoadAsync"/> fills it.</summary>
    /// <param name="database">The database.</param>
    /// <param name="store">What is stored of tools.</param>
    /// <param name="sandbox">Knows which programs commands find.</param>
    /// <param name="settings">Settings of the server, by name.</param>
    /// <param name="logger">Gets what could not be read.</param>
    /// <param name="time">The clock.</param>
    public ToolRegistry(NpgsqlDataSource database, ToolStore store, SandboxHost sandbox, Func<string, string?> settings, ILogger<ToolRegistry> logger, TimeProvider time)
    {
        _database = database;
        _store = store;
        _sandbox = sandbox;
        _settings = settings;
        _logger = logger;
        _time = time;
    }

    /// <summary>Told when the tools of a tenant changed.</summary>
    public event Action<string>? Changed;

    /// <summary>The kinds of tools that this process can run.</summary>
    public IEnumerable<ToolKind> Kinds => _kinds.Values;

    /// <summary>Adds a kind.</summary>
    public void AddKind(ToolKind kind) => _kinds[kind.Name] = kind;

    /// <summary>The kind of a name; null when there is none.</summary>
    public ToolKind? FindKind(string name) => _kinds.GetValueOrDefault(name);

    /// <summary>Adds tools that code knows of; its <see cref="ToolSource.Changed"/> is followed.</summary>
    public void AddSource(ToolSource source)
    {
        lock (_changing)
        {
            _sources.Add(source);
            _sources.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        }

        source.Changed += OnSourceChanged;
        OnSourceChanged();
    }

    /// <summary>Takes such tools away again, when a package is removed.</summary>
    public void RemoveSource(ToolSource source)
    {
        source.Changed -= OnSourceChanged;
        lock (_changing)
            _sources.Remove(source);
        OnSourceChanged();
    }

    /// <summary>The tool of a name; null when there is none. It may be one that cannot be used: see <see cref="RegisteredTool.Problem"/>.</summary>
    public RegisteredTool? Find(string tenant, string name)
    {
        var snapshot = _tenants.GetValueOrDefault(tenant, Snapshot.Empty);
        foreach (var source in Sources())
        {
            if (source.Name == ProductSource)
            {
                if (source.List(tenant).FirstOrDefault(t => t.Name == name) is { } own)
                    return Register(tenant, own, source.Name, true, snapshot);
            }
        }

        if (snapshot.Stored.TryGetValue(name, out var stored))
            return Register(tenant, stored.Definition, stored.Source, false, snapshot);
        foreach (var source in Sources())
        {
            if (source.Name != ProductSource && source.List(tenant).FirstOrDefault(t => t.Name == name) is { } found)
                return Register(tenant, found, source.Name, source.IsTrusted, snapshot);
        }

        return null;
    }

    /// <summary>All tools, by name.</summary>
    /// <param name="tenant">Owner.</param>
    /// <param name="category">Only those of a category; null for all.</param>
    public IReadOnlyList<RegisteredTool> List(string tenant, string? category = null)
    {
        var snapshot = _tenants.GetValueOrDefault(tenant, Snapshot.Empty);
        var tools = new SortedDictionary<string, RegisteredTool>(StringComparer.Ordinal);
        var sources = Sources();
        foreach (var source in sources.Where(s => s.Name == ProductSource))
            Add(source.List(tenant), source.Name, true);
        foreach (var (name, stored) in snapshot.Stored)
            tools.TryAdd(name, Register(tenant, stored.Definition, stored.Source, false, snapshot));
        foreach (var source in sources.Where(s => s.Name != ProductSource))
            Add(source.List(tenant), source.Name, source.IsTrusted);
        return [.. tools.Values.Where(t => category is null || t.Definition.Category == category)];

        void Add(IReadOnlyList<ToolDefinition> definitions, string source, bool isTrusted)
        {
            foreach (var definition in definitions)
            {
                if (!tools.ContainsKey(definition.Name))
                    tools.Add(definition.Name, Register(tenant, definition, source, isTrusted, snapshot));
            }
        }
    }

    /// <summary>Reads the tools of a tenant anew, and remembers definitions that were never seen.</summary>
    public async Task LoadAsync(string tenant, CancellationToken cancellationToken)
    {
        // One after the other, or an older reading could come after a newer one.
        await _loading.WaitAsync(cancellationToken);
        try
        {
            await LoadNowAsync(tenant, cancellationToken);
        }
        finally
        {
            _loading.Release();
        }

        Changed?.Invoke(tenant);
    }

    private async Task LoadNowAsync(string tenant, CancellationToken cancellationToken)
    {
        var (stored, states) = await _store.LoadAsync(tenant, cancellationToken);
        var tools = new Dictionary<string, (ToolDefinition, string)>(StringComparer.Ordinal);
        foreach (var (source, json) in stored)
        {
            if (ToolDefinitionReader.Read(json, out var problems) is { } tool)
                tools[tool.Name] = (tool, source);
            else
                LogUnreadable(json.TryGetProperty("name", out var name) ? name.ToString() : "?", tenant, string.Join(" ", problems));
        }

        _tenants[tenant] = new Snapshot(tools, states.ToDictionary(s => s.Name, StringComparer.Ordinal));
        var unseen = List(tenant).Where(t => !t.IsTrusted && t.ApprovedHash is null).Select(t => (t.Name, t.Hash, t.Source)).ToList();
        if (unseen.Count > 0)
        {
            await _store.PinAsync(tenant, unseen, cancellationToken);
            (_, states) = await _store.LoadAsync(tenant, cancellationToken);
            _tenants[tenant] = new Snapshot(tools, states.ToDictionary(s => s.Name, StringComparer.Ordinal));
        }

        await _sandbox.LearnVersionsAsync(List(tenant).SelectMany(t => t.Definition.Requirements.Programs).Distinct(), cancellationToken);
    }

    /// <summary>Follows what other processes, and sources of this one, change, until cancelled.</summary>
    /// <param name="listens">Whether it hears of other processes over a connection of its own; false where somebody else listens and calls <see cref="Hear"/>.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public Task FollowAsync(bool listens, CancellationToken cancellationToken) =>
        Task.WhenAll(listens ? FollowDatabaseAsync(cancellationToken) : Task.CompletedTask, FollowSourcesAsync(cancellationToken));

    /// <summary>Takes in that a tenant's tools were changed.</summary>
    internal void Hear(string tenant)
    {
        if (_tenants.ContainsKey(tenant))
            _toLoad.Writer.TryWrite(tenant);
    }

    /// <summary>Reads everything again: something may have been missed.</summary>
    internal Task ReloadAsync(CancellationToken cancellationToken)
    {
        OnSourceChanged();
        return Task.CompletedTask;
    }

    private async Task FollowDatabaseAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await _database.OpenConnectionAsync(cancellationToken);
                var heard = new HashSet<string>(StringComparer.Ordinal);
                connection.Notification += (_, notification) => heard.Add(notification.Payload);
                await using (var command = new NpgsqlCommand($"listen {ToolStore.Channel}", connection))
                    await command.ExecuteNonQueryAsync(cancellationToken);
                // What was told while nobody listened is read again.
                heard.UnionWith(_tenants.Keys);
                while (true)
                {
                    foreach (var tenant in heard.ToList())
                        await LoadAsync(tenant, cancellationToken);
                    heard.Clear();
                    await connection.WaitAsync(cancellationToken);
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException or IOException)
            {
                LogLost(exception);
                await Task.Delay(Retry, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _loading.Dispose();

    internal const string ProductSource = "product";

    private ToolSource[] Sources()
    {
        lock (_changing)
            return [.. _sources];
    }

    private void OnSourceChanged()
    {
        foreach (var tenant in _tenants.Keys)
            _toLoad.Writer.TryWrite(tenant);
    }

    private async Task FollowSourcesAsync(CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var tenant in _toLoad.Reader.ReadAllAsync(cancellationToken))
            {
                try
                {
                    await LoadAsync(tenant, cancellationToken);
                }
                catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
                {
                    // The connection that listens is lost as well; all is read again once it is back.
                    LogLost(exception);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The process stops.
        }
    }

    private RegisteredTool Register(string tenant, ToolDefinition definition, string source, bool isTrusted, Snapshot snapshot)
    {
        var state = snapshot.States.GetValueOrDefault(definition.Name);
        return new RegisteredTool(definition, source, isTrusted, _hashes.GetValue(definition, d => d.Hash))
        {
            IsDisabled = state is { IsEnabled: false },
            ApprovedHash = isTrusted ? null : state?.ApprovedHash,
            ApprovedBy = isTrusted ? null : state?.ApprovedBy,
            ApprovedAt = isTrusted ? null : state?.ApprovedAt,
            Missing = Missing(tenant, definition, 0),
        };
    }

    [LoggerMessage(4401, LogLevel.Warning, "The stored definition of the tool {Tool} of tenant {Tenant} cannot be read: {Problems}")]
    private partial void LogUnreadable(string tool, string tenant, string problems);

    [LoggerMessage(4402, LogLevel.Warning, "Changes of tools are not heard of at present; it is tried again.")]
    private partial void LogLost(Exception exception);

    private sealed record Snapshot(IReadOnlyDictionary<string, (ToolDefinition Definition, string Source)> Stored, IReadOnlyDictionary<string, ToolStore.ToolState> States)
    {
        public static Snapshot Empty { get; } = new(new Dictionary<string, (ToolDefinition, string)>(), new Dictionary<string, ToolStore.ToolState>());
    }
}
