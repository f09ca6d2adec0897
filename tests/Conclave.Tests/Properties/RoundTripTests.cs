using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Xunit.Abstractions;

namespace Conclave.Tests.Properties;

/// <summary>Reading, writing and reading again loses nothing; old shapes mean the same as today's.</summary>
public sealed class RoundTripTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(20_000)]
    [InlineData(0)]
    public void Write_WorkflowWithOddMembers_ReadsAsTheSame(int seed)
    {
        foreach (var each in From(seed))
        {
            var random = new Random(each);
            var workflow = new RandomWorkflow(each).Anything();
            Decorate(workflow, random, isActivity: false);
            var definition = workflow.Read();

            var written = WorkflowDefinitionWriter.Write(definition, indented: random.Next(2) == 0);
            var again = WorkflowDefinitionReader.Read(written);

            Assert.Equal(Same.Shape(Trial.Engine.Compile(definition)), Same.Shape(Trial.Engine.Compile(again)));
            Same.AssertNothingLost(JsonElement.Parse(workflow.ToJsonString()), JsonElement.Parse(written));
            Assert.Equal(WorkflowDefinitionWriter.Write(definition), WorkflowDefinitionWriter.Write(again));
        }
    }

    [Theory]
    [InlineData(30_000)]
    [InlineData(0)]
    public async Task Run_OlderVariant_TellsTheSame(int seed)
    {
        foreach (var each in From(seed))
        {
            var workflow = new RandomWorkflow(each).Anything();
            var expected = await RunAsync(workflow.Read());
            if (expected.Length > 100_000)
                continue;

            Age(workflow, new Random(each));
            var aged = workflow.Read();

            Assert.True(expected == await RunAsync(aged), $"seed {each}");
            Assert.True(expected == await RunAsync(WorkflowDefinitionReader.Read(WorkflowDefinitionWriter.Write(aged))), $"seed {each}, written");
        }
    }

    [Fact]
    public void Write_UnknownActivityTypes_KeepsThemWithIdsAndConnections()
    {
        var workflow = Json.Workflow(Json.Flowchart(
            "f",
            [new JsonObject { ["type"] = "Acme.Fly", ["id"] = "fly", ["version"] = 7, ["wings"] = 2, ["body"] = Json.Write("inner") }, Json.Write("b")],
            "fly:Landed->b"));

        var root = WorkflowDefinitionReader.Read(WorkflowDefinitionWriter.Write(workflow.Read())).Root;

        var fly = root.GetProperty("activities")[0];
        Assert.Equal(("Acme.Fly", 7, 2), (fly.GetProperty("type").GetString(), fly.GetProperty("version").GetInt32(), fly.GetProperty("wings").GetInt32()));
        Assert.Equal("Workflow1:f:fly:inner", fly.GetProperty("body").GetProperty("nodeId").GetString());
        Assert.Equal("Landed", root.GetProperty("connections")[0].GetProperty("source").GetProperty("port").GetString());
    }

    [Theory]
    [InlineData("""{"source":"a","target":"b","sourcePort":"Done","targetPort":"In"}""")]
    [InlineData("""[{"source":"a","target":"b"}]""")]
    [InlineData("""{"$values":[{"source":"a","target":"b"}]}""")]
    [InlineData("""[{"Source":{"Activity":"a","Port":"Done"},"Target":{"Activity":"b","Port":"In"}}]""")]
    [InlineData("""[{"source":{"activity":"a","port":null},"target":{"activity":"b","port":null},"vertices":null},{"source":{"activity":"a"},"target":{"activity":null}}]""")]
    public async Task Run_ConnectionsOfAnyAge_Connect(string connections)
    {
        var workflow = Json.Workflow(Json.Flowchart("f", [Json.Write("a"), Json.Write("b")]));
        workflow["root"]!["connections"] = JsonNode.Parse(connections);

        (await TestRun.Engine().RunAsync(workflow)).Finished("a", "b");
        var written = WorkflowDefinitionReader.Read(WorkflowDefinitionWriter.Write(workflow.Read())).Root.GetProperty("connections");
        Assert.Equal(1, written.GetArrayLength());
        Assert.Equal(JsonValueKind.Array, written[0].GetProperty("vertices").ValueKind);
    }

    [Theory]
    [InlineData("""{"root":{"type":"Elsa.Start","id":"a","canStartWorkflow":true}}""")]
    [InlineData("""{"root":{"type":"Elsa.Start","id":"a","customProperties":{"CanStartWorkflow":"true"}}}""")]
    [InlineData("""{"root":{"type":"Elsa.Start","id":"a","customProperties":{"canStartWorkflow":true}}}""")]
    public void Compile_CanStartWorkflowOfAnyAge_IsSeen(string document) =>
        Assert.True(TestRun.Engine().Compile(Json.Read(document)).Nodes[1].CanStartWorkflow);

    [Fact]
    public void Read_OldEnvelope_IsBroughtUpToDate()
    {
        var definition = Json.Read("""{"usableAsActivity":true,"metadata":{"a":1},"root":{"type":"Elsa.Flowchart","version":1,"start":"x","activities":[{"type":"Elsa.WriteLine"},{"type":"Elsa.WriteLine","id":"WriteLine1"}],"applicationProperties":{"b":2}}}""");

        Assert.True(definition.Options.UsableAsActivity);
        Assert.NotEmpty(definition.Id);
        Assert.NotEqual(definition.Id, definition.DefinitionId);
        Assert.Equal(
            ["Workflow1:Flowchart1:WriteLine2", "Workflow1:Flowchart1:WriteLine1"],
            TestRun.Engine().Compile(definition).Nodes.Skip(2).Select(n => n.NodeId));
        Assert.Contains("\"metadata\"", Encoding.UTF8.GetString(WorkflowDefinitionWriter.Write(definition)), StringComparison.Ordinal);
    }

    private IEnumerable<int> From(int seed)
    {
        var first = seed != 0 ? seed : Random.Shared.Next(1_000_000, int.MaxValue - 100);
        output.WriteLine($"seeds from {first}");
        return Enumerable.Range(first, 100);
    }

    private static Task<string> RunAsync(WorkflowDefinition definition) =>
        new Trial(Trial.Engine, Trial.Engine.Compile(definition)).RunAsync(FlowchartMode.Counter, restores: false);

    /// <summary>Adds members that no version of the engine knows, at every level.</summary>
    private static void Decorate(JsonNode node, Random random, bool isActivity)
    {
        if (node is JsonArray items)
        {
            foreach (var item in items.OfType<JsonNode>())
                Decorate(item, random, isActivity);
            return;
        }

        if (node is not JsonObject members)
            return;
        if (isActivity && members.ContainsKey("type") && members.ContainsKey("id"))
        {
            members["metadata"] = new JsonObject
            {
                ["designer"] = new JsonObject { ["position"] = new JsonObject { ["x"] = random.NextDouble() * 1e6, ["y"] = -0.0 } },
                ["displayText"] = Pick(random, "Größe", "日本語", "😀 \u0000 \t\"\\/", "</script>", "\u2028"),
            };
            members[Pick(random, "wings", "$ref", "Ünïcode", "__proto__", "a.b", "")] = JsonNode.Parse(Pick(
                random, "1e400", "123456789012345678901234567890.10", "-0", "{\"type\":1}", "[[],{}]", "null", "\"\"", "1E-7"));
            if (random.Next(3) == 0)
                members["name"] = $"Name {random.Next(1000)}";
        }

        foreach (var (name, value) in members.ToArray())
        {
            if (value is not null && name is "root" or "activities" or "body" or "then" or "else" or "default" or "branches" or "cases" or "activity")
                Decorate(value!, random, isActivity: true);
        }
    }

    /// <summary>Rewrites a document in shapes that older versions wrote.</summary>
    private static void Age(JsonNode node, Random random)
    {
        if (node is JsonArray items)
        {
            foreach (var item in items.OfType<JsonNode>())
                Age(item, random);
            return;
        }

        if (node is not JsonObject members)
            return;
        foreach (var (name, value) in members.ToArray())
        {
            if (value is not null)
                Age(value, random);
            if (name == "connections")
                members[name] = AgedConnections(value!.AsArray(), random);
            else if (value is JsonArray && name is ("activities" or "branches" or "variables") && random.Next(3) == 0)
                members[name] = new JsonObject { [Pick(random, "$values", "_items", "items")] = value!.DeepClone() };
            else if (name == "expression" && (string?)value!["type"] == "Object")
                value["type"] = "Json";
            else if (name is "text" or "condition" && random.Next(3) == 0)
            {
                members.Remove(name);
                members[char.ToUpperInvariant(name[0]) + name[1..]] = value!.DeepClone();
            }
        }

        if (members.ContainsKey("type") && members.ContainsKey("id"))
        {
            members["_type"] = "Elsa.Something, Elsa";
            members["source"] = null;
            members["line"] = null;
        }
    }

    private static JsonNode AgedConnections(JsonArray connections, Random random)
    {
        var style = random.Next(4);
        if (style == 0)
            return connections.DeepClone();
        var aged = new JsonArray([.. connections.Select(c =>
        {
            var (source, port, target) = ((string)c!["source"]!["activity"]!, (string)c["source"]!["port"]!, (string)c["target"]!["activity"]!);
            return style == 1
                ? new JsonObject
                {
                    ["Source"] = new JsonObject { ["Activity"] = source, ["Port"] = port == "Done" ? null : port },
                    ["Target"] = new JsonObject { ["Activity"] = target },
                }
                : new JsonObject { ["source"] = source, ["target"] = target, ["sourcePort"] = port, ["targetPort"] = "In" };
        })]);
        return style == 3 ? new JsonObject { ["$values"] = aged } : aged.Count == 1 ? aged[0]!.DeepClone() : aged;
    }

    private static string Pick(Random random, params string[] choices) => choices[random.Next(choices.Length)];
}
