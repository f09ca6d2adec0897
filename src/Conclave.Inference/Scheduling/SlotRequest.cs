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

    /// <summary>Ids of servers that will do, the preferred ones first; never empty.</summary>
    public required IReadOnlyList<string> Servers { get; init; }

    /// <summary>Tokens that the call will probably take, read and written: its share of the flow.</summary>
    public double Cost { get; init; } = 1;

    /// <summary>Whether it may be asked to yield and continue later.</summary>
    public bool IsPreemptible { get; init; }

    /// <summary>When it was first queued, for a call that was preempted and comes back; null for now.</summary>
    public DateTimeOffset? FirstQueuedAt { get; init; }
}
