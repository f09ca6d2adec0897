namespace Conclave.Tests.Inference.Scheduling;

/// <summary>A clock that stands still until it is advanced; its timers fire in order, each at its own time.</summary>
internal sealed class SchedulerClock : TimeProvider
{
    private readonly List<ManualTimer> _timers = [];
    private DateTimeOffset _now = new(2026, 11, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>When the next timer fires.</summary>
    public DateTimeOffset NextTimer => _timers.Select(t => t.Due).DefaultIfEmpty(DateTimeOffset.MaxValue).Min();

    public override DateTimeOffset GetUtcNow() => _now;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, () => callback(state));
        _timers.Add(timer);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Lets time go by, with everything that becomes due in it.</summary>
    public void Advance(TimeSpan by) => AdvanceTo(_now + by);

    /// <summary>Lets time go by until a moment.</summary>
    public void AdvanceTo(DateTimeOffset end)
    {
        while (_timers.Where(t => t.Due <= end).MinBy(t => t.Due) is { } next)
        {
            if (next.Due > _now) _now = next.Due;
            next.Fire();
        }

        _now = end;
    }

    private sealed class ManualTimer(SchedulerClock clock, Action callback) : ITimer
    {
        public DateTimeOffset Due { get; private set; } = DateTimeOffset.MaxValue;

        public void Fire()
        {
            Due = DateTimeOffset.MaxValue;
            callback();
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            Due = dueTime == Timeout.InfiniteTimeSpan ? DateTimeOffset.MaxValue : clock._now + dueTime;
            return true;
        }

        public void Dispose() => clock._timers.Remove(this);

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
