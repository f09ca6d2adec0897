using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Conclave.Inference.Providers;
using Conclave.Workflows.Runtime;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Pool;

/// <summary>The model servers. They are kept in the database and changed at run time, by any process; all follow.</summary>
/// <remarks>
/// Every process asks the servers itself how they are, for what one process can reach another may not. Processes share the slots of a server
/// in fixed parts, see <see cref="SlotShare"/>: for a moment after one came or went there may be more calls than slots, until those that run have ended.
/// </remarks>
public sealed partial class ServerPool : IAsyncDisposable
{
    // However many servers do not answer, the process starts.
    private static readonly TimeSpan LongestStart = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, PooledServer> _servers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IModelProvider> _providers;
    private readonly Dictionary<string, ConfiguredServer> _configured;
    private readonly ServerStore _store;
    private readonly NodeList _nodes;
    private readonly OllamaDiscovery _discovery;
    private readonly NpgsqlDataSource _database;
    private readonly SecretCipher? _cipher;
    private readonly ServerPoolOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly CancellationTokenSource _stop = new();
    private List<Task> _running = [];
    private int _disposed;

    /// <summary>Makes an empty pool; <see cref="StartAsync"/> fills it.</summary>
    /// <param name="database">The database.</param>
    /// <param name="providers">The kinds of servers.</param>
    /// <param name="cipher">What the servers' keys are encrypted with; without it no keys can be stored.</param>
    /// <param name="options">How it looks after servers.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Where it says what it sees.</param>
    public ServerPool(
        NpgsqlDataSource database, IEnumerable<IModelProvider> providers, SecretCipher? cipher, ServerPoolOptions options, TimeProvider time, ILogger<ServerPool> logger)
    {
        (_database, _cipher, _options, _time, _logger) = (database, cipher, options, time, logger);
        _providers = new(StringComparer.Ordinal);
        // Who plugs in a provider of a name that there is takes its place.
        foreach (var provider in providers)
            _providers[provider.Name] = provider;
        _configured = options.Servers.ToDictionary(s => s.Server.Name, StringComparer.OrdinalIgnoreCase);
        _store = new ServerStore(database, time);
        _nodes = new NodeList(database, options);
        _discovery = new OllamaDiscovery(this, options, time, logger);
    }

    /// <summary>The servers, by name.</summary>
    public IReadOnlyList<PooledServer> Servers { get; private set; } = [];

    /// <summary>Names of the kinds of servers that there are.</summary>
    public IReadOnlyCollection<string> Providers => _providers.Keys;

    internal IModelProvider? Provider(string name) => _providers.GetValueOrDefault(name);

    /// <summary>How long a process may say nothing before it counts as gone.</summary>
    internal TimeSpan LongestSilence => _nodes.LongestSilence;

    /// <summary>This process among those that share the servers.</summary>
    public string NodeId => _nodes.Id;

    /// <summary>The processes that share the servers.</summary>
    public IReadOnlyList<string> Nodes => _nodes.Living;

    /// <summary>
    /// A server came, went (<see cref="PooledServer.IsRemoved"/>), or something of <see cref="PooledServer.Slots"/>,
    /// <see cref="PooledServer.Accepts"/> and <see cref="PooledServer.Models"/> changed. Handlers are quick and do not throw.
    /// </summary>
    public event Action<PooledServer>? Changed;

    /// <summary>The server of an id; null when there is none.</summary>
    public PooledServer? Find(string id) => _servers.GetValueOrDefault(id);

    /// <summary>The server of a name; null when there is none.</summary>
    public PooledServer? FindByName(string name) => Servers.FirstOrDefault(s => s.Server.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>Brings the configuration's servers in, reads all, and follows what happens to them.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await ImportConfiguredAsync(cancellationToken);
        await _nodes.BeatAsync(cancellationToken);
        await ReloadAsync(cancellationToken);
        _running = [Task.Run(FollowAsync, CancellationToken.None), Task.Run(BeatAlwaysAsync, CancellationToken.None)];
        if (_options.DiscoverOllama)
        {
            await LookForOllamaAsync(cancellationToken);
            _running.Add(Task.Run(() => _discovery.LookAlwaysAsync(_stop.Token), CancellationToken.None));
        }

        var all = Task.WhenAll(Servers.Select(s => s.Asked.Task));
        await Task.WhenAny(all, Task.Delay(LongestStart, _time, cancellationToken));
    }

    /// <summary>Adds a server.</summary>
    /// <exception cref="PoolException">The server makes no sense, or its name is taken.</exception>
    public async Task<PooledServer> AddAsync(ModelServer server, string? apiKey, string actor, CancellationToken cancellationToken) =>
        await AddAsync(server, ServerSource.Operator, apiKey, actor, onlyFirst: false, cancellationToken)
        ?? throw new PoolException("inference.server_exists", $"There is a server named '{server.Name}' already. Choose another name, or change that one.");

