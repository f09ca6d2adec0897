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
        _isValidBackward = FindValidBackward(activities);
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
        var previous = new List<int>?[activities];
        var expanded = new bool[activities];
        var pending = new Queue<int>();
        pending.Enqueue(_start);
        while (pending.TryDequeue(out var source))
        {
            if (expanded[source])
                continue;
            expanded[source] = true;
            // A connection to somewhere the source itself was reached from closes a cycle.
            var behind = ReachableThrough(previous, source);
            foreach (var connection in _outbound[source])
            {
                var target = _connections[connection].Target;
                if (behind[target])
                    continue;
                (previous[target] ??= []).Add(source);
                isForward[connection] = true;
                if (!expanded[target])
                    pending.Enqueue(target);
            }
        }

        return isForward;
    }

    private static BitArray ReachableThrough(List<int>?[] previous, int from)
    {
        var found = new BitArray(previous.Length) { [from] = true };
        var pending = new Stack<int>();
        pending.Push(from);
        while (pending.TryPop(out var current))
        {
            foreach (var before in previous[current] ?? [])
            {
                if (found[before])
                    continue;
                found[before] = true;
                pending.Push(before);
            }
        }

        return found;
    }

    /// <summary>
    /// Which backward connections lead to an activity that every path from the start to their source passes: their target
    /// dominates their source in the forward connections.
    /// </summary>
    /// <remarks>
    /// Immediate dominators in topological order: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm", 2001.
    /// </remarks>
    private bool[] FindValidBackward(int activities)
    {
        var isValid = new bool[_connections.Length];
        if (activities == 0 || Array.TrueForAll(_isForward, f => f))
            return isValid;
        var (dominator, depth) = Dominators(activities);
        for (var i = 0; i < _connections.Length; i++)
        {
            if (_isForward[i])
                continue;
            var (source, target) = (_connections[i].Source, _connections[i].Target);
            // What the start does not reach has no path that could avoid the target.
            isValid[i] = source == target || depth[source] < 0 || (depth[target] >= 0 && Climb(source, depth[target]) == target);
        }

        return isValid;

        int Climb(int activity, int toDepth)
        {
            while (depth[activity] > toDepth)
                activity = dominator[activity];
            return activity;
        }
    }

    /// <summary>The nearest activity that every path passes, and the number of them, for each; depth -1 where no path leads.</summary>
    private (int[] Dominator, int[] Depth) Dominators(int activities)
    {
        var dominator = new int[activities];
        var depth = new int[activities];
        Array.Fill(depth, -1);
        depth[_start] = 0;
        dominator[_start] = _start;
        foreach (var activity in TopologicalOrder(activities))
        {
            if (activity == _start)
                continue;
            var nearest = -1;
            foreach (var connection in _forwardInbound[activity])
            {
                var source = _connections[connection].Source;
                if (depth[source] >= 0)
                    nearest = nearest < 0 ? source : Common(nearest, source);
            }

            if (nearest < 0)
                continue;
            dominator[activity] = nearest;
            depth[activity] = depth[nearest] + 1;
        }

        return (dominator, depth);

        int Common(int one, int other)
        {
            while (one != other)
            {
                if (depth[one] >= depth[other])
                    one = dominator[one];
                else
                    other = dominator[other];
            }

            return one;
        }
    }

    private List<int> TopologicalOrder(int activities)
    {
        var waitsFor = new int[activities];
        for (var a = 0; a < activities; a++)
            waitsFor[a] = _forwardInbound[a].Length;
        var order = new List<int>(activities);
        var ready = new Queue<int>(Enumerable.Range(0, activities).Where(a => waitsFor[a] == 0));
        while (ready.TryDequeue(out var activity))
        {
            order.Add(activity);
            foreach (var connection in _outbound[activity])
            {
                if (_isForward[connection] && --waitsFor[_connections[connection].Target] == 0)
                    ready.Enqueue(_connections[connection].Target);
            }
        }

        return order;
    }
}
