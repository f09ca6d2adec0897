using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Workflows.Runtime.Executions;

/// <summary>Puts executions together from journal entries. Holds those that were asked for, and the numbers of those that have not ended.</summary>
internal sealed class ExecutionScan(string instanceId, ExecutionFilter filter)
{
    private readonly Dictionary<int, ActivityExecution> _kept = [];
    private readonly Queue<int> _order = [];
    private readonly OpenExecutions _open = new();
    private int _lastForgotten;
    private long _started;
    private long _ended;

    /// <summary>Takes entries in.</summary>
    /// <param name="chunk">The entries, oldest first.</param>
    /// <param name="graph">The version that they are from; null when it was deleted.</param>
    public void Read(StoredJournalChunk chunk, WorkflowGraph? graph)
    {
        var reader = chunk.Read();
        var nodes = Array.ConvertAll(reader.NodeIds, id => graph?.FindNode(id));
        var wanted = new bool[nodes.Length];
        for (var i = 0; i < wanted.Length; i++)
            wanted[i] = IsWanted(reader.NodeIds[i], nodes[i]);
        while (reader.MoveNext())
        {
            var number = reader.ActivityInstance;
            if (reader.Event == ExecutionEvent.Started)
                _open.Begin(number, reader.ParentInstance);
            if (wanted[reader.Node] && filter.Numbers?.Contains(number) != false)
                Take(ref reader, nodes[reader.Node]);
            if (reader.Event == ExecutionEvent.Faulted)
                Fault(number);
            else if (reader.Event is ExecutionEvent.Completed or ExecutionEvent.Canceled)
                _open.End(number);
        }
    }

    /// <summary>What was asked for, with what the state of the instance adds.</summary>
    public ExecutionList End(LiveExecutions live)
    {
        foreach (var execution in _kept.Values)
        {
            var hadEnded = execution.CompletedAt is not null;
            live.Complete(execution);
            if (!hadEnded && execution.CompletedAt is not null)
                _ended++;
        }

        var items = _order.Select(number => _kept[number]);
        if (filter.Completed is not { } completed)
            return new ExecutionList([.. items], _started);
        return new ExecutionList([.. items.Where(e => e.CompletedAt is not null == completed)], completed ? _ended : _started - _ended);
    }

    private bool IsWanted(string nodeId, ActivityNode? node) =>
        filter.NodeIds?.Contains(nodeId) != false
        && (filter.ActivityId is null || filter.ActivityId == (node?.Id ?? nodeId[(nodeId.LastIndexOf(':') + 1)..]));

    private void Take(ref JournalChunkReader entry, ActivityNode? node)
    {
        var number = entry.ActivityInstance;
        // Forgotten ones began before all that are kept.
        if (number <= _lastForgotten)
        {
            if (entry.Event is ExecutionEvent.Completed or ExecutionEvent.Canceled)
                _ended++;
            return;
        }

        // The beginning may be past the journal's retention.
        if (!_kept.TryGetValue(number, out var execution))
            execution = Keep(ref entry, node);
        switch (entry.Event)
        {
            case ExecutionEvent.Completed or ExecutionEvent.Canceled:
                execution.Status = entry.Event == ExecutionEvent.Completed ? ActivityStatus.Completed : ActivityStatus.Canceled;
                execution.CompletedAt = entry.Timestamp;
                _ended++;
                if (!filter.WithValues)
                    break;
                execution.Details = entry.ReadDetails().Details;
                execution.Outcomes = entry.Event == ExecutionEvent.Completed ? execution.Details?.Outcomes ?? ["Done"] : null;
                break;
            case ExecutionEvent.Faulted:
                execution.Status = ActivityStatus.Faulted;
                execution.Exception = entry.ReadDetails().Exception;
                break;
            case ExecutionEvent.Suspended:
                execution.HasWaited = true;
                break;
            case ExecutionEvent.Retried:
                execution.HasRetries = true;
                break;
        }
    }

    private ActivityExecution Keep(ref JournalChunkReader entry, ActivityNode? node)
    {
        var number = entry.ActivityInstance;
        var execution = new ActivityExecution
        {
            InstanceId = instanceId,
            Number = number,
            ParentNumber = entry.ParentInstance,
            Depth = _open.DepthOf(number),
            NodeId = entry.NodeIds[entry.Node],
            Node = node,
            StartedAt = entry.Timestamp,
        };
        _kept.Add(number, execution);
        _order.Enqueue(number);
        _started++;
        if (_order.Count > filter.Most)
        {
            _lastForgotten = _order.Dequeue();
            _kept.Remove(_lastForgotten);
        }

        return execution;
    }

    /// <summary>A fault counts for everything around it as well.</summary>
    private void Fault(int number)
    {
        foreach (var around in _open.PathOf(number))
        {
            if (_kept.TryGetValue(around, out var execution))
                execution.FaultCount++;
        }
    }
}
