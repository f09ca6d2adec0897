using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Http;
using static Conclave.Tests.Json;

namespace Conclave.Tests.Activities.Http;

public sealed class SendHttpRequestTests
{
    [Fact]
    public async Task Send_JsonAnswer_SetsEveryOutput()
    {
        await using var server = await HttpServer.StartAsync("""{"id":7}""", "application/json; charset=utf-8");
        var send = HttpTest.Send(
            server.Url("/orders"), ("result", To("R")), ("statusCode", To("S")), ("parsedContent", To("P")), ("responseHeaders", To("H")));

        var run = await HttpTest.RunAsync(send, null, "R", "S", "P", "H");

        run.Finished();
        var output = run.Instance.Output;
        Assert.Equal(200, output["S"]);
        Assert.Equal("""{"id":7}""", ((JsonElement)output["P"]!).GetRawText());
        Assert.Equal("application/json; charset=utf-8", ((JsonElement)output["H"]!).GetProperty("Content-Type")[0].GetString());
        var result = (JsonElement)output["R"]!;
        Assert.Equal((200, "OK", 7), (result.GetProperty("statusCode").GetInt32(), result.GetProperty("reasonPhrase").GetString(), result.GetProperty("content").GetProperty("id").GetInt32()));
        Assert.Equal("application/json; charset=utf-8", result.GetProperty("headers").GetProperty("Content-Type")[0].GetString());
        Assert.Equal(("GET", "/orders"), (server.Requests.Single().Method, server.Requests.Single().Path));
        TestRun.Restore(run.Instance);
    }

