namespace Conclave.Inference.Scheduling;

/// <summary>A call that waits for a slot.</summary>
public sealed record SlotRequest
{
    /// <summary>Id of the call.</summary>
    public required string CallId { get; init; }

    /// <summary>Owner; tenants share fairly.</summary>
    public required string Tenant { get; init; }

    /// <summary>Whose calls share within the tenant, see <see cref="CallContext.Flow"/>.</summary>
    public required string Flow { get; init; }

    /// <summary>How urgent it is.</summary>
    public CallPriority Priority { get; init; } = CallPriority.P2;

    /// <summary>When waiting makes no sense any more; null for never.</summary>
    public DateTimeOffset? Deadline { get; init; }

    /// <summary>Ids of servers that will do, the preferred ones first; never empty. One that is not known yet is waited for.</summary>
    public required IReadOnlyList<string> Servers { get; init; }

    /// <summary>The one of <see cref="Servers"/> that has the conversation's cache; null for none. It is tried first.</summary>
    public string? PreferredServer { get; init; }

    /// <summary>
    /// How long the call holds out for <see cref="PreferredServer"/> alone while that takes calls; afterwards any of <see cref="Servers"/> will do.
    /// <see cref="Affinity.WorthWaiting"/> says how long that makes sense. P0 never holds out.
    /// </summary>
    /// <value>Default zero: another server is taken at once.</value>
    public TimeSpan AffinityWait { get; init; }

    /// <summary>The model, for <see cref="SchedulerOptions.BatchWindow"/>; null for a call that joins no batch.</summary>
    public string? Model { get; init; }

    /// <summary>Tokens that the call will probably take, read and written: its share of the flow.</summary>
    public double Cost { get; init; } = 1;

    /// <summary>Whether it may be asked to yield and continue later.</summary>
    public bool IsPreemptible { get; init; }

    /// <summary>When it was first queued, for a call that was preempted and comes back; null for now. Such a call is never refused because of a full queue.</summary>
    public DateTimeOffset? FirstQueuedAt { get; init; }

    /// <summary>How long a call that comes back has waited in its earlier slices: it ages on from there. Null for all the time since <see cref="FirstQueuedAt"/>.</summary>
    public TimeSpan? WaitedBefore { get; init; }
}
