using System.Collections.Concurrent;
using System.Threading.Channels;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Workflows.Runtime.Watching;

/// <summary>Tells those who look at an instance that it changed, whichever process ran it.</summary>
/// <remarks>
/// Those of the process that stores an instance hear of it at once. Whoever looks at an instance says so to all other processes, by a row and a <c>NOTIFY</c>, and again every 20 seconds.
/// Processes tell others of commits of such instances alone, each at most ten times a second, on a connection of their own and after the commit: nobody who commits waits for
/// it. A notification that is lost is made up for within two seconds by a look at the rows.
/// </remarks>
public sealed partial class InstanceWatch(NpgsqlDataSource database, TimeProvider time, ILogger<InstanceWatch> logger) : IAsyncDisposable
{
    private const string WatchChannel = "conclave_watch";
    private const string ChangeChannel = "conclave_instance";

    /// <summary>Begins to hear of instances.</summary>
    internal const string ListenSql = $"listen {WatchChannel}; listen {ChangeChannel}";

    private const int MostAtOnce = 1_000;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan RenewInterval = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Interest = TimeSpan.FromSeconds(60);

    private readonly string _node = Guid.NewGuid().ToString("N");
    private readonly ConcurrentDictionary<InstanceKey, long> _watched = [];
    private readonly ConcurrentDictionary<InstanceKey, Look> _mine = [];
    private readonly Channel<InstanceKey> _changes = Channel.CreateUnbounded<InstanceKey>();
    private readonly CancellationTokenSource _stop = new();
    private GroupedWork<InstanceKey, bool>? _announcing;
    private Task? _telling;
    private Task? _checking;

    /// <summary>Called when an instance that somebody looks at through this process changed and the change can be read: tenant and id.</summary>
    public event Action<string, string>? Changed;

