using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Api;

[Collection(SharedServer.Name)]
public sealed class SecurityTests(SharedServer shared)
{
    /// <summary>Every call of docs/api.md, and a few that are none.</summary>
    private static readonly string[] Endpoints =
    [
        "GET /api/workflows", "GET /api/workflows/ID", "PUT /api/workflows/ID", "PUT /api/workflows/new?publish=true", "POST /api/workflows/import", "GET /api/workflows/export",
        "GET /api/workflows/ID/versions", "POST /api/workflows/ID/publish", "POST /api/workflows/ID/retract", "POST /api/workflows/ID/revert?version=1",
        "DELETE /api/workflows/ID", "DELETE /api/workflows/ID?force=true", "DELETE /api/workflows/ID/versions/1", "GET /api/workflows/ID/consumers",
        "POST /api/workflows/ID/update-references", "POST /api/workflows/ID/start", "POST /api/workflows/ID/start-many", "GET /api/instances", "GET /api/instances/INSTANCE",
        "GET /api/instances/INSTANCE/journal", "POST /api/instances/INSTANCE/cancel", "POST /api/instances/INSTANCE/retry", "POST /api/instances/INSTANCE/resume",
        "POST /api/instances/INSTANCE/variables", "POST /api/instances/INSTANCE/migrate", "POST /api/instances/bulk", "DELETE /api/instances/INSTANCE?force=true",
        "POST /api/events/ID", "GET /api/tasks", "POST /api/tasks/x/complete", "GET /api/queue", "GET /api/queue/dead", "POST /api/queue/dead/1/requeue", "DELETE /api/queue/dead/1",
        "GET /api", "GET /api/", "GET /api/v1/workflows", "DELETE /API/V1/workflows/ID?force=true", "GET /api/v1", "GET /api/v2/queue", "GET /api/nothing", "GET /api/nothing.json", "OPTIONS /api/workflows", "HEAD /api/workflows", "GET //api/workflows", "GET /API/workflows", "GET /aPi/Instances", "DELETE /Api/workflows/ID?force=true", "GET /%61pi/queue", "GET /api/%2e%2e/api/workflows",
    ];

    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Api_WithoutTheKey_DoesNothing()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        var instance = await _server.StartAsync(_id);
        await _server.UntilAsync(instance, "Suspended");
        var before = await StateAsync();
        using var stranger = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = _server.Http.BaseAddress };
        var key = _server.Http.DefaultRequestHeaders.Authorization!.Parameter!;
        foreach (var authorization in (string?[])[null, "", "Bearer", "Bearer ", "Bearer wrong", $"Bearer {key}x", $"Bearer {key[..^1]}", $"Basic {key}", key, $"Bearer {key.ToUpperInvariant()}"])
        {
            foreach (var endpoint in Endpoints)
            {
                var call = endpoint.Replace("ID", _id, StringComparison.Ordinal).Replace("INSTANCE", instance, StringComparison.Ordinal).Split(' ');
                using var request = new HttpRequestMessage(new HttpMethod(call[0]), _server.Http.BaseAddress!.GetLeftPart(UriPartial.Authority) + call[1]) { Content = new StringContent(Flows.Short().ToJsonString()) };
                if (authorization is not null)
                    request.Headers.TryAddWithoutValidation("Authorization", authorization);
                using var response = await stranger.SendAsync(request);
                // Paths that only look like the API are nobody's.
                Assert.True((int)response.StatusCode is 401 || ((int)response.StatusCode is 404 && !call[1].StartsWith("/api", StringComparison.Ordinal)), $"{endpoint} with '{authorization}': {response.StatusCode}");
                Assert.Equal((int)response.StatusCode == 401, response.Headers.WwwAuthenticate.ToString() == "Bearer");
            }
        }

        Assert.Equal(before, await StateAsync());
        return;

        async Task<string> StateAsync() => (await _server.CallAsync($"GET /api/workflows/{_id}")).Header("ETag")
            + (await _server.CallAsync($"GET /api/workflows/{_id}/versions")).Text
            + (await _server.CallAsync($"GET /api/instances?definitionId={_id}")).Text
            + (await _server.CallAsync("GET /api/workflows/new")).Status;
    }

    [Fact]
    public void KeyFile_IsReadableByItsOwnerAlone()
    {
        if (OperatingSystem.IsWindows())
            return;
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_server.DataFolder, "api-key")));
    }

    [Theory]
    [InlineData("GET", "/api/workflows/%01", null)]
    [InlineData("GET", "/api/workflows/%FF%FE", null)]
    [InlineData("GET", "/api/workflows?search=%00", null)]
    [InlineData("GET", "/api/workflows?search=%ff%25_%27%3B--", null)]
    [InlineData("GET", "/api/workflows?cursor=%00", null)]
    [InlineData("GET", "/api/workflows?limit=99999999999999999999", null)]
    [InlineData("GET", "/api/workflows/x?version=99999999999999999999", null)]
    [InlineData("GET", "/api/workflows/x?version=-1", null)]
    [InlineData("GET", "/api/workflows/x/versions?cursor=-1", null)]
    [InlineData("GET", "/api/workflows/export?ids=%00", null)]
    [InlineData("DELETE", "/api/workflows/x/versions/99999999999999999999", null)]
    [InlineData("POST", "/api/workflows/x/revert?version=99999999999999999999", null)]
    [InlineData("GET", "/api/instances?definitionId=%00&correlationId=%01", null)]
    [InlineData("GET", "/api/instances?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTkvYQ", null)]
    [InlineData("GET", "/api/instances?cursor=MC8A", null)]
    [InlineData("GET", "/api/tasks?cursor=MC94", null)]
    [InlineData("GET", "/api/queue/dead?cursor=99999999999999999999", null)]
    [InlineData("POST", "/api/queue/dead/99999999999999999999/requeue", null)]
    [InlineData("POST", "/api/events/%01", "{}")]
    [InlineData("POST", "/api/events/x", "{\"payload\":\"\\ud800\"}")]
    [InlineData("POST", "/api/events/x", "{\"\\udfff\":1}")]
    [InlineData("POST", "/api/events/x", "{\"id\":\"\\u0000\"}")]
    [InlineData("POST", "/api/tasks/x%01/complete", "{\"result\":[}")]
    [InlineData("POST", "/api/tasks/x/complete", "{\"result\":1e999999}")]
    [InlineData("PATCH", "/api/workflows/x", "{}")]
    [InlineData("GET", "/api/nothing.json", null)]
    [InlineData("GET", "/api", null)]
    public async Task Api_HostileRequest_IsAProblem(string method, string path, string? body)
    {
        var reply = await _server.CallAsync($"{method} {path}", body);

        // Odd text to search for is fine; it finds nothing.
        if (reply.Status == 200)
            Assert.Empty(reply["items"].EnumerateArray());
        else
            AssertRefused(reply);
    }

    [Fact]
    public async Task Api_HostileBodies_AreProblems()
    {
        await _server.PublishAsync(_id, Flows.Short());
        var deep = string.Concat(Enumerable.Repeat("[", 100_000));
        byte[][] bodies =
        [
            [0xff, 0xfe], [0], "{\"input\":{\"a\":\"\xff\"}}"u8.ToArray()[..^4], [.. "{\"input\":{\"a\":\""u8, 0xc3, 0x28, .. "\"}}"u8], Encoding.UTF8.GetBytes(deep), Encoding.UTF8.GetBytes($$"""{"input":{"a":{{deep}}"""),
            Encoding.UTF8.GetBytes($$"""{"correlationId":"{{new string('x', 100_000)}}"}"""), Encoding.UTF8.GetBytes($$"""{"name":"{{new string('x', 100_000)}}"}"""), "{\"version\":{}}"u8.ToArray(), "{\"version\":1.5}"u8.ToArray(), "\"\\ud800\""u8.ToArray(),
        ];
        foreach (var body in bodies)
        {
            AssertRefused(await _server.CallAsync($"POST /api/workflows/{_id}/start", Calls.Bytes(body, "application/json")));
            AssertRefused(await _server.CallAsync($"POST /api/workflows/{_id}/start-many", Calls.Bytes([(byte)'[', .. body, (byte)']'], "application/json")));
        }

        Assert.Empty(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
        var random = new string([.. Enumerable.Range(0, 6000).Select(_ => (char)Random.Shared.Next('a', 'z' + 1))]);
        AssertRefused(await _server.CallAsync($"PUT /api/workflows/{random}", Flows.Short()));
        AssertRefused(await _server.CallAsync($"POST /api/events/{random}", "{}"));
        AssertRefused(await _server.CallAsync($"POST /api/events/x", $$"""{"id":"{{random}}"}"""));
        AssertRefused(await _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short(), "If-Match: \"a\""));
        AssertRefused(await _server.CallAsync($"POST /api/workflows/{_id}/start", Calls.Bytes(new byte[31 << 20], "application/json"), "Expect: 100-continue"));
    }

    /// <summary>A command that fails in the database must not disturb the next ones on its connection.</summary>
    [Fact]
    public async Task Api_WhatTheDatabaseDoesNotTake_LeavesItsConnectionsWell()
    {
        var random = new string([.. Enumerable.Range(0, 6000).Select(_ => (char)Random.Shared.Next('a', 'z' + 1))]);
        for (var i = 0; i < 12; i++)
        {
            AssertRefused(await _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short().With(("name", "a\0b"))));
            AssertRefused(await _server.CallAsync($"PUT /api/workflows/{random}", Flows.Short()));
            AssertRefused(await _server.CallAsync("GET /api/workflows?cursor=%00"));
            AssertRefused(await _server.CallAsync("GET /api/workflows/export?ids=%00"));
            (await _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short($"{i}"))).Is(200);
            (await _server.CallAsync($"GET /api/workflows/{_id}")).Is(200);
            (await _server.CallAsync($"GET /api/workflows/export?ids={_id},{_id}")).Is(200);
        }
    }

    [Fact]
    public async Task Webhook_HostileRequests_AreAnswered()
    {
        await _server.PublishAsync(_id, Flows.WebEcho($"{_id}/{{name}}"));
        var random = new string([.. Enumerable.Range(0, 6000).Select(_ => (char)Random.Shared.Next('a', 'z' + 1))]);

        AssertRefused(await _server.CallAsync($"POST /workflows/{_id}/x", "{}", $"x-correlation-id: {random}"));
        AssertRefused(await _server.CallAsync($"POST /workflows/{random}", "{}"));
        AssertRefused(await _server.CallAsync($"POST /workflows/{_id}/%FF/%FE"));
        AssertRefused(await _server.CallAsync($"POST /workflows/{_id}x?workflowInstanceId=%00"));
        (await _server.CallAsync($"POST /workflows/{_id}/{random}", "{}")).Is(200);
        (await _server.CallAsync($"POST /workflows/{_id}/x", Calls.Bytes([0xff, 0, 1], "application/json"))).Is(200);
        (await _server.CallAsync($"POST /workflows/{_id}/x?a=%00&a=%01", """{"a":"\u0000"}""")).Is(200);
        (await _server.CallAsync($"POST /workflows/{_id}/x", $$"""{"a":{{new string('[', 3000)}}""")).Is(200);
        AssertRefused(await _server.CallAsync("GET /status/%01"));
    }

    [Theory]
    [InlineData("GET /api/workflows/\0 HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("GET /api/workflows/%00 HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("POST /workflows/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")]
    [InlineData("POST /workflows/x HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n")]
    [InlineData("garbage\r\n\r\n")]
    public async Task Server_RequestIsNoHttp_IsRefused(string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(_server.Http.BaseAddress!.Host, _server.Http.BaseAddress.Port);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request));
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var answer = await new StreamReader(stream).ReadLineAsync(timeout.Token);

        Assert.StartsWith("HTTP/1.1 4", answer, StringComparison.Ordinal);
    }

    private static void AssertRefused(Reply reply)
    {
        Assert.True(reply.Status is >= 400 and < 500, $"{reply.Message.RequestMessage?.Method} {reply.Message.RequestMessage?.RequestUri?.ToString()[..Math.Min(200, reply.Message.RequestMessage.RequestUri.ToString().Length)]}: {reply.Status} {reply.Text}");
        Assert.Equal("application/problem+json", reply.Message.Content.Headers.ContentType?.MediaType);
        Assert.Equal(JsonValueKind.String, reply["code"].ValueKind);
    }
}
