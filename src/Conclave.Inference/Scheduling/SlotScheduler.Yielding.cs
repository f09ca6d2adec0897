namespace Conclave.Inference.Scheduling;

// Which running call is asked to make room, and for whom: one for each waiting call, so that no more yield than are needed.
public sealed partial class SlotScheduler
{
    internal void Spend(SlotGrant grant)
    {
        lock (_gate)
        {
            if (!grant.IsDisposed) SpendHere(grant);
        }

        Tell();
    }

    // A running call has used its quantum: it makes room for the next one that it may not keep out.
    private void SpendHere(SlotGrant grant)
    {
        if (grant.IsSpent || !grant.Request.IsPreemptible) return;
        grant.IsSpent = true;
        if (grant.IsAsked) return;
        var server = grant.Server;
        if (server.Next is { Victim: null } next && MayAsk(grant, next))
        {
            Ask(grant, next);
            return;
        }

        // The next one has asked another call already; perhaps others have not.
        foreach (var lane in server.Lanes)
        {
            foreach (var line in lane.Lines.Values)
            {
                foreach (var waiter in line.Calls)
                {
                    if (waiter.Victim is not null) continue;
                    if (!MayAsk(grant, waiter)) break;
                    Ask(grant, waiter);
                    return;
                }
            }
        }
    }

    // A call waits: P0 takes the slot of the least urgent call that can go on later, the youngest of them, for that has the least to read again; others
    // take the slot of one that has used its quantum.
    private void AskForSlot(Waiter waiter)
    {
        if (!_options.Preemption || waiter.Victim is not null || waiter.Line is not { } line) return;
        if (waiter.Class != CallPriority.P0 && _options.Policy != SchedulingPolicy.RoundRobin) return;
        // Of a batch that is released, some have a free slot.
        if (Array.Exists(line.Lane.Servers, s => s.HasRoom)) return;
        SlotGrant? victim = null;
        foreach (var server in line.Lane.Servers)
        {
            if (!server.Accepts || server.Running.Count > server.Slots) continue;
            foreach (var grant in server.Running)
            {
                if (grant.IsAsked || !MayAsk(grant, waiter)) continue;
                if (victim is null || grant.Request.Priority > victim.Request.Priority ||
                    (grant.Request.Priority == victim.Request.Priority && grant.StartedAt > victim.StartedAt))
                    victim = grant;
            }
        }

        if (victim is not null) Ask(victim, waiter);
    }

    private bool MayAsk(SlotGrant grant, Waiter waiter)
    {
        if (!_options.Preemption || !grant.Request.IsPreemptible) return false;
        if (waiter.Class == CallPriority.P0 && grant.Request.Priority != CallPriority.P0) return true;
        // A call that rose with age has had its turn: it keeps out what its caller's priority keeps out.
        return _options.Policy == SchedulingPolicy.RoundRobin && grant.IsSpent && waiter.Class <= grant.Request.Priority;
    }

    private void Ask(SlotGrant grant, Waiter waiter)
    {
        grant.IsAsked = true;
        grant.AskedFor = waiter;
        waiter.Victim = grant;
        _afterwards.Enqueue(grant.AskToYield);
    }
}