    /// <summary>Changes a server.</summary>
    /// <param name="server">The server as it is to be; its id says which.</param>
    /// <param name="apiKey">Its new key; null to keep the one it has, empty for none.</param>
    /// <param name="expectedVersion">The version that was changed; null for whichever it is now.</param>
    /// <param name="actor">Who changes it.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="PoolException">It makes no sense, is gone, or somebody else has changed it meanwhile.</exception>
    public async Task<PooledServer> UpdateAsync(ModelServer server, string? apiKey, int? expectedVersion, string actor, CancellationToken cancellationToken)
    {
        Check(server);
        var known = (await _store.ListAsync(cancellationToken)).FirstOrDefault(s => s.Server.Id == server.Id) ?? throw Gone(server.Name);
        if (known.Source == ServerSource.Configuration)
            throw new PoolException("inference.server_configured", $"The server '{known.Server.Name}' comes from the configuration (Inference:Servers). Change it there and restart; only its mode can be changed here.");
        if (expectedVersion is { } expected && expected != known.Version)
            throw Conflict(known.Server.Name);
        if (apiKey is null && known.EncryptedKey is not null && (server.Address != known.Server.Address || server.Provider != known.Server.Provider))
            throw new PoolException("inference.key_needed", $"The server '{known.Server.Name}' has a key for {known.Server.Address}. Give 'apiKey' again with the new address, or an empty one for none.");
        var key = apiKey switch { null => known.EncryptedKey, "" => null, _ => Encrypt(server, apiKey) };
        try
        {
            var stored = await _store.UpdateAsync(server, ServerSource.Operator, key, known.Version, actor, cancellationToken) ?? throw Conflict(known.Server.Name);
            await ReloadAsync(cancellationToken);
            return Find(stored.Server.Id) ?? throw Gone(server.Name);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            throw new PoolException("inference.server_exists", $"There is another server named '{server.Name}' already.");
        }
    }

    /// <summary>Drains a server, puts it into maintenance, or has it take calls again.</summary>
    /// <exception cref="PoolException">It is gone.</exception>
    public async Task<PooledServer> SetModeAsync(string id, ServerMode mode, string actor, CancellationToken cancellationToken)
    {
        var stored = await _store.SetModeAsync(id, mode, actor, cancellationToken) ?? throw Gone(id);
        await ReloadAsync(cancellationToken);
        LogMode(stored.Server.Name, mode, actor);
        return Find(id) ?? throw Gone(id);
    }

    /// <summary>Takes a server out of the pool; its calls run to their end.</summary>
    /// <exception cref="PoolException">This process's configuration names it.</exception>
    public async Task<bool> DeleteAsync(string id, CancellationToken cancellationToken)
    {
        if (Find(id) is { Stored.Source: ServerSource.Configuration } server && _configured.ContainsKey(server.Server.Name))
            throw new PoolException("inference.server_configured", $"The server '{server.Server.Name}' comes from the configuration (Inference:Servers). Take it out there and restart, or put it into maintenance.");
        var isDeleted = await _store.DeleteAsync(id, cancellationToken);
        await ReloadAsync(cancellationToken);
        return isDeleted;
    }

    /// <summary>Reads servers from the database and takes over what changed.</summary>
    public async Task ReloadAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            var stored = await _store.ListAsync(cancellationToken);
            var gone = _servers.Keys.Except(stored.Select(s => s.Server.Id)).ToList();
            var added = stored.Select(Take).OfType<PooledServer>().ToList();
            Servers = [.. stored.Select(s => _servers.GetValueOrDefault(s.Server.Id)).OfType<PooledServer>()];
            // Whoever is told of one finds it among the servers.
            foreach (var server in added)
            {
                server.StartChecks();
                server.Reconsider();
            }

            foreach (var id in gone)
            {
                if (_servers.TryRemove(id, out var server))
                    await server.DisposeAsync();
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
        foreach (var server in _servers.Values)
            await server.DisposeAsync();
        try
        {
            await _nodes.LeaveAsync(CancellationToken.None);
        }
        catch (Exception exception) when (exception is NpgsqlException or ObjectDisposedException)
        {
            // The others notice by themselves, a little later.
            LogFailed("leaving", exception);
        }

        _stop.Dispose();
        _turn.Dispose();
    }

    /// <summary>Looks for an Ollama on this machine.</summary>
    /// <returns>Whether there is a real server now.</returns>
    internal Task<bool> LookForOllamaAsync(CancellationToken cancellationToken) => _discovery.LookAsync(cancellationToken);

    internal async Task<PooledServer?> AddAsync(
        ModelServer server, ServerSource source, string? apiKey, string actor, bool onlyFirst, CancellationToken cancellationToken)
    {
        Check(server);
        var key = apiKey is { Length: > 0 } ? Encrypt(server, apiKey) : null;
        if (await _store.AddAsync(server, source, key, actor, onlyFirst, cancellationToken) is not { } stored)
            return null;
        await ReloadAsync(cancellationToken);
        return Find(stored.Server.Id);
    }

