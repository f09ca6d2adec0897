using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Execution;

/// <summary>Stored state that is damaged is refused, or is an instance like any other.</summary>
public sealed class CorruptStateTests
{
    [Theory]
    [InlineData(FlowchartMode.Counter)]
    [InlineData(FlowchartMode.Token)]
    public async Task Read_CutOffAtAnyByte_IsInvalidData(FlowchartMode mode)
    {
        var (engine, graph, state) = await StateAsync(mode);

        for (var length = 0; length < state.Length; length++)
            Assert.Throws<InvalidDataException>(() => InstanceSerializer.Read("i", graph, state.AsSpan(0, length), engine.Time));
    }

    [Theory]
    [InlineData(FlowchartMode.Counter)]
    [InlineData(FlowchartMode.Token)]
    public async Task Read_AnyByteChanged_IsInvalidDataOrAnInstanceThatRuns(FlowchartMode mode)
    {
        var (engine, graph, state) = await StateAsync(mode);
        var (refused, accepted) = (0, 0);

        for (var place = 0; place < state.Length; place++)
        {
            foreach (var flip in (byte[])[0x01, 0x02, 0x10, 0x40, 0x80, 0xFF])
            {
                var changed = (byte[])state.Clone();
                changed[place] ^= flip;
                WorkflowInstance instance;
                try
                {
                    instance = InstanceSerializer.Read("i", graph, changed, engine.Time);
                }
                catch (Exception exception) when (exception is InvalidDataException or LargeValuesNeededException)
                {
                    refused++;
                    continue;
                }

                accepted++;
                TestRun.Store(instance);
                await engine.RunAsync(instance, new Quiet(), CancellationToken.None);
                for (var bursts = 0; bursts < 20 && instance.Bookmarks.Count > 0; bursts++)
                    await engine.ResumeAsync(instance, instance.Bookmarks[0], null, new Quiet(), CancellationToken.None);
            }
        }

        Assert.NotEqual(0, refused);
        Assert.NotEqual(0, accepted);
    }

    [Fact]
    public async Task Read_Noise_IsInvalidData()
    {
        var (engine, graph, _) = await StateAsync(FlowchartMode.Counter);
        var random = new Random(7);

        for (var i = 0; i < 2_000; i++)
        {
            var noise = new byte[random.Next(200)];
            random.NextBytes(noise);
            if (noise.Length > 0 && i % 2 == 0)
                noise[0] = InstanceSerializer.FormatVersion;
            Assert.Throws<InvalidDataException>(() => InstanceSerializer.Read("i", graph, noise, engine.Time));
        }
    }

    [Fact]
    public async Task Read_NewerFormat_SaysWhichFormats()
    {
        var (engine, graph, state) = await StateAsync(FlowchartMode.Counter);
        state[0] = InstanceSerializer.FormatVersion + 1;

        var exception = Assert.Throws<InvalidDataException>(() => InstanceSerializer.Read("i", graph, state, engine.Time));

        Assert.Contains($"format {state[0]}", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_StateOfAnotherWorkflow_NamesTheMissingActivity()
    {
        var (engine, _, state) = await StateAsync(FlowchartMode.Counter);
        var other = engine.Compile(Json.Workflow(Json.Sequence("other")).Read());

        var exception = Assert.Throws<InvalidDataException>(() => InstanceSerializer.Read("i", other, state, engine.Time));

        Assert.Contains("'f'", exception.Message, StringComparison.Ordinal);
    }

    /// <summary>An instance that waits in two places, with every kind of state.</summary>
    private static async Task<(WorkflowEngine Engine, WorkflowGraph Graph, byte[] State)> StateAsync(FlowchartMode mode)
    {
        var workflow = Json.Workflow(
            Json.Flowchart(
                "f",
                [
                    Json.Set("set", "n", Json.Literal(5)),
                    Json.Event("e"),
                    Json.Activity("ForEach", "each", ("items", Json.Expression("Object", "[1,2]")), ("body", Json.Delay("d"))),
                    Json.Activity("FlowJoin", "join", ("mode", Json.Literal("WaitAll"))),
                    Json.Activity("SetOutput", "out", ("outputName", "o"), ("outputValue", Json.Variable("n"))),
                    Json.Activity("Fault", "fault"),
                ],
                "set->e", "set->each", "set->fault", "e->join", "each->join", "join->out"),
            Json.Variable("n", "Int32"), Json.Variable("date", "DateTimeOffset", "2026-01-15"), Json.Variable("amount", "Decimal", 1), Json.Variable("json", "JSON"),
            Json.Variable("guid", "Guid", "6f9619ff-8b86-d011-b42d-00c04fc964ff"))
            .With(("options", new System.Text.Json.Nodes.JsonObject { ["incidentStrategyType"] = "ContinueWithIncidentsStrategy" }));
        var engine = TestRun.Engine(new WorkflowEngineOptions { MaxActivitiesPerBurst = 500 }, new ManualTime());
        var graph = engine.Compile(workflow.Read());
        var instance = engine.CreateInstance(graph, new WorkflowStart
        {
            InstanceId = "i",
            CorrelationId = "c",
            FlowchartMode = mode,
            Input = new Dictionary<string, object?>
            {
                ["decimal"] = 1.5m,
                ["double"] = double.NaN,
                ["guid"] = Guid.Empty,
                ["date"] = DateTime.UnixEpoch,
                ["offset"] = DateTimeOffset.UnixEpoch,
                ["span"] = TimeSpan.FromDays(1),
                ["uri"] = new Uri("https://example.org"),
                ["bytes"] = new byte[] { 1, 2 },
                ["json"] = Json.Element("{\"a\":[1,null]}"),
                ["float"] = 1.5f,
                ["long"] = long.MinValue,
                ["text"] = "Größe",
                ["flag"] = true,
                ["none"] = null,
            },
        });
        await engine.RunAsync(instance, new Quiet(), CancellationToken.None);
        Assert.Equal(2, instance.Bookmarks.Count);
        Assert.Single(instance.Incidents);
        return (engine, graph, TestRun.Store(instance));
    }

    private sealed class Quiet : WorkflowHost
    {
        public override void WriteLine(string? text)
        {
        }
    }
}
