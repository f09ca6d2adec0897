namespace Conclave.Inference.Scheduling;

// Who waits where, and who is let in.
public sealed partial class SlotScheduler
{
    private readonly Dictionary<LaneKey, Lane> _lanes = [];

    private Waiter NewWaiter(SlotRequest request, Action<QueuePlace>? moved, DateTimeOffset now)
    {
        var waiter = new Waiter(request, now, ++_number)
        {
            Moved = moved,
            // Under round robin a call that comes back stands behind the others of its flow, else two of them would take turns for ever.
            Since = _options.Policy == SchedulingPolicy.Fifo && request.FirstQueuedAt is { } first && first < now ? first : now,
        };
        if (request.FirstQueuedAt is { } since && _options.AgeAfter > TimeSpan.Zero)
        {
            waiter.Credit = request.WaitedBefore ?? (now - since);
            while (waiter.Credit >= _options.AgeAfter && waiter.Class > CallPriority.P1)
            {
                waiter.Credit -= _options.AgeAfter;
                waiter.Class--;
            }
        }

        return waiter;
    }

    // Nobody else waits for a slot that is free, so the call may have it.
    private SlotGrant? StartAtOnce(Waiter waiter, DateTimeOffset now)
    {
        var request = waiter.Request;
        var preferred = Preferred(request);
        if (preferred is { HasRoom: true }) return Start(waiter, preferred, now);
        if (preferred is { Accepts: true } && request.AffinityWait > TimeSpan.Zero && request.Priority != CallPriority.P0 && waiter.HoldsOutUntil > now)
            return null;
        foreach (var id in request.Servers)
        {
            if (_servers.TryGetValue(id, out var server) && server.HasRoom) return Start(waiter, server, now);
        }

        return null;
    }

    private ServerSlots? Preferred(SlotRequest request) =>
        request.PreferredServer is { } id && request.Servers.Contains(id) ? _servers.GetValueOrDefault(id) : null;

    // Puts a call, for which there is no free slot, where it waits.
    private void Join(Waiter waiter, DateTimeOffset now)
    {
        var request = waiter.Request;
        if (request.AffinityWait > TimeSpan.Zero && request.Priority != CallPriority.P0 && Preferred(request) is { Accepts: true } preferred && waiter.HoldsOutUntil > now)
        {
            if (waiter.HoldsOutUntil == DateTimeOffset.MaxValue) waiter.HoldsOutUntil = now + request.AffinityWait;
            JoinLane(waiter, FindLane([preferred.Id]), now);
        }
        else
        {
            waiter.HoldsOutUntil = DateTimeOffset.MaxValue;
            JoinLane(waiter, FindLane(request.Servers), now);
        }
    }

    private void JoinLane(Waiter waiter, Lane lane, DateTimeOffset now)
    {
        var key = new LineKey(waiter.Class, waiter.Request.Tenant, waiter.Request.Flow);
        var isNew = !lane.Lines.TryGetValue(key, out var line);
        if (line is null)
        {
            var queues = Array.ConvertAll(lane.Servers, server => server.Queue(key.Class));
            line = new Line(lane, key, Array.ConvertAll(queues, queue => queue.Find(key.Tenant, key.Flow, _options)), queues);
            lane.Lines.Add(key, line);
        }

        waiter.Line = line;
        waiter.Node = Insert(line.Calls, waiter);
        lane.Count++;
        for (var i = 0; i < line.Queues.Length; i++)
        {
            if (isNew) line.Queues[i].Add(line.Shares[i], line, _options.StrictArrivalOrder);
            else if (waiter.Node.Previous is null) line.Queues[i].Sort(line.Shares[i], _options.StrictArrivalOrder);
        }

        Retime(waiter, now);
        AskForSlot(waiter);
    }

    // Nearly all calls are the youngest of their line. Those that came back or rose may be older, and are among its oldest then.
    private static LinkedListNode<Waiter> Insert(LinkedList<Waiter> calls, Waiter waiter)
    {
        if (calls.Last is not { } last || last.Value.IsOlderThan(waiter)) return calls.AddLast(waiter);
        var node = calls.First!;
        while (node.Value.IsOlderThan(waiter)) node = node.Next!;
        return calls.AddBefore(node, waiter);
    }

    // Takes a call away from where it waits.
    private void Leave(Waiter waiter)
    {
        _due.Remove(waiter);
        if (waiter.Line is not { } line) return;
        var wasHead = waiter.Node!.Previous is null;
        line.Calls.Remove(waiter.Node);
        line.Lane.Count--;
        waiter.Line = null;
        waiter.Node = null;
        if (line.Calls.Count == 0)
        {
            line.Lane.Lines.Remove(line.Key);
            for (var i = 0; i < line.Queues.Length; i++) line.Queues[i].Remove(line.Shares[i], line, _options.StrictArrivalOrder);
            if (line.Lane.Lines.Count == 0) RemoveLane(line.Lane);
        }
        else if (wasHead)
        {
            for (var i = 0; i < line.Queues.Length; i++) line.Queues[i].Sort(line.Shares[i], _options.StrictArrivalOrder);
            Retime(line.Calls.First!.Value, _time.GetUtcNow());
        }
    }

