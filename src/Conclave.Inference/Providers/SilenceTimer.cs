namespace Conclave.Inference.Providers;

/// <summary>Cancels an exchange when the server says nothing for too long, or when the caller gives up.</summary>
internal sealed class SilenceTimer : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly CancellationTokenRegistration _caller;
    private readonly CancellationToken _callerToken;

    /// <param name="limit">Longest silence.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">The caller's.</param>
    public SilenceTimer(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        Limit = limit;
        _source = new CancellationTokenSource(System.Threading.Timeout.InfiniteTimeSpan, time);
        _callerToken = cancellationToken;
        _caller = cancellationToken.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), _source);
    }

    /// <summary>Longest silence.</summary>
    public TimeSpan Limit { get; }

    /// <summary>For everything that waits for the server.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>The caller's token.</summary>
    public CancellationToken CallerToken => _callerToken;

    /// <summary>Whether the silence was too long.</summary>
    public bool HasFired => _source.IsCancellationRequested && !_callerToken.IsCancellationRequested;

    /// <summary>Begins to count.</summary>
    public void Start() => _source.CancelAfter(Limit);

    /// <summary>Begins to count towards another limit.</summary>
    public void Start(TimeSpan limit) => _source.CancelAfter(limit);

    /// <summary>Stops counting: the server has said something.</summary>
    public void Stop() => _source.CancelAfter(System.Threading.Timeout.InfiniteTimeSpan);

    public void Dispose()
    {
        _caller.Dispose();
        _source.Dispose();
    }
}
