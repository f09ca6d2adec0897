using Conclave.Workflows.Definitions;

namespace Conclave.Tests.Definitions;

public sealed class FlowGraphTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void IsValidBackward_RandomGraphs_AgreesWithTryingEveryPath(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 150; round++)
        {
            var activities = random.Next(1, 9);
            var connections = Enumerable.Range(0, random.Next(0, 20))
                .Select(_ => new FlowConnection(random.Next(activities), "Done", random.Next(activities), "In"))
                .Distinct()
                .ToArray();
            var graph = new FlowGraph(activities, connections, 0);

            for (var i = 0; i < connections.Length; i++)
            {
                if (!graph.IsForward(i))
                    Assert.Equal(EveryPathPasses(graph, connections[i].Source, connections[i].Target, []), graph.IsValidBackward(i));
            }
        }
    }

    [Fact]
    public void IsForward_RandomGraph_LeavesNoCycle()
    {
        var random = new Random(11);
        var connections = Enumerable.Range(0, 4000)
            .Select(_ => new FlowConnection(random.Next(300), "Done", random.Next(300), "In"))
            .Distinct()
            .ToArray();
        var graph = new FlowGraph(300, connections, 0);

        var waits = Enumerable.Range(0, 300).Select(a => graph.ForwardInbound(a).Length).ToArray();
        var ready = new Queue<int>(Enumerable.Range(0, 300).Where(a => waits[a] == 0));
        var done = 0;
        while (ready.TryDequeue(out var activity))
        {
            done++;
            foreach (var connection in graph.Outbound(activity))
            {
                if (graph.IsForward(connection) && --waits[graph[connection].Target] == 0)
                    ready.Enqueue(graph[connection].Target);
            }
        }

        Assert.Equal(300, done);
    }

    [Fact]
    public void Compile_FiveThousandActivitiesAndManyLoops_Ends()
    {
        var random = new Random(5);
        var connections = Enumerable.Range(0, 4999).Select(i => new FlowConnection(i, "Done", i + 1, "In"))
            .Concat(Enumerable.Range(0, 120_000).Select(_ => random.Next(1, 5000)).Select(a => new FlowConnection(a, "Back", random.Next(a), "In")))
            .Distinct()
            .ToArray();

        var graph = new FlowGraph(5000, connections, 0);

        Assert.All(Enumerable.Range(4999, connections.Length - 4999), i => Assert.True(graph.IsValidBackward(i)));
    }

    private static bool EveryPathPasses(FlowGraph graph, int from, int through, HashSet<int> path)
    {
        if (from == through)
            return true;
        if (from == 0)
            return false;
        path.Add(from);
        foreach (var inbound in graph.ForwardInbound(from))
        {
            var before = graph[inbound].Source;
            if (!path.Contains(before) && !EveryPathPasses(graph, before, through, path))
            {
                path.Remove(from);
                return false;
            }
        }

        path.Remove(from);
        return true;
    }
}
