using Polly;
using Polly.CircuitBreaker;

namespace Conclave.Inference.Pool;

/// <summary>Stops calls to what keeps failing; after a pause one call may try. Polly's, for calls that end elsewhere than they began.</summary>
internal sealed class CircuitBreaker
{
    private const int LongestPause = 12;
    private readonly ResiliencePipeline<bool> _pipeline;
    private readonly CircuitBreakerStateProvider _state = new();
    private readonly CircuitBreakerManualControl _control = new();
    private readonly TimeProvider _time;
    private long _openUntil;

    public CircuitBreaker(ServerPoolOptions options, TimeProvider time)
    {
        _time = time;
        _pipeline = new ResiliencePipelineBuilder<bool> { TimeProvider = time }
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions<bool>
            {
                MinimumThroughput = options.BreakerCalls,
                FailureRatio = options.BreakerFailures,
                SamplingDuration = options.BreakerWindow,
                StateProvider = _state,
                ManualControl = _control,
                // The result says whether the call worked; what is cancelled never has one.
                ShouldHandle = arguments => ValueTask.FromResult(!arguments.Outcome.Result),
                BreakDurationGenerator = arguments =>
                {
                    var pause = options.BreakerPause * Math.Min(LongestPause, Math.Pow(2, arguments.HalfOpenAttempts));
                    Interlocked.Exchange(ref _openUntil, (time.GetUtcNow() + pause).UtcTicks);
                    return ValueTask.FromResult(pause);
                },
            })
            .Build();
    }

    /// <summary>Whether calls pass freely.</summary>
    public bool IsClosed => _state.CircuitState == CircuitState.Closed;

    /// <summary>Whether a call may begin now: freely, or as the one that tries.</summary>
    public bool CanEnter => _state.CircuitState switch
    {
        CircuitState.Closed => true,
        CircuitState.Open => _time.GetUtcNow() >= OpenUntil,
        _ => false,
    };

    /// <summary>When a call may try, after the breaker opened.</summary>
    public DateTimeOffset OpenUntil => new(Interlocked.Read(ref _openUntil), TimeSpan.Zero);

    /// <summary>Its state for people: <c>closed</c>, <c>open</c>, <c>half-open</c>.</summary>
    public string State => _state.CircuitState switch
    {
        CircuitState.Closed => "closed",
        CircuitState.HalfOpen => "half-open",
        _ => CanEnter ? "half-open" : "open",
    };

    /// <summary>Begins a call; null when none may begin.</summary>
    public Entry? TryEnter()
    {
        var entry = new Entry();
        var context = ResilienceContextPool.Shared.Get();
        var outcome = _pipeline.ExecuteOutcomeAsync(
            static (_, begun) => begun.WaitAsync(), context, entry);
        if (outcome.IsCompleted)
        {
            // Refused: the pipeline ends at once only then.
            ResilienceContextPool.Shared.Return(context);
            return null;
        }

        entry.IsTrial = _state.CircuitState == CircuitState.HalfOpen;
        // Completed by End, on the thread that calls it.
        entry.Begin(outcome, context);
        return entry;
    }

    /// <summary>Lets calls pass again.</summary>
    public Task CloseAsync(CancellationToken cancellationToken) => _control.CloseAsync(cancellationToken);

    /// <summary>A call that passed.</summary>
    public sealed class Entry
    {
        private readonly TaskCompletionSource<Outcome<bool>> _end = new();
        private ValueTask<Outcome<bool>> _outcome;
        private ResilienceContext? _context;

        internal bool IsTrial { get; set; }

        internal async ValueTask<Outcome<bool>> WaitAsync() => await _end.Task;

        internal void Begin(ValueTask<Outcome<bool>> outcome, ResilienceContext context) => (_outcome, _context) = (outcome, context);

        /// <summary>Says how the call ended.</summary>
        /// <param name="worked">Whether it worked; null when that is not known, which for a trial is a failure and else nothing.</param>
        public void End(bool? worked)
        {
            if ((worked ?? (IsTrial ? false : null)) is not { } known || !_end.TrySetResult(Outcome.FromResult(known)))
                return;
            if (_outcome.IsCompleted && _context is { } context)
                ResilienceContextPool.Shared.Return(context);
        }
    }
}
