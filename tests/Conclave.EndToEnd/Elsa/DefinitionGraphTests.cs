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
        var definition = (await _server.CallAsync($"GET {Path}/{id}")).Is(200);
        Assert.False(definition["root"].GetProperty("activities")[0].TryGetProperty("root", out _));

        var found = (await _server.CallAsync($"GET {Path}/subgraph/{version}?parentNodeId=Workflow1%3Aouter%3Ause")).Is(200);

        Assert.Equal(("Workflow1:outer:use", "Activities"), (found["nodeId"].GetString(), found["port"].GetString()));
        var workflow = found["activity"].GetProperty("root");
        Assert.Equal(("Elsa.Workflow", "1"), (workflow.Text("type"), workflow.Text("version")));
        Assert.Equal($"Workflow1:outer:use:{workflow.Text("id")}", workflow.Text("nodeId"));
        Assert.Equal($"{workflow.Text("nodeId")}:inner", workflow.GetProperty("root").Text("nodeId"));
        Assert.Equal($"{workflow.Text("nodeId")}:inner:each", workflow.GetProperty("root").GetProperty("activities")[0].Text("nodeId"));
    }

    [Fact]
    public async Task Subgraph_OfNothing_IsTheWholeWorkflow()
    {
        var (_, version) = await NestedAsync();
        foreach (var query in (string[])["", "?parentNodeId=", "?parentNodeId=nothing"])
        {
            var found = (await _server.CallAsync($"GET {Path}/subgraph/{version}{query}")).Is(200);
            Assert.Equal(("Workflow1", "Elsa.Workflow", "Workflow1:outer"), (found["nodeId"].GetString(), found["activity"].Text("type"), found["activity"].GetProperty("root").Text("nodeId")));
        }

        (await _server.CallAsync($"GET {Path}/subgraph/nothing")).Is(404);
    }

    [Fact]
    public async Task Segments_LeadThroughWhatHasItsOwnCanvas()
    {
        var (_, version) = await NestedAsync();
        var inner = (await _server.CallAsync($"GET {Path}/subgraph/{version}?parentNodeId=Workflow1%3Aouter%3Ause")).Is(200)["activity"].GetProperty("root").Text("nodeId");
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
