using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Workflows.Runtime.Replay;

/// <summary>An instance as it stood at a point of its journal, put together from nothing but the journal.</summary>
public sealed class ReplayState
{
    private readonly Dictionary<string, ReplayedActivity> _activities = new(StringComparer.Ordinal);
    private readonly SortedDictionary<int, ReplayedExecution> _open = [];
    private readonly Dictionary<string, RecordedValue> _output = new(StringComparer.Ordinal);
    private readonly List<InstanceOperation> _operations = [];
    private WorkflowGraph? _graph;
    private ReplayedExecution? _root;

    /// <summary>Sequence number of the last event; -1 before the first.</summary>
    public long Position { get; private set; } = -1;

    /// <summary>When the last event or operation was; null before the first.</summary>
    public DateTimeOffset? Timestamp { get; private set; }

    /// <summary>Sequence number of the first event that the journal still has. What came before is not known when it is above 0.</summary>
    public long FirstPosition { get; private set; }

    /// <summary>What the instance was doing.</summary>
    public WorkflowSubStatus SubStatus { get; private set; } = WorkflowSubStatus.Pending;

    /// <summary>Id of the definition's version that it ran; null before the first event.</summary>
    public string? VersionId { get; private set; }

    /// <summary>That version; null when it was deleted since.</summary>
    public WorkflowDefinition? Definition => _graph?.Definition;

    /// <summary>Activities that had begun, in the order of their first execution.</summary>
    public IReadOnlyCollection<ReplayedActivity> Activities => _activities.Values;

    /// <summary>Executions that were running, waiting or faulted, by number.</summary>
    public IReadOnlyCollection<ReplayedExecution> Open => _open.Values;

    /// <summary>Outputs of the workflow by name.</summary>
    public IReadOnlyDictionary<string, RecordedValue> Output => _output;

    /// <summary>What people had done, oldest first.</summary>
    public IReadOnlyList<InstanceOperation> Operations => _operations;

    /// <summary>Executions whose variables could be read, the workflow itself first. It keeps its own when it has ended.</summary>
    public IEnumerable<ReplayedExecution> Scopes =>
        (_root is { } root && !_open.ContainsKey(root.Number) ? [root] : Enumerable.Empty<ReplayedExecution>())
        .Concat(_open.Values).Where(e => e.Values.Count > 0);

    /// <summary>An activity that had begun; null when it had not.</summary>
    public ReplayedActivity? FindActivity(string nodeId) => _activities.GetValueOrDefault(nodeId);

    /// <summary>Number of executions that stood so.</summary>
    public int Count(ReplayStatus status) => _activities.Values.Sum(a => a.Count(status));

    internal void Begin(long firstSequence) => FirstPosition = firstSequence;

    /// <summary>Goes on in another version, or begins in the first.</summary>
    internal void Enter(string versionId, WorkflowGraph? graph)
    {
        if (VersionId == versionId)
            return;
        var isFirst = VersionId is null;
        VersionId = versionId;
        _graph = graph;
        if (isFirst)
            return;
        foreach (var activity in _activities.Values)
            activity.Node = graph?.FindNode(activity.NodeId) ?? activity.Node;
        foreach (var scope in _root is { } root ? _open.Values.Append(root).Distinct() : _open.Values)
            MoveVariables(scope);
    }

    internal void Apply(JournalEntry entry)
    {
        Position = entry.Sequence;
        Timestamp = entry.Timestamp;
        if (SubStatus is WorkflowSubStatus.Pending or WorkflowSubStatus.Suspended)
            SubStatus = WorkflowSubStatus.Executing;
        if (entry.Event == ExecutionEvent.Started)
        {
            Start(entry, entry.Timestamp);
            return;
        }

        // The beginning may be past the journal's retention; and what has ended may fault once more, when its parent is told.
        if (!_open.TryGetValue(entry.ActivityInstance, out var execution))
        {
            if (_activities.TryGetValue(entry.NodeId, out var known) && known.Last.Number == entry.ActivityInstance)
            {
                Change(known.Last, entry);
                return;
            }

            if (entry.Event == ExecutionEvent.Faulted && FirstPosition == 0)
                return;
            execution = Start(entry, null);
        }

        Change(execution, entry);
    }

    internal void Apply(InstanceOperation operation)
    {
        _operations.Add(operation);
        Timestamp = operation.CreatedAt;
    }

