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
/// <param name="InstanceId">The instance to work on.</param>
/// <param name="Kind">What to do.</param>
/// <param name="Priority">How urgent it is.</param>
/// <param name="Attempt">Which attempt this is, from 1.</param>
/// <param name="Payload">What it needs; null for nothing.</param>
public sealed record ClaimedWork(
    long Id, string Tenant, string InstanceId, WorkKind Kind, WorkPriority Priority, int Attempt, byte[]? Payload);

/// <summary>Work to put in the queue.</summary>
/// <param name="Tenant">Owner of the instance.</param>
/// <param name="InstanceId">The instance to work on.</param>
/// <param name="Kind">What to do.</param>
/// <param name="Priority">How urgent it is.</param>
/// <param name="DueAt">When to do it.</param>
/// <param name="Payload">What it needs; null for nothing.</param>
public sealed record NewWork(
    string Tenant, string InstanceId, WorkKind Kind, WorkPriority Priority, DateTimeOffset DueAt, byte[]? Payload);
