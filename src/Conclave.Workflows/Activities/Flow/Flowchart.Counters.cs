using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

public sealed partial class Flowchart
{
    /// <summary>Tag of an execution that a backward connection scheduled; its completion counts as no new visit.</summary>
    private const int ThroughBackwardConnection = 1;

    private static readonly IReadOnlyList<string> NoOutcomes = [];

    private async ValueTask FollowAsync(ActivityContext context, ActivityContext child, FlowCounters counters)
    {
        var activity = IndexOf(child.Node);
        if (counters.Scheduled[activity] > 0)
            counters.Scheduled[activity]--;
        var graph = GraphOf(context.Instance);
        var hasScheduled = await VisitAsync(
            context, graph, counters, activity, child.Outcomes, child.Tag != ThroughBackwardConnection);
        if (!hasScheduled)
            CompleteIfIdle(context);
    }

    /// <summary>
    /// Visits the outbound connections of an activity, and those of every activity that is skipped because of it, in
    /// depth-first order.
    /// </summary>
    private async ValueTask<bool> VisitAsync(
        ActivityContext context,
        FlowGraph graph,
        FlowCounters counters,
        int activity,
        IReadOnlyList<string>? outcomes,
        bool countsAsVisit)
    {
        var hasScheduled = false;
        Stack<(int Activity, int Next)>? waiting = null;
        var next = 0;
        Enter(graph, counters, activity, countsAsVisit);
        while (true)
        {
            if (next == graph.Outbound(activity).Length)
            {
                if (waiting is null || !waiting.TryPop(out var resumed))
                    return hasScheduled;
                (activity, next) = resumed;
                continue;
            }

            var index = graph.Outbound(activity)[next++];
            var connection = graph[index];
            // Everything below the first level is skipped, so none of its connections is followed.
            var isFollowed = waiting is not { Count: > 0 } && IsFollowed(connection, outcomes);
            counters.Visit(index, isFollowed);
            if (!graph.IsForward(index))
            {
                if (!isFollowed)
                    continue;
                if (!graph.IsValidBackward(index))
                    throw new WorkflowException("flowchart.invalid_backward_connection", $"Invalid backward connection: Every path from the source ('{Activities[connection.Source].Id}') must go through the target ('{Activities[connection.Target].Id}') when tracing back to the start.");
                Schedule(context, counters, connection.Target, ThroughBackwardConnection);
                hasScheduled = true;
                continue;
            }

            var target = connection.Target;
            var mode = Activities[target].Activity is FlowJoin join ? await join.ModeAsync(context, Activities[target]) : FlowJoinMode.WaitAllActive;
            switch (Decide(graph, counters, index, target, mode))
            {
                case Arrival.Run:
                    Schedule(context, counters, target, 0);
                    hasScheduled = true;
                    if (mode == FlowJoinMode.WaitAny)
                        hasScheduled |= await CancelInboundAsync(context, graph, counters, target);
                    break;
                case Arrival.Skip:
                    (waiting ??= new()).Push((activity, next));
                    (activity, next) = (target, 0);
                    Enter(graph, counters, activity, countsAsVisit: true);
                    break;
            }
        }
    }

    private void Enter(FlowGraph graph, FlowCounters counters, int activity, bool countsAsVisit)
    {
        if (graph.IsDangling(activity))
            throw new WorkflowException("flowchart.unreachable", $"Activity {Activities[activity].Id} is not reachable from the flowchart graph. Unable to schedule it's outbound activities.");
        if (countsAsVisit)
            counters.ActivityVisits[activity]++;
    }

    private void Schedule(ActivityContext context, FlowCounters counters, int target, int tag)
    {
        counters.Scheduled[target]++;
        context.Schedule(Activities[target], tag, null);
    }

    private static Arrival Decide(FlowGraph graph, FlowCounters counters, int connection, int target, FlowJoinMode mode)
    {
        var visits = counters.ActivityVisits[target];
        if (mode == FlowJoinMode.WaitAny)
        {
            if (counters.ConnectionVisits[connection] <= visits || counters.Scheduled[target] > 0)
                return Arrival.Wait;
            if (AnyFollowed(graph, counters, target, visits))
                return Arrival.Run;
            return AllVisited(graph, counters, target, visits) ? Arrival.Skip : Arrival.Wait;
        }

        if (!AllVisited(graph, counters, target, visits))
            return Arrival.Wait;
        var runs = mode == FlowJoinMode.WaitAll ? AllFollowed(graph, counters, target) : AnyFollowed(graph, counters, target, visits);
        return runs ? Arrival.Run : Arrival.Skip;
    }