    private void Check(ModelServer server)
    {
        if (ServerRules.Problem(server, _providers.Keys) is { } problem)
            throw new PoolException("inference.server_invalid", problem);
    }

    private async Task ImportConfiguredAsync(CancellationToken cancellationToken)
    {
        if (_configured.Count == 0)
            return;
        var known = (await _store.ListAsync(cancellationToken)).ToDictionary(s => s.Server.Name, StringComparer.OrdinalIgnoreCase);
        foreach (var (server, _) in _configured.Values)
        {
            Check(server);
            if (!known.TryGetValue(server.Name, out var stored))
            {
                await _store.AddAsync(server with { Id = Guid.CreateVersion7().ToString("N") }, ServerSource.Configuration, null, "configuration", onlyFirst: false, cancellationToken);
                continue;
            }

            var wanted = server with { Id = stored.Server.Id, Mode = stored.Server.Mode };
            // Another process that starts at the same time with the same configuration may have been quicker; its version is as good.
            if (stored.Source != ServerSource.Configuration || !ServerRules.AreEqual(stored.Server, wanted))
                await _store.UpdateAsync(wanted, ServerSource.Configuration, null, stored.Version, "configuration", cancellationToken);
        }
    }

    /// <summary>Takes over what changed of a server.</summary>
    /// <returns>The server if it is new, and has to be made known; else null.</returns>
    private PooledServer? Take(StoredServer stored)
    {
        var server = stored.Server;
        var slots = SlotShare.Of(server.Id, server.Slots, _nodes.Id, _nodes.Living);
        if (_servers.TryGetValue(server.Id, out var known))
        {
            if (known.Stored.Version == stored.Version)
                return null;
            var isOther = known.Server.Provider != server.Provider || known.Server.Address != server.Address || known.Server.Timeout != server.Timeout
                || !known.Stored.EncryptedKey.AsSpan().SequenceEqual(stored.EncryptedKey);
            known.Update(stored, isOther ? Connect(stored) : null);
            known.SetSlots(slots);
            Changed?.Invoke(known);
            return null;
        }

        return Connect(stored) is not { } client ? null
            : _servers[server.Id] = new PooledServer(stored, client, slots, _options, _time, _logger, s => Changed?.Invoke(s));
    }

    private IModelClient? Connect(StoredServer stored)
    {
        if (!_providers.TryGetValue(stored.Server.Provider, out var provider))
        {
            LogNoProvider(stored.Server.Name, stored.Server.Provider);
            return null;
        }

        string? key = null;
        try
        {
            key = stored.EncryptedKey is { } encrypted ? Decrypt(stored.Server, encrypted) : _configured.GetValueOrDefault(stored.Server.Name)?.ApiKey;
        }
        catch (CryptographicException exception)
        {
            // It is called without its key and says so; operators see it as not well.
            LogKeyLost(stored.Server.Name, exception);
        }

        return provider.Connect(stored.Server, key);
    }

    private byte[] Encrypt(ModelServer server, string apiKey) => _cipher?.Encrypt(Encoding.UTF8.GetBytes(apiKey), BoundTo(server))
        ?? throw new PoolException("inference.no_encryption", "The key cannot be stored: there is nothing to encrypt it with. Set Accounts:KeyEncryptionSecret, the same in all processes, or name the server and its key in the configuration (Inference:Servers).");

    private string Decrypt(ModelServer server, byte[] encrypted) => Encoding.UTF8.GetString(
        _cipher?.Decrypt(encrypted, BoundTo(server)) ?? throw new CryptographicException("Accounts:KeyEncryptionSecret is not set. Set it to what it was."));

    // Whoever can change the address in the database does not get the key sent there.
    private static byte[] BoundTo(ModelServer server) => Encoding.UTF8.GetBytes($"{server.Id} {server.Provider} {server.Address.OriginalString}");

    private static PoolException Gone(string name) => new("inference.server_not_found", $"There is no server '{name}'. It may have been deleted.");

    private static PoolException Conflict(string name) => new("inference.server_changed", $"The server '{name}' was changed by somebody else meanwhile. Read it again, and make the change there.");

    [LoggerMessage(4010, LogLevel.Information, "The model server {Server} is {Mode} now, by {Actor}.")]
    private partial void LogMode(string server, ServerMode mode, string actor);

    [LoggerMessage(4011, LogLevel.Error, "The model server {Server} is of the kind {Provider}, which this process does not have. It is left out.")]
    private partial void LogNoProvider(string server, string provider);

    [LoggerMessage(4012, LogLevel.Error, "The key of the model server {Server} cannot be decrypted. Set Accounts:KeyEncryptionSecret to what it was, or give the key again.")]
    private partial void LogKeyLost(string server, Exception exception);

    [LoggerMessage(4013, LogLevel.Warning, "The pool of model servers failed at {Step} and tries again.")]
    private partial void LogFailed(string step, Exception exception);
}
