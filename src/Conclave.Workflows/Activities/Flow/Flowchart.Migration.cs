using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <content>Taking a running flowchart over into another version.</content>
public sealed partial class Flowchart
{
    internal override void Migrate(ActivityContext from, ActivityContext to, MigrationProblems problems)
    {
        if (from.State is null)
            return;
        if (_start < 0)
        {
            problems.PositionLost(from.Node, "it runs, and nothing is in it any more.");
            return;
        }

        var map = new FlowMap((Flowchart)from.Node.Activity, this, from.Instance, to.Instance);
        for (var child = from.FirstChild; child is not null; child = child.NextSibling)
        {
            // One that is missing is reported where its execution is taken over.
            if (map.Activity(map.Old.IndexOf(child.Node)) is >= 0 and var place && map.NewGraph.IsDangling(place))
                problems.PositionLost(child.Node, "it runs, and no connection from the start leads to it any more.");
        }

        to.State = from.State is FlowTokens tokens
            ? MigrateTokens(map, from, tokens, problems)
            : MigrateCounters(map, (FlowCounters)from.State, problems);
    }

    private static FlowCounters MigrateCounters(FlowMap map, FlowCounters old, MigrationProblems problems)
    {
        var counters = new FlowCounters(map.New.Activities.Count, map.New._connections.Length);
        for (var i = 0; i < old.ActivityVisits.Length; i++)
        {
            if (map.Activity(i) is not (>= 0 and var place))
                continue;
            counters.ActivityVisits[place] = old.ActivityVisits[i];
            counters.Scheduled[place] = old.Scheduled[i];
        }

        for (var i = 0; i < old.ConnectionVisits.Length; i++)
        {
            if (old.ConnectionVisits[i] == 0 || map.Connection(i) is not (>= 0 and var place))
                continue;
            counters.ConnectionVisits[place] = old.ConnectionVisits[i];
            counters.LastFollowed[place] = old.LastFollowed[i];
            if (map.OldGraph.IsForward(i) != map.NewGraph.IsForward(place))
                problems.PositionLost(map.New.Activities[map.NewGraph[place].Target], $"the connection from '{map.New.Activities[map.NewGraph[place].Source].Id}' led {(map.OldGraph.IsForward(i) ? "forward" : "back")} and has been followed; now it is the other way round.");
        }

        for (var target = 0; target < old.ActivityVisits.Length; target++)
        {
            if (old.Scheduled[target] > 0)
                continue;
            var arrived = false;
            foreach (var inbound in map.OldGraph.ForwardInbound(target))
                arrived |= old.ConnectionVisits[inbound] > old.ActivityVisits[target] && old.LastFollowed[inbound];
            if (arrived)
                RequireSameInbound(map, target, problems);
        }

        for (var added = 0; added < map.New._connections.Length; added++)
        {
            var source = map.NewGraph[added].Source;
            if (map.IsNew(added) && map.NewGraph.IsForward(added) && counters.ActivityVisits[source] > 0)
                counters.ConnectionVisits[added] = Missed(map, counters, added, problems);
        }

        return counters;
    }

    /// <summary>A new connection from an activity that is done counts as passed by: whoever waits for it must not wait for ever.</summary>
    private static int Missed(FlowMap map, FlowCounters counters, int added, MigrationProblems problems)
    {
        var connection = map.NewGraph[added];
        problems.Skipped(map.New.Activities[connection.Target], $"the connection from '{map.New.Activities[connection.Source].Id}', which is done, is new and is not followed.");
        var visits = counters.ActivityVisits[connection.Source];
        foreach (var sibling in map.NewGraph.Outbound(connection.Source))
        {
            if (!map.IsNew(sibling))
                visits = Math.Max(visits, counters.ConnectionVisits[sibling]);
        }

        return visits;
    }