    internal void Apply(LogNote note, WorkflowGraph? graph)
    {
        switch (note.Kind)
        {
            case LogNoteKind.Variable when (_open.GetValueOrDefault(note.ActivityInstance) ?? (_root?.Number == note.ActivityInstance ? _root : null)) is { } scope:
                scope.Values[note.Name ?? ""] = new RecordedValue(note.Value, note.IsKept);
                break;
            case LogNoteKind.Output:
                _output[note.Name ?? ""] = new RecordedValue(note.Value, note.IsKept);
                break;
            case LogNoteKind.Status:
                SubStatus = (WorkflowSubStatus)(int)note.Value!;
                if (SubStatus == WorkflowSubStatus.Finished)
                    DropOpen();
                break;
            case LogNoteKind.StillWaiting when _open.TryGetValue(note.ActivityInstance, out var waiting):
                waiting.Activity.Change(waiting, ReplayStatus.Waiting);
                break;
            case LogNoteKind.TakenBack when _open.Remove(note.ActivityInstance, out var back):
                if (back.Status != ReplayStatus.Faulted)
                    back.Activity.Change(back, ReplayStatus.Canceled);
                back.EndedAt = Timestamp;
                break;
            case LogNoteKind.Version:
                Enter(note.Name ?? "", graph);
                break;
        }
    }

    private ReplayedExecution Start(JournalEntry entry, DateTimeOffset? startedAt)
    {
        var node = _graph?.FindNode(entry.NodeId);
        if (!_activities.TryGetValue(entry.NodeId, out var activity))
            _activities.Add(entry.NodeId, activity = new ReplayedActivity(entry.NodeId, node));
        var execution = new ReplayedExecution(entry.ActivityInstance, entry.ParentInstance, entry.NodeId, activity, startedAt);
        activity.Add(execution);
        _open[execution.Number] = execution;
        var isRoot = node is { Parent: null };
        if (isRoot)
            _root = execution;
        // Inputs of the instance are no variables of it.
        execution.Declared = [.. (node?.Variables ?? []).Where(v => !isRoot || !v.IsInput)];
        foreach (var variable in execution.Declared)
        {
            execution.Values[variable.Definition.Name] = startedAt is null ? RecordedValue.Unknown : new RecordedValue(variable.Default, true);
        }

        return execution;
    }

    private void Change(ReplayedExecution execution, JournalEntry entry)
    {
        var activity = execution.Activity;
        switch (entry.Event)
        {
            case ExecutionEvent.Resumed or ExecutionEvent.Retried:
                activity.Change(execution, ReplayStatus.Running);
                break;
            case ExecutionEvent.Suspended:
                activity.Change(execution, ReplayStatus.Waiting);
                break;
            case ExecutionEvent.Faulted when execution.EndedAt is null:
                activity.Change(execution, ReplayStatus.Faulted);
                break;
            case ExecutionEvent.Completed or ExecutionEvent.Canceled:
                activity.Change(execution, entry.Event == ExecutionEvent.Completed ? ReplayStatus.Completed : ReplayStatus.Canceled);
                execution.EndedAt = entry.Timestamp;
                execution.Details = entry.Details;
                _open.Remove(execution.Number);
                break;
        }

        execution.Exception = entry.Exception ?? execution.Exception;
    }

    /// <summary>What a <c>Finish</c> leaves behind.</summary>
    private void DropOpen()
    {
        foreach (var execution in _open.Values)
        {
            execution.Activity.Change(execution, ReplayStatus.Canceled);
            execution.EndedAt = Timestamp;
        }

        _open.Clear();
    }

    /// <summary>As the migration did: by id, else by name; what is new has its default.</summary>
    private static void MoveVariables(ReplayedExecution scope)
    {
        if (scope.Activity.Node is not { } node)
            return;
        ScopeVariable[] declared = [.. node.Variables.Where(v => node.Parent is not null || !v.IsInput)];
        var moved = new List<(ScopeVariable To, RecordedValue Value)>();
        foreach (var old in scope.Declared)
        {
            if (scope.Values.Remove(old.Definition.Name, out var value) && ContextMigration.FindCounterpart(declared, old) is { } found)
                moved.Add((found, Convert(value, found.Type)));
        }

        foreach (var (to, value) in moved)
            scope.Values[to.Definition.Name] = value;
        foreach (var variable in declared)
            scope.Values.TryAdd(variable.Definition.Name, new RecordedValue(variable.Default, true));
        scope.Declared = declared;
    }

    /// <summary>Values that the journal has only the beginning of may not fit.</summary>
    private static RecordedValue Convert(RecordedValue value, DataType type)
    {
        try
        {
            return value.IsKnown ? value with { Value = ValueConverter.Convert(value.Value, type) } : value;
        }
        catch (ValueConversionException)
        {
            return value;
        }
    }
}
