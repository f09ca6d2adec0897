using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Workflows.Runtime.Queue;

/// <summary>Wakes idle workers: those of this process directly, those of others by <c>NOTIFY</c>.</summary>
/// <remarks>
/// The notification is sent after the commit, on a connection of its own and never more than one at a time: inside, it would
/// make commits wait for each other. One that is lost costs the time until the next poll.
/// </remarks>
public sealed partial class WorkSignal(NpgsqlDataSource database, ILogger<WorkSignal> logger) : IAsyncDisposable
{
    /// <summary>Channel on which workers listen.</summary>
    public const string Channel = "conclave_work";

    // Work that comes within this time of a notification is found by the claim that it causes.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);

    private readonly Channel<bool> _local = NewFlag();
    private readonly Channel<bool> _outgoing = NewFlag();
    private readonly CancellationTokenSource _stop = new();
    private Task? _sending;

    /// <summary>Tells workers that there is work.</summary>
    public void Wake()
    {
        _local.Writer.TryWrite(true);
        _outgoing.Writer.TryWrite(true);
        if (_sending is null)
            LazyInitializer.EnsureInitialized(ref _sending, () => Task.Run(SendAsync));
    }

    /// <summary>Wakes the worker of this process alone.</summary>
    internal void WakeLocal() => _local.Writer.TryWrite(true);

    /// <summary>Waits until somebody wakes the worker of this process, or the time is over.</summary>
    internal async Task WaitAsync(TimeSpan longest, TimeProvider time, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await _local.Reader.WaitToReadAsync(either.Token);
            _local.Reader.TryRead(out _);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The time is over.
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_sending is not null)
            await _sending;
        _stop.Dispose();
    }

    private static Channel<bool> NewFlag() =>
        System.Threading.Channels.Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private async Task SendAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await _outgoing.Reader.ReadAsync(_stop.Token);
                await using var command = database.CreateCommand($"notify {Channel}");
                await command.ExecuteNonQueryAsync(_stop.Token);
                await Task.Delay(Pause, _stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or ObjectDisposedException or InvalidOperationException)
            {
                LogFailed(exception);
            }
        }
    }

    [LoggerMessage(2101, LogLevel.Warning, "Workers of other processes could not be notified; they find the work when they poll.")]
    private partial void LogFailed(Exception exception);
}
