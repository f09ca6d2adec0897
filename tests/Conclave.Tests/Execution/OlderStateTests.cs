using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Execution;

/// <summary>State that earlier versions of the engine wrote. Add one for each version of the format; never change one.</summary>
public sealed class OlderStateTests
{
    private const string Version1 =
        "010200086F726465722D37084F726465722037000000008080D1D9B9BFA3DF118080D1D9B9BFA3DF1100020C04140206" +
        "6F726465720D0F7B226C696E6573223A5B312C325D7D057768656E0A80E294CFE6E8A4DE117800040200000100000000" +
        "00000106746F74616C06FA0100008080080000040205666C6F7701000000000000000001010200020202020402060203" +
        "0002020204020101010A040570616964010000000000000000000C0405776169740100000000000000000002020A0001" +
        "8080D1D9B9BFA3DF110E4576656E745374696D756C7573010A4576656E744E616D65070570616964040C00018080D1D9" +
        "B9BFA3DF110D44656C61795061796C6F61640109526573756D6541740A80F0D6B3E6BFA3DF1100000000";

    [Fact]
    public async Task Read_StateOfVersion1_GoesOnWhereItWas()
    {
        var engine = TestRun.Engine();
        var graph = engine.Compile(Workflow().Read());

        var instance = InstanceSerializer.Read("old", graph, Convert.FromHexString(Version1), engine.Time);

        Assert.Equal((WorkflowSubStatus.Suspended, "order-7", "Order 7"), (instance.SubStatus, instance.CorrelationId, instance.Name));
        Assert.Equal(["paid", "wait"], instance.Bookmarks.Select(b => b.Context.Node.Id).Order());
        foreach (var bookmark in instance.Bookmarks.ToArray())
            await engine.ResumeAsync(instance, bookmark, JsonElement.Parse("""{"amount":12.5}"""), new WorkflowHost(), default);
        Assert.Equal(WorkflowSubStatus.Finished, instance.SubStatus);
        Assert.Equal(12.5m, instance.GetVariable(graph.Root.FindVariable("total")!));
        Assert.Equal("""{"amount":12.5}""", instance.Output["payment"]!.ToString());
    }

    [Fact]
    public async Task Write_SameInstance_StillGivesVersion1()
    {
        var engine = TestRun.Engine(time: new ManualTime(new DateTimeOffset(2026, 11, 20, 12, 0, 0, TimeSpan.Zero)));
        var instance = engine.CreateInstance(engine.Compile(Workflow().Read()), new WorkflowStart
        {
            InstanceId = "old",
            CorrelationId = "order-7",
            Name = "Order 7",
            Input = new Dictionary<string, object?> { ["order"] = JsonElement.Parse("""{"lines":[1,2]}"""), ["when"] = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.FromHours(1)) },
        });
        await engine.RunAsync(instance, new WorkflowHost(), default);
        var buffer = new ArrayBufferWriter<byte>();
        InstanceSerializer.Write(instance, buffer);

        Assert.Equal(Version1, Convert.ToHexString(buffer.WrittenSpan));
    }

    private static JsonObject Workflow() => Json.Workflow(
        Json.Flowchart(
            "flow",
            [
                Json.Set("set", "total", Json.Literal("12.5")),
                Json.Activity("FlowFork", "fork", ("branches", Json.Expression("Object", """["A","B"]"""))),
                Json.Event("paid").With(("result", Json.To("payment"))),
                Json.Delay("wait"),
                Json.Activity("FlowJoin", "join", ("mode", Json.Literal("WaitAll"))),
            ],
            "set->fork", "fork:A->paid", "fork:B->wait", "paid->join", "wait->join"),
        Json.Variable("total", "Decimal", "0")).With(("outputs", new JsonArray(new JsonObject { ["name"] = "payment", ["type"] = "Object" })));
}
