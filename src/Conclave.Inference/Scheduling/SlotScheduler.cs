using System.Collections.Concurrent;

namespace Conclave.Inference.Scheduling;

/// <summary>Gives the slots of the model servers to calls. No I/O, no thread of its own; safe for any number of callers.</summary>
/// <remarks>
/// <para>Order: the priority class first, strictly; in it tenants by weight, and flows in their tenant by weight (<see cref="FairQueue"/>); in a flow by arrival.
/// A free slot never stays free while a call waits that could use it, but for calls that hold out for the server with their cache, and calls that a batch holds.</para>
/// <para>Waiting: with F flows waiting, S servers that will do, a call costs O(S log F) when it queues behind none of its own flow, else O(1); a slot that becomes
/// free costs the same.</para>
/// </remarks>
public sealed partial class SlotScheduler : IDisposable
{
    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly Dictionary<string, ServerSlots> _servers = [];
    private readonly Dictionary<(string Tenant, string Flow), int> _waitingPerFlow = [];
    private readonly Dictionary<string, int> _waitingPerTenant = [];

    // What is to be told to others once the lock is left, in order.
    private readonly ConcurrentQueue<Action> _afterwards = new();
    private readonly Lock _telling = new();
    private SchedulerOptions _options;
    private int _waiting;
    private int _waitingP0;
    private long _number;
    private int _serverNumber;
    private bool _isDisposed;

    /// <summary>Makes a scheduler that has no servers yet.</summary>
    /// <param name="options">How slots are given out.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public SlotScheduler(SchedulerOptions options, TimeProvider time)
    {
        _options = options.Checked();
        _time = time;
        _timer = time.CreateTimer(static self => ((SlotScheduler)self!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>How slots are given out now.</summary>
    public SchedulerOptions Options => Volatile.Read(ref _options);

    internal int? QuantumTokens => Options is { Policy: SchedulingPolicy.RoundRobin, Preemption: true } options ? options.QuantumTokens : null;

    /// <summary>Adds a server, or says what is true of it now.</summary>
    /// <param name="serverId">Its id.</param>
    /// <param name="slots">Calls that it runs at a time. When there are more already, they end in peace.</param>
    /// <param name="accepts">Whether it takes new calls: false while it is drained, unhealthy or in maintenance.</param>
    public void SetServer(string serverId, int slots, bool accepts)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(slots);
        lock (_gate)
        {
            var server = FindServer(serverId);
            server.IsKnown = true;
            server.Slots = slots;
            server.Accepts = accepts;
            if (!accepts) StopHoldingOut(server);
            Fill(server);
            Arm();
        }

        Tell();
    }

    /// <summary>Forgets a server. Calls that run there end in peace; calls that wait for it alone wait until it comes back.</summary>
    /// <param name="serverId">Its id; one that is not known is no error.</param>
    public void RemoveServer(string serverId)
    {
        lock (_gate)
        {
            if (!_servers.TryGetValue(serverId, out var server)) return;
            server.IsKnown = false;
            server.Accepts = false;
            server.Slots = 0;
            server.Occupancy = null;
            StopHoldingOut(server);
            Forget(server);
            Arm();
        }

        Tell();
    }

    /// <summary>Waits for a slot.</summary>
    /// <param name="request">The call.</param>
    /// <param name="moved">Told the call's place when it has to wait and whenever that changes; from any thread, not while the lock is held, perhaps once more after the slot was given.</param>
    /// <param name="cancellationToken">Ends the waiting; the place in the queue is free at once.</param>
    /// <returns>The slot, to be disposed.</returns>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceFailure.QueueFull"/> with <see cref="InferenceException.RetryAfter"/>, or <see cref="InferenceFailure.DeadlineExceeded"/>, at once or while it waits.
    /// </exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled, or the scheduler disposed.</exception>
    public Task<SlotGrant> AcquireAsync(SlotRequest request, Action<QueuePlace>? moved, CancellationToken cancellationToken)
    {
        if (request.Servers.Count == 0) throw new ArgumentException("A call needs a server that will do.", nameof(request));
        if (cancellationToken.IsCancellationRequested) return Task.FromCanceled<SlotGrant>(cancellationToken);
        Waiter waiter;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            var now = _time.GetUtcNow();
            if (request.Deadline <= now) return Task.FromException<SlotGrant>(DeadlinePassed(request));
            waiter = NewWaiter(request, moved, now);
            var isHeld = _options.BatchWindow > TimeSpan.Zero && request is { Model: not null, Priority: not CallPriority.P0, FirstQueuedAt: null };
            if (!isHeld && StartAtOnce(waiter, now) is { } grant)
            {
                Arm();
                return Task.FromResult(grant);
            }

            if (Refusal(request) is { } refusal) return Task.FromException<SlotGrant>(refusal);
            Count(request, 1);
            if (isHeld) Hold(waiter, now);
            else Join(waiter, now);
            FirstPlace(waiter, now);
            Arm();
        }

        // Outside the lock: a token that is cancelled already calls back here.
        if (cancellationToken.CanBeCanceled)
        {
            var registration = cancellationToken.UnsafeRegister(static (state, token) => ((Cancellation)state!).Run(token), new Cancellation(this, waiter));
            lock (_gate)
            {
                if (waiter.IsDone) registration.Unregister();
                else waiter.Cancellation = registration;
            }
        }

        Tell();
        return waiter.Completion.Task;
    }

    /// <summary>Takes other options; they hold at once, for those that wait too.</summary>
    /// <param name="options">How slots are given out from now on.</param>
    /// <exception cref="ArgumentException">An option is out of its range; nothing has changed.</exception>
    public void ChangePolicy(SchedulerOptions options)
    {
        options.Checked();
        lock (_gate)
        {
            var ageAfter = _options.AgeAfter;
            Volatile.Write(ref _options, options);
            var now = _time.GetUtcNow();
            foreach (var server in _servers.Values)
            {
                foreach (var queue in server.Queues) queue.Change(options);
                foreach (var grant in server.Running) TimeQuantum(grant, now);
            }

            if (options.BatchWindow == TimeSpan.Zero) ReleaseBatches(now);
            foreach (var waiter in Waiters().ToList())
            {
                if (waiter.AgesAt != DateTimeOffset.MaxValue) waiter.AgesAt += options.AgeAfter - ageAfter;
                Retime(waiter, now);
                AskForSlot(waiter);
            }

            Arm();
        }

        Tell();
    }

    /// <summary>Ends all waiting; calls that run are not touched.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_isDisposed) return;
            _isDisposed = true;
            foreach (var waiter in Waiters().Concat(_batches.Values.SelectMany(b => b.Calls)).Where(w => !w.IsDone).ToList())
            {
                Leave(waiter);
                Finish(waiter);
                waiter.Completion.TrySetCanceled();
            }
        }

