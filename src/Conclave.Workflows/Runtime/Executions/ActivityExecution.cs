using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Executions;

/// <summary>One execution of one activity, as the journal and the state of its instance tell it.</summary>
public sealed class ActivityExecution
{
    /// <summary>The instance.</summary>
    public required string InstanceId { get; init; }

    /// <summary>Number of the execution within the instance, from 1.</summary>
    public required int Number { get; init; }

    /// <summary>Number of the execution that scheduled it; 0 for the workflow itself.</summary>
    public int ParentNumber { get; init; }

    /// <summary>Number of executions above it.</summary>
    public int Depth { get; init; }

    /// <summary>Node id of the activity.</summary>
    public required string NodeId { get; init; }

    /// <summary>The activity; null when its version was deleted since.</summary>
    public ActivityNode? Node { get; internal set; }

    /// <summary>When it began.</summary>
    public DateTimeOffset StartedAt { get; init; }

    /// <summary>When it completed or was cancelled; null while it runs, and for one that faulted.</summary>
    public DateTimeOffset? CompletedAt { get; internal set; }

    /// <summary>How it stands.</summary>
    public ActivityStatus Status { get; internal set; } = ActivityStatus.Running;

    /// <summary>Whether it waits for something from outside.</summary>
    public bool HasBookmarks { get; internal set; }

    /// <summary>Whether it ever waited for something from outside.</summary>
    public bool HasWaited { get; internal set; }

    /// <summary>Whether an attempt failed and was tried again.</summary>
    public bool HasRetries { get; internal set; }

    /// <summary>How often it, or an activity inside it, faulted.</summary>
    public int FaultCount { get; internal set; }

    /// <summary>What it threw; null for nothing.</summary>
    public ExceptionState? Exception { get; internal set; }

    /// <summary>Outcomes that it completed with; null before.</summary>
    public IReadOnlyList<string>? Outcomes { get; internal set; }

    /// <summary>Inputs by descriptor name, without what must not be kept.</summary>
    public IReadOnlyDictionary<string, object?> Inputs => Node is null ? WorkflowInstance.EmptyValues : JournalValues.Inputs(Node, Details);

    /// <summary>Outputs by descriptor name, without what must not be kept.</summary>
    public IReadOnlyDictionary<string, object?> Outputs => Node is null ? WorkflowInstance.EmptyValues : JournalValues.Outputs(Node, Details);

    internal ActivityDetails? Details { get; set; }
}

/// <summary>Which executions are meant; null asks for nothing.</summary>
public sealed record ExecutionFilter
{
    /// <summary>Node ids of the activities.</summary>
    public IReadOnlySet<string>? NodeIds { get; init; }

    /// <summary>Id of the activity.</summary>
    public string? ActivityId { get; init; }

    /// <summary>Numbers of the executions.</summary>
    public IReadOnlySet<int>? Numbers { get; init; }

    /// <summary>Whether they completed or were cancelled.</summary>
    public bool? Completed { get; init; }

    /// <summary>Whether inputs, outputs and outcomes are wanted.</summary>
    public bool WithValues { get; init; } = true;

    /// <summary>Most executions in memory; of more, the newest are kept.</summary>
    public int Most { get; init; } = 1_000;
}

/// <summary>Executions, oldest first.</summary>
/// <param name="Items">The newest of them.</param>
/// <param name="Count">How many there are.</param>
public sealed record ExecutionList(IReadOnlyList<ActivityExecution> Items, long Count);

/// <summary>A further attempt of an execution, after one that failed.</summary>
/// <param name="Number">Which retry, from 1.</param>
/// <param name="Timestamp">When it began.</param>
/// <param name="SincePrevious">How long after the attempt before it.</param>
/// <param name="Exception">Why the attempt before it failed; null when nobody noted it.</param>
public sealed record ExecutionRetry(int Number, DateTimeOffset Timestamp, TimeSpan SincePrevious, ExceptionState? Exception);

/// <summary>How often an activity ran, and how it stands.</summary>
/// <param name="ActivityId">Id of the activity.</param>
/// <param name="NodeId">Its node id.</param>
/// <param name="Started">Executions that began.</param>
/// <param name="Completed">Those that completed or were cancelled.</param>
/// <param name="IsBlocked">Whether one waits for something from outside.</param>
/// <param name="IsFaulted">Whether one faulted and nobody ran it again.</param>
/// <param name="FaultCount">Faults of the activity and of those inside it.</param>
/// <param name="HasRetries">Whether an attempt of the last execution was tried again.</param>
public sealed record ActivityStats(
    string ActivityId, string NodeId, long Started, long Completed, bool IsBlocked, bool IsFaulted, int FaultCount, bool HasRetries);
