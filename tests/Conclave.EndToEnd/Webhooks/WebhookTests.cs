using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Webhooks;

[Collection(SharedServer.Name)]
public sealed class WebhookTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Request_PathQueryHeadersAndJson_ReachTheWorkflow()
    {
        await _server.PublishAsync(_id, Flows.WebEcho($"{_id}/orders/{{id}}/lines/{{line}}"));

        var request = (await _server.CallAsync($"POST /workflows/{_id}/orders/A%2F7/lines/%C3%BC?q=1&q=2&r=x", """{"a":[1,{"b":null}]}""", "X-Custom: one")).Is(200).Json;

        Assert.Equal("POST", request.Text("method"));
        Assert.Equal(("A/7", "ü"), (request.GetProperty("routeData").Text("id"), request.GetProperty("routeData").Text("line")));
        Assert.Equal("""["1","2"]""", request.GetProperty("query").GetProperty("q").GetRawText());
        Assert.Equal("""["x"]""", request.GetProperty("query").Text("r"));
        Assert.Equal("""["one"]""", request.GetProperty("headers").EnumerateObject().Single(h => h.Name.Equals("x-custom", StringComparison.OrdinalIgnoreCase)).Value.ToString());
        Assert.Equal("""{"a":[1,{"b":null}]}""", request.GetProperty("content").GetRawText());
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("PATCH")]
    [InlineData("DELETE")]
    [InlineData("OPTIONS")]
    public async Task Request_OfAVerb_IsAnsweredAndOthersAreRefused(string verb)
    {
        await _server.PublishAsync(_id, Flows.Web(Flows.Endpoint(_id, verb), Flows.Respond("getRequest().method", 201)));

        Assert.Equal(verb, (await _server.CallAsync($"{verb} /workflows/{_id}")).Is(201).Text);
        var refused = (await _server.CallAsync($"{(verb == "PUT" ? "POST" : "PUT")} /workflows/{_id}")).IsProblem(405, "http_endpoint.method_not_allowed");

        Assert.Contains(verb, refused.Header("Allow"), StringComparison.Ordinal);
        (await _server.CallAsync($"{verb} /workflows/{_id}/more")).IsProblem(404, "http_endpoint.not_found");
    }

    [Fact]
    public async Task Head_IsAnsweredLikeGetWithoutBody()
    {
        await _server.PublishAsync(_id, Flows.Web(Flows.Endpoint(_id, "GET"), Flows.Respond("'12345'")));

        var reply = (await _server.CallAsync($"HEAD /workflows/{_id}")).Is(200);

        Assert.Equal(("", 5L), (reply.Text, reply.Message.Content.Headers.ContentLength));
    }

    [Fact]
    public async Task LiteralPath_GoesBeforeATemplate()
    {
        var literal = SharedServer.NewId();
        await _server.PublishAsync(_id, Flows.Web(Flows.Endpoint($"{_id}/{{name}}"), Flows.Respond("'template'")));
        await _server.PublishAsync(literal, Flows.Web(Flows.Endpoint($"{_id}/fixed"), Flows.Respond("'literal'")));

        Assert.Equal("literal", (await _server.CallAsync($"POST /workflows/{_id}/FIXED")).Is(200).Text);
        Assert.Equal("template", (await _server.CallAsync($"POST /workflows/{_id}/other")).Is(200).Text);
        (await _server.CallAsync($"POST /api/workflows/{literal}/retract")).Is(200);
        Assert.Equal("template", (await _server.CallAsync($"POST /workflows/{_id}/fixed")).Is(200).Text);
    }

    [Fact]
    public async Task Forms_ReachTheWorkflow()
    {
        await _server.PublishAsync(_id, Flows.Web(
            Flows.Endpoint(_id, "POST", ("files", To("files")), ("parsedContent", To("content"))),
            Flows.Respond("({ content: getContent(), files: getFiles() })")).With(("variables", new JsonArray(Variable("request", "Object"), Variable("files", "Object"), Variable("content", "Object")))));
        using var form = new MultipartFormDataContent { { new StringContent("Grüße"), "text" }, { Calls.Bytes([0, 1, 255], "image/png"), "picture", "../a.png" } };

        var multipart = (await _server.CallAsync($"POST /workflows/{_id}", form)).Is(200).Json;
        var plain = (await _server.CallAsync($"POST /workflows/{_id}", new FormUrlEncodedContent([new("a", "1 & 2"), new("b", "ü")]))).Is(200).Json;

        Assert.Equal("Grüße", multipart.GetProperty("content").Text("text"));
        var file = Assert.Single(multipart.GetProperty("files").EnumerateArray());
        Assert.Equal("a.png", file.EnumerateObject().Single(p => p.Name.Equals("fileName", StringComparison.OrdinalIgnoreCase)).Value.ToString());
        Assert.Equal("AAH/", file.EnumerateObject().Single(p => p.Name.Equals("content", StringComparison.OrdinalIgnoreCase)).Value.ToString());
        Assert.Equal(("1 & 2", "ü"), (plain.GetProperty("content").Text("a"), plain.GetProperty("content").Text("b")));
    }

    [Fact]
    public async Task Request_BeyondItsLimits_IsRefusedAndStoresNothing()
    {
        await _server.PublishAsync(_id, Flows.WebEcho(_id, "POST", ("requestSizeLimit", Literal(10)), ("allowedFileExtensions", Expression("Object", """["txt"]"""))));
        using var form = new MultipartFormDataContent { { Calls.Bytes([1], "image/png"), "f", "a.png" } };

        (await _server.CallAsync($"POST /workflows/{_id}", "\"1234567890\"")).IsProblem(413, "http_endpoint.request_too_large");
        (await _server.CallAsync($"POST /workflows/{_id}", Calls.Bytes(new byte[(10 << 20) + 1], "text/plain"))).IsProblem(413, "http_request.too_large");
        (await _server.CallAsync($"POST /workflows/{_id}", Calls.Bytes([1], "multipart/form-data; boundary=x"))).IsProblem(400, "http_request.bad_form");
        using var zipped = new ByteArrayContent([1]) { Headers = { ContentEncoding = { "gzip" } } };
        (await _server.CallAsync($"POST /workflows/{_id}", zipped)).IsProblem(415, "http_request.unsupported_encoding");
        Assert.Empty(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));

        await _server.PublishAsync(_id, Flows.WebEcho(_id, "POST", ("allowedFileExtensions", Expression("Object", """["txt"]"""))));
        (await _server.CallAsync($"POST /workflows/{_id}", form)).IsProblem(415, "http_endpoint.bad_file_extension");
        Assert.Empty(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task File_IsSentWholeOrInPart()
    {
        var file = Activity("WriteFileHttpResponse", "file", ("content", Literal("0123456789")), ("filename", Literal("a.txt")), ("contentType", Literal("text/plain")), ("enableResumableDownloads", Literal(true)));
        await _server.PublishAsync(_id, Flows.Web(Flows.Endpoint(_id, "GET"), file));
        var call = $"GET /workflows/{_id}";

        var whole = (await _server.CallAsync(call)).Is(200);
        var part = (await _server.CallAsync(call, json: null, "Range: bytes=2-4")).Is(206);
        var last = (await _server.CallAsync(call, json: null, "Range: bytes=-3")).Is(206);

        Assert.Equal(("0123456789", "text/plain", "bytes"), (whole.Text, whole.Header("Content-Type"), whole.Header("Accept-Ranges")));
        Assert.Contains("a.txt", whole.Header("Content-Disposition"), StringComparison.Ordinal);
        Assert.Equal(("234", "bytes 2-4/10"), (part.Text, part.Header("Content-Range")));
        Assert.Equal("789", last.Text);
        Assert.Equal("bytes */10", (await _server.CallAsync(call, json: null, "Range: bytes=20-")).Is(416).Header("Content-Range"));
        (await _server.CallAsync(call, json: null, $"If-None-Match: {whole.Header("ETag")}")).Is(304);
    }

    [Fact]
    public async Task Workflow_ThatSuspends_GivesAPlaceToAsk()
    {
        await _server.PublishAsync(_id, Flows.Web(Flows.Endpoint(_id), Event(_id), Flows.SetOutput("7")));

        var reply = (await _server.CallAsync($"POST /workflows/{_id}", json: null, "x-correlation-id: c")).Is(202);

        Assert.Equal(reply["statusUrl"].GetString(), reply.Header("Location"));
        using var anybody = new HttpClient { BaseAddress = _server.Http.BaseAddress };
        var status = JsonElement.Parse(await anybody.GetStringAsync(reply["statusUrl"].GetString()));
        Assert.Equal(("Suspended", false), (status.Text("subStatus"), status.TryGetProperty("output", out _)));
        Assert.Equal("c", (await _server.GetAsync($"/api/instances/{reply["instanceId"].GetString()}")).Text("correlationId"));
        await _server.PostAsync($"/api/events/{_id}", "{}");
        await _server.UntilAsync(reply["instanceId"].GetString()!, "Finished");
        Assert.Equal("7", JsonElement.Parse(await anybody.GetStringAsync(reply["statusUrl"].GetString())).GetProperty("output").Text("Result"));
        (await _server.CallAsync("GET /status/nobody")).IsProblem(404, "instance.not_found");
    }

    [Fact]
    public async Task Workflow_ThatDoesNotAnswer_IsAnsweredFor()
    {
        await _server.PublishAsync(_id, Flows.Web(Flows.Endpoint(_id), Write("w")));

        Assert.Equal("Finished", (await _server.CallAsync($"POST /workflows/{_id}")).Is(200)["subStatus"].GetString());
    }

    [Fact]
    public async Task Workflow_BeyondItsTimeout_GoesOnInTheQueue()
    {
        // Two steps: a burst stops between activities, and the queue takes the second.
        var slow = "(() => { const end = Date.now() + 900; while (Date.now() < end); return 1; })()";
        await _server.PublishAsync(_id, Flows.Web(
            Flows.Endpoint(_id, "POST", ("requestTimeout", Literal("00:00:00.1"))), Flows.SetOutput(slow), Flows.SetOutput("2").With(("id", "second"))));

        var reply = (await _server.CallAsync($"POST /workflows/{_id}")).Is(202);

        Assert.Equal("2", (await _server.UntilAsync(reply["instanceId"].GetString()!, "Finished")).GetProperty("output").Text("Result"));
        Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task Workflow_ThatFaults_SaysNothingOfItsInside()
    {
        await _server.PublishAsync(_id, Flows.Web(Flows.Endpoint(_id), Activity("Fault", "f", ("message", Literal("the password is secret")))));

        var reply = (await _server.CallAsync($"POST /workflows/{_id}")).IsProblem(500, "workflow.faulted");

        Assert.DoesNotContain("secret", reply.Text, StringComparison.Ordinal);
        var instance = Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
        Assert.Equal(("Faulted", $"/status/{instance.Text("id")}"), (instance.Text("subStatus"), reply.Header("Location")));
    }

    [Fact]
    public async Task Singleton_SecondRequest_IsRefusedWhileTheFirstRuns()
    {
        await _server.PublishAsync(_id, Flows.Web(Flows.Endpoint(_id), Event(_id)).With(("options", new JsonObject
        {
            ["activationStrategyType"] = "Elsa.Workflows.ActivationValidators.SingletonStrategy, Elsa.Workflows.Core",
        })));

        var replies = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _server.CallAsync($"POST /workflows/{_id}")));

        var first = Assert.Single(replies, r => r.Status == 202);
        Assert.All(replies.Where(r => r != first), r => r.IsProblem(409, "instance.not_activated"));
        (await _server.CallAsync($"POST /api/workflows/{_id}/start", "{}")).IsProblem(409, "instance.not_activated");
        Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
        await _server.PostAsync($"/api/events/{_id}", "{}");
        await _server.UntilAsync(first["instanceId"].GetString()!, "Finished");
        (await _server.CallAsync($"POST /workflows/{_id}")).Is(202);
    }

    [Fact]
    public async Task Caller_HangsUp_TheWorkflowIsStoredNevertheless()
    {
        await _server.PublishAsync(_id, Flows.Web(
            Flows.Endpoint(_id), Write("begun", _id), Flows.SetOutput("(() => { const end = Date.now() + 900; while (Date.now() < end); return 3; })()"), Flows.Respond("'late'")));
        var address = _server.Http.BaseAddress!;
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(address.Host, address.Port);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"POST /workflows/{_id} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}"));
            await ServerProcess.UntilAsync(() => Task.FromResult(_server.Output.Any(l => l.Contains($"wrote: {_id}", StringComparison.Ordinal))), "it has begun");
        }

        var stored = await ServerItemAsync();
        Assert.Equal("3", (await _server.UntilAsync(stored, "Finished")).GetProperty("output").Text("Result"));
    }

    [Fact]
    public async Task TwoHundredAtOnce_AreAnsweredEachWithItsOwn()
    {
        await _server.PublishAsync(_id, Flows.Web(Flows.Endpoint(_id), Flows.Respond("getRequest().content.n")));

        var replies = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => _server.CallAsync($"POST /workflows/{_id}", $$"""{"n":"{{i}}"}""")));

        Assert.Equal(Enumerable.Range(0, 200).Select(i => $"{i}"), replies.Select(r => r.Is(200).Text));
        Assert.Equal(200, (await _server.PagesAsync($"/api/instances?definitionId={_id}&subStatus=Finished&limit=500")).Count);
    }

    private async Task<string> ServerItemAsync()
    {
        List<JsonElement> items = [];
        await ServerProcess.UntilAsync(async () => (items = await _server.ItemsAsync($"/api/instances?definitionId={_id}")).Count > 0, "it is stored");
        return Assert.Single(items).Text("id");
    }
}
