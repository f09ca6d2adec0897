using System.Collections.Concurrent;
using Conclave.Inference.Pool;
using Conclave.Inference.Scheduling;

namespace Conclave.Inference.Gateway;

/// <summary>Waits for slots on the servers of a plan: the first tier's alone, later those of the others too, and never for servers that are gone.</summary>
internal sealed class SlotQueue : IDisposable
{
    private readonly ServerPool _pool;
    private readonly SlotScheduler _scheduler;
    private readonly TimeSpan _longestWait;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<Waiting, byte> _waiting = new();

    public SlotQueue(ServerPool pool, SlotScheduler scheduler, TimeSpan longestWait, TimeProvider time)
    {
        (_pool, _scheduler, _longestWait, _time) = (pool, scheduler, longestWait, time);
        pool.Changed += OnChanged;
        foreach (var server in pool.Servers)
            OnChanged(server);
    }

    /// <summary>Waits for a slot.</summary>
    /// <param name="candidates">Where the call may go; never empty.</param>
    /// <param name="request">The call; its servers are filled in here.</param>
    /// <param name="moved">Told its place.</param>
    /// <param name="note">Told why a further tier was asked.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>The slot; null when none of the servers takes calls any more.</returns>
    /// <exception cref="InferenceException">The queue is full, or the deadline or the longest wait passed.</exception>
    public async Task<SlotGrant?> AcquireAsync(
        List<RouteCandidate> candidates, SlotRequest request, Action<QueuePlace> moved, Action<string> note, CancellationToken cancellationToken)
    {
        var first = _time.GetUtcNow();
        var tier = candidates.Min(c => c.Tier);
        var last = candidates.Max(c => c.Tier);
        while (true)
        {
            var allowed = candidates.Where(c => c.Tier <= tier).Select(c => c.Server.Id).Distinct().ToList();
            var next = tier < last ? candidates.Where(c => c.Tier > tier).Min(c => c.Tier) : (int?)null;
            if (!allowed.Exists(IsOpen))
            {
                if (next is null)
                    return null;
                note($"No server of choice {tier + 1} takes calls.");
                tier = next.Value;
                continue;
            }

            var maxWait = next is null ? null : candidates.Where(c => c.Tier == tier).Max(c => c.MaxWait);
            var longest = maxWait ?? _longestWait;
            using var waiting = new Waiting(allowed, longest, _time, cancellationToken);
            try
            {
                var task = _scheduler.AcquireAsync(request with { Servers = allowed, PreferredServer = request.PreferredServer is { } cached && allowed.Contains(cached) ? cached : null, FirstQueuedAt = request.FirstQueuedAt ?? (tier == candidates[0].Tier ? null : first) }, moved, waiting.Token);
                if (task.IsCompletedSuccessfully)
                    return task.Result;
                _waiting.TryAdd(waiting, 0);
                // It may have gone between the look above and now.
                if (!allowed.Exists(IsOpen))
                    waiting.Cancel();
                return await task;
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested && waiting.IsCancelled)
            {
                if (waiting.AreServersGone)
                    continue;
                if (next is null)
                    throw new InferenceException(InferenceFailure.Unavailable, "inference.waited_too_long", $"The call waited {_longestWait.TotalSeconds:0} s for a slot and did not get one. Try again later, or add servers.") { RetryAfter = TimeSpan.FromSeconds(30) };
                note($"Nothing was free on choice {tier + 1} within {longest.TotalSeconds:0.#} s.");
                tier = next.Value;
            }
            catch (InferenceException exception) when (exception.Failure == InferenceFailure.QueueFull && next is not null)
            {
                note($"The queue of choice {tier + 1} is full.");
                tier = next.Value;
            }
            finally
            {
                _waiting.TryRemove(waiting, out _);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _pool.Changed -= OnChanged;

    private bool IsOpen(string id) => _pool.Find(id) is { Accepts: true };

    private void OnChanged(PooledServer server)
    {
        if (server.IsRemoved)
            _scheduler.RemoveServer(server.Server.Id);
        else
            _scheduler.SetServer(server.Server.Id, server.Slots, server.Accepts);
        if (server.Accepts)
            return;
        foreach (var (waiting, _) in _waiting)
        {
            if (waiting.Servers.Contains(server.Server.Id) && !waiting.Servers.Exists(IsOpen))
                waiting.Cancel();
        }
    }

    private sealed class Waiting : IDisposable
    {
        private readonly CancellationTokenSource _stop;
        private readonly ITimer _timer;

        public Waiting(List<string> servers, TimeSpan longest, TimeProvider time, CancellationToken cancellationToken)
        {
            Servers = servers;
            _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            _timer = time.CreateTimer(static self => ((Waiting)self!).Stop(), this, longest, Timeout.InfiniteTimeSpan);
        }

        public List<string> Servers { get; }

        public CancellationToken Token => _stop.Token;

        public bool IsCancelled => _stop.IsCancellationRequested;

        public bool AreServersGone { get; private set; }

        public void Cancel()
        {
            AreServersGone = true;
            Stop();
        }

        public void Dispose()
        {
            _timer.Dispose();
            _stop.Dispose();
        }

        private void Stop()
        {
            try
            {
                _stop.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // It has its slot.
            }
        }
    }
}