    /// <summary>Looks at an instance from now on.</summary>
    public async Task WatchAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        var key = new InstanceKey(tenant, id);
        lock (_mine)
            _mine.GetOrAdd(key, _ => new Look()).Count++;
        if (_checking is null)
            _ = LazyInitializer.EnsureInitialized(ref _checking, () => Task.Run(CheckAsync));
        cancellationToken.ThrowIfCancellationRequested();
        // What changes from here on is told; a process that has not heard of the announcement yet may miss something, which the next look finds.
        await LazyInitializer.EnsureInitialized(ref _announcing, () => new GroupedWork<InstanceKey, bool>(1, MostAtOnce, async keys =>
        {
            await AnnounceAsync(keys, _stop.Token);
            await LookAsync(keys, tells: false, _stop.Token);
            return new bool[keys.Count];
        })).RunAsync(key);
    }

    /// <summary>Looks away; called as often as <see cref="WatchAsync"/>.</summary>
    public void Unwatch(string tenant, string id)
    {
        var key = new InstanceKey(tenant, id);
        lock (_mine)
        {
            if (_mine.TryGetValue(key, out var look) && --look.Count == 0)
                _mine.TryRemove(key, out _);
        }
    }

    /// <summary>An instance was stored by this process.</summary>
    internal void Stored(string tenant, string id)
    {
        var key = new InstanceKey(tenant, id);
        Tell(key);
        if (!_watched.TryGetValue(key, out var until))
            return;
        if (time.GetTimestamp() > until)
        {
            _watched.TryRemove(KeyValuePair.Create(key, until));
            return;
        }

        _changes.Writer.TryWrite(key);
        if (_telling is null)
            LazyInitializer.EnsureInitialized(ref _telling, () => Task.Run(TellAsync));
    }

    /// <summary>Takes a notification in.</summary>
    /// <returns>Whether it was one for here.</returns>
    internal bool Hear(string channel, string payload)
    {
        if (channel is not (WatchChannel or ChangeChannel))
            return false;
        // Who wants to hear of it says which process it is.
        var (node, name) = channel == WatchChannel && payload.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash ? (payload[..slash], payload[(slash + 1)..]) : ("", payload);
        if (InstanceKey.Read(name) is not { } key)
            return true;
        if (channel == ChangeChannel)
            Tell(key);
        else if (node != _node)
            Remember(key, Interest);
        return true;
    }

    private void Tell(InstanceKey key)
    {
        if (!_mine.TryGetValue(key, out var look))
            return;
        look.WasTold = true;
        Changed?.Invoke(key.Tenant, key.Id);
    }

    /// <summary>Reads what anybody looks at; what was told while nobody listened is in there.</summary>
    internal async Task LoadAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "select tenant, instance_id, until - now() from conclave.watched_instance where until > now()");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            Remember(new InstanceKey(reader.GetString(0), reader.GetString(1)), reader.GetFieldValue<TimeSpan>(2));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_telling ?? Task.CompletedTask, _checking ?? Task.CompletedTask);
        _stop.Dispose();
    }

    private void Remember(InstanceKey key, TimeSpan interest)
    {
        _watched[key] = time.GetTimestamp() + (long)(interest.TotalSeconds * time.TimestampFrequency);
        if (_watched.Count % 1_000 != 0)
            return;
        foreach (var old in _watched.Where(w => w.Value < time.GetTimestamp()))
            _watched.TryRemove(old);
    }

    private async Task AnnounceAsync(IReadOnlyList<InstanceKey> keys, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with watched as (
                insert into conclave.watched_instance (tenant, instance_id, until)
                select distinct w.tenant, w.instance_id, now() + $3 from unnest($1, $2) as w(tenant, instance_id)
                    on conflict (tenant, instance_id) do update set until = excluded.until
                returning tenant, instance_id)
            select pg_notify('{WatchChannel}', $4 || '/' || tenant || ':' || instance_id) from watched
            """);
        command.Parameters.AddArray(keys, k => k.Tenant);
        command.Parameters.AddArray(keys, k => k.Id);
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = Interest });
        command.Parameters.AddValue(_node);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Tells other processes of changes, those of one moment together.</summary>
    private async Task TellAsync()
    {
        var keys = new HashSet<InstanceKey>();
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await _changes.Reader.WaitToReadAsync(_stop.Token);
                keys.Clear();
                while (_changes.Reader.TryRead(out var key))
                    keys.Add(key);
                await using var command = database.CreateCommand($"select pg_notify('{ChangeChannel}', c.key) from unnest($1) as c(key)");
                command.Parameters.AddArray([.. keys], k => k.ToString());
                await command.ExecuteNonQueryAsync(_stop.Token);
                await Task.Delay(Pause, time, _stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
            {
                LogFailed(exception);
                await Task.Delay(CheckInterval, time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Looks for changes that nobody told of, and says now and then that somebody still looks.</summary>
    private async Task CheckAsync()
    {
        var announced = time.GetTimestamp();
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(CheckInterval, time, _stop.Token);
                InstanceKey[] keys = [.. _mine.Keys];
                if (keys.Length == 0)
                    continue;
                if (time.GetElapsedTime(announced) > RenewInterval)
                {
                    await AnnounceAsync(keys, _stop.Token);
                    await ForgetAsync(_stop.Token);
                    announced = time.GetTimestamp();
                }

                await LookAsync(keys, tells: true, _stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
            {
                LogFailed(exception);
            }
        }
    }

    private async Task ForgetAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("delete from conclave.watched_instance where until < now() - interval '1 minute'");
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Looks for changes that nobody told of.</summary>
    private async Task LookAsync(IReadOnlyList<InstanceKey> keys, bool tells, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select i.tenant, i.id, i.updated_at from unnest($1, $2) as w(tenant, id)
              join conclave.workflow_instance i on i.tenant = w.tenant and i.id = w.id
            """);
        command.Parameters.AddArray(keys, k => k.Tenant);
        command.Parameters.AddArray(keys, k => k.Id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var key = new InstanceKey(reader.GetString(0), reader.GetString(1));
            if (!_mine.TryGetValue(key, out var look))
                continue;
            var updatedAt = reader.GetFieldValue<DateTimeOffset>(2);
            var isMissed = tells && look.UpdatedAt != updatedAt && !look.WasTold;
            look.UpdatedAt = updatedAt;
            look.WasTold = false;
            if (isMissed)
                Changed?.Invoke(key.Tenant, key.Id);
        }
    }

    [LoggerMessage(2701, LogLevel.Warning, "Those who look at instances could not be told of changes; they see them at the next look.")]
    private partial void LogFailed(Exception exception);

    /// <summary>That somebody of this process looks at an instance, and what was seen last.</summary>
    private sealed class Look
    {
        public int Count { get; set; }

        public DateTimeOffset UpdatedAt { get; set; }

        public bool WasTold { get; set; }
    }

    private readonly record struct InstanceKey(string Tenant, string Id)
    {
        public static InstanceKey? Read(string text) =>
            text.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon ? new InstanceKey(text[..colon], text[(colon + 1)..]) : null;

        public override string ToString() => $"{Tenant}:{Id}";
    }
}
