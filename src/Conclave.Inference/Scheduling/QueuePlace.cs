namespace Conclave.Inference.Scheduling;

/// <summary>Where a waiting call stands.</summary>
/// <param name="Position">Calls that will be served before it, as things are now; 0 for the next one.</param>
/// <param name="ExpectedWait">(position + 1) × mean occupancy of a slot ÷ slots that will do; null while no call has ended there yet, or no such server takes calls.</param>
public readonly record struct QueuePlace(int Position, TimeSpan? ExpectedWait);

/// <summary>Who runs and who waits, at one moment.</summary>
/// <param name="At">The moment.</param>
/// <param name="Running">Calls that have a slot.</param>
/// <param name="Waiting">Calls that wait, in the order in which they will probably be served.</param>
/// <param name="Servers">The servers.</param>
public sealed record QueueSnapshot(
    DateTimeOffset At, IReadOnlyList<RunningCall> Running, IReadOnlyList<WaitingCall> Waiting, IReadOnlyList<ServerLoad> Servers)
{
    /// <summary>Running and waiting calls of each flow in each priority class.</summary>
    public IReadOnlyList<FlowLoad> Flows =>
    [
        .. Running.Select(r => (r.Tenant, r.Flow, r.Priority, IsRunning: true, Since: r.StartedAt))
            .Concat(Waiting.Select(w => (w.Tenant, w.Flow, w.Priority, IsRunning: false, Since: w.QueuedAt)))
            .GroupBy(c => (c.Tenant, c.Flow, c.Priority))
            .Select(g => new FlowLoad(
                g.Key.Tenant, g.Key.Flow, g.Key.Priority, g.Count(c => c.IsRunning), g.Count(c => !c.IsRunning),
                g.Where(c => !c.IsRunning).Select(c => At - c.Since).DefaultIfEmpty().Max())),
    ];

    /// <summary>What one tenant may see: its own calls; places still count everybody's.</summary>
    public QueueSnapshot Of(string tenant) => this with
    {
        Running = [.. Running.Where(r => r.Tenant == tenant)],
        Waiting = [.. Waiting.Where(w => w.Tenant == tenant)],
    };
}

/// <summary>A call that has a slot.</summary>
/// <param name="CallId">Its id.</param>
/// <param name="Tenant">Its owner.</param>
/// <param name="Flow">Its flow.</param>
/// <param name="Priority">How urgent its caller said it is.</param>
/// <param name="Server">Id of the server.</param>
/// <param name="QueuedAt">When this slice was queued.</param>
/// <param name="StartedAt">When it got the slot.</param>
/// <param name="Tokens">Tokens reported in this slice.</param>
/// <param name="YieldRequested">Whether it was asked to yield.</param>
public sealed record RunningCall(
    string CallId, string Tenant, string Flow, CallPriority Priority, string Server,
    DateTimeOffset QueuedAt, DateTimeOffset StartedAt, long Tokens, bool YieldRequested);

/// <summary>A call that waits.</summary>
/// <param name="CallId">Its id.</param>
/// <param name="Tenant">Its owner.</param>
/// <param name="Flow">Its flow.</param>
/// <param name="Priority">How urgent its caller said it is.</param>
/// <param name="Class">How urgent it is by now: it rises with age.</param>
/// <param name="QueuedAt">When it was queued.</param>
/// <param name="Place">Where it stands.</param>
/// <param name="Servers">Ids of the servers that will do.</param>
public sealed record WaitingCall(
    string CallId, string Tenant, string Flow, CallPriority Priority, CallPriority Class,
    DateTimeOffset QueuedAt, QueuePlace Place, IReadOnlyList<string> Servers);

/// <summary>A server's slots.</summary>
/// <param name="Server">Its id.</param>
/// <param name="Slots">Its slots.</param>
/// <param name="Running">Calls that have one. More than <paramref name="Slots"/> for a while after slots were taken away.</param>
/// <param name="Waiting">Calls that could use one.</param>
/// <param name="Accepts">Whether it takes calls.</param>
/// <param name="MeanOccupancy">How long a call keeps a slot, moving average; null before the first one has ended.</param>
public sealed record ServerLoad(string Server, int Slots, int Running, int Waiting, bool Accepts, TimeSpan? MeanOccupancy);

/// <summary>A flow's calls in one priority class.</summary>
/// <param name="Tenant">The owner.</param>
/// <param name="Flow">The flow.</param>
/// <param name="Priority">The class.</param>
/// <param name="Running">Calls that have a slot.</param>
/// <param name="Waiting">Calls that wait.</param>
/// <param name="LongestWait">Age of the oldest one that waits; zero when none does.</param>
public sealed record FlowLoad(string Tenant, string Flow, CallPriority Priority, int Running, int Waiting, TimeSpan LongestWait);