    [Theory]
    [InlineData("text/plain", "\"hello\"")]
    [InlineData("application/problem+json", "hello")]
    [InlineData("application/xml", "\"hello\"")]
    [InlineData("application/octet-stream", "\"aGVsbG8=\"")]
    public async Task Send_OtherAnswers_AreReadByTheirType(string contentType, string expected)
    {
        await using var server = await HttpServer.StartAsync("hello", contentType);

        var run = await HttpTest.RunAsync(HttpTest.Send(server.Url(), ("result", To("R"))), null, "R");

        Assert.Contains(expected, ((JsonElement)run.Instance.Output["R"]!).GetProperty("content").GetRawText(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Literal", "hello", null, "hello", "text/plain; charset=utf-8")]
    [InlineData("Literal", "<a/>", "application/xml", "<a/>", "application/xml")]
    [InlineData("Object", """{"a": [1, "é"]}""", null, """{"a": [1, "é"]}""", "application/json")]
    [InlineData("Literal", """{"a": 1}""", null, """{"a": 1}""", "application/json")]
    [InlineData("Object", """{"a": "x y", "b": [1, 2]}""", "application/x-www-form-urlencoded", "a=x+y&b=1&b=2", "application/x-www-form-urlencoded")]
    public async Task Send_Content_IsWrittenByItsKind(string syntax, string content, string? contentType, string sent, string sentType)
    {
        await using var server = await HttpServer.StartAsync("");
        var send = HttpTest.Send(server.Url(), ("method", Literal("post")), ("content", Expression(syntax, content)), ("contentType", Literal(contentType)));

        (await HttpTest.RunAsync(send)).Finished();

        var request = Assert.Single(server.Requests);
        Assert.Equal(("POST", sent, sentType), (request.Method, request.Body, request.Headers["Content-Type"]));
    }

    [Fact]
    public async Task Send_HeadersAndAuthorization_AreSent()
    {
        await using var server = await HttpServer.StartAsync("");
        var send = HttpTest.Send(
            server.Url(),
            ("method", Literal("PUT")),
            ("authorization", Literal("Bearer abc")),
            ("requestHeaders", Literal("""{"X-One": "1", "X-Two": ["a", 2], "Authorization": "other"}""")));

        var run = await HttpTest.RunAsync(send);

        run.Finished();
        var headers = Assert.Single(server.Requests).Headers;
        Assert.Equal(("1", "a, 2", "Bearer abc"), (headers["X-One"], headers["X-Two"], headers["Authorization"]));
        Assert.StartsWith(run.Instance.Id, headers["Idempotency-Key"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "{}", null)]
    [InlineData("POST", """{"idempotency-key": "mine"}""", "mine")]
    public async Task Send_IdempotencyKey_OnlyWhereItIsNeeded(string method, string requestHeaders, string? key)
    {
        await using var server = await HttpServer.StartAsync("");

        (await HttpTest.RunAsync(HttpTest.Send(server.Url(), ("method", Literal(method)), ("requestHeaders", Expression("Object", requestHeaders))))).Finished();

        Assert.Equal(key, Assert.Single(server.Requests).Headers.GetValueOrDefault("Idempotency-Key"));
    }

    [Theory]
    [InlineData("requestHeaders", """{"X": "1\r\nY: 2"}""", "U+000D")]
    [InlineData("requestHeaders", """{"Host": "evil"}""", "Host")]
    [InlineData("requestHeaders", "nonsense", "JSON object")]
    [InlineData("requestHeaders", """{"X": {"a": 1}}""", "'X'")]
    [InlineData("authorization", "Bearer a\r\nX: 1", "Authorization")]
    [InlineData("contentType", "nonsense", "media type")]
    [InlineData("method", "GE T", "GE T")]
    [InlineData("url", "/relative", "whole URL")]
    [InlineData("url", "relative", "whole URL")]
    [InlineData("url", "file:///etc/passwd", "scheme")]
    [InlineData("url", "http://user:secret@127.0.0.1/", "Authorization")]
    [InlineData("url", "http://127.0.0.2:1/", "AllowedHosts")]
    public async Task Send_BadInput_FaultsWithoutSendingOrRetrying(string input, string value, string message)
    {
        await using var server = await HttpServer.StartAsync("");
        var send = HttpTest.Send(server.Url(), ("content", Literal("x")), (input, Literal(value)), HttpTest.Retry(3), ("failedToConnect", Write("failed")));
        var time = new InstantTime();

        var run = await HttpTest.RunAsync(send, HttpTest.Engine(time: time));

        var incident = run.Faulted(message);
        Assert.DoesNotContain("secret", incident.Message, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
        Assert.Empty(time.Waits);
    }

    [Fact]
    public async Task Send_AuthorizationWithoutScheme_NeedsValidationOff()
    {
        await using var server = await HttpServer.StartAsync("");
        JsonObject Send() => HttpTest.Send(server.Url(), ("authorization", Literal("a=b, c")));

        (await HttpTest.RunAsync(Send())).Faulted("Authorization");
        (await HttpTest.RunAsync(Send().With(("disableAuthorizationHeaderValidation", Literal("true"))))).Finished();

        Assert.Equal("a=b, c", Assert.Single(server.Requests).Headers["Authorization"]);
    }

    [Theory]
    [InlineData(200, "ok")]
    [InlineData(404, "missing")]
    [InlineData(500, "other")]
    public async Task Send_Status_RunsTheActivityThatBelongsToIt(int status, string line)
    {
        await using var server = await HttpServer.StartAsync("", status: status);
        var send = HttpTest.Send(
            server.Url(),
            ("expectedStatusCodes", new JsonArray(HttpTest.Case(200, Write("ok")), HttpTest.Case(404, Write("missing")))),
            ("unmatchedStatusCode", Write("other")),
            ("failedToConnect", Write("failed")));

        (await HttpTest.RunAsync(send)).Finished(line);
    }

    [Fact]
    public async Task Send_NobodyListens_RunsThePortOrFaults()
    {
        (await HttpTest.RunAsync(HttpTest.Send("http://127.0.0.1:1/"))).Faulted("GET http://127.0.0.1:1/ failed");
        (await HttpTest.RunAsync(HttpTest.Send("http://127.0.0.1:1/", ("failedToConnect", Write("failed"))))).Finished("failed");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Send_NoAnswerInTime_RunsThePort(bool isLimitOfThePolicy)
    {
        await using var server = await HttpServer.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        var limit = TimeSpan.FromMilliseconds(100);
        using var http = HttpTest.Loopback(isLimitOfThePolicy ? null : new OutboundHttpOptions { Timeout = limit });
        var send = HttpTest.Send(server.Url(), ("timeout", Write("late")), ("failedToConnect", Write("failed")));
        if (isLimitOfThePolicy)
            send["customProperties"] = new JsonObject { ["timeout"] = limit.ToString() };

        (await HttpTest.RunAsync(send, HttpTest.Engine(http))).Finished("late");
    }

    [Fact]
    public async Task Send_BurstIsStopped_IsNoTimeout()
    {
        using var stop = new CancellationTokenSource();
        await using var server = await HttpServer.StartAsync(async context =>
        {
            await stop.CancelAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        });
        var engine = HttpTest.Engine();
        var run = new LocalRun(engine);
        var workflow = Workflow(HttpTest.Send(server.Url(), ("timeout", Write("late"))));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.StartAsync(engine.Compile(workflow.Read()), WorkflowStart.Default, stop.Token));

        Assert.Empty(run.Lines);
        Assert.Empty(run.Instance.Incidents);
    }

    [Theory]
    [InlineData(429)]
    [InlineData(408)]
    [InlineData(503)]
    public async Task Send_ServerRecovers_RetriesWhenTheServerSays(int status)
    {
        var answers = 0;
        await using var server = await HttpServer.StartAsync(context =>
        {
            answers++;
            context.Response.StatusCode = answers < 4 ? status : 200;
            if (answers < 4)
                context.Response.Headers.RetryAfter = answers switch { 1 => "2", 2 => "100000", _ => "" };
            return Task.CompletedTask;
        });
        var time = new InstantTime();
        var send = HttpTest.Send(server.Url(), ("method", Literal("POST")), ("content", Literal("body")), HttpTest.Retry(3), ("expectedStatusCodes", new JsonArray(HttpTest.Case(200, Write("ok")))));

        var run = await HttpTest.RunAsync(send, HttpTest.Engine(time: time));

        run.Finished("ok");
        Assert.Equal([TimeSpan.FromSeconds(2), TimeSpan.FromMinutes(5), TimeSpan.FromSeconds(10)], time.Waits);
        Assert.Equal(["body", "body", "body", "body"], server.Requests.Select(r => r.Body));
        Assert.Equal(3, run.Instance.Ids(ExecutionEvent.Retried).Count());
    }

    [Fact]
    public async Task Send_ServerStaysUnavailable_LastAnswerGoesOn()
    {
        await using var server = await HttpServer.StartAsync("no", status: 503);
        var send = HttpTest.Send(server.Url(), HttpTest.Retry(2), ("unmatchedStatusCode", Write("other")), ("statusCode", To("S")));

        var run = await HttpTest.RunAsync(send, HttpTest.Engine(time: new InstantTime()), "S");

        run.Finished("other");
        Assert.Equal(503, run.Instance.Output["S"]);
        Assert.Equal(3, server.Requests.Count);
    }

    [Theory]
    [InlineData(503)]
    [InlineData(404)]
    public async Task Send_ExpectedOrPermanentStatus_IsNotRetried(int status)
    {
        await using var server = await HttpServer.StartAsync("", status: status);
        var send = HttpTest.Send(server.Url(), HttpTest.Retry(2), ("expectedStatusCodes", new JsonArray(HttpTest.Case(503, Write("busy")))), ("unmatchedStatusCode", Write("other")));

        (await HttpTest.RunAsync(send)).Finished(status == 503 ? "busy" : "other");

        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Send_NobodyListens_RetriesBeforeThePort()
    {
        var time = new InstantTime();
        var send = HttpTest.Send("http://127.0.0.1:1/", HttpTest.Retry(2), ("failedToConnect", Write("failed")));

        (await HttpTest.RunAsync(send, HttpTest.Engine(time: time))).Finished("failed");

        Assert.Equal(2, time.Waits.Count);
    }

    [Fact]
    public async Task Send_ObsoleteResiliency_MeansTheDefaultStrategy()
    {
        var time = new InstantTime();
        var send = HttpTest.Send("http://127.0.0.1:1/", ("enableResiliency", Literal("true")), ("failedToConnect", Write("failed")));

        (await HttpTest.RunAsync(send, HttpTest.Engine(time: time))).Finished("failed");

        Assert.Equal(3, time.Waits.Count);
    }

    [Fact]
    public void Compile_Mistakes_AreReported()
    {
        var send = HttpTest.Send(
            "nowhere", ("method", Literal("no method")), ("expectedStatusCodes", new JsonArray(HttpTest.Case(1, Write("a")), HttpTest.Case(200, Write("b")), HttpTest.Case(200, Write("c")))));

        var graph = HttpTest.Engine().Compile(Workflow(send).Read());

        Assert.Equal(["http.bad_method", "http.bad_status_code", "http.bad_url", "http.duplicate_status_code"], graph.Problems.Select(p => p.Code).Order());
    }

    [Theory]
    [InlineData(200, "200", "Done")]
    [InlineData(201, "201", "Done")]
    [InlineData(500, "Unmatched status code", "Done")]
    public async Task FlowSend_Status_FollowsItsOutcomeAndDone(int status, params string[] lines)
    {
        await using var server = await HttpServer.StartAsync("", status: status);

        (await HttpTest.RunAsync(Flow("FlowSendHttpRequest", server.Url()))).Finished(lines);
        (await HttpTest.RunAsync(Flow("DownloadHttpFile", server.Url()))).Finished(lines);
    }

    [Theory]
    [InlineData("FlowSendHttpRequest")]
    [InlineData("DownloadHttpFile")]
    public async Task FlowSend_NoAnswer_FollowsTheFailure(string type)
    {
        await using var server = await HttpServer.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        using var http = HttpTest.Loopback(new OutboundHttpOptions { Timeout = TimeSpan.FromMilliseconds(100) });

        (await HttpTest.RunAsync(Flow(type, "http://127.0.0.1:1/"))).Finished("Failed to connect");
        (await HttpTest.RunAsync(Flow(type, server.Url()), HttpTest.Engine(http))).Finished("Timeout");
        (await HttpTest.RunAsync(Flow(type, "http://127.0.0.2/"))).Faulted("AllowedHosts");
    }

    [Fact]
    public async Task Download_File_SetsEveryOutput()
    {
        await using var server = await HttpServer.StartAsync(async context =>
        {
            context.Response.ContentType = "application/pdf";
            context.Response.Headers.ContentDisposition = "attachment; filename=\"../../report.pdf\"";
            context.Response.Headers["X-Kind"] = "monthly";
            await context.Response.Body.WriteAsync(new byte[] { 1, 2, 3 });
        });
        string[] names = ["result", "response", "statusCode", "responseContentStream", "responseContentBytes", "responseHeaders", "responseContentHeaders"];
        var download = Activity("DownloadHttpFile", "send", [("url", Literal(server.Url("/x"))), .. names.Select(n => (n, (JsonNode?)To(n)))]);

        var run = await HttpTest.RunAsync(download, null, names);

        run.Finished();
        var output = run.Instance.Output;
        Assert.Equal(200, output["statusCode"]);
        Assert.Equal(new byte[] { 1, 2, 3 }, output["responseContentBytes"]);
        Assert.Equal(new byte[] { 1, 2, 3 }, output["responseContentStream"]);
        Assert.Equal("""{"name":"","fileName":"report.pdf","contentType":"application/pdf","size":3,"content":"AQID"}""", ((JsonElement)output["result"]!).GetRawText());
        Assert.Equal("monthly", ((JsonElement)output["responseHeaders"]!).GetProperty("X-Kind")[0].GetString());
        Assert.Equal("application/pdf", ((JsonElement)output["responseContentHeaders"]!).GetProperty("Content-Type")[0].GetString());
        Assert.Equal(200, ((JsonElement)output["response"]!).GetProperty("statusCode").GetInt32());
        TestRun.Restore(run.Instance);
    }

    private static JsonObject Flow(string type, string url)
    {
        string[] outcomes = ["200", "201", "Unmatched status code", "Failed to connect", "Timeout", "Done"];
        var send = Activity(type, "send", ("url", Literal(url)), ("expectedStatusCodes", Expression("Object", "[200, \"201\"]")));
        return Flowchart("flow", [send, .. outcomes.Select(o => Write(o))], [.. outcomes.Select(o => $"send:{o}->{o}")]);
    }
}
