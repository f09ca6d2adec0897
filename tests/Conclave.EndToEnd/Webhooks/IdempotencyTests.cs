using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Webhooks;

[Collection(SharedServer.Name)]
public sealed class IdempotencyTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Theory]
    [InlineData("Idempotency-Key")]
    [InlineData("webhook-id")]
    public async Task SameKey_GivesTheFirstAnswerAgain(string header)
    {
        await _server.PublishAsync(_id, Flows.Web(
            Flows.Endpoint(_id), Activity("WriteHttpResponse", "r", ("statusCode", Literal(201)), ("content", Flows.JavaScript("Math.random().toString()")), ("responseHeaders", Literal("""{"X-Own":"1"}""")))));
        var key = $"{header}: {_id}";

        var first = (await _server.CallAsync($"POST /workflows/{_id}", "{}", key)).Is(201);
        var second = (await _server.CallAsync($"POST /workflows/{_id}", "{}", key)).Is(201);

        Assert.Equal((first.Text, first.Header("X-Own"), "true"), (second.Text, second.Header("X-Own"), second.Header("Idempotent-Replayed")));
        (await _server.CallAsync($"POST /workflows/{_id}", """{"other":1}""", key)).IsProblem(422, "idempotency.different");
        (await _server.CallAsync($"POST /workflows/{_id}", "{}", $"{header}: {new string('x', 256)}")).IsProblem(400, "request.invalid");
        Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task SameKeyTwelveTimesAtOnce_StartsOne()
    {
        await _server.PublishAsync(_id, Flows.Web(Flows.Endpoint(_id), Flows.Respond("Math.random().toString()")));

        var replies = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => _server.CallAsync($"POST /workflows/{_id}", "{}", $"Idempotency-Key: {_id}")));

        Assert.Single(replies.Where(r => r.Status == 200).Select(r => r.Text).Distinct());
        foreach (var running in replies.Where(r => r.Status != 200))
            Assert.Equal("1", running.IsProblem(409, "idempotency.running").Header("Retry-After"));
        Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task Key_OfARefusedRequest_CanBeUsedAgain()
    {
        await _server.PublishAsync(_id, Flows.WebEcho(_id, "POST", ("requestSizeLimit", Literal(5))));

        (await _server.CallAsync($"POST /workflows/{_id}", "\"too long\"", $"Idempotency-Key: {_id}")).IsProblem(413, "http_endpoint.request_too_large");
        (await _server.CallAsync($"POST /workflows/{_id}", "\"ok\"", $"Idempotency-Key: {_id}")).Is(200);

        Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task SameKey_AtTwoEndpoints_AreTwoRequests()
    {
        var other = SharedServer.NewId();
        await _server.PublishAsync(_id, Flows.WebEcho(_id));
        await _server.PublishAsync(other, Flows.WebEcho(other));

        Assert.Null((await _server.CallAsync($"POST /workflows/{_id}", "{}", $"Idempotency-Key: {_id}")).Is(200).Header("Idempotent-Replayed"));
        Assert.Null((await _server.CallAsync($"POST /workflows/{other}", "{}", $"Idempotency-Key: {_id}")).Is(200).Header("Idempotent-Replayed"));
    }
}
