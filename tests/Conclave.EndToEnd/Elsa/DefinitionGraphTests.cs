using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class DefinitionGraphTests(SharedServer shared)
{
    private const string Path = "/elsa/api/workflow-definitions";

    private readonly ServerProcess _server = shared.Server;
    private readonly string _name = $"G{SharedServer.NewId()}";

    [Fact]
    public async Task Subgraph_OfAWorkflowUsedAsActivity_HasItsRoot()
    {
        var (id, version) = await NestedAsync();
        var use = (await _server.CallAsync($"GET {Path}/{id}")).Is(200)["root"].GetProperty("activities")[0];
        Assert.False(use.TryGetProperty("root", out _));

        var found = (await _server.CallAsync($"GET {Path}/subgraph/{version}?parentNodeId={use.Text("nodeId")}")).Is(200);

        Assert.Equal((use.Text("nodeId"), "Activities"), (found["nodeId"].GetString(), found["port"].GetString()));
        var workflow = found["activity"].GetProperty("root");
        Assert.Equal(("Elsa.Workflow", "1"), (workflow.Text("type"), workflow.Text("version")));
        Assert.Equal($"{use.Text("nodeId")}:{workflow.Text("id")}", workflow.Text("nodeId"));
        Assert.Equal($"{workflow.Text("nodeId")}:inner", workflow.GetProperty("root").Text("nodeId"));
        Assert.Equal($"{workflow.Text("nodeId")}:inner:each", workflow.GetProperty("root").GetProperty("activities")[0].Text("nodeId"));
    }

    [Fact]
    public async Task Subgraph_OfNothing_IsTheWholeWorkflow()
    {
        var (id, version) = await NestedAsync();
        var root = (await _server.CallAsync($"GET {Path}/{id}")).Is(200)["root"].Text("nodeId");
        foreach (var query in (string[])["", "?parentNodeId=", "?parentNodeId=nothing"])
        {
            var found = (await _server.CallAsync($"GET {Path}/subgraph/{version}{query}")).Is(200);
            Assert.Equal((root[..^":outer".Length], "Elsa.Workflow", root), (found["nodeId"].GetString(), found["activity"].Text("type"), found["activity"].GetProperty("root").Text("nodeId")));
        }

        (await _server.CallAsync($"GET {Path}/subgraph/nothing")).Is(404);
    }

    [Fact]
    public async Task Segments_LeadThroughWhatHasItsOwnCanvas()
    {
        var (id, version) = await NestedAsync();
        var use = (await _server.CallAsync($"GET {Path}/{id}")).Is(200)["root"].GetProperty("activities")[0].Text("nodeId");
        var inner = (await _server.CallAsync($"GET {Path}/subgraph/{version}?parentNodeId={Uri.EscapeDataString(use)}")).Is(200)["activity"].GetProperty("root").Text("nodeId");
        var child = $"{inner}:inner:each:line";

        var found = (await _server.CallAsync($"GET {Path}/subgraph/segments/{version}?childNodeId={Uri.EscapeDataString(child)}")).Is(200);

        Assert.Equal((child, "Body", "Elsa.WriteLine"), (found["childNode"].Text("nodeId"), found["childNode"].Text("port"), found["childNode"].GetProperty("activity").Text("type")));
        Assert.Equal($"{inner}:inner:each", found["container"].Text("nodeId"));
        Assert.Equal(
            ["use Root", "inner Activities", "each Body"],
            found["pathSegments"].EnumerateArray().Select(s => $"{s.Text("activityId")} {s.Text("portName")}"));
        Assert.Equal(["activityNodeId", "activityId", "activityType", "portName"], found["pathSegments"][0].EnumerateObject().Select(m => m.Name));
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"GET {Path}/subgraph/segments/{version}?childNodeId=nothing"), "nothing");
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"GET {Path}/subgraph/segments/{version}"), "childNodeId");
    }

    [Fact]
    public async Task NodeIds_AreThoseOfTheStatesOfInstances()
    {
        var (id, _) = await NestedAsync();
        var shown = (await _server.CallAsync($"GET {Path}/{id}")).Is(200)["root"].GetProperty("activities")[0].Text("nodeId");

        var run = (await _server.CallAsync($"POST {Path}/{id}/execute", """{"versionOptions":"Latest"}""")).Is(200);

        var journal = await _server.ItemsAsync($"/api/instances/{run["workflowState"].Text("id")}/journal");
        Assert.Contains(journal, e => e.Text("nodeId") == shown);
    }

    /// <summary>A flowchart with a workflow as activity, which is a sequence with a loop.</summary>
    private async Task<(string DefinitionId, string VersionId)> NestedAsync()
    {
        var used = await Studio.CreateAsync(_server, _name, Sequence("inner", Activity("ForEach", "each", ("body", Write("line")))));
        used.Model["options"] = new JsonObject { ["usableAsActivity"] = true };
        (await used.SaveAsync(publish: true)).Is(200);
        var use = new JsonObject { ["id"] = "use", ["type"] = _name, ["version"] = 1, ["workflowDefinitionId"] = used.DefinitionId, ["workflowDefinitionVersionId"] = used.Text("id") };
        var outer = await Studio.CreateAsync(_server, $"{_name} outer", Flowchart("outer", [use]));
        return (outer.DefinitionId, outer.Text("id"));
    }
}
