
namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class AdminTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [Fact]
    public async Task Version_IsElsas_AndNothingIsForStrangers()
    {
        using var anonymous = new HttpClient { BaseAddress = _server.Http.BaseAddress };
        Assert.Equal("""{"packageVersion":"3.8.2"}""", await _server.Http.GetStringAsync("/elsa/api/package/version"));
        foreach (var path in (string[])
            [
                "workflow-instances", "workflow-instances/x", "workflow-instances/x/journal", "workflow-instances/x/execution-state", "workflow-instances/x/variables", "workflow-instances/x/export",
                "activity-executions/list", "activity-execution-summaries/list", "activity-executions/by-id", "activity-executions/x/call-stack", "resilience/strategies", "resilience/retries/x",
                "bookmark-queue/dead-letters", "alterations/x", "admin/workflow-runtime/status", "labels", "package/version",
            ])
        {
            var refused = await anonymous.GetAsync($"/elsa/api/{path}");
            Assert.True((int)refused.StatusCode == 401, path);
            Assert.Empty(await refused.Content.ReadAsByteArrayAsync());
        }
    }

    [Fact]
    public async Task Pause_KeepsWorkersOfAllProcesses_UntilTheyAreResumed()
    {
        // One of its own: others must go on meanwhile.
        await using var server = await ServerProcess.StartAsync();
        var id = SharedServer.NewId();
        await server.PublishAsync(id, Flows.Waiting(id));
        var waiting = await server.StartAsync(id);
        await server.UntilAsync(waiting, "Suspended");
        Assert.Equal("True", (await server.GetAsync("/elsa/api/admin/workflow-runtime/status")).GetProperty("state").Text("isAcceptingNewWork"));

        var paused = await server.PostAsync("/elsa/api/admin/workflow-runtime/pause", """{ "reason": "upgrade" }""");
        var started = await server.StartAsync(id);
        (await server.CallAsync($"POST /elsa/api/events/{id}/trigger", $$"""{ "workflowInstanceId": "{{waiting}}" }""")).Is(200);

        Assert.Equal(["reason", "isAcceptingNewWork", "pausedAt", "pauseRequestedBy", "pauseReason"], paused.GetProperty("state").EnumerateObject().Select(p => p.Name));
        Assert.Equal(["state", "sources", "activeExecutionCycleCount"], paused.EnumerateObject().Select(p => p.Name));
        await ServerProcess.UntilAsync(async () => (await server.GetAsync("/api/queue")).GetProperty("due").GetInt32() == 2, "the start and the event wait");
        // A worker looks every second.
        await Task.Delay(TimeSpan.FromSeconds(2));
        Assert.Equal("Pending", (await server.GetAsync($"/api/instances/{started}")).Text("subStatus"));
        Assert.Equal("Suspended", (await server.GetAsync($"/api/instances/{waiting}")).Text("subStatus"));
        await server.PostAsync("/elsa/api/admin/workflow-runtime/force-drain", "{}");
        var resumed = await server.PostAsync("/elsa/api/admin/workflow-runtime/resume", "{}");
        Assert.Equal("""{"reason":"None","isAcceptingNewWork":true}""", resumed.GetProperty("state").GetRawText());
        await server.UntilAsync(started, "Suspended");
        await server.UntilAsync(waiting, "Finished");
    }

    [Fact]
    public async Task DeadLetters_NobodyDied_AreEmpty()
    {
        var letters = await _server.GetAsync("/elsa/api/bookmark-queue/dead-letters?page=0&pageSize=5");
        Assert.Equal(["items", "totalCount"], letters.EnumerateObject().Select(p => p.Name));
        Assert.Equal(letters.GetProperty("totalCount").GetInt32(), (await _server.PostAsync("/elsa/api/bookmark-queue/dead-letters", "{}")).GetProperty("totalCount").GetInt32());
        (await _server.CallAsync("GET /elsa/api/bookmark-queue/dead-letters/1")).Is(404);
        (await _server.CallAsync("GET /elsa/api/bookmark-queue/dead-letters/x")).Is(404);
        (await _server.CallAsync("DELETE /elsa/api/bookmark-queue/dead-letters/1")).Is(404);
        (await _server.CallAsync("POST /elsa/api/bookmark-queue/dead-letters/1/replay")).Is(404);
        (await _server.CallAsync("GET /elsa/api/bookmark-queue/dead-letters?page=-1")).Is(400);
    }

    [Fact]
    public async Task Labels_AreMadeChangedAndGiven()
    {
        var id = SharedServer.NewId();
        await _server.PublishAsync(id, Flows.Short());
        var versionId = (await _server.GetAsync($"/api/workflows/{id}")).Text("id");

        var made = (await _server.CallAsync("POST /elsa/api/labels", $$"""{ "name": "Orders {{id}}", "description": null, "color": "#ff0000" }""")).Is(201);
        var labelId = made["id"].GetString()!;
        Assert.Equal(["id", "name", "normalizedName", "color"], made.Json.EnumerateObject().Select(p => p.Name));
        (await _server.CallAsync("POST /elsa/api/labels", $$"""{ "name": "ORDERS {{id}}" }""")).Is(400);
        (await _server.CallAsync("POST /elsa/api/labels", "{}")).Is(400);
        Assert.Equal("changed", (await _server.PostAsync($"/elsa/api/labels/{labelId}", $$"""{ "name": "Orders {{id}}", "description": "changed" }""")).Text("description"));
        Assert.Equal("changed", (await _server.GetAsync($"/elsa/api/labels/{labelId}")).Text("description"));
        Assert.Contains((await _server.ItemsAsync("/elsa/api/labels")).Select(l => l.Text("id")), l => l == labelId);
        Assert.Equal($$"""{"labelIds":["{{labelId}}"]}""", (await _server.CallAsync($"POST /elsa/api/workflow-definitions/{Uri.EscapeDataString(versionId)}/labels", $$"""{ "labelIds": ["{{labelId}}", "nothing"] }""")).Is(200).Text);
        Assert.Equal($$"""{"items":["{{labelId}}"]}""", (await _server.CallAsync($"GET /elsa/api/workflow-definitions/{Uri.EscapeDataString(versionId)}/labels")).Is(200).Text);
        Assert.Equal(versionId, Assert.Single(await _server.ItemsAsync($"/elsa/api/workflow-definitions?label={labelId}&label=nothing&Page=0&PageSize=5")).Text("id"));
        (await _server.CallAsync($"DELETE /elsa/api/labels/{labelId}")).Is(204);
        Assert.Empty(await _server.ItemsAsync($"/elsa/api/workflow-definitions?label={labelId}"));
        (await _server.CallAsync($"GET /elsa/api/labels/{labelId}")).Is(404);
        Assert.Equal("""{"items":[]}""", (await _server.CallAsync($"GET /elsa/api/workflow-definitions/{Uri.EscapeDataString(versionId)}/labels")).Is(200).Text);
        (await _server.CallAsync("GET /elsa/api/workflow-definitions/nothing/labels")).Is(404);
    }
}
