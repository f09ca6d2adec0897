using System.Collections.Concurrent;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <summary>
/// Runs activities along connections. In counter mode connections are counted as visited and followed; in token mode
/// tokens travel along them and merge by merge mode. Semantics: elsa/server-api.md section 5.5.
/// </summary>
[Activity("Elsa", "Flow", "Runs the activities inside along the connections between them. It ends when nothing is left to run, or at an End.", IsBrowsable = false, IsContainer = true)]
public sealed partial class Flowchart : Container
{
    private const string DefaultOutcome = "Done";

    private readonly ConcurrentDictionary<int, FlowGraph> _otherStarts = new();
    private FlowConnection[] _connections = [];
    private FlowGraph? _graph;
    private int _start = -1;

    /// <summary>The activity that the flowchart begins with unless a trigger started it.</summary>
    [Port(IsBrowsable = false)]
    public ActivityNode? Start { get; set; }

    internal override void Configure(ActivityConfiguration configuration)
    {
        base.Configure(configuration);
        _connections = ReadConnections(configuration);
        _start = FindStart();
        if (_start < 0)
            return;
        _graph = new FlowGraph(Activities.Count, _connections, _start);
        ReportLoops(configuration, _graph);
    }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var start = StartOf(context.Instance);
        if (start < 0)
        {
            context.Complete();
            return ValueTask.CompletedTask;
        }

        if (context.Instance.FlowchartMode == FlowchartMode.Token)
            context.State = new FlowTokens();
        else
            context.State = new FlowCounters(Activities.Count, _connections.Length);
        context.Schedule(Activities[start]);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        if (child.Node.Descriptor.IsTerminal)
        {
            context.Complete();
            return ValueTask.CompletedTask;
        }

        return context.State is FlowTokens tokens
            ? PassTokensAsync(context, child, tokens)
            : FollowAsync(context, child, (FlowCounters)context.State!);
    }

    internal override IActivityState? ReadState(ref StateReader reader) => reader.Byte() switch
    {
        FlowCounters.Kind => FlowCounters.Read(ref reader, Activities.Count, _connections.Length),
        FlowTokens.Kind => FlowTokens.Read(ref reader),
        _ => throw StateReader.Corrupt(),
    };

    private static bool HasPendingWork(ActivityContext context) =>
        context.ScheduledChildren > 0 || context.ActiveChildren - context.FaultedChildren > 0;

    private static void CompleteIfIdle(ActivityContext context)
    {
        if (!HasPendingWork(context) && context.FaultedChildren == 0)
            context.Complete();
    }

    private static bool IsFollowed(FlowConnection connection, IReadOnlyList<string>? outcomes)
    {
        if (outcomes is null)
            return connection.SourcePort == DefaultOutcome;
        for (var i = 0; i < outcomes.Count; i++)
        {
            if (outcomes[i] == connection.SourcePort)
                return true;
        }

        return false;
    }

    private int IndexOf(ActivityNode node)
    {
        // Children are compiled one after the other; nested ones lie between them, so the order is that of the indexes.
        int low = 0, high = Activities.Count - 1;
        while (low <= high)
        {
            var middle = (low + high) >> 1;
            var index = Activities[middle].Index;
            if (index == node.Index)
                return middle;
            if (index < node.Index)
                low = middle + 1;
            else
                high = middle - 1;
        }

        return -1;
    }

    private int StartOf(WorkflowInstance instance)
    {
        if (instance.TriggerActivityId is { } trigger)
        {
            for (var i = 0; i < Activities.Count; i++)
            {
                if (Activities[i].Id == trigger)
                    return i;
            }
        }

        return _start;
    }

    private FlowGraph GraphOf(WorkflowInstance instance)
    {
        var start = StartOf(instance);
        return start == _start ? _graph! : _otherStarts.GetOrAdd(start, s => new FlowGraph(Activities.Count, _connections, s));
    }

    private int FindStart()
    {
        if (Activities.Count == 0)
            return -1;
        for (var i = 0; i < Activities.Count; i++)
        {
            if (Activities[i].Activity is Start)
                return i;
        }

        for (var i = 0; i < Activities.Count; i++)
        {
            if (Activities[i].CanStartWorkflow)
                return i;
        }

        var hasInbound = new bool[Activities.Count];
        foreach (var connection in _connections)
            hasInbound[connection.Target] = true;
        return Math.Max(0, Array.IndexOf(hasInbound, false));
    }

    private FlowConnection[] ReadConnections(ActivityConfiguration configuration)
    {
        configuration.TryGet("connections", out var current);
        // Connections of activities whose type was missing when the document was saved; back when both ends are.
        var parked = configuration.TryGet("customProperties", out var properties)
            && JsonShapes.TryGet(properties, "notFoundConnections", out var list) ? list : default;
        var places = new Dictionary<string, int>(Activities.Count, StringComparer.Ordinal);
        for (var i = 0; i < Activities.Count; i++)
            places.TryAdd(Activities[i].Id, i);
        var connections = new List<FlowConnection>(Activities.Count);
        var seen = new HashSet<FlowConnection>();
        foreach (var connection in ConnectionJson.Read(parked))
        {
            if (places.TryGetValue(connection.Source, out var source) && places.TryGetValue(connection.Target, out var target))
                Add(connection, source, target);
        }

        foreach (var connection in ConnectionJson.Read(current))
        {
            if (Place(connection.Source) is { } source && Place(connection.Target) is { } target)
                Add(connection, source, target);
        }

        return [.. connections];

        void Add(ConnectionJson connection, int source, int target)
        {
            var read = new FlowConnection(source, connection.SourcePort, target, connection.TargetPort);
            if (seen.Add(read))
                connections.Add(read);
        }

        int? Place(string id)
        {
            if (places.TryGetValue(id, out var place))
                return place;
            configuration.Problem("flowchart.dangling_connection", $"A connection names the activity '{id}', which is not in this flowchart. The connection is ignored.", "connections", ProblemSeverity.Warning);
            return null;
        }
    }

    private void ReportLoops(ActivityConfiguration configuration, FlowGraph graph)
    {
        for (var i = 0; i < _connections.Length; i++)
        {
            var connection = _connections[i];
            var isReachable = connection.Source == _start || graph.ForwardInbound(connection.Source).Length > 0;
            if (!graph.IsForward(i) && isReachable && !graph.IsValidBackward(i))
            {
                configuration.Problem(
                    "flowchart.irregular_loop",
                    $"The connection from {Activities[connection.Source]} back to {Activities[connection.Target]} enters a loop from the side: some path to its source avoids its target. In counter mode it faults when followed; use token mode.",
                    "connections",
                    ProblemSeverity.Warning);
            }
        }
    }
}
