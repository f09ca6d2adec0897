using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Telemetry;
using Npgsql;

namespace Conclave.Server.Hosting;

/// <summary>Counts the queue now and then, so that a scrape of the metrics never waits for the database.</summary>
internal sealed partial class QueueDepthSampler : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(15);

    private readonly WorkQueue _queue;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private readonly CancellationTokenSource _stop = new();
    private int _isSampling;

    public QueueDepthSampler(WorkQueue queue, TimeProvider time, ILogger<QueueDepthSampler> logger)
    {
        _queue = queue;
        _logger = logger;
        _timer = time.CreateTimer(_ => Task.Run(SampleAsync), null, TimeSpan.Zero, Interval);
    }

    /// <summary>The last count; null before the first.</summary>
    public QueueDepth? Current { get; private set; }

    public void Dispose()
    {
        _stop.Cancel();
        _timer.Dispose();
    }

    private async Task SampleAsync()
    {
        if (Interlocked.Exchange(ref _isSampling, 1) == 1)
            return;
        try
        {
            var stats = await _queue.GetStatsAsync(null, _stop.Token);
            Current = new QueueDepth(stats.Due, stats.Claimed, stats.Delayed, stats.Dead, TimeSpan.FromSeconds(stats.OldestDueSeconds));
        }
        catch (Exception exception) when (exception is NpgsqlException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            if (!_stop.IsCancellationRequested)
                LogFailed(exception);
        }
        finally
        {
            Volatile.Write(ref _isSampling, 0);
        }
    }

    [LoggerMessage(3011, LogLevel.Debug, "The queue could not be counted.")]
    private partial void LogFailed(Exception exception);
}
