namespace Conclave.Benchmarks.Inference.Simulation;

/// <summary>The simulation's time: whoever waits for a moment is called when it is there.</summary>
internal sealed class SimulationClock : TimeProvider
{
    private readonly PriorityQueue<Action, (DateTimeOffset At, long Number)> _events = new();
    private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private long _number;

    public override DateTimeOffset GetUtcNow() => _now;

    public void At(DateTimeOffset time, Action action) => _events.Enqueue(action, (time, _number++));

    /// <summary>Lets the next thing happen, unless it is after a time.</summary>
    public bool Step(DateTimeOffset until)
    {
        if (!_events.TryPeek(out var action, out var when) || when.At > until) return false;
        _events.Dequeue();
        if (when.At > _now) _now = when.At;
        action();
        return true;
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimulatedTimer(this, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class SimulatedTimer(SimulationClock clock, Action callback) : ITimer
    {
        private int _setting;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            var setting = ++_setting;
            if (dueTime != Timeout.InfiniteTimeSpan)
                clock.At(clock._now + dueTime, () => { if (setting == _setting) callback(); });
            return true;
        }

        public void Dispose() => _setting++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
