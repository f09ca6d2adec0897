using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Workflows.Runtime.Executions;

/// <summary>How often each activity of an instance ran. Goes on where it stopped when more of the journal is there.</summary>
public sealed class ExecutionReport
{
    private readonly Dictionary<string, Counts> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<int, Counts> _running = [];
    private readonly OpenExecutions _open = new();
    private readonly HashSet<string> _changed = new(StringComparer.Ordinal);

    /// <summary>Sequence number of the last entry that was read; -1 for none.</summary>
    public long Last { get; private set; } = -1;

    /// <summary>Node ids of the activities that occur, in the order of their first execution.</summary>
    public IReadOnlyCollection<string> NodeIds => _nodes.Keys;

    /// <summary>Takes entries in; those that it has are passed over.</summary>
    public void Read(StoredJournalChunk chunk)
    {
        var reader = chunk.Read();
        while (reader.MoveNext())
        {
            if (reader.Sequence <= Last)
                continue;
            Last = reader.Sequence;
            var nodeId = reader.NodeIds[reader.Node];
            _changed.Add(nodeId);
            if (!_nodes.TryGetValue(nodeId, out var counts))
                _nodes[nodeId] = counts = new Counts();
            Count(counts, reader.Event, reader.ActivityInstance, reader.ParentInstance);
        }
    }

    /// <summary>The activities that entries came for since the last call.</summary>
    public IReadOnlyList<string> TakeChanged()
    {
        string[] changed = [.. _changed];
        _changed.Clear();
        return changed;
    }

    /// <summary>How an activity stands; null when it never ran.</summary>
    public ActivityStats? Find(string nodeId, LiveExecutions live)
    {
        if (!_nodes.TryGetValue(nodeId, out var counts))
            return null;
        return new ActivityStats(
            live.Instance?.Graph.FindNode(nodeId)?.Id ?? nodeId[(nodeId.LastIndexOf(':') + 1)..],
            nodeId,
            counts.Started,
            counts.Ended + _running.LongCount(r => r.Value == counts && live.IsGone(r.Key)),
            live.IsBlocked(nodeId),
            live.IsFaulted(nodeId),
            counts.Faults,
            counts.HasRetries);
    }

    private void Count(Counts counts, ExecutionEvent executionEvent, int number, int parent)
    {
        switch (executionEvent)
        {
            case ExecutionEvent.Started:
                _open.Begin(number, parent);
                _running[number] = counts;
                counts.Started++;
                counts.HasRetries = false;
                break;
            case ExecutionEvent.Completed or ExecutionEvent.Canceled:
                _open.End(number);
                // One that faulted and was cancelled afterwards has ended all the same.
                _running.Remove(number);
                counts.Ended++;
                break;
            case ExecutionEvent.Faulted:
                // It stays among those that are open, as what is around it does, but it does not run.
                foreach (var around in _open.PathOf(number))
                {
                    if (_running.TryGetValue(around, out var outer))
                        outer.Faults++;
                    else if (around == number)
                        counts.Faults++;
                }

                _running.Remove(number);
                break;
            case ExecutionEvent.Retried:
                counts.HasRetries = true;
                break;
        }
    }

    private sealed class Counts
    {
        public long Started { get; set; }

        public long Ended { get; set; }

        public int Faults { get; set; }

        public bool HasRetries { get; set; }
    }
}