        _timer.Dispose();
    }

    internal void Release(SlotGrant grant)
    {
        lock (_gate)
        {
            if (grant.IsDisposed) return;
            grant.IsDisposed = true;
            var now = _time.GetUtcNow();
            var server = grant.Server;
            var last = server.Running[^1];
            server.Running[grant.RunningIndex] = last;
            last.RunningIndex = grant.RunningIndex;
            server.Running.RemoveAt(server.Running.Count - 1);
            _due.Remove(grant);
            var seconds = (now - grant.StartedAt).TotalSeconds;
            if (server.IsKnown) server.Occupancy = server.Occupancy is { } mean ? mean + (OccupancyGain * (seconds - mean)) : seconds;
            var actual = grant.Actual ?? Math.Max(grant.Request.Cost, grant.Tokens);
            grant.Queue.End(grant.Share, actual - grant.Request.Cost, _options.StrictArrivalOrder);
            var beneficiary = grant.AskedFor;
            if (beneficiary is not null) beneficiary.Victim = null;
            Fill(server);
            if (beneficiary is { IsDone: false }) AskForSlot(beneficiary);
            Forget(server);
            Arm();
        }

        Tell();
    }

    private SlotGrant Start(Waiter waiter, ServerSlots server, DateTimeOffset now)
    {
        var request = waiter.Request;
        var queue = server.Queue(waiter.Class);
        var share = queue.Find(request.Tenant, request.Flow, _options);
        queue.Start(share, request.Cost, _options.StrictArrivalOrder);
        var grant = new SlotGrant(this, request, server, queue, share, waiter.QueuedAt, now) { RunningIndex = server.Running.Count };
        server.Running.Add(grant);
        TimeQuantum(grant, now);
        return grant;
    }

    // Gives a server's free slots to those that wait for it.
    private void Fill(ServerSlots server)
    {
        while (server.HasRoom && server.Next is { } waiter)
        {
            Leave(waiter);
            Finish(waiter);
            waiter.Completion.TrySetResult(Start(waiter, server, _time.GetUtcNow()));
        }
    }

    // The call waits no more, for whatever reason.
    private void Finish(Waiter waiter)
    {
        waiter.IsDone = true;
        // Not disposed: that would wait for a cancellation that waits for our lock.
        waiter.Cancellation.Unregister();
        if (waiter.Victim is { } victim) victim.AskedFor = null;
        waiter.Victim = null;
        Count(waiter.Request, -1);
        if (waiter.Moved is not null) _listeners--;
    }

    private void Cancel(Waiter waiter, CancellationToken token)
    {
        lock (_gate)
        {
            if (waiter.IsDone) return;
            Leave(waiter);
            Finish(waiter);
            waiter.Completion.TrySetCanceled(token);
            Arm();
        }

        Tell();
    }

    // One at a time, so that a call hears of its places in their order.
    private void Tell()
    {
        while (!_afterwards.IsEmpty && _telling.TryEnter())
        {
            try
            {
                while (_afterwards.TryDequeue(out var tell)) tell();
            }
            finally
            {
                _telling.Exit();
            }
        }
    }

    private ServerSlots FindServer(string id)
    {
        if (_servers.TryGetValue(id, out var server)) return server;
        server = new ServerSlots(id, _serverNumber++);
        _servers.Add(id, server);
        return server;
    }

    private void Forget(ServerSlots server)
    {
        if (!server.IsKnown && server.Running.Count == 0 && server.Lanes.Count == 0) _servers.Remove(server.Id);
    }

    private sealed record Cancellation(SlotScheduler Scheduler, Waiter Waiter)
    {
        public void Run(CancellationToken token) => Scheduler.Cancel(Waiter, token);
    }
}
