using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Api;

[Collection(SharedServer.Name)]
public sealed class StimulusTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Event_StartsWhatBeginsWithIt()
    {
        var trigger = Activity("Event", "e", ("eventName", Literal(_id)), ("result", To("got")), ("customProperties", new JsonObject { ["canStartWorkflow"] = true }));
        await _server.PublishAsync(_id, Flows.Of("Starts", Sequence("s", trigger, Flows.SetOutput("getGot()")), Variable("got", "Object")));

        var delivery = await _server.PostAsync($"/api/events/{_id}", """{"payload":{"a":1},"correlationId":"c"}""");

        Assert.Equal(("0", "False"), (delivery.Text("resumed"), delivery.Text("duplicate")));
        var ended = await _server.UntilAsync(Assert.Single(delivery.GetProperty("started").EnumerateArray()).GetString()!, "Finished");
        Assert.Equal("""{"a":1}""", ended.GetProperty("output").GetProperty("Result").GetRawText());
        Assert.Equal("c", ended.Text("correlationId"));
    }

    [Fact]
    public async Task Event_ResumesWhoWaits()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        string[] ids = [await _server.StartAsync(_id, """{"correlationId":"one"}"""), await _server.StartAsync(_id, """{"correlationId":"two"}"""), await _server.StartAsync(_id)];
        foreach (var id in ids)
            await _server.UntilAsync(id, "Suspended");

        Assert.Equal("1", (await _server.PostAsync($"/api/events/{_id}", """{"payload":"for two","correlationId":"two"}""")).Text("resumed"));
        Assert.Equal("for two", (await _server.UntilAsync(ids[1], "Finished")).GetProperty("output").Text("Result"));
        Assert.Equal("1", (await _server.PostAsync($"/api/events/{_id}", $$"""{"payload":3,"instanceId":"{{ids[2]}}"}""")).Text("resumed"));
        await _server.UntilAsync(ids[2], "Finished");
        Assert.Equal("1", (await _server.PostAsync($"/api/events/{_id}", """{"payload":"for all"}""")).Text("resumed"));
        await _server.UntilAsync(ids[0], "Finished");
        var nobody = await _server.PostAsync($"/api/events/{_id}", "{}");
        Assert.Equal(("0", "False", "False"), (nobody.Text("resumed"), nobody.Text("waiting"), nobody.Text("duplicate")));
    }

    [Fact]
    public async Task Event_BeforeAnybodyWaits_IsKeptForTheOneItIsAimedAt()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));

        var early = await _server.PostAsync($"/api/events/{_id}", $$"""{"payload":"early","correlationId":"{{_id}}"}""");
        var ended = (await _server.CallAsync($"POST /api/workflows/{_id}/start", $$"""{"correlationId":"{{_id}}"}""")).Is(202);

        Assert.Equal(("0", "True"), (early.Text("resumed"), early.Text("waiting")));
        Assert.Equal("early", (await _server.UntilAsync(ended["instanceId"].GetString()!, "Finished")).GetProperty("output").Text("Result"));
    }

    [Fact]
    public async Task Event_WithTheSameIdTwelveTimes_IsDeliveredOnce()
    {
        await _server.PublishAsync(_id, Flows.Of("Counts", Sequence("s", Event(_id), Event(_id).With(("id", "second")))));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");

        var deliveries = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => _server.PostAsync($"/api/events/{_id}", $$"""{"id":"{{_id}}"}""")));

        Assert.Equal("1", Assert.Single(deliveries, d => d.Text("duplicate") == "False").Text("resumed"));
        Assert.All(deliveries.Where(d => d.Text("duplicate") == "True"), d => Assert.Equal("0", d.Text("resumed")));
        await ServerProcess.UntilAsync(
            async () => (await _server.GetAsync($"/api/instances/{id}")).GetProperty("bookmarks").EnumerateArray().FirstOrDefault() is { ValueKind: not System.Text.Json.JsonValueKind.Undefined } b && b.Text("activityId") == "second",
            "the second event is waited for");
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("""{"id":5}""")]
    [InlineData("""{"correlationId":"a\u0001"}""")]
    public async Task Event_WithWhatMakesNoSense_IsRefused(string body) =>
        (await _server.CallAsync($"POST /api/events/{_id}", body)).IsProblem(400, "request.invalid");

    [Fact]
    public async Task Task_IsListedAndCompletedOnce()
    {
        var task = Activity("RunTask", "task", ("taskName", Literal("Sign, please")), ("result", To("got")));
        await _server.PublishAsync(_id, Flows.Of("Asks", Sequence("s", task, Flows.SetOutput("getGot()")), Variable("got", "Object")));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");

        var item = Assert.Single(await _server.ItemsAsync("/api/tasks?limit=500"), t => t.Text("instanceId") == id);
        Assert.Equal(("Sign, please", "task", _id), (item.Text("taskName"), item.Text("activityId"), item.Text("definitionId")));
        var taskId = item.Text("taskId");
        Assert.Equal("1", (await _server.PostAsync($"/api/tasks/{taskId}/complete", """{"result":{"signed":true}}""")).Text("resumed"));
        (await _server.CallAsync($"POST /api/tasks/{taskId}/complete", "{}")).IsProblem(404, "task.not_found");

        Assert.Equal("""{"signed":true}""", (await _server.UntilAsync(id, "Finished")).GetProperty("output").GetProperty("Result").GetRawText());
        Assert.DoesNotContain(await _server.ItemsAsync("/api/tasks?limit=500"), t => t.Text("instanceId") == id);
        (await _server.CallAsync("POST /api/tasks/nothing/complete", "{}")).IsProblem(404, "task.not_found");
    }

    [Fact]
    public async Task Queue_HasItsNumbers()
    {
        var stats = await _server.GetAsync("/api/queue");

        Assert.All((string[])["due", "claimed", "delayed", "dead", "oldestDueSeconds"], n => Assert.True(stats.GetProperty(n).GetDouble() >= 0, n));
        Assert.Equal(["P0", "P1", "P2", "P3"], stats.GetProperty("byPriority").EnumerateObject().Select(p => p.Name));
        Assert.Equal("items", (await _server.GetAsync("/api/queue/dead")).EnumerateObject().First().Name);
        (await _server.CallAsync("GET /api/queue/dead?cursor=x")).IsProblem(400, "request.invalid");
        (await _server.CallAsync("POST /api/queue/dead/1/requeue")).IsProblem(404, "queue.no_dead_letter");
        (await _server.CallAsync("DELETE /api/queue/dead/1")).IsProblem(404, "queue.no_dead_letter");
    }
}
