using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Conclave.Inference.Providers;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Pool;

/// <summary>Fetches models to servers. A pull goes on when whoever asked for it goes away; any process can be asked how far it is.</summary>
public sealed partial class ModelPulls : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentDictionary<string, Task> _running = new(StringComparer.Ordinal);
    private readonly PullStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();

    /// <summary>Pulls to the servers of a pool.</summary>
    public ModelPulls(NpgsqlDataSource database, ServerPool pool, TimeProvider time, ILogger<ModelPulls> logger)
    {
        (_time, _logger) = (time, logger);
        _store = new PullStore(database, pool.NodeId, pool.LongestSilence, time);
    }

    /// <summary>Begins to pull a model, or finds the pull of it that runs already.</summary>
    /// <exception cref="PoolException">The server cannot be asked to.</exception>
    public async Task<ModelPull> StartAsync(PooledServer server, string model, string actor, CancellationToken cancellationToken)
    {
        if (server.Manager is null)
            throw new PoolException("inference.not_managed", $"The server '{server.Server.Name}' ({server.Server.Provider}) has no way to pull, delete, load or unload models. Do it on the server itself.");
        var pull = new ModelPull
        {
            Id = Guid.CreateVersion7().ToString("N"),
            Server = server.Server.Name,
            Model = model,
            Status = "waiting",
            StartedAt = _time.GetUtcNow(),
            StartedBy = actor,
        };
        if (!await _store.AddAsync(pull, server.Server.Id, cancellationToken))
        {
            return await _store.FindRunningAsync(server.Server.Id, model, cancellationToken)
                ?? throw new PoolException("inference.pull_ended", $"A pull of '{model}' to '{server.Server.Name}' has just ended. See how, and ask again.");
        }

        _running[pull.Id] = Task.Run(() => PullAsync(pull, server), CancellationToken.None);
        return pull;
    }

    /// <summary>A pull; null when there is none of that id.</summary>
    public Task<ModelPull?> FindAsync(string id, CancellationToken cancellationToken) => _store.FindAsync(id, cancellationToken);

    /// <summary>The pulls of the last week, newest first; at most 200.</summary>
    public Task<List<ModelPull>> ListAsync(CancellationToken cancellationToken) => _store.ListAsync(cancellationToken);

    /// <summary>Ends a pull, whichever process does it.</summary>
    /// <returns>False when there is none of that id that runs.</returns>
    public Task<bool> CancelAsync(string id, CancellationToken cancellationToken) => _store.CancelAsync(id, cancellationToken);

    /// <summary>Tells how far a pull is whenever that changes, until it ends.</summary>
    public async IAsyncEnumerable<ModelPull> WatchAsync(string id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ModelPull? last = null;
        while (await _store.FindAsync(id, cancellationToken) is { } pull)
        {
            if (pull != last)
                yield return last = pull;
            if (pull.EndedAt is not null)
                yield break;
            // One that runs here is seen as soon as it ends.
            await Task.WhenAny(_running.GetValueOrDefault(id) ?? Task.Delay(Interval, _time, cancellationToken), Task.Delay(Interval, _time, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Stops what this process pulls.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running.Values);
        _stop.Dispose();
    }

    private async Task PullAsync(ModelPull pull, PooledServer server)
    {
        using var cancelled = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        var parts = new Dictionary<string, (long Total, long Completed)>(StringComparer.Ordinal);
        string? error = null;
#pragma warning disable CA2025 // It is awaited below, before the source is disposed.
        var watching = WatchCancelledAsync(pull.Id, cancelled);
#pragma warning restore CA2025
        try
        {
            var written = _time.GetTimestamp();
            await foreach (var progress in server.Manager!.PullAsync(pull.Model, cancelled.Token))
            {
                if (progress.Digest is { } digest)
                    parts[digest] = (progress.TotalBytes ?? 0, progress.CompletedBytes ?? 0);
                var isNews = progress.Status != pull.Status;
                pull = pull with
                {
                    Status = progress.Status,
                    TotalBytes = parts.Count == 0 ? null : parts.Values.Sum(p => p.Total),
                    CompletedBytes = parts.Count == 0 ? null : parts.Values.Sum(p => p.Completed),
                };
                // Servers tell far more often than anybody looks.
                if (!isNews && _time.GetElapsedTime(written) < Interval)
                    continue;
                written = _time.GetTimestamp();
                await TryWriteAsync(pull);
                cancelled.Token.ThrowIfCancellationRequested();
            }

            if (pull.Status != "success")
                error = $"The server stopped at '{pull.Status}'.";
        }
        catch (OperationCanceledException) when (cancelled.IsCancellationRequested)
        {
            error = _stop.IsCancellationRequested ? "The process that pulled it was stopped. Pull it again; what is there already is kept." : "Somebody cancelled it.";
        }
        catch (Exception exception)
        {
            error = exception.Message;
            LogFailed(pull.Model, pull.Server, exception);
        }

        await cancelled.CancelAsync();
        await watching;
        if (error is null)
            await server.CheckAsync(CancellationToken.None);
        await TryWriteAsync(pull with { Error = error, EndedAt = _time.GetUtcNow() });
        _running.TryRemove(pull.Id, out _);
    }

    /// <summary>Ends a pull that somebody cancelled, also when the server says nothing.</summary>
    private async Task WatchCancelledAsync(string id, CancellationTokenSource cancelled)
    {
        while (true)
        {
            await Task.Delay(Interval, _time, cancelled.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (cancelled.IsCancellationRequested)
                return;
            try
            {
                if (await _store.IsCancelledAsync(id, CancellationToken.None))
                    await cancelled.CancelAsync();
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
            {
                LogNotRead(exception);
            }
        }
    }

    /// <summary>Writes how far it is; without the database it goes on all the same.</summary>
    private async Task TryWriteAsync(ModelPull pull)
    {
        try
        {
            await _store.WriteAsync(pull, CancellationToken.None);
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
        {
            LogNotWritten(pull.Model, pull.Server, exception);
        }
    }

    [LoggerMessage(4018, LogLevel.Warning, "Whether somebody cancelled a pull could not be read.")]
    private partial void LogNotRead(Exception exception);

    [LoggerMessage(4016, LogLevel.Warning, "The pull of {Model} to {Server} failed.")]
    private partial void LogFailed(string model, string server, Exception exception);

    [LoggerMessage(4017, LogLevel.Warning, "How far the pull of {Model} to {Server} is could not be written.")]
    private partial void LogNotWritten(string model, string server, Exception exception);
}
