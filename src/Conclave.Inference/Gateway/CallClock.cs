using System.Diagnostics;

namespace Conclave.Inference.Gateway;

/// <summary>Tells the gateway's own time from that of queues and servers.</summary>
internal sealed class CallClock(TimeProvider time)
{
    private readonly long _began = time.GetTimestamp();
    private long _busySince = time.GetTimestamp();
    private long _busy;

    /// <summary>Since the call came.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(_began);

    /// <summary>Neither in a queue nor at a server.</summary>
    public TimeSpan Busy => TimeSpan.FromSeconds((double)(_busy + (_busySince < 0 ? 0 : time.GetTimestamp() - _busySince)) / time.TimestampFrequency);

    /// <summary>The call waits.</summary>
    public void Queued() => Pause();

    /// <summary>It has its slot.</summary>
    public void Dequeued() => _busySince = time.GetTimestamp();

    /// <summary>It is at a server.</summary>
    public void Sent() => Pause();

    /// <summary>It is back.</summary>
    public void Returned() => _busySince = time.GetTimestamp();

    private void Pause()
    {
        Debug.Assert(_busySince >= 0, "It was not busy.");
        _busy += time.GetTimestamp() - _busySince;
        _busySince = -1;
    }
}

/// <summary>Ends a call when its time is over, or when its caller does.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly CancellationTokenSource _stop;
    private readonly ITimer _timer;

    public Deadline(DateTimeOffset at, TimeProvider time, CancellationToken cancellationToken)
    {
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var left = at - time.GetUtcNow();
        // Timers take at most some 49 days.
        _timer = time.CreateTimer(static self => ((Deadline)self!).Pass(), this, left < TimeSpan.Zero ? TimeSpan.Zero : left > Longest ? Longest : left, Timeout.InfiniteTimeSpan);
    }

    private static readonly TimeSpan Longest = TimeSpan.FromDays(30);

    /// <summary>Cancelled in both cases.</summary>
    public CancellationToken Token => _stop.Token;

    /// <summary>Whether it was the time.</summary>
    public bool HasPassed { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer.Dispose();
        _stop.Dispose();
    }

    private void Pass()
    {
        HasPassed = true;
        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The call was quicker.
        }
    }
}
