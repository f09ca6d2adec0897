using System.Text.Json;
using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class InstanceTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Get_Waiting_HasItsStateAndTheRootContext()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        var id = await _server.StartAsync(_id, """{ "input": { "Value": 7 } }""");
        await _server.UntilAsync(id, "Suspended");

        var instance = await _server.GetAsync($"/elsa/api/workflow-instances/{id}");

        Assert.Equal(
            ["id", "definitionId", "definitionVersionId", "version", "status", "subStatus", "isExecuting", "incidentCount", "createdAt", "updatedAt", "isSystem", "workflowState"],
            instance.EnumerateObject().Select(p => p.Name));
        var state = instance.GetProperty("workflowState");
        Assert.Equal(7, state.GetProperty("input").GetProperty("Value").GetInt32());
        Assert.Equal(_id, Assert.Single(state.GetProperty("bookmarks").EnumerateArray()).GetProperty("payload").Text("eventName"));
        var contexts = state.GetProperty("activityExecutionContexts").EnumerateArray().ToList();
        var root = Assert.Single(contexts, c => !c.TryGetProperty("parentContextId", out _));
        Assert.Equal("Workflow1", root.Text("scheduledActivityNodeId"));
        Assert.All(contexts, c => Assert.True(c.GetProperty("startedAt").GetDateTimeOffset() >= instance.GetProperty("createdAt").GetDateTimeOffset()));
        AssertNoNulls(instance, "instance");
        // The viewer asks for the records of that context.
        var records = await _server.ItemsAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={id}&ActivityNodeId=Workflow1");
        Assert.Equal(root.Text("id"), Assert.Single(records).Text("id"));
        (await _server.CallAsync("GET /elsa/api/workflow-instances/nobody")).Is(404);
    }

    [Fact]
    public async Task Get_VersionIsGone_StillShowsTheRow()
    {
        await _server.PublishAsync(_id, Flows.Short());
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Finished");
        (await _server.CallAsync($"DELETE /api/workflows/{_id}?force=true")).Is(204);

        var instance = await _server.GetAsync($"/elsa/api/workflow-instances/{id}");

        Assert.Equal("Finished", instance.Text("subStatus"));
        Assert.Empty(instance.GetProperty("workflowState").GetProperty("activityExecutionContexts").EnumerateArray());
        AssertNoNulls(instance, "instance");
        Assert.NotEmpty(await _server.ItemsAsync($"/elsa/api/workflow-instances/{id}/journal"));
        Assert.NotEmpty(await _server.ItemsAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={id}"));
    }

    [Fact]
    public async Task ExecutionState_GrowsWithEveryChange()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");
        var before = await _server.GetAsync($"/elsa/api/workflow-instances/{id}/execution-state");

        await _server.PostAsync($"/api/events/{_id}", "{}");
        await _server.UntilAsync(id, "Finished");

        var after = await _server.GetAsync($"/elsa/api/workflow-instances/{id}/execution-state");
        Assert.Equal(("Running", "Suspended"), (before.Text("status"), before.Text("subStatus")));
        Assert.Equal(("Finished", "Finished"), (after.Text("status"), after.Text("subStatus")));
        Assert.True(after.GetProperty("updatedAt").GetDateTimeOffset() > before.GetProperty("updatedAt").GetDateTimeOffset());
        (await _server.CallAsync("GET /elsa/api/workflow-instances/nobody/execution-state")).Is(404);
    }

    [Fact]
    public async Task Variables_ReadAndSet_ByTheirIds()
    {
        var flow = Flows.Waiting(_id);
        flow["variables"]!.AsArray().Add((JsonNode)Variable("v-total", "Int32", 3).With(("name", "Total")));
        await _server.PublishAsync(_id, flow);
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");
        var path = $"/elsa/api/workflow-instances/{id}/variables";

        var before = await _server.GetAsync(path);
        var after = await _server.PostAsync(path, """{ "variables": [{ "id": "v-total", "value": 9 }] }""");

        Assert.Equal(2, before.GetProperty("count").GetInt32());
        // One without a value has none, not null.
        Assert.Equal(["""{"id":"got","name":"got"}""", """{"id":"v-total","name":"Total","value":3}"""], before.GetProperty("items").EnumerateArray().Select(i => i.GetRawText()).Order());
        Assert.Equal(9, after.GetProperty("items").EnumerateArray().Single(i => i.Text("id") == "v-total").GetProperty("value").GetInt32());
        foreach (var bad in (string[])["""{ "variables": [{ "id": "nope", "value": 1 }] }""", """{ "variables": [{ "id": "v-total", "value": "many" }] }""", "{}", """{ "variables": [{ "value": 1 }] }"""])
            (await _server.CallAsync($"POST {path}", bad)).Is(400);
        Assert.Equal(9, (await _server.GetAsync(path)).GetProperty("items").EnumerateArray().Single(i => i.Text("id") == "v-total").GetProperty("value").GetInt32());
        (await _server.CallAsync("GET /elsa/api/workflow-instances/nobody/variables")).Is(404);
    }

    [Fact]
    public async Task Journal_FiltersAndPages_CountWhatFits()
    {
        await _server.PublishAsync(_id, Flows.Of("Steps", Sequence("s", [.. Enumerable.Range(0, 6).Select(i => Write($"w{i}")), Activity("Fault", "f", ("message", Literal("broken")))])));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Faulted");
        var path = $"/elsa/api/workflow-instances/{id}/journal";

        var all = await _server.GetAsync(path);
        var items = all.GetProperty("items").EnumerateArray().ToList();
        Assert.Equal(items.Count, all.GetProperty("totalCount").GetInt32());
        Assert.Equal(items.Select(i => i.GetProperty("sequence").GetInt64()).Order(), items.Select(i => i.GetProperty("sequence").GetInt64()));
        Assert.Equal(items.Count, items.Select(i => i.Text("id")).Distinct().Count());
        AssertNoNulls(all, "journal");
        var write = items.First(i => i.Text("activityId") == "w1" && i.Text("eventName") == "Completed");
        Assert.Equal(("Workflow1:s:w1", "Elsa.WriteLine"), (write.Text("nodeId"), write.Text("activityType")));
        Assert.Equal(items.First(i => i.Text("activityId") == "s").Text("activityInstanceId"), write.Text("parentActivityInstanceId"));

        var writes = await _server.PostAsync($"{path}?skip=0&take=100", """{ "filter": { "activityIds": null, "activityNodeIds": ["Workflow1:s:w0", "Workflow1:s:w1"], "excludedActivityTypes": ["Elsa.Workflow", "Elsa.Flowchart"], "eventNames": null } }""");
        Assert.Equal(["w0 Started", "w0 Completed", "w1 Started", "w1 Completed"], Names(writes));
        var paged = await _server.PostAsync($"{path}?skip=1&take=2", """{ "filter": { "activityNodeIds": ["Workflow1:s:w0", "Workflow1:s:w1"] } }""");
        Assert.Equal(["w0 Completed", "w1 Started"], Names(paged));
        Assert.Equal(4, paged.GetProperty("totalCount").GetInt32());
        var second = await _server.PostAsync($"{path}?page=1&pageSize=3", """{ "filter": { "activityIds": ["w0", "w1"] } }""");
        Assert.Equal(["w1 Completed"], Names(second));
        var faults = await _server.PostAsync(path, """{ "filter": { "eventNames": ["Faulted"] } }""");
        var fault = Assert.Single(faults.GetProperty("items").EnumerateArray());
        Assert.Equal("broken", fault.GetProperty("payload").Text("Message"));
        Assert.Equal(0, (await _server.PostAsync(path, """{ "filter": { "activityNodeIds": [] } }""")).GetProperty("totalCount").GetInt32());
        Assert.Equal(items.Count, (await _server.PostAsync(path, "{}")).GetProperty("totalCount").GetInt32());
        Assert.DoesNotContain("w2 Started", Names(await _server.PostAsync(path, """{ "filter": { "excludedActivityTypes": ["Elsa.WriteLine"] } }""")));

        Assert.Equal("Completed", (await _server.GetAsync($"{path}/w3")).Text("eventName"));
        Assert.Equal("Faulted", (await _server.GetAsync($"{path}/f")).Text("eventName"));
        (await _server.CallAsync($"GET {path}/nothing")).Is(404);
        (await _server.CallAsync($"GET {path}?take=-1")).Is(400);
        (await _server.CallAsync("POST /elsa/api/workflow-instances/nobody/journal", "{}")).Is(404);

        static IEnumerable<string> Names(JsonElement list) => list.GetProperty("items").EnumerateArray().Select(i => $"{i.Text("activityId")} {i.Text("eventName")}");
    }

    /// <summary>Nulls make Studio throw. Values of workflows are the author's own.</summary>
    internal static void AssertNoNulls(JsonElement element, string place)
    {
        Assert.True(element.ValueKind != JsonValueKind.Null, $"{place} is null");
        if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in element.EnumerateArray())
                AssertNoNulls(item, $"{place}[]");
        }
        else if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in element.EnumerateObject().Where(m => m.Name is not ("input" or "output" or "activityState" or "outputs" or "payload" or "properties")))
                AssertNoNulls(member.Value, $"{place}.{member.Name}");
        }
    }
}
