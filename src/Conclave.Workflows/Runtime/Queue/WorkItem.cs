using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Workflows.Runtime.Queue;

/// <summary>What a work item asks for. Numbers are stored and never change.</summary>
public enum WorkKind : short
{
    /// <summary>Run an instance from its beginning, or on after an interrupted burst.</summary>
    Run = 1,

    /// <summary>Resume a bookmark.</summary>
    Resume = 2,

    /// <summary>Cancel an instance.</summary>
    Cancel = 3,

    /// <summary>Tell a parent that a workflow it started has ended.</summary>
    ChildEnded = 4,

    /// <summary>Publish an event; belongs to no instance.</summary>
    Publish = 5,

    /// <summary>Hand a bookmark that is due much later over to the timers; belongs to no instance.</summary>
    Schedule = 6,

    /// <summary>Carry out a part of a plan to change many instances; belongs to no instance.</summary>
    Alter = 7,
}

/// <summary>How urgent work is. Numbers are stored and never change.</summary>
public enum WorkPriority : short
{
    /// <summary>At once: safety and cancellation.</summary>
    P0 = 0,

    /// <summary>Somebody waits for the answer.</summary>
    P1 = 1,

    /// <summary>The ordinary.</summary>
    P2 = 2,

    /// <summary>Bulk.</summary>
    P3 = 3,
}

/// <summary>Work that a worker holds.</summary>
/// <param name="Id">Id of the item.</param>
/// <param name="Tenant">Owner of the instance.</param>
/// <param name="InstanceId">The instance to work on; empty for work that belongs to none.</param>
/// <param name="Kind">What to do.</param>
/// <param name="Priority">How urgent it is.</param>
/// <param name="Attempt">Which attempt this is, from 1.</param>
/// <param name="Bookmark">Number of the bookmark to resume; 0 for other work.</param>
/// <param name="Payload">What it needs; null for nothing.</param>
/// <param name="LateSeconds">How long after it was due it was claimed.</param>
public sealed record ClaimedWork(
    long Id,
    string Tenant,
    string InstanceId,
    WorkKind Kind,
    WorkPriority Priority,
    int Attempt,
    int Bookmark,
    byte[]? Payload,
    double LateSeconds);

/// <summary>All claimed work of one instance, with the instance.</summary>
/// <param name="Instance">The instance, held by the worker; null when the work belongs to none, or to one that is gone.</param>
/// <param name="Work">The work, the most urgent and then the oldest first.</param>
public sealed record Claim(HeldInstance? Instance, IReadOnlyList<ClaimedWork> Work);

/// <summary>Work to put in the queue.</summary>
/// <param name="Tenant">Owner of the instance.</param>
/// <param name="InstanceId">The instance to work on; empty for work that belongs to none.</param>
/// <param name="Kind">What to do.</param>
/// <param name="Priority">How urgent it is.</param>
/// <param name="DueAt">When to do it; null for at once.</param>
/// <param name="Payload">What it needs; null for nothing.</param>
/// <param name="Bookmark">Number of the bookmark to resume; 0 for other work.</param>
public sealed record NewWork(
    string Tenant,
    string InstanceId,
    WorkKind Kind,
    WorkPriority Priority = WorkPriority.P2,
    DateTimeOffset? DueAt = null,
    byte[]? Payload = null,
    int Bookmark = 0)
{
    /// <summary>Tells a parent how a child stands.</summary>
    internal static NewWork ChildEnded(string tenant, string parentId, WorkPriority priority, ChildWorkflowResult child) =>
        new(tenant, parentId, WorkKind.ChildEnded, priority, null, WorkPayload.Of(child));
}

/// <summary>Work that is put in the queue by whoever does it already, so that it is found when its process dies.</summary>
/// <param name="Id">Id of the item.</param>
/// <param name="Work">What it asks for.</param>
internal sealed record ClaimedNewWork(long Id, NewWork Work);

/// <summary>Work that failed for good.</summary>
/// <param name="Id">Id of the item.</param>
/// <param name="InstanceId">The instance; empty for work that belongs to none.</param>
/// <param name="Kind">What it asked for.</param>
/// <param name="Priority">How urgent it was.</param>
/// <param name="Attempt">Number of attempts.</param>
/// <param name="Error">Why the last one failed.</param>
/// <param name="CreatedAt">When it was enqueued.</param>
/// <param name="DiedAt">When it was given up.</param>
public sealed record DeadWork(
    long Id,
    string InstanceId,
    WorkKind Kind,
    WorkPriority Priority,
    int Attempt,
    string Error,
    DateTimeOffset CreatedAt,
    DateTimeOffset DiedAt);

/// <summary>How the queue stands.</summary>
/// <param name="Due">Items that nobody has claimed and that are due.</param>
/// <param name="Claimed">Items that a worker holds.</param>
/// <param name="Delayed">Items that are due later.</param>
/// <param name="Dead">Items given up.</param>
/// <param name="OldestDueSeconds">How long the oldest due item has waited; 0 when there is none.</param>
/// <param name="ByPriority">Due items by priority, from P0.</param>
public sealed record QueueStats(long Due, long Claimed, long Delayed, long Dead, double OldestDueSeconds, IReadOnlyList<long> ByPriority);
