using System.Collections;

namespace Conclave.Workflows.Definitions;

/// <summary>A connection between two children of a flowchart, by their place among the children.</summary>
internal readonly record struct FlowConnection(int Source, string SourcePort, int Target, string TargetPort);

/// <summary>
/// The connections of a flowchart seen from one start activity: which lead forward, which loop back, and who waits for whom.
/// </summary>
/// <remarks>
/// A connection leads forward when following it, in breadth-first order from the start, closes no cycle. The start
/// matters: a trigger that starts the workflow may not be the first activity.
/// </remarks>
internal sealed class FlowGraph
{
    private readonly FlowConnection[] _connections;
    private readonly bool[] _isForward;
    private readonly bool[] _isValidBackward;
    private readonly int[][] _outbound;
    private readonly int[][] _inbound;
    private readonly int[][] _forwardInbound;
    private readonly int _start;

    public FlowGraph(int activities, FlowConnection[] connections, int start)
    {
        _connections = connections;
        _start = start;
        _outbound = Group(activities, connections, c => c.Source, _ => true);
        _inbound = Group(activities, connections, c => c.Target, _ => true);
        _isForward = FindForward(activities);
        _forwardInbound = Group(activities, connections, c => c.Target, i => _isForward[i]);
        _isValidBackward = new bool[connections.Length];
        for (var i = 0; i < connections.Length; i++)
            _isValidBackward[i] = !_isForward[i] && Dominates(connections[i].Target, connections[i].Source);
    }

    public FlowConnection this[int connection] => _connections[connection];

    public int ConnectionCount => _connections.Length;

    public ReadOnlySpan<int> Outbound(int activity) => _outbound[activity];

    public ReadOnlySpan<int> Inbound(int activity) => _inbound[activity];

    public ReadOnlySpan<int> ForwardInbound(int activity) => _forwardInbound[activity];

    public bool IsForward(int connection) => _isForward[connection];

    /// <summary>Whether every path from the start to the source of a backward connection passes through its target.</summary>
    public bool IsValidBackward(int connection) => _isValidBackward[connection];

    /// <summary>Whether no forward connection leads to the activity, so that the flowchart never reaches it.</summary>
    public bool IsDangling(int activity) => activity != _start && _forwardInbound[activity].Length == 0;

    /// <summary>The activities from which forward connections lead to this one.</summary>
    public BitArray Ancestors(int activity)
    {
        var found = new BitArray(_forwardInbound.Length);
        var pending = new Stack<int>();
        pending.Push(activity);
        while (pending.TryPop(out var current))
        {
            foreach (var connection in _forwardInbound[current])
            {
                var source = _connections[connection].Source;
                if (found[source])
                    continue;
                found[source] = true;
                pending.Push(source);
            }
        }

        return found;
    }

    private static int[][] Group(int activities, FlowConnection[] connections, Func<FlowConnection, int> key, Func<int, bool> include)
    {
        var counts = new int[activities];
        for (var i = 0; i < connections.Length; i++)
        {
            if (include(i))
                counts[key(connections[i])]++;
        }

        var groups = new int[activities][];
        for (var a = 0; a < activities; a++)
            groups[a] = counts[a] == 0 ? [] : new int[counts[a]];
        Array.Clear(counts);
        for (var i = 0; i < connections.Length; i++)
        {
            if (!include(i))
                continue;
            var a = key(connections[i]);
            groups[a][counts[a]++] = i;
        }

        return groups;
    }

    private bool[] FindForward(int activities)
    {
        var isForward = new bool[_connections.Length];
        if (activities == 0)
            return isForward;
        var next = new List<int>[activities];
        var expanded = new bool[activities];
        var pending = new Queue<int>();
        pending.Enqueue(_start);
        while (pending.TryDequeue(out var source))
        {
            expanded[source] = true;
            foreach (var connection in _outbound[source])
            {
                var target = _connections[connection].Target;
                if (next[source]?.Contains(target) == true)
                {
                    isForward[connection] = true;
                    continue;
                }

                if (HasPath(next, target, source))
                    continue;
                (next[source] ??= []).Add(target);
                isForward[connection] = true;
                if (!expanded[target])
                    pending.Enqueue(target);
            }
        }

        return isForward;
    }

    private static bool HasPath(List<int>[] next, int from, int to)
    {
        if (from == to)
            return true;
        if (next[from] is null)
            return false;
        var seen = new BitArray(next.Length);
        var pending = new Stack<int>();
        pending.Push(from);
        while (pending.TryPop(out var current))
        {
            if (current == to)
                return true;
            if (seen[current])
                continue;
            seen[current] = true;
            if (next[current] is { } targets)
            {
                foreach (var target in targets)
                    pending.Push(target);
            }
        }

        return false;
    }

    /// <summary>Whether the source cannot be traced back to the start without passing the target.</summary>
    private bool Dominates(int target, int source)
    {
        if (source == target)
            return true;
        var seen = new BitArray(_forwardInbound.Length);
        var pending = new Stack<int>();
        pending.Push(source);
        while (pending.TryPop(out var current))
        {
            if (current == _start && current != target)
                return false;
            if (current == target || seen[current])
                continue;
            seen[current] = true;
            foreach (var connection in _forwardInbound[current])
                pending.Push(_connections[connection].Source);
        }

        return true;
    }
}
