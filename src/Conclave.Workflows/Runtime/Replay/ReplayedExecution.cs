using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Replay;

/// <summary>How an execution stood.</summary>
public enum ReplayStatus
{
    /// <summary>It had begun, and it or something inside it went on.</summary>
    Running,

    /// <summary>It waited for something from outside.</summary>
    Waiting,

    /// <summary>It was done.</summary>
    Completed,

    /// <summary>It had thrown.</summary>
    Faulted,

    /// <summary>It was stopped from outside, or taken back because its burst was stopped.</summary>
    Canceled,
}

/// <summary>A value as the journal has it.</summary>
/// <param name="Value">The value; null when it is not known.</param>
/// <param name="IsKnown">Whether the journal kept it: settings of the workflow may say otherwise, and so does memory as a variable's storage.</param>
public readonly record struct RecordedValue(object? Value, bool IsKnown)
{
    /// <summary>A value that the journal does not have.</summary>
    public static RecordedValue Unknown => default;
}

/// <summary>An execution of an activity as it stood at a point of a replay.</summary>
public sealed class ReplayedExecution
{
    internal ReplayedExecution(int number, int parentNumber, string nodeId, ReplayedActivity activity, DateTimeOffset? startedAt)
    {
        Number = number;
        ParentNumber = parentNumber;
        NodeId = nodeId;
        Activity = activity;
        StartedAt = startedAt;
    }

    /// <summary>Number within the instance, from 1.</summary>
    public int Number { get; }

    /// <summary>Number of the execution that scheduled it; 0 for the workflow itself, and when its beginning is no longer in the journal.</summary>
    public int ParentNumber { get; }

    /// <summary>Node id of the activity.</summary>
    public string NodeId { get; }

    /// <summary>The activity.</summary>
    public ReplayedActivity Activity { get; }

    /// <summary>When it began; null when that is no longer in the journal.</summary>
    public DateTimeOffset? StartedAt { get; }

    /// <summary>When it completed or was cancelled; null before.</summary>
    public DateTimeOffset? EndedAt { get; internal set; }

    /// <summary>How it stood.</summary>
    public ReplayStatus Status { get; internal set; }

    /// <summary>What it, or its last attempt, threw; null for nothing.</summary>
    public ExceptionState? Exception { get; internal set; }

    /// <summary>Outcomes that it completed with; null before.</summary>
    public IReadOnlyList<string>? Outcomes => Status == ReplayStatus.Completed ? Details?.Outcomes ?? ["Done"] : null;

    /// <summary>Inputs by descriptor name: literal ones at any time, evaluated ones once it has ended.</summary>
    public IReadOnlyDictionary<string, object?> Inputs => Activity.Node is { } node ? JournalValues.Inputs(node, Details) : WorkflowInstance.EmptyValues;

    /// <summary>Outputs by descriptor name, once it has ended.</summary>
    public IReadOnlyDictionary<string, object?> Outputs => Activity.Node is { } node ? JournalValues.Outputs(node, Details) : WorkflowInstance.EmptyValues;

    /// <summary>Variables of this execution by name.</summary>
    public IReadOnlyDictionary<string, RecordedValue> Variables => Values;

    internal Dictionary<string, RecordedValue> Values { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The variables that its activity declares.</summary>
    internal IReadOnlyList<ScopeVariable> Declared { get; set; } = [];

    internal ActivityDetails? Details { get; set; }
}

/// <summary>An activity with the executions that it had had at a point of a replay.</summary>
public sealed class ReplayedActivity
{
    private readonly int[] _counts = new int[Enum.GetValues<ReplayStatus>().Length];

    internal ReplayedActivity(string nodeId, ActivityNode? node)
    {
        NodeId = nodeId;
        Node = node;
    }

    /// <summary>Node id.</summary>
    public string NodeId { get; }

    /// <summary>Id of the activity.</summary>
    public string ActivityId => Node?.Id ?? NodeId[(NodeId.LastIndexOf(':') + 1)..];

    /// <summary>The activity; null when its version was deleted since.</summary>
    public ActivityNode? Node { get; internal set; }

    /// <summary>Its newest execution.</summary>
    public ReplayedExecution Last { get; internal set; } = null!;

    /// <summary>Number of executions that stood so.</summary>
    public int Count(ReplayStatus status) => _counts[(int)status];

    internal void Add(ReplayedExecution execution)
    {
        Last = execution;
        _counts[(int)execution.Status]++;
    }

    internal void Change(ReplayedExecution execution, ReplayStatus status)
    {
        _counts[(int)execution.Status]--;
        execution.Status = status;
        _counts[(int)status]++;
    }
}
