namespace Conclave.Inference.Scheduling;

// Deadlines, age, quanta in time, batches: what becomes due.
public sealed partial class SlotScheduler
{
    private readonly IndexedHeap<ITimed> _due = new();
    private readonly Dictionary<string, Batch> _batches = [];
    private DateTimeOffset _armedFor = DateTimeOffset.MaxValue;

    // Says when a waiting call is due next.
    private void Retime(Waiter waiter, DateTimeOffset now)
    {
        if (_options.AgeAfter == TimeSpan.Zero || waiter.Class <= CallPriority.P1)
        {
            waiter.AgesAt = DateTimeOffset.MaxValue;
        }
        else if (waiter.AgesAt == DateTimeOffset.MaxValue && waiter.Node is { Previous: null })
        {
            waiter.AgesAt = now + _options.AgeAfter - waiter.Credit;
            waiter.Credit = TimeSpan.Zero;
        }

        if (waiter.Due < DateTimeOffset.MaxValue) _due.Set(waiter);
        else _due.Remove(waiter);
    }

    private void TimeQuantum(SlotGrant grant, DateTimeOffset now)
    {
        var quantum = _options is { Policy: SchedulingPolicy.RoundRobin, Preemption: true } && grant.Request.IsPreemptible && !grant.IsSpent ? _options.QuantumTime : null;
        grant.QuantumEndsAt = quantum is null ? DateTimeOffset.MaxValue : grant.StartedAt + quantum.Value;
        if (quantum is null) _due.Remove(grant);
        else if (grant.QuantumEndsAt <= now) SpendHere(grant);
        else _due.Set(grant);
    }

    private void Arm()
    {
        var due = _due.First?.Due ?? DateTimeOffset.MaxValue;
        if (_listeners > 0 && _placesDue < due) due = _placesDue;
        if (due >= _armedFor || _isDisposed) return;
        _armedFor = due;
        var wait = due - _time.GetUtcNow();
        // Timers count whole milliseconds, and no more than 49 days of them.
        _timer.Change(TimeSpan.FromMilliseconds(Math.Clamp(Math.Ceiling(wait.TotalMilliseconds), 0, 1_000_000_000)), Timeout.InfiniteTimeSpan);
    }

    private void OnTimer()
    {
        lock (_gate)
        {
            if (_isDisposed) return;
            _armedFor = DateTimeOffset.MaxValue;
            var now = _time.GetUtcNow();
            while (_due.First is { } first && first.Due <= now)
            {
                switch (first)
                {
                    case Waiter waiter:
                        OnDue(waiter, now);
                        break;
                    case SlotGrant grant:
                        _due.Remove(grant);
                        SpendHere(grant);
                        break;
                    case Batch batch:
                        Release(batch, now);
                        break;
                }
            }

            if (_listeners > 0 && _placesDue <= now) TellPlaces(now);
            Arm();
        }

        Tell();
    }

    private void OnDue(Waiter waiter, DateTimeOffset now)
    {
        if (waiter.Request.Deadline <= now)
        {
            Leave(waiter);
            Finish(waiter);
            waiter.Completion.TrySetException(DeadlinePassed(waiter.Request));
        }
        else if (waiter.HoldsOutUntil <= now)
        {
            TakeAny(waiter, now);
        }
        else
        {
            Leave(waiter);
            waiter.Class--;
            waiter.AgesAt = DateTimeOffset.MaxValue;
            Join(waiter, now);
        }
    }

    private void Hold(Waiter waiter, DateTimeOffset now)
    {
        var model = waiter.Request.Model!;
        if (!_batches.TryGetValue(model, out var batch))
        {
            batch = new Batch(model, now + _options.BatchWindow);
            _batches.Add(model, batch);
            _due.Set(batch);
        }

        batch.Calls.Add(waiter);
        if (waiter.Request.Deadline is not null) _due.Set(waiter);
    }

    private void ReleaseBatches(DateTimeOffset now)
    {
        foreach (var batch in _batches.Values.ToList()) Release(batch, now);
    }

    // All of them queue before one of them is started, so that they are served in the order of the policy.
    private void Release(Batch batch, DateTimeOffset now)
    {
        _due.Remove(batch);
        _batches.Remove(batch.Model);
        HashSet<ServerSlots> servers = [];
        foreach (var waiter in batch.Calls.Where(w => !w.IsDone))
        {
            Join(waiter, now);
            servers.UnionWith(waiter.Line!.Lane.Servers);
        }

        foreach (var server in servers) Fill(server);
    }
}
