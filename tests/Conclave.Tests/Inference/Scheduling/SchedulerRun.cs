using Conclave.Inference.Scheduling;

namespace Conclave.Tests.Inference.Scheduling;

/// <summary>Drives a scheduler by events on a clock of its own: calls arrive, work for a time, yield when asked, and end.</summary>
internal sealed class SchedulerRun(SchedulerOptions options) : IDisposable
{
    private readonly PriorityQueue<Action, (DateTimeOffset At, long Number)> _events = new();
    private long _number;

    public SchedulerClock Clock { get; } = new();

    public SlotScheduler Scheduler => field ??= new SlotScheduler(options, Clock);

    public List<RunCall> Calls { get; } = [];

    public List<RunCall> Running { get; } = [];

    /// <summary>Called after each event, when everything has come to rest.</summary>
    public Action? AfterEach { get; set; }

    public DateTimeOffset Now => Clock.GetUtcNow();

    public void Dispose() => Scheduler.Dispose();

    /// <summary>Does something at a time from now.</summary>
    public void In(TimeSpan after, Action action) => _events.Enqueue(action, (Now + after, ++_number));

    /// <summary>A call arrives now.</summary>
    /// <param name="request">The call.</param>
    /// <param name="work">Time that it needs on a server.</param>
    /// <param name="actual">What it really takes of its flow's share; null for what is expected.</param>
    public RunCall Arrive(SlotRequest request, TimeSpan work, double? actual = null)
    {
        var call = new RunCall(request, work) { Arrived = Now, Actual = actual };
        Calls.Add(call);
        Queue(call, request);
        return call;
    }

    /// <summary>Lets events happen until there are none.</summary>
    public void ToEnd()
    {
        Settle();
        while (_events.TryPeek(out _, out var when))
        {
            if (Clock.NextTimer <= when.At)
            {
                Clock.AdvanceTo(Clock.NextTimer);
            }
            else
            {
                Clock.AdvanceTo(when.At);
                _events.Dequeue()();
            }

            Settle();
        }
    }

    private void Queue(RunCall call, SlotRequest request)
    {
        call.QueuedAt = Now;
        call.Waiting = Scheduler.AcquireAsync(request, null, call.Cancellation.Token);
        call.IsQueued = true;
    }

    // Takes in what the scheduler has decided: completions of its tasks are seen without waiting.
    private void Settle()
    {
        bool changed;
        do
        {
            changed = false;
            foreach (var call in Calls.Where(c => c.IsQueued && c.Waiting.IsCompleted).ToList())
            {
                changed = true;
                call.IsQueued = false;
                if (!call.Waiting.IsCompletedSuccessfully)
                {
                    call.Failure = call.Waiting.Exception?.InnerException ?? new OperationCanceledException();
                    continue;
                }

                var grant = call.Waiting.Result;
                call.Grant = grant;
                call.LongestWait = Max(call.LongestWait, Now - call.QueuedAt);
                call.FirstStarted ??= Now;
                Running.Add(call);
                In(call.Left, () => End(call, grant));
            }

            foreach (var call in Running.Where(c => c.Grant!.YieldRequested).ToList())
            {
                changed = true;
                var grant = call.Grant!;
                call.Left -= Now - grant.StartedAt;
                call.Yields++;
                Running.Remove(call);
                call.Grant = null;
                grant.Dispose();
                Queue(call, grant.ToResume(Math.Max(1, call.Left.TotalSeconds)));
            }
        }
        while (changed);
        AfterEach?.Invoke();
    }

    private void End(RunCall call, SlotGrant grant)
    {
        if (call.Grant != grant) return;
        call.Ended = Now;
        call.Grant = null;
        Running.Remove(call);
        if (call.Actual is { } actual) grant.Settle(actual);
        grant.Dispose();
    }

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}

/// <summary>A call of a run.</summary>
internal sealed class RunCall(SlotRequest request, TimeSpan work)
{
    public SlotRequest Request { get; } = request;

    public TimeSpan Left { get; set; } = work;

    public DateTimeOffset Arrived { get; init; }

    public DateTimeOffset QueuedAt { get; set; }

    public DateTimeOffset? FirstStarted { get; set; }

    public DateTimeOffset? Ended { get; set; }

    public TimeSpan LongestWait { get; set; }

    public int Yields { get; set; }

    /// <summary>What it really takes; null for what was expected.</summary>
    public double? Actual { get; init; }

    public bool IsQueued { get; set; }

    public SlotGrant? Grant { get; set; }

    public Task<SlotGrant> Waiting { get; set; } = null!;

    public Exception? Failure { get; set; }

    public CancellationTokenSource Cancellation { get; } = new();
}
