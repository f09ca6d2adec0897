using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Webhooks;

/// <summary>Endpoints in the middle of workflows.</summary>
[Collection(SharedServer.Name)]
public sealed class WaitingEndpointTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task LiteralPath_OfAnExpression_IsAnsweredByItsInstance()
    {
        await PublishAsync(Flows.JavaScript($"'{_id}/answer/' + getInput('Value')"));
        string[] instances = [await WaitingAsync("""{"input":{"Value":"one"}}"""), await WaitingAsync("""{"input":{"Value":"two"}}""")];

        var reply = (await _server.CallAsync($"POST /workflows/{_id}/answer/TWO?x=1", """{"n":5}""")).Is(201);

        Assert.Equal("5", reply.Text);
        Assert.Equal("5", (await _server.UntilAsync(instances[1], "Finished")).GetProperty("output").Text("Result"));
        (await _server.CallAsync($"POST /workflows/{_id}/answer/two", "{}")).IsProblem(404, "http_endpoint.not_found");
        (await _server.CallAsync($"GET /workflows/{_id}/answer/one")).Is(404);
        Assert.Equal("6", (await _server.CallAsync($"POST /workflows/{_id}/answer/one", """{"n":6}""")).Is(201).Text);
    }

    [Fact]
    public async Task TemplatePath_WithTwoWaiting_NeedsToSayWhich()
    {
        await PublishAsync(Literal($"{_id}/{{number}}"), "getRequest().routeData.number");
        string[] instances = [await WaitingAsync("""{"correlationId":"one"}"""), await WaitingAsync("""{"correlationId":"two"}"""), await WaitingAsync("{}")];
        // Templates are looked up anew every second.
        var call = $"POST /workflows/{_id}/17";
        await ServerProcess.UntilAsync(async () => (await _server.CallAsync(call)).Status != 404, "the template is known");

        (await _server.CallAsync(call)).IsProblem(409, "http_endpoint.ambiguous");
        (await _server.CallAsync(call, json: null, "x-correlation-id: three")).IsProblem(404, "http_endpoint.not_found");
        (await _server.CallAsync(call, json: null, "x-workflow-instance-id: nobody")).IsProblem(404, "http_endpoint.not_found");
        Assert.Equal("17", (await _server.CallAsync(call, json: null, "x-correlation-id: two")).Is(201).Text);
        Assert.Equal("18", (await _server.CallAsync($"POST /workflows/{_id}/18", json: null, $"x-workflow-instance-id: {instances[2]}")).Is(201).Text);
        Assert.Equal("19", (await _server.CallAsync($"POST /workflows/{_id}/19")).Is(201).Text);

        foreach (var id in instances)
            await _server.UntilAsync(id, "Finished");
    }

    [Fact]
    public async Task TwelveRequestsAtOnce_ResumeItOnce()
    {
        await PublishAsync(Literal(_id), "'taken'");
        var instance = await WaitingAsync("{}");

        var replies = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => _server.CallAsync($"POST /workflows/{_id}", "{}")));

        Assert.Single(replies, r => r.Status == 201);
        Assert.All(replies.Where(r => r.Status != 201), r => Assert.Contains(r.Is(404).Code, (string[])["http_endpoint.not_waiting", "http_endpoint.not_found"]));
        await _server.UntilAsync(instance, "Finished");
    }

    [Fact]
    public async Task RefusedRequest_LeavesItWaiting()
    {
        await _server.PublishAsync(_id, Flows.Web(
            Flows.Endpoint("wait", Literal(_id), "POST", ("requestSizeLimit", Literal(10)), ("signatureScheme", Literal("GitHub")), ("signatureSecret", Literal("s"))), Flows.Respond("1", 201)));
        var instance = await WaitingAsync("{}");

        (await _server.CallAsync($"POST /workflows/{_id}", "{}")).IsProblem(401, "http_endpoint.bad_signature");
        (await _server.CallAsync($"POST /workflows/{_id}", "{}")).IsProblem(401, "http_endpoint.bad_signature");

        Assert.Equal("Suspended", (await _server.GetAsync($"/api/instances/{instance}")).Text("subStatus"));
    }

    [Fact]
    public async Task SameKey_ResumesOnceAndGivesTheAnswerAgain()
    {
        await PublishAsync(Literal(_id), "Math.random().toString()");
        await WaitingAsync("{}");

        var first = (await _server.CallAsync($"POST /workflows/{_id}", "{}", $"Idempotency-Key: {_id}")).Is(201);
        var second = await _server.CallAsync($"POST /workflows/{_id}", "{}", $"Idempotency-Key: {_id}");

        Assert.Equal((first.Text, "true"), (second.Is(201).Text, second.Header("Idempotent-Replayed")));
    }

    private Task<Reply> PublishAsync(JsonNode path, string answer = "getRequest().content.n") => _server.PublishAsync(
        _id, Flows.Web(Flows.Endpoint("wait", path, "POST"), Flows.SetOutput("getRequest().content?.n"), Flows.Respond(answer, 201)));

    private async Task<string> WaitingAsync(string start)
    {
        var id = await _server.StartAsync(_id, start);
        await _server.UntilAsync(id, "Suspended");
        return id;
    }
}
