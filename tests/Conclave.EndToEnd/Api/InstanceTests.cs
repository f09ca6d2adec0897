using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Api;

[Collection(SharedServer.Name)]
public sealed class InstanceTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task List_WhileOthersAreAdded_ShowsEachOfThe120Once()
    {
        await _server.PublishAsync(_id, Flows.Short());
        var started = (await _server.CallAsync($"POST /api/workflows/{_id}/start-many", $"[{string.Join(',', Enumerable.Repeat("{}", 120))}]")).Is(202);
        var ids = started["instanceIds"].EnumerateArray().Select(i => i.GetString()!).ToList();

        var shown = await _server.PagesAsync($"/api/instances?definitionId={_id}&limit=7", () => _server.StartAsync(_id));

        var shownIds = shown.ConvertAll(i => i.Text("id"));
        Assert.Equal(shownIds.Count, shownIds.Distinct().Count());
        Assert.Equal(ids.Order(StringComparer.Ordinal), shownIds.Order(StringComparer.Ordinal));
        Assert.Equal(shown.Select(i => i.GetProperty("createdAt").GetDateTimeOffset()).OrderDescending(), shown.Select(i => i.GetProperty("createdAt").GetDateTimeOffset()));
    }

    [Fact]
    public async Task List_Filters_ShowWhatTheyName()
    {
        var faulty = SharedServer.NewId();
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        await _server.PublishAsync(faulty, Flows.Of("Faulty", Sequence("s", Activity("Fault", "f", ("message", Literal("broken"))))));
        var waiting = await _server.StartAsync(_id, $$"""{"correlationId":"{{_id}}"}""");
        await _server.UntilAsync(waiting, "Suspended");
        var faulted = await _server.StartAsync(faulty, $$"""{"correlationId":"{{_id}}"}""");
        await _server.UntilAsync(faulted, "Faulted");

        Assert.Equal([faulted, waiting], await IdsAsync($"correlationId={_id}"));
        Assert.Equal([waiting], await IdsAsync($"correlationId={_id}&status=Running"));
        Assert.Equal([faulted], await IdsAsync($"correlationId={_id}&status=finished"));
        Assert.Equal([waiting], await IdsAsync($"correlationId={_id}&subStatus=Suspended"));
        Assert.Equal([faulted], await IdsAsync($"correlationId={_id}&hasIncidents=true"));
        Assert.Equal([faulted], await IdsAsync($"definitionId={faulty}"));
        Assert.Empty(await IdsAsync($"definitionId={faulty}&subStatus=Suspended"));
        foreach (var bad in (string[])["status=x", "subStatus=7", "hasIncidents=maybe", "limit=0", "limit=-1", "limit=501", "limit=x", "cursor=x", "cursor=%25%25", "cursor=AAAA"])
            (await _server.CallAsync($"GET /api/instances?{bad}")).IsProblem(400, "request.invalid");
        return;

        async Task<IEnumerable<string>> IdsAsync(string query) => (await _server.ItemsAsync($"/api/instances?{query}")).Select(i => i.Text("id"));
    }

    [Fact]
    public async Task Replay_Waiting_ShowsEveryStepInPagesAndHowItStoodAtEach()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");
        (await _server.CallAsync($"POST /api/instances/{id}/cancel", """{"reason":"enough"}""")).Is(200);

        var journal = await _server.ItemsAsync($"/api/instances/{id}/journal?limit=500");
        var steps = await _server.PagesAsync($"/api/instances/{id}/replay/steps?limit=2", () => Task.CompletedTask);
        var end = (await _server.CallAsync($"GET /api/instances/{id}/replay")).Is(200);

        Assert.Equal(journal.Select(j => (j.GetProperty("sequence").GetInt32(), j.Text("event"))), steps.Select(s => (s.GetProperty("sequence").GetInt32(), s.Text("event"))));
        Assert.Equal("Cancelled", end.Json.Text("subStatus"));
        Assert.Equal(("cancel", "enough"), (end["operations"][0].Text("operation"), end["operations"][0].Text("reason")));
        var suspended = steps.Last(s => s.Text("event") == "Suspended");
        var then = (await _server.CallAsync($"GET /api/instances/{id}/replay?at={suspended.GetProperty("sequence").GetInt32()}")).Is(200);
        Assert.Equal("Suspended", then.Json.Text("subStatus"));
        Assert.Equal(1, then["counts"].GetProperty("waiting").GetInt32());
        Assert.Contains(then["open"].EnumerateArray(), e => e.Text("status") == "Waiting" && e.Text("activityId") == suspended.Text("activityId"));
        foreach (var bad in (string[])["?at=yesterday", "?at=99999999999999999999", "/steps?after=x", "/steps?limit=0"])
            (await _server.CallAsync($"GET /api/instances/{id}/replay{bad}")).IsProblem(400, "request.invalid");
        (await _server.CallAsync("GET /api/instances/nobody/replay")).IsProblem(404, "instance.not_found");
    }

    [Fact]
    public async Task Get_Faulted_ShowsItsIncident()
    {
        await _server.PublishAsync(_id, Flows.Of("Faulty", Sequence("s", Activity("Fault", "f", ("message", Literal("broken")))), Variable("v", "String", "value")));
        var id = await _server.StartAsync(_id);

        var instance = await _server.UntilAsync(id, "Faulted");

        var incident = Assert.Single(instance.GetProperty("incidents").EnumerateArray());
        Assert.Equal(("f", "Elsa.Fault"), (incident.Text("activityId"), incident.Text("activityType")));
        Assert.Contains("broken", incident.Text("message"), StringComparison.Ordinal);
        Assert.Equal("value", instance.GetProperty("variables").Text("v"));
        (await _server.CallAsync("GET /api/instances/nobody")).IsProblem(404, "instance.not_found");
    }

    [Fact]
    public async Task Journal_ByPages_IsComplete()
    {
        await _server.PublishAsync(_id, Flows.Of("Steps", Sequence("s", [.. Enumerable.Range(0, 12).Select(i => Write($"w{i}")), Flows.SetOutput("1+1")])));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Finished");

        var all = await _server.ItemsAsync($"/api/instances/{id}/journal?limit=500");
        var paged = await _server.PagesAsync($"/api/instances/{id}/journal?limit=4");

        Assert.Equal(all.Select(e => e.GetRawText()), paged.Select(e => e.GetRawText()));
        Assert.Equal(Enumerable.Range(0, 12).Select(i => $"w{i}"), all.Where(e => e.Text("event") == "Completed" && e.Text("activityType") == "Elsa.WriteLine").Select(e => e.Text("activityId")));
        var output = Assert.Single(all, e => e.Text("event") == "Completed" && e.Text("activityId") == "out");
        Assert.Equal("2", output.GetProperty("inputs").EnumerateObject().Single(p => p.Name.Equals("outputValue", StringComparison.OrdinalIgnoreCase)).Value.ToString());
        Assert.Equal("""["Done"]""", output.GetProperty("outcomes").GetRawText());
        Assert.Empty(await _server.ItemsAsync($"/api/instances/{id}/journal?after={all[^1].Text("sequence")}"));
        (await _server.CallAsync($"GET /api/instances/{id}/journal?after=x")).IsProblem(400, "request.invalid");
        (await _server.CallAsync("GET /api/instances/nobody/journal")).IsProblem(404, "instance.not_found");
    }

    [Fact]
    public async Task Delete_OnlyWhatHasEnded()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");

        (await _server.CallAsync($"DELETE /api/instances/{id}")).IsProblem(409, "instance.running");
        Assert.Equal("1", (await _server.PostAsync($"/api/events/{_id}", "{}")).Text("resumed"));
        await _server.UntilAsync(id, "Finished");
        (await _server.CallAsync($"DELETE /api/instances/{id}")).Is(204);

        (await _server.CallAsync($"GET /api/instances/{id}")).IsProblem(404, "instance.not_found");
        (await _server.CallAsync($"DELETE /api/instances/{id}")).IsProblem(404, "instance.not_found");
        (await _server.CallAsync($"GET /api/instances/{id}/journal")).IsProblem(404, "instance.not_found");
        var forced = await _server.StartAsync(_id);
        await _server.UntilAsync(forced, "Suspended");
        (await _server.CallAsync($"DELETE /api/instances/{forced}?force=true")).Is(204);
        Assert.Equal("0", (await _server.PostAsync($"/api/events/{_id}", "{}")).Text("resumed"));
    }
}
