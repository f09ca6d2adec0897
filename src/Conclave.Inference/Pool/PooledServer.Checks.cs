using System.Threading.Channels;

namespace Conclave.Inference.Pool;

/// <content>Health checks.</content>
public sealed partial class PooledServer
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(200);

    private readonly Channel<bool> _ask = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _stop = new();
    private Task _checking = Task.CompletedTask;

    /// <summary>Whether it has been asked once.</summary>
    internal TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal void StartChecks() => _checking = Task.Run(CheckAlwaysAsync);

    private async Task StopChecksAsync()
    {
        await _stop.CancelAsync();
        await _checking;
        _stop.Dispose();
    }

    /// <summary>Has the server checked without waiting for its turn.</summary>
    internal void AskSoon() => _ask.Writer.TryWrite(true);

    private async Task CheckAlwaysAsync()
    {
        try
        {
            while (true)
            {
                if (Server.Mode != ServerMode.Maintenance)
                    await CheckAsync(_stop.Token);
                Asked.TrySetResult();
                await WaitAsync();
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The pool stops, or the server was taken out of it.
        }
        finally
        {
            Asked.TrySetResult();
        }
    }

    private async Task WaitAsync()
    {
        // Processes that started together must not ask together for ever.
        var interval = _options.HealthInterval * (0.8 + (Random.Shared.NextDouble() * 0.4));
        if (!_connection.Breaker.IsClosed)
        {
            var untilTrial = _connection.Breaker.OpenUntil - _time.GetUtcNow();
            interval = untilTrial > TimeSpan.Zero && untilTrial < interval ? untilTrial : interval;
        }

        using var timeout = new CancellationTokenSource(interval, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _stop.Token);
        try
        {
            await _ask.Reader.ReadAsync(either.Token);
            // Many calls that fail at once ask once.
            await Task.Delay(Soon, _time, _stop.Token);
            _ask.Reader.TryRead(out _);
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            // Its turn.
        }
    }
}
