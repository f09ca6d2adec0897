using System.Collections.Concurrent;
using Npgsql;

namespace Conclave.Inference.Pool;

/// <content>Follows what other processes do.</content>
public sealed partial class ServerPool
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    // A notification that was lost costs no more than this.
    private static readonly TimeSpan Reread = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, Func<CancellationToken, Task>> _followed = new(StringComparer.Ordinal);

    /// <summary>Has something read again whenever a process says on <see cref="ServerStore.Channel"/> that it changed, and now and then.</summary>
    internal void Follow(string topic, Func<CancellationToken, Task> reload) => _followed[topic] = reload;

    /// <summary>Says that this process lives, and takes over how many others do.</summary>
    internal async Task BeatAsync(CancellationToken cancellationToken)
    {
        if (!await _nodes.BeatAsync(cancellationToken))
            return;
        LogNodes(_nodes.Living.Count);
        foreach (var server in Servers)
            server.SetSlots(SlotShare.Of(server.Server.Id, server.Server.Slots, _nodes.Id, _nodes.Living));
    }

    private async Task BeatAlwaysAsync()
    {
        using var timer = new PeriodicTimer(_options.Heartbeat, _time);
        var lastRead = _time.GetUtcNow();
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                await TryAsync("its heartbeat", BeatAsync);
                if (_time.GetUtcNow() - lastRead < Reread)
                    continue;
                lastRead = _time.GetUtcNow();
                await TryAsync("reading servers", ReloadAsync);
                foreach (var (topic, reload) in _followed)
                    await TryAsync($"reading {topic}", reload);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The pool stops.
        }
    }

    private async Task FollowAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await _database.OpenConnectionAsync(_stop.Token);
                var heard = new HashSet<string>(StringComparer.Ordinal);
                connection.Notification += (_, notification) => heard.Add(notification.Payload);
                await using (var command = new NpgsqlCommand($"listen {ServerStore.Channel}", connection))
                    await command.ExecuteNonQueryAsync(_stop.Token);
                // What was told while nobody listened is read again.
                heard.UnionWith([ServerStore.ServersChanged, NodeList.NodesChanged, .. _followed.Keys]);
                while (true)
                {
                    await HearAsync([.. heard]);
                    heard.Clear();
                    await connection.WaitAsync(_stop.Token);
                }
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException or IOException)
            {
                LogFailed("listening for changes", exception);
                await Task.Delay(Retry, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task HearAsync(IReadOnlyCollection<string> payloads)
    {
        if (payloads.Contains(NodeList.NodesChanged))
            await BeatAsync(_stop.Token);
        if (payloads.Contains(ServerStore.ServersChanged))
            await ReloadAsync(_stop.Token);
        foreach (var payload in payloads)
        {
            if (_followed.TryGetValue(payload, out var reload))
                await reload(_stop.Token);
        }
    }

    private async Task TryAsync(string step, Func<CancellationToken, Task> action)
    {
        try
        {
            await action(_stop.Token);
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException or IOException)
        {
            LogFailed(step, exception);
        }
    }

    [Microsoft.Extensions.Logging.LoggerMessage(4014, Microsoft.Extensions.Logging.LogLevel.Information, "{Nodes} processes share the model servers now.")]
    private partial void LogNodes(int nodes);
}
