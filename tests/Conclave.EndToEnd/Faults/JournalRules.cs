using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.EndToEnd.Faults;

/// <summary>What every journal must look like, whatever happened to the processes that wrote it; knows nothing of the engine.</summary>
/// <remarks>For workflows without loops: each activity runs once. Parents are known by the path that a node id is.</remarks>
internal static class JournalRules
{
    private enum Phase
    {
        Running,
        Waiting,
        Ended,
    }

    /// <summary>Everything that is wrong with the journal of a finished instance.</summary>
    /// <param name="instance">Named in the problems.</param>
    /// <param name="entries">The journal as it is stored, ordered by the numbers that its chunks begin with.</param>
    /// <param name="order">Activities of a sequence, by id, in their order; each must run.</param>
    public static IEnumerable<string> Check(string instance, IReadOnlyList<JournalEntry> entries, params string[] order)
    {
        var phases = new Dictionary<string, (int Execution, Phase Phase)>();
        var ended = new List<string>();
        for (var i = 0; i < entries.Count; i++)
        {
            var entry = entries[i];
            if (entry.Sequence != i)
                yield return Problem(i, $"has number {entry.Sequence}");
            var isKnown = phases.TryGetValue(entry.NodeId, out var known);
            if (isKnown && known.Execution != entry.ActivityInstance)
                yield return Problem(i, $"is execution {entry.ActivityInstance} after {known.Execution}: the activity ran twice");
            if (!IsLegal(isKnown ? known.Phase : null, entry.Event))
                yield return Problem(i, $"comes while the activity is {(isKnown ? known.Phase : "not started")}");
            if (ParentOf(entry.NodeId) is { } parent && !(phases.TryGetValue(parent, out var above) && above.Phase != Phase.Ended))
                yield return Problem(i, "comes while its parent does not run");
            if (entry.Event is ExecutionEvent.Completed && phases.Any(p => ParentOf(p.Key) == entry.NodeId && p.Value.Phase != Phase.Ended))
                yield return Problem(i, "comes while a child runs");
            var phase = entry.Event switch
            {
                ExecutionEvent.Started or ExecutionEvent.Resumed or ExecutionEvent.Retried => Phase.Running,
                ExecutionEvent.Suspended => Phase.Waiting,
                _ => Phase.Ended,
            };
            phases[entry.NodeId] = (entry.ActivityInstance, phase);
            if (entry.Event == ExecutionEvent.Started && Array.IndexOf(order, IdOf(entry.NodeId)) is >= 0 and var place
                && !ended.SequenceEqual(order.Take(place)))
                yield return Problem(i, $"begins after {string.Join(", ", ended)}");
            if (phase == Phase.Ended && order.Contains(IdOf(entry.NodeId)))
                ended.Add(IdOf(entry.NodeId));
        }

        if (entries is [] || entries[^1] is not { Event: ExecutionEvent.Completed } last || ParentOf(last.NodeId) is not null)
            yield return $"{instance}: does not end with the workflow's own end.";
        if (!ended.SequenceEqual(order))
            yield return $"{instance}: ran {string.Join(", ", ended)}.";

        string Problem(int index, string what) => $"{instance}: entry {index}, {entries[index].Event} of {entries[index].NodeId}, {what}.";
    }

    private static bool IsLegal(Phase? phase, ExecutionEvent next) => (phase, next) switch
    {
        (null, ExecutionEvent.Started) => true,
        (Phase.Running, ExecutionEvent.Suspended or ExecutionEvent.Completed or ExecutionEvent.Faulted or ExecutionEvent.Canceled or ExecutionEvent.Retried) => true,
        (Phase.Waiting, ExecutionEvent.Resumed or ExecutionEvent.Canceled) => true,
        _ => false,
    };

    private static string? ParentOf(string nodeId) => nodeId.LastIndexOf(':') is > 0 and var colon ? nodeId[..colon] : null;

    private static string IdOf(string nodeId) => nodeId[(nodeId.LastIndexOf(':') + 1)..];
}
