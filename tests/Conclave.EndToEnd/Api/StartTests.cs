using System.Globalization;
using System.Text.Json;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Api;

[Collection(SharedServer.Name)]
public sealed class StartTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Start_WithWait_AnswersWithTheEndedInstance()
    {
        await _server.PublishAsync(_id, Flows.Echo());

        var ended = (await _server.CallAsync(
            $"POST /api/workflows/{_id}/start",
            """{"input":{"Value":{"a":[1,"zwei",null]}},"correlationId":"c 1","name":"Number one","priority":0,"wait":30}""")).Is(200);

        Assert.Equal(("Finished", "Finished", "c 1", "Number one"), (ended["status"].GetString(), ended["subStatus"].GetString(), ended["correlationId"].GetString(), ended["name"].GetString()));
        Assert.Equal("""{"a":[1,"zwei",null]}""", ended["output"].GetProperty("Result").GetRawText());
        Assert.Equal("""{"a":[1,"zwei",null]}""", ended["input"].GetProperty("Value").GetRawText());
        Assert.NotEqual(JsonValueKind.Null, ended["finishedAt"].ValueKind);
    }

    [Fact]
    public async Task Start_WithoutWait_SaysWhereToLook()
    {
        await _server.PublishAsync(_id, Flows.Short());

        var reply = (await _server.CallAsync($"POST /api/workflows/{_id}/start")).Is(202);

        var id = reply["instanceId"].GetString();
        Assert.Equal(($"/api/instances/{id}", $"/api/instances/{id}", "Running", "Pending"), (reply.Header("Location"), reply["statusUrl"].GetString(), reply["status"].GetString(), reply["subStatus"].GetString()));
        await _server.UntilAsync(id!, "Finished");
    }

    [Fact]
    public async Task Start_ThatSuspends_AnswersWithWhatItWaitsFor()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));

        var waiting = (await _server.CallAsync($"POST /api/workflows/{_id}/start", """{"wait":30}""")).Is(200);

        Assert.Equal("Suspended", waiting["subStatus"].GetString());
        Assert.Equal("e", Assert.Single(waiting["bookmarks"].EnumerateArray()).Text("activityId"));
    }

    [Fact]
    public async Task Start_OfAVersion_TakesThatOne()
    {
        (await _server.CallAsync($"PUT /api/workflows/{_id}", Result("1"))).Is(200);
        (await _server.CallAsync($"POST /api/workflows/{_id}/start")).IsProblem(404, "workflow.not_found");
        Assert.Equal("1", await RunAsync("\"latest\""));
        (await _server.CallAsync($"POST /api/workflows/{_id}/publish")).Is(200);
        (await _server.CallAsync($"PUT /api/workflows/{_id}", Result("2"))).Is(200);

        Assert.Equal("1", await RunAsync("\"published\""));
        Assert.Equal("2", await RunAsync("\"latest\""));
        Assert.Equal("1", await RunAsync("1"));
        Assert.Equal("2", await RunAsync("\"2\""));
        (await _server.CallAsync($"POST /api/workflows/{_id}/start", """{"version":3}""")).IsProblem(404, "workflow.not_found");
        (await _server.CallAsync($"POST /api/workflows/{_id}/start", """{"version":"x"}""")).IsProblem(400, "request.invalid");
        return;

        async Task<string?> RunAsync(string version) =>
            (await _server.CallAsync($"POST /api/workflows/{_id}/start", $$"""{"version":{{version}},"wait":30}""")).Is(200)["output"].Text("Result");
    }

    [Fact]
    public async Task Start_TwelveWithOneInstanceId_StartOne()
    {
        await _server.PublishAsync(_id, Flows.Short());

        var replies = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => _server.CallAsync($"POST /api/workflows/{_id}/start", $$"""{"instanceId":"{{_id}}.x"}""")));

        Assert.Single(replies, r => r.Status == 202);
        Assert.All(replies.Where(r => r.Status != 202), r => r.IsProblem(409, "instance.exists"));
        Assert.Equal($"{_id}.x", Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}")).Text("id"));
    }

    [Theory]
    [InlineData("""[]""")]
    [InlineData("""{"input":5}""")]
    [InlineData("""{"instanceId":"a b"}""")]
    [InlineData("""{"instanceId":7}""")]
    [InlineData("""{"instanceId":"../x"}""")]
    [InlineData("""{"priority":4}""")]
    [InlineData("""{"priority":"high"}""")]
    [InlineData("""{"wait":0}""")]
    [InlineData("""{"wait":61}""")]
    [InlineData("""{"wait":"1"}""")]
    [InlineData("""{"correlationId":"a\u0000b"}""")]
    [InlineData("""{"name":{}}""")]
    public async Task Start_WithWhatMakesNoSense_IsRefused(string body)
    {
        await _server.PublishAsync(_id, Flows.Short());

        (await _server.CallAsync($"POST /api/workflows/{_id}/start", body)).IsProblem(400, "request.invalid");

        Assert.Empty(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task IdempotencyKey_GivesTheFirstAnswerAgain()
    {
        await _server.PublishAsync(_id, Flows.Short());
        var call = $"POST /api/workflows/{_id}/start";
        var key = $"Idempotency-Key: {_id}";

        var first = (await _server.CallAsync(call, """{"name":"a"}""", key)).Is(202);
        var second = (await _server.CallAsync(call, """{"name":"a"}""", key)).Is(202);

        Assert.Equal((first.Text, first.Header("Location"), "true"), (second.Text, second.Header("Location"), second.Header("Idempotent-Replayed")));
        Assert.Null(first.Header("Idempotent-Replayed"));
        (await _server.CallAsync(call, """{"name":"b"}""", key)).IsProblem(422, "idempotency.different");
        (await _server.CallAsync($"POST /api/workflows/{_id}/publish", """{"name":"a"}""", key)).IsProblem(422, "idempotency.different");
        (await _server.CallAsync(call, "{}", $"Idempotency-Key: {new string('x', 256)}")).IsProblem(400, "request.invalid");
        Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task IdempotencyKey_TwelveAtOnce_StartOne()
    {
        await _server.PublishAsync(_id, Flows.Short());

        var replies = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => _server.CallAsync($"POST /api/workflows/{_id}/start", """{"wait":30}""", $"Idempotency-Key: {_id}")));

        Assert.Contains(replies, r => r.Status == 200);
        Assert.Single(replies.Where(r => r.Status == 200).Select(r => r.Text).Distinct());
        foreach (var running in replies.Where(r => r.Status != 200))
        {
            running.IsProblem(409, "idempotency.running");
            Assert.Equal("1", running.Header("Retry-After"));
        }

        Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task IdempotencyKey_CallerHangsUp_TheNextOneGetsTheAnswer()
    {
        await _server.PublishAsync(_id, Flows.Of("Slow", Sequence("s", Flows.SetOutput("(() => { const end = Date.now() + 700; while (Date.now() < end); return 5; })()"))));
        var request = new HttpRequestMessage(HttpMethod.Post, $"/api/workflows/{_id}/start") { Content = new StringContent("""{"wait":30}""") };
        request.Headers.Add("Idempotency-Key", _id);
        var hangUp = new CancellationTokenSource();
        var first = _server.Http.SendAsync(request, hangUp.Token);
        await ServerProcess.UntilAsync(async () => (await _server.ItemsAsync($"/api/instances?definitionId={_id}")).Count > 0, "it has begun");
        await hangUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);

        Reply? reply = null;
        await ServerProcess.UntilAsync(
            async () => (reply = await _server.CallAsync($"POST /api/workflows/{_id}/start", Calls.Bytes("""{"wait":30}"""u8.ToArray(), "text/plain"), $"Idempotency-Key: {_id}")).Status != 409, "the first has ended");

        Assert.Equal("5", reply!.Is(200)["output"].Text("Result"));
        Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task StartMany_Array_StartsAll()
    {
        await _server.PublishAsync(_id, Flows.Echo());

        var reply = (await _server.CallAsync($"POST /api/workflows/{_id}/start-many", $$"""[{"input":{"Value":1},"instanceId":"{{_id}}-1"},{"input":{"Value":2},"correlationId":"two"},{}]""")).Is(202);

        Assert.Equal(3, reply["started"].GetInt32());
        var ids = reply["instanceIds"].EnumerateArray().Select(i => i.GetString()!).ToList();
        Assert.Equal($"{_id}-1", ids[0]);
        Assert.Equal("2", (await _server.UntilAsync(ids[1], "Finished")).GetProperty("output").Text("Result"));
        Assert.Equal(3, (await _server.ItemsAsync($"/api/instances?definitionId={_id}")).Count);
    }

    [Fact]
    public async Task StartMany_Lines_StartsAll()
    {
        await _server.PublishAsync(_id, Flows.Short());
        var lines = string.Concat(Enumerable.Range(0, 1000).Select(i => string.Create(CultureInfo.InvariantCulture, $"{{\"name\":\"{i}\"}}\r\n")));

        var reply = (await _server.CallAsync($"POST /api/workflows/{_id}/start-many", Calls.Bytes(System.Text.Encoding.UTF8.GetBytes(lines), "application/x-ndjson"))).Is(202);

        Assert.Equal(1000, reply["instanceIds"].GetArrayLength());
        await ServerProcess.UntilAsync(async () => (await _server.ItemsAsync($"/api/instances?definitionId={_id}&status=Running")).Count == 0, "all have ended");
        Assert.Equal(1000, (await _server.PagesAsync($"/api/instances?definitionId={_id}&limit=500")).Count);
    }

    [Theory]
    [InlineData("{}\nnot json\n{}", "request.not_json")]
    [InlineData("{}\n5\n{}", "request.invalid")]
    [InlineData("[{},{\"wait\":1},7]", "request.invalid")]
    [InlineData("[{},{\"priority\":9}]", "request.invalid")]
    [InlineData("[{\"instanceId\":\"same\"},{\"instanceId\":\"same\"}]", "instance.exists")]
    [InlineData("", "request.invalid")]
    [InlineData("[]", "request.invalid")]
    public async Task StartMany_OneIsBad_StartsNothing(string body, string code)
    {
        await _server.PublishAsync(_id, Flows.Short());

        (await _server.CallAsync($"POST /api/workflows/{_id}/start-many", body)).IsProblem(code == "instance.exists" ? 409 : 400, code);

        Assert.Empty(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task StartMany_TooMany_StartsNothing()
    {
        await _server.PublishAsync(_id, Flows.Short());

        (await _server.CallAsync($"POST /api/workflows/{_id}/start-many", $"[{string.Join(',', Enumerable.Repeat("{}", 10_001))}]")).IsProblem(400, "request.invalid");

        Assert.Empty(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    private static System.Text.Json.Nodes.JsonObject Result(string text) => Flows.Of("Result", Sequence("s", Flows.SetOutput($"'{text}'")));
}
