namespace Conclave.Inference.Providers;

/// <summary>Cancels an exchange when the server says nothing for too long, or when the caller gives up.</summary>
/// <remarks>Tokens come by the thousand, so that one of them costs no change of a timer: it looks by itself, when it is due, whether it is too late.</remarks>
internal sealed class SilenceTimer : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly CancellationTokenRegistration _caller;
    private readonly CancellationToken _callerToken;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private long _since;

    /// <param name="limit">Longest silence.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">The caller's.</param>
    public SilenceTimer(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        Limit = limit;
        _time = time;
        _callerToken = cancellationToken;
        _caller = cancellationToken.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), _source);
        _timer = time.CreateTimer(static self => ((SilenceTimer)self!).Look(), this, limit, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Longest silence.</summary>
    public TimeSpan Limit { get; private set; }

    /// <summary>For everything that waits for the server.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>The caller's token.</summary>
    public CancellationToken CallerToken => _callerToken;

    /// <summary>Whether the silence was too long.</summary>
    public bool HasFired => _source.IsCancellationRequested && !_callerToken.IsCancellationRequested;

    /// <summary>Begins to count.</summary>
    public void Start() => Volatile.Write(ref _since, _time.GetTimestamp());

    /// <summary>Begins to count towards another limit.</summary>
    public void Start(TimeSpan limit)
    {
        Limit = limit;
        Start();
        _timer.Change(limit, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Stops counting: the server has said something.</summary>
    public void Stop() => Volatile.Write(ref _since, 0);

    public void Dispose()
    {
        _timer.Dispose();
        _caller.Dispose();
        _source.Dispose();
    }

    private void Look()
    {
        var since = Volatile.Read(ref _since);
        var left = since == 0 ? Limit : Limit - _time.GetElapsedTime(since);
        try
        {
            if (left <= TimeSpan.Zero)
                _source.Cancel();
            else
                _timer.Change(left, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // The exchange was quicker.
        }
    }
}
