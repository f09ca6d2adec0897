using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Agents.Approvals;

/// <summary>Tells those who look at approvals that something happened to one, whichever process did it.</summary>
/// <remarks>Listens for notifications of PostgreSQL on a connection of its own, from the first one on who looks.</remarks>
public sealed partial class ApprovalWatch(NpgsqlDataSource database, TimeProvider time, ILogger<ApprovalWatch> logger) : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<Looker, byte> _lookers = [];
    private readonly CancellationTokenSource _stop = new();
    private Task? _listening;

    /// <summary>Looks at the approvals of a tenant until it is disposed.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="changed">Called with the id of an approval that something happened to; with null when something may have been missed. Must not wait.</param>
    public IDisposable Look(string tenant, Action<string?> changed)
    {
        var looker = new Looker(this, tenant, changed);
        _lookers[looker] = 0;
        if (_listening is null)
            LazyInitializer.EnsureInitialized(ref _listening, () => Task.Run(ListenAsync));
        return looker;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await (_listening ?? Task.CompletedTask);
        _stop.Dispose();
    }

    private async Task ListenAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await database.OpenConnectionAsync(_stop.Token);
                connection.Notification += (_, e) => Hear(e.Payload);
                await using (var command = new NpgsqlCommand("listen conclave_approval", connection))
                    await command.ExecuteNonQueryAsync(_stop.Token);
                // What was told while nobody listened.
                foreach (var looker in _lookers.Keys)
                    looker.Changed(null);
                while (true)
                    await connection.WaitAsync(_stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException or IOException)
            {
                LogFailed(exception);
                await Task.Delay(Pause, time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private void Hear(string payload)
    {
        if (payload.IndexOf(':', StringComparison.Ordinal) is not (> 0 and var colon))
            return;
        foreach (var looker in _lookers.Keys)
        {
            if (payload.AsSpan(0, colon).SequenceEqual(looker.Tenant))
                looker.Changed(payload[(colon + 1)..]);
        }
    }

    [LoggerMessage(4601, LogLevel.Warning, "Those who look at approvals cannot be told of changes; it is tried again.")]
    private partial void LogFailed(Exception exception);

    private sealed class Looker(ApprovalWatch watch, string tenant, Action<string?> changed) : IDisposable
    {
        public string Tenant => tenant;

        public Action<string?> Changed => changed;

        public void Dispose() => watch._lookers.TryRemove(this, out _);
    }
}
