namespace Conclave.Inference.Scheduling;

// Who is told which place, and the snapshot.
public sealed partial class SlotScheduler
{
    // Weight of the newest call in the moving average of occupancy: the last ten or so count.
    private const double OccupancyGain = 0.1;
    private const int FewWaiting = 64;
    private int _listeners;
    private DateTimeOffset _placesDue = DateTimeOffset.MaxValue;

    /// <summary>Who runs and who waits now, in the order in which they will probably be served.</summary>
    public QueueSnapshot Snapshot()
    {
        lock (_gate)
        {
            var running = _servers.Values.SelectMany(s => s.Running).OrderBy(g => g.StartedAt).Select(g => new RunningCall(
                g.Request.CallId, g.Request.Tenant, g.Request.Flow, g.Request.Priority, g.ServerId, g.QueuedAt, g.StartedAt, g.Tokens, g.IsAsked));
            var held = _batches.Values.SelectMany(b => b.Calls).Where(w => !w.IsDone);
            var waiting = InOrder().Concat(held.Select(w => (Waiter: w, Place: new QueuePlace(_waiting + _waitingP0, null)))).Select(w => new WaitingCall(
                w.Waiter.Request.CallId, w.Waiter.Request.Tenant, w.Waiter.Request.Flow, w.Waiter.Request.Priority, w.Waiter.Class,
                w.Waiter.QueuedAt, w.Place, w.Waiter.Request.Servers));
            var servers = _servers.Values.Where(s => s.IsKnown || s.Running.Count > 0).OrderBy(s => s.Id, StringComparer.Ordinal).Select(s => new ServerLoad(
                s.Id, s.Slots, s.Running.Count, s.Lanes.Sum(l => l.Count), s.Accepts, s.Occupancy is { } seconds ? TimeSpan.FromSeconds(seconds) : null));
            return new QueueSnapshot(_time.GetUtcNow(), [.. running], [.. waiting], [.. servers]);
        }
    }

    private void FirstPlace(Waiter waiter, DateTimeOffset now)
    {
        if (waiter.Moved is null) return;
        _listeners++;
        if (_placesDue == DateTimeOffset.MaxValue) _placesDue = now + _options.PlaceInterval;
        if (_waiting + _waitingP0 > FewWaiting || waiter.Line is null) return;
        foreach (var (other, place) in InOrder())
        {
            if (other == waiter) Tell(waiter, place);
        }
    }

    private void TellPlaces(DateTimeOffset now)
    {
        _placesDue = now + _options.PlaceInterval;
        foreach (var (waiter, place) in InOrder()) Tell(waiter, place);
    }

    private void Tell(Waiter waiter, QueuePlace place)
    {
        if (waiter.Moved is not { } moved || waiter.Told == place) return;
        waiter.Told = place;
        _afterwards.Enqueue(() =>
        {
            if (!waiter.Completion.Task.IsCompleted) moved(place);
        });
    }

    // The order that fair queueing gives when nobody else comes and costs are as expected: by class, by the tag that the call's tenant will have when
    // it is its turn, by the flow's. A call's place counts those before it that share a server with it.
    private IEnumerable<(Waiter Waiter, QueuePlace Place)> InOrder()
    {
        var calls = new List<(Waiter Waiter, double Tag)>(_waiting + _waitingP0);
        foreach (var tenant in _lanes.Values.SelectMany(l => l.Lines.Values).GroupBy(l => (l.Key.Class, l.Key.Tenant)))
        {
            var own = new List<(Waiter Waiter, double Tag)>();
            foreach (var flow in tenant.GroupBy(l => l.Key.Flow))
            {
                var share = Share(flow.First());
                var tag = share.Tag;
                foreach (var waiter in flow.SelectMany(l => l.Calls).OrderBy(w => w.Since).ThenBy(w => w.Number))
                {
                    own.Add((waiter, tag));
                    tag += waiter.Request.Cost / share.Weight;
                }
            }

            own.Sort(Compare);
            var tenantShare = Share(tenant.First()).Tenant;
            var tenantTag = tenantShare.Tag;
            foreach (var (waiter, _) in own)
            {
                calls.Add((waiter, tenantTag));
                tenantTag += waiter.Request.Cost / tenantShare.Weight;
            }
        }

        calls.Sort((a, b) => a.Waiter.Class != b.Waiter.Class ? a.Waiter.Class.CompareTo(b.Waiter.Class) : Compare(a, b));
        var before = new Dictionary<Lane, int>();
        foreach (var (waiter, _) in calls)
        {
            var lane = waiter.Line!.Lane;
            var position = 0;
            foreach (var other in lane.Overlapping) position += before.GetValueOrDefault(other);
            before[lane] = before.GetValueOrDefault(lane) + 1;
            yield return (waiter, new QueuePlace(position, ExpectedWait(position, lane.Servers)));
        }

        static FlowShare Share(Line line)
        {
            var best = Array.FindIndex(line.Lane.Servers, s => s.Accepts);
            return line.Shares[Math.Max(best, 0)];
        }

        int Compare((Waiter Waiter, double Tag) a, (Waiter Waiter, double Tag) b)
        {
            if (!_options.StrictArrivalOrder && a.Tag != b.Tag) return a.Tag.CompareTo(b.Tag);
            return a.Waiter.IsOlderThan(b.Waiter) ? -1 : a.Waiter == b.Waiter ? 0 : 1;
        }
    }

    private TimeSpan? ExpectedWait(int position, IReadOnlyList<string> servers) =>
        ExpectedWait(position, [.. servers.Select(id => _servers.GetValueOrDefault(id)).OfType<ServerSlots>()]);

    // With all slots busy, calls end at the rate Σ slots ÷ occupancy; the call has its turn when as many have ended as are before it, and one more.
    private static TimeSpan? ExpectedWait(int position, ServerSlots[] servers)
    {
        var perSecond = 0.0;
        foreach (var server in servers)
        {
            if (server is { Accepts: true, Slots: > 0, Occupancy: { } seconds }) perSecond += server.Slots / Math.Max(seconds, 0.001);
        }

        return perSecond > 0 ? TimeSpan.FromSeconds(Math.Min((position + 1) / perSecond, 30 * 86_400)) : null;
    }
}
