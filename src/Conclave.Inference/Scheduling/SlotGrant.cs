namespace Conclave.Inference.Scheduling;

/// <summary>A slot that a call has until it is disposed.</summary>
public sealed class SlotGrant : IDisposable, ITimed
{
    private readonly SlotScheduler _scheduler;
    private readonly CancellationTokenSource _yield = new();
    private long _tokens;

    internal SlotGrant(SlotScheduler scheduler, SlotRequest request, ServerSlots server, FairQueue queue, FlowShare share, DateTimeOffset queuedAt, DateTimeOffset startedAt)
    {
        _scheduler = scheduler;
        Request = request;
        Server = server;
        Queue = queue;
        Share = share;
        QueuedAt = queuedAt;
        StartedAt = startedAt;
    }

    /// <summary>The server whose slot it is.</summary>
    public string ServerId => Server.Id;

    /// <summary>When this slice was queued.</summary>
    public DateTimeOffset QueuedAt { get; }

    /// <summary>When it got the slot.</summary>
    public DateTimeOffset StartedAt { get; }

    /// <summary>Cancelled when the call should yield: store what there is, dispose, and queue again with <see cref="ToResume"/>. Never for calls that cannot.</summary>
    public CancellationToken Yield => _yield.Token;

    /// <summary>Whether the call should yield; cheap enough to be asked for each token.</summary>
    public bool YieldRequested => _yield.IsCancellationRequested;

    /// <summary>Tokens reported so far.</summary>
    public long Tokens => Volatile.Read(ref _tokens);

    internal SlotRequest Request { get; }

    internal ServerSlots Server { get; }

    internal FairQueue Queue { get; }

    internal FlowShare Share { get; }

    /// <summary>When its quantum in time ends.</summary>
    DateTimeOffset ITimed.Due => QuantumEndsAt;

    int IHeapItem<ITimed>.HeapIndex { get; set; } = -1;

    internal DateTimeOffset QuantumEndsAt { get; set; } = DateTimeOffset.MaxValue;

    /// <summary>Place in its server's list of running calls.</summary>
    internal int RunningIndex { get; set; }

    /// <summary>Whether it has used its quantum.</summary>
    internal bool IsSpent { get; set; }

    /// <summary>Whether it was asked to yield; set before the token is cancelled.</summary>
    internal bool IsAsked { get; set; }

    /// <summary>The waiting call for which it was asked to yield.</summary>
    internal Waiter? AskedFor { get; set; }

    /// <summary>What the call really took, read and written; null while that is not known.</summary>
    internal double? Actual { get; private set; }

    internal bool IsDisposed { get; set; }

    /// <summary>Tells that tokens came; at the end of a quantum the call may be asked to yield.</summary>
    /// <param name="count">Tokens since the last report.</param>
    public void ReportTokens(int count)
    {
        var tokens = Interlocked.Add(ref _tokens, count);
        if (Request.IsPreemptible && !IsSpent && tokens >= _scheduler.QuantumTokens) _scheduler.Spend(this);
    }

    /// <summary>Tells what the call really took, read and written, so that its flow is charged for that instead of <see cref="SlotRequest.Cost"/>. Before disposing.</summary>
    /// <param name="tokens">Tokens of this slice; those that came from the server's cache may be left out.</param>
    public void Settle(double tokens) => Actual = Math.Max(0, tokens);

    /// <summary>The request with which a call that yielded queues again: it keeps its age.</summary>
    /// <param name="cost">Tokens that it will probably still take.</param>
    public SlotRequest ToResume(double cost) => Request with
    {
        Cost = cost,
        FirstQueuedAt = Request.FirstQueuedAt ?? QueuedAt,
        WaitedBefore = (Request.WaitedBefore ?? TimeSpan.Zero) + (StartedAt - QueuedAt),
    };

    /// <summary>Gives the slot back; whoever is next has it when this returns.</summary>
    public void Dispose() => _scheduler.Release(this);

    bool IHeapItem<ITimed>.IsBefore(ITimed other) => QuantumEndsAt < other.Due;

    internal void AskToYield() => _yield.Cancel();
}
