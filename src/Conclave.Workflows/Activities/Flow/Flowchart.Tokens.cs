using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

public sealed partial class Flowchart
{
    private async ValueTask PassTokensAsync(ActivityContext context, ActivityContext child, FlowTokens state)
    {
        var tokens = state.Tokens;
        var graph = GraphOf(context.Instance);
        var activity = IndexOf(child.Node);
        var active = new List<int>();
        foreach (var index in graph.Outbound(activity))
        {
            if (!IsFollowed(graph[index], child.Outcomes))
                continue;
            active.Add(index);
            tokens.Add(new Token(activity, graph[index].SourcePort, graph[index].Target));
        }

        // What arrived here is used up. A block set for this round must not swallow a token of the next one.
        tokens.RemoveAll(t => t.Target == activity);
        foreach (var index in active)
        {
            var target = graph[index].Target;
            var mode = await MergeModeAsync(context, Activities[target]);
            switch (mode)
            {
                case MergeMode.Race:
                    Race(context, graph, tokens, activity, index);
                    break;
                case MergeMode.Cascade:
                    Schedule(context, target);
                    break;
                case MergeMode.Merge:
                    if (HasTokens(graph, tokens, graph.ForwardInbound(target), target))
                        Schedule(context, target);
                    break;
                case MergeMode.Converge:
                    if (HasTokens(graph, tokens, graph.Inbound(target), target))
                        Schedule(context, target);
                    break;
                default:
                    if (!IsAwaited(graph, tokens, target))
                        Schedule(context, target);
                    break;
            }
        }

        if (!HasPendingWork(context) && context.FaultedChildren == 0 && tokens.TrueForAll(t => t.IsBlocked))
        {
            tokens.Clear();
            context.Complete();
        }
    }

    /// <summary>Merge mode of an activity; a join's own mode stands for one.</summary>
    private static async ValueTask<MergeMode> MergeModeAsync(ActivityContext context, ActivityNode node)
    {
        if (node.Activity is FlowJoin join)
            return await join.ModeAsync(context, node) == FlowJoinMode.WaitAny ? MergeMode.Race : MergeMode.Merge;
        return node.MergeMode ?? MergeMode.Stream;
    }

    private void Schedule(ActivityContext context, int target) => context.Schedule(Activities[target]);

    /// <summary>The first to arrive runs the target; running rivals are cancelled, later arrivals meet a block.</summary>
    private void Race(ActivityContext context, FlowGraph graph, List<Token> tokens, int source, int index)
    {
        var connection = graph[index];
        foreach (var canceled in CancelAncestors(context, graph, connection.Target))
            tokens.RemoveAll(t => t.Source == canceled || t.Target == canceled);
        var block = tokens.FindIndex(t => t.IsBlocked && t.Target == connection.Target && t.Source == source && t.Port == connection.SourcePort);
        if (block >= 0)
        {
            tokens.RemoveAt(block);
            tokens.RemoveAll(t => !t.IsBlocked && t.Target == connection.Target && t.Source == source && t.Port == connection.SourcePort);
            return;
        }

        Schedule(context, connection.Target);
        foreach (var inbound in graph.ForwardInbound(connection.Target))
        {
            if (graph[inbound].Source != source)
                tokens.Add(new Token(graph[inbound].Source, graph[inbound].SourcePort, connection.Target) { IsBlocked = true });
        }
    }

    /// <summary>Whether every one of these connections has brought a token. A single connection needs no waiting.</summary>
    private static bool HasTokens(FlowGraph graph, List<Token> tokens, ReadOnlySpan<int> inbound, int target)
    {
        if (inbound.Length <= 1)
            return true;
        foreach (var index in inbound)
        {
            var connection = graph[index];
            if (!tokens.Exists(t => !t.IsBlocked && t.Target == target && t.Source == connection.Source && t.Port == connection.SourcePort))
                return false;
        }

        return true;
    }

    /// <summary>Whether a token is still on its way to one of the target's sources.</summary>
    private static bool IsAwaited(FlowGraph graph, List<Token> tokens, int target)
    {
        foreach (var index in graph.ForwardInbound(target))
        {
            var source = graph[index].Source;
            if (tokens.Exists(t => !t.IsBlocked && t.Target == source))
                return true;
        }

        return false;
    }

    /// <summary>A token on a connection; a blocked one turns away the next that comes along it.</summary>
    private sealed record Token(int Source, string Port, int Target)
    {
        public bool IsBlocked { get; init; }
    }

    /// <summary>The tokens of one execution of the flowchart that have not been used up.</summary>
    private sealed class FlowTokens : IActivityState
    {
        public const byte Kind = 2;

        public List<Token> Tokens { get; } = [];

        public void Write(ref StateWriter writer)
        {
            writer.Byte(Kind);
            writer.Unsigned((ulong)Tokens.Count);
            foreach (var token in Tokens)
            {
                writer.Int(token.Source);
                writer.Text(token.Port);
                writer.Int(token.Target);
                writer.Bool(token.IsBlocked);
            }
        }

        public static FlowTokens Read(ref StateReader reader)
        {
            var state = new FlowTokens();
            for (var count = reader.Count(); count > 0; count--)
                state.Tokens.Add(new Token(reader.Int(), reader.Text() ?? "", reader.Int()) { IsBlocked = reader.Bool() });
            return state;
        }
    }
}
