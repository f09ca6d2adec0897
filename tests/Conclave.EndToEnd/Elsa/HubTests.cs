using System.Net.WebSockets;
using System.Text.Json;
using Conclave.EndToEnd.Faults;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class HubTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Theory]
    [InlineData("/elsa/hubs/workflow-instance")]
    [InlineData("/elsa/api/hubs/workflow-instance")]
    public async Task Observe_InstanceGoesOn_TellsWhenItCanBeRead(string path)
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");
        await using var client = await HubClient.ConnectAsync(_server, path);
        await client.ObserveAsync(id);
        var blocked = await client.UntilAsync("ActivityExecutionLogUpdatedAsync", m => Stats(m, "e") is { } e && e.GetProperty("isBlocked").GetBoolean());
        Assert.Equal(["activityId", "activityNodeId", "startedCount", "completedCount", "uncompletedCount", "isBlocked", "isFaulted", "aggregateFaultCount"], Stats(blocked, "e")!.Value.EnumerateObject().Select(p => p.Name));
        var before = client.Messages.Count;

        await _server.PostAsync($"/api/events/{_id}", "{}");

        var told = await client.UntilAsync("WorkflowInstanceUpdatedAsync", m => m.Text("workflowInstanceId") == id, before);
        Assert.Equal(["workflowInstanceId"], told.EnumerateObject().Select(p => p.Name));
        // What it tells of can be read at once.
        Assert.Equal("Finished", (await _server.GetAsync($"/elsa/api/workflow-instances/{id}/execution-state")).Text("subStatus"));
        var done = await client.UntilAsync("ActivityExecutionLogUpdatedAsync", m => Stats(m, "e") is { } e && e.GetProperty("completedCount").GetInt64() == 1, before);
        Assert.False(Stats(done, "e")!.Value.GetProperty("isBlocked").GetBoolean());
        await client.UntilAsync("WorkflowExecutionLogUpdatedAsync", m => m.ValueKind == JsonValueKind.Object, before);
    }

    [Fact]
    public async Task Observe_LongBurst_TellsOfItsCommits()
    {
        await _server.PublishAsync(_id, Flows.Of(
            "Steps",
            Sequence("s", Delay("wait", "00:00:01"), Write("first"), Delay("nap", "00:00:00.2"), Write("last"))).With(("options", new System.Text.Json.Nodes.JsonObject { ["commitStrategyName"] = "ActivityExecuted" })));
        var id = await _server.StartAsync(_id);
        await using var client = await HubClient.ConnectAsync(_server);
        await client.ObserveAsync(id);

        await client.UntilAsync("ActivityExecutionLogUpdatedAsync", m => Stats(m, "first") is { } s && s.GetProperty("completedCount").GetInt64() == 1);
        await client.UntilAsync("ActivityExecutionLogUpdatedAsync", m => Stats(m, "last") is { } s && s.GetProperty("completedCount").GetInt64() == 1);
        var ended = await _server.UntilAsync(id, "Finished");
        Assert.Equal(id, ended.Text("id"));
    }

    [Fact]
    public async Task Observe_EndedBetweenLookAndConnection_IsToldAtOnce()
    {
        await _server.PublishAsync(_id, Flows.Short());
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Finished");
        await using var client = await HubClient.ConnectAsync(_server);

        await client.ObserveAsync(id);

        await client.UntilAsync("WorkflowInstanceUpdatedAsync", m => m.Text("workflowInstanceId") == id);
    }

    [Fact]
    public async Task Connect_WithoutKeyOrNegotiation_IsRefused()
    {
        using var http = new HttpClient { BaseAddress = _server.Http.BaseAddress };
        Assert.Equal(401, (int)(await http.PostAsync("/elsa/hubs/workflow-instance/negotiate?negotiateVersion=1", null)).StatusCode);
        // An id that no negotiation gave, and none at all.
        Assert.Contains("404", await RefusedAsync(HubClient.AddressOf(_server, "/elsa/hubs/workflow-instance", "guessed")), StringComparison.Ordinal);
        Assert.Contains("401", await RefusedAsync(new Uri($"ws://{_server.Http.BaseAddress!.Authority}/elsa/hubs/workflow-instance")), StringComparison.Ordinal);
        return;

        static async Task<string> RefusedAsync(Uri address)
        {
            using var socket = new ClientWebSocket();
            return (await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(address, default))).Message;
        }
    }

    [Fact]
    public async Task Observe_WorkerIsAnotherProcess_TellsWhatItCommits()
    {
        await using var database = await FaultDatabase.NewAsync();
        string[] settings = [$"ConnectionStrings:Conclave={database.ConnectionString}", "Worker:PollInterval=00:00:00.1"];
        await using var web = await ServerProcess.StartAsync(null, [.. settings, "Roles=web"]);
        await using var worker = await ServerProcess.StartAsync(null, [.. settings, "Roles=worker"]);
        await web.PublishAsync(_id, Flows.Waiting(_id));
        var id = await web.StartAsync(_id);
        await web.UntilAsync(id, "Suspended");
        await using var client = await HubClient.ConnectAsync(web);
        await client.ObserveAsync(id);
        await client.UntilAsync("ActivityExecutionLogUpdatedAsync", m => Stats(m, "e") is not null);
        var before = client.Messages.Count;

        await web.PostAsync($"/api/events/{_id}", "{}");

        await client.UntilAsync("WorkflowInstanceUpdatedAsync", m => m.Text("workflowInstanceId") == id, before);
        await client.UntilAsync("ActivityExecutionLogUpdatedAsync", m => Stats(m, "e") is { } e && e.GetProperty("completedCount").GetInt64() == 1, before);
        Assert.Equal("Finished", (await web.GetAsync($"/elsa/api/workflow-instances/{id}/execution-state")).Text("subStatus"));
    }

    private static JsonElement? Stats(JsonElement message, string activityId)
    {
        foreach (var stats in message.GetProperty("stats").EnumerateArray())
        {
            if (stats.Text("activityId") == activityId)
                return stats;
        }

        return null;
    }
}