    private static FlowTokens MigrateTokens(FlowMap map, ActivityContext from, FlowTokens old, MigrationProblems problems)
    {
        var live = new bool[map.Old.Activities.Count];
        for (var child = from.FirstChild; child is not null; child = child.NextSibling)
            live[map.Old.IndexOf(child.Node)] = true;
        foreach (var item in from.Instance.Scheduler)
        {
            if (item.Owner == from)
                live[map.Old.IndexOf(item.Node)] = true;
        }

        var state = new FlowTokens();
        var waiting = new HashSet<int>();
        foreach (var token in old.Tokens)
        {
            var (source, target) = (map.Activity(token.Source), map.Activity(token.Target));
            var isThere = target >= 0 && source >= 0 && Array.Exists(map.New._connections, c => c.Source == source && c.SourcePort == token.Port && c.Target == target);
            // What runs uses its token up when it ends, wherever that came from.
            if (isThere || (live[token.Target] && !token.IsBlocked && target >= 0))
                state.Tokens.Add(token with { Source = source, Target = target });
            if (!token.IsBlocked && !live[token.Target])
                waiting.Add(token.Target);
        }

        foreach (var target in waiting)
            RequireSameInbound(map, target, problems);
        var pending = Enumerable.Range(0, live.Length).Where(i => live[i] || waiting.Contains(i)).Select(map.Activity).Where(p => p >= 0).ToList();
        for (var added = 0; added < map.New._connections.Length; added++)
        {
            var connection = map.NewGraph[added];
            // Tokens tell nothing of what is done; what nothing that runs leads to will bring none.
            if (map.IsNew(added) && map.IsOld(connection.Source) && !IsToCome(connection.Source))
                ReportMissed(connection);
        }

        return state;

        bool IsToCome(int activity)
        {
            var ancestors = map.NewGraph.Ancestors(activity);
            return pending.Exists(p => p == activity || ancestors[p]);
        }

        void ReportMissed(FlowConnection connection)
        {
            var (source, target) = (map.New.Activities[connection.Source], map.New.Activities[connection.Target]);
            if (IsToCome(connection.Target) && (target.Activity is FlowJoin || target.MergeMode is MergeMode.Merge or MergeMode.Converge))
                problems.PositionLost(target, $"it would wait for '{source.Id}', which is done, along a connection that is new.");
            else
                problems.Skipped(target, $"the connection from '{source.Id}', which is done, is new and is not followed.");
        }
    }

    /// <summary>Somebody who has arrived waits for others. Only as long as these are the same ones is it known when to go on.</summary>
    private static void RequireSameInbound(FlowMap map, int target, MigrationProblems problems)
    {
        var node = map.Old.Activities[target];
        if (map.Activity(target) is not (>= 0 and var place))
        {
            problems.PositionLost(node, "one of its inbound connections was followed and it waits for the others, and it no longer exists.");
            return;
        }

        var before = new HashSet<int>();
        foreach (var inbound in map.OldGraph.Inbound(target))
            before.Add(map.Connection(inbound));
        var now = new HashSet<int>();
        foreach (var inbound in map.NewGraph.Inbound(place))
            now.Add(inbound);
        if (!before.SetEquals(now))
            problems.PositionLost(node, "one of its inbound connections was followed and it waits for the others, which are not the same any more.");
    }

    /// <summary>Places in one version of a flowchart by those in another.</summary>
    private sealed class FlowMap
    {
        private readonly int[] _activities;
        private readonly int[] _connections;

        public FlowMap(Flowchart old, Flowchart now, WorkflowInstance from, WorkflowInstance to)
        {
            (Old, New) = (old, now);
            (OldGraph, NewGraph) = (old.GraphOf(from), now.GraphOf(to));
            _activities = [.. old.Activities.Select(a => now.Activities.ToList().FindIndex(n => n.Id == a.Id))];
            _connections = [.. old._connections.Select(c => Array.IndexOf(
                now._connections, c with { Source = _activities[c.Source], Target = _activities[c.Target] }))];
        }

        public Flowchart Old { get; }

        public Flowchart New { get; }

        public FlowGraph OldGraph { get; }

        public FlowGraph NewGraph { get; }

        public int Activity(int old) => _activities[old];

        public bool IsOld(int activity) => _activities.Contains(activity);

        public int Connection(int old) => _connections[old];

        public bool IsNew(int connection) => !_connections.Contains(connection);
    }
}