    private void StopHoldingOut(ServerSlots server)
    {
        var now = _time.GetUtcNow();
        foreach (var waiter in server.Lanes.SelectMany(l => l.Lines.Values).SelectMany(l => l.Calls).Where(w => w.HoldsOutUntil != DateTimeOffset.MaxValue).ToList())
        {
            if (waiter.Line!.Lane.Servers is [var only] && only == server) TakeAny(waiter, now);
        }
    }

    // The call has held out long enough.
    private void TakeAny(Waiter waiter, DateTimeOffset now)
    {
        Leave(waiter);
        waiter.HoldsOutUntil = now;
        if (StartAtOnce(waiter, now) is { } grant)
        {
            Finish(waiter);
            waiter.Completion.TrySetResult(grant);
        }
        else
        {
            Join(waiter, now);
        }
    }

    private Lane FindLane(IReadOnlyList<string> ids)
    {
        var servers = new ServerSlots[ids.Count];
        for (var i = 0; i < servers.Length; i++) servers[i] = FindServer(ids[i]);
        if (servers.Length > 1)
        {
            Array.Sort(servers, static (a, b) => a.Number.CompareTo(b.Number));
            if (HasTwins(servers)) servers = [.. servers.Distinct()];
        }

        var key = new LaneKey(servers);
        if (_lanes.TryGetValue(key, out var lane)) return lane;
        lane = new Lane(servers);
        _lanes.Add(key, lane);
        foreach (var server in servers)
        {
            server.Lanes.Add(lane);
            foreach (var other in server.Lanes)
            {
                lane.Overlapping.Add(other);
                other.Overlapping.Add(lane);
            }
        }

        return lane;
    }

    private void RemoveLane(Lane lane)
    {
        _lanes.Remove(new LaneKey(lane.Servers));
        foreach (var other in lane.Overlapping) if (other != lane) other.Overlapping.Remove(lane);
        foreach (var server in lane.Servers)
        {
            server.Lanes.Remove(lane);
            Forget(server);
        }
    }

    private static bool HasTwins(ServerSlots[] sorted)
    {
        for (var i = 1; i < sorted.Length; i++)
        {
            if (sorted[i] == sorted[i - 1]) return true;
        }

        return false;
    }

    private IEnumerable<Waiter> Waiters() => _lanes.Values.SelectMany(lane => lane.Lines.Values).SelectMany(line => line.Calls);

    private void Count(SlotRequest request, int change)
    {
        if (request.Priority == CallPriority.P0)
        {
            _waitingP0 += change;
            return;
        }

        _waiting += change;
        Add(_waitingPerTenant, request.Tenant);
        Add(_waitingPerFlow, (request.Tenant, request.Flow));

        void Add<TKey>(Dictionary<TKey, int> counts, TKey key)
            where TKey : notnull
        {
            var count = counts.GetValueOrDefault(key) + change;
            if (count == 0) counts.Remove(key);
            else counts[key] = count;
        }
    }

    private InferenceException? Refusal(SlotRequest request)
    {
        if (request.FirstQueuedAt is not null) return null;
        if (request.Priority == CallPriority.P0)
            return _waitingP0 >= _options.MaxWaiting ? Full("the queue of P0 calls", _waitingP0) : null;
        if (_waiting >= _options.MaxWaiting) return Full("the queue", _waiting);
        if (_waitingPerTenant.GetValueOrDefault(request.Tenant) is var ofTenant && ofTenant >= _options.MaxWaitingPerTenant)
            return Full("the tenant's queue", ofTenant);
        if (_waitingPerFlow.GetValueOrDefault((request.Tenant, request.Flow)) is var ofFlow && ofFlow >= _options.MaxWaitingPerFlow)
            return Full($"the queue of '{request.Flow}'", ofFlow);
        return null;

        InferenceException Full(string what, int waiting)
        {
            var wait = ExpectedWait(waiting, request.Servers) ?? TimeSpan.FromSeconds(1);
            var retryAfter = TimeSpan.FromSeconds(Math.Clamp(Math.Ceiling(wait.TotalSeconds), 1, 3600));
            return new InferenceException(
                InferenceFailure.QueueFull, "inference.queue_full",
                $"Too many calls wait: {what} is full with {waiting}. Try again in {retryAfter.TotalSeconds:0} s.")
            { RetryAfter = retryAfter };
        }
    }

    private static InferenceException DeadlinePassed(SlotRequest request) => new(
        InferenceFailure.DeadlineExceeded, "inference.deadline_exceeded",
        $"The call's deadline, {request.Deadline:O}, passed before a model server was free for it. Give it more time, or a more urgent priority.");

    /// <summary>A set of servers.</summary>
    private readonly struct LaneKey(ServerSlots[] servers) : IEquatable<LaneKey>
    {
        private readonly ServerSlots[] _servers = servers;

        public bool Equals(LaneKey other) => _servers.AsSpan().SequenceEqual(other._servers);

        public override bool Equals(object? obj) => obj is LaneKey other && Equals(other);

        public override int GetHashCode()
        {
            var hash = new HashCode();
            foreach (var server in _servers) hash.Add(server.Number);
            return hash.ToHashCode();
        }
    }
}