    private static bool AllVisited(FlowGraph graph, FlowCounters counters, int target, int visits)
    {
        foreach (var inbound in graph.ForwardInbound(target))
        {
            if (counters.ConnectionVisits[inbound] <= visits)
                return false;
        }

        return true;
    }

    private static bool AllFollowed(FlowGraph graph, FlowCounters counters, int target)
    {
        foreach (var inbound in graph.ForwardInbound(target))
        {
            if (!counters.LastFollowed[inbound])
                return false;
        }

        return true;
    }

    private static bool AnyFollowed(FlowGraph graph, FlowCounters counters, int target, int visits)
    {
        var most = 0;
        foreach (var inbound in graph.ForwardInbound(target))
            most = Math.Max(most, counters.ConnectionVisits[inbound]);
        if (most <= visits)
            return false;
        foreach (var inbound in graph.ForwardInbound(target))
        {
            if (counters.ConnectionVisits[inbound] == most && counters.LastFollowed[inbound])
                return true;
        }

        return false;
    }

    /// <summary>Cancels what still runs on the way to a join that has its first arrival.</summary>
    private async ValueTask<bool> CancelInboundAsync(ActivityContext context, FlowGraph graph, FlowCounters counters, int target)
    {
        var hasScheduled = false;
        foreach (var canceled in CancelAncestors(context, graph, target))
        {
            counters.Scheduled[canceled]--;
            hasScheduled |= await VisitAsync(context, graph, counters, canceled, NoOutcomes, countsAsVisit: true);
        }

        return hasScheduled;
    }

    /// <summary>Cancels the running ancestors of an activity and tells which they were.</summary>
    private List<int> CancelAncestors(ActivityContext context, FlowGraph graph, int target)
    {
        List<int> canceled = [];
        if (context.ActiveChildren == 0)
            return canceled;
        var ancestors = graph.Ancestors(target);
        for (var child = context.FirstChild; child is not null;)
        {
            var next = child.NextSibling;
            var place = IndexOf(child.Node);
            if (ancestors[place] && child.Status is ActivityStatus.Running or ActivityStatus.Faulted)
            {
                child.Cancel();
                child.Detach();
                context.Instance.Release(child);
                canceled.Add(place);
            }

            child = next;
        }

        return canceled;
    }

    private enum Arrival
    {
        Wait,
        Run,
        Skip,
    }

    /// <summary>How often activities and connections were visited in one execution of the flowchart.</summary>
    private sealed class FlowCounters(int activities, int connections) : IActivityState
    {
        public const byte Kind = 1;

        public int[] ActivityVisits { get; } = new int[activities];

        public int[] ConnectionVisits { get; } = new int[connections];

        public bool[] LastFollowed { get; } = new bool[connections];

        /// <summary>Executions of each activity that are scheduled or running.</summary>
        public int[] Scheduled { get; } = new int[activities];

        public void Visit(int connection, bool isFollowed)
        {
            ConnectionVisits[connection]++;
            LastFollowed[connection] = isFollowed;
        }

        public void Write(ref StateWriter writer)
        {
            writer.Byte(Kind);
            WriteSparse(ref writer, ActivityVisits);
            WriteSparse(ref writer, Scheduled);
            WriteSparse(ref writer, ConnectionVisits);
            for (var i = 0; i < LastFollowed.Length; i++)
            {
                if (ConnectionVisits[i] > 0)
                    writer.Bool(LastFollowed[i]);
            }
        }

        public static FlowCounters Read(ref StateReader reader, int activities, int connections)
        {
            var counters = new FlowCounters(activities, connections);
            ReadSparse(ref reader, counters.ActivityVisits);
            ReadSparse(ref reader, counters.Scheduled);
            ReadSparse(ref reader, counters.ConnectionVisits);
            for (var i = 0; i < counters.LastFollowed.Length; i++)
            {
                if (counters.ConnectionVisits[i] > 0)
                    counters.LastFollowed[i] = reader.Bool();
            }

            return counters;
        }

        private static void WriteSparse(ref StateWriter writer, int[] counts)
        {
            writer.Unsigned((ulong)counts.Count(c => c != 0));
            for (var i = 0; i < counts.Length; i++)
            {
                if (counts[i] == 0)
                    continue;
                writer.Int(i);
                writer.Int(counts[i]);
            }
        }

        private static void ReadSparse(ref StateReader reader, int[] counts)
        {
            for (var count = reader.Count(); count > 0; count--)
            {
                var place = reader.Int();
                if ((uint)place >= (uint)counts.Length)
                    throw StateReader.Corrupt();
                counts[place] = reader.Int();
            }
        }
    }
}
