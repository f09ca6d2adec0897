using System.Net;
using System.Text;
using System.Text.Json;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace Conclave.EndToEnd.Tools;

/// <summary>Workflows as tools of the Model Context Protocol, with the official client.</summary>
[Collection(SharedServer.Name)]
public sealed class McpServerTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [Fact]
    public async Task Workflow_MarkedAsATool_IsCalledByTheOfficialClient()
    {
        var id = SharedServer.NewId();
        await _server.PublishAsync(id, Workflow(id, usable: true));
        await _server.PublishAsync($"{id}x", Workflow($"{id}x", usable: false));
        await using var client = await ConnectAsync();

        var tools = await client.ListToolsAsync();
        var tool = Assert.Single(tools, t => t.Name.StartsWith(id, StringComparison.Ordinal));
        Assert.Equal(id, tool.Name);
        Assert.Equal("integer", tool.JsonSchema.GetProperty("properties").GetProperty("Number").GetProperty("type").GetString());
        var answer = await client.CallToolAsync(id, new Dictionary<string, object?> { ["Number"] = 21 });

        Assert.NotEqual(true, answer.IsError);
        Assert.Equal(21, answer.StructuredContent!.Value.GetProperty("Result").GetInt32());
        var wrong = await client.CallToolAsync(id, new Dictionary<string, object?> { ["Number"] = "x" });
        Assert.True(wrong.IsError);
        Assert.Contains("Number", Assert.IsType<TextContentBlock>(wrong.Content[0]).Text, StringComparison.Ordinal);
        var runs = (await _server.GetAsync($"/api/tool-runs?tool={id}")).GetProperty("items").EnumerateArray().ToList();
        Assert.Equal(["refused", "completed"], runs.Select(r => r.GetProperty("status").GetString()));
        Assert.All(runs, r => Assert.StartsWith("user:", r.GetProperty("agentId").GetString(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Request_OfNobody_OfAnotherOrigin_OrWithoutASession_IsRefused()
    {
        const string List = """{"jsonrpc":"2.0","id":1,"method":"tools/list"}""";
        using var nobody = new HttpClient { BaseAddress = _server.Http.BaseAddress };
        Assert.Equal(HttpStatusCode.Unauthorized, (await nobody.SendAsync(Post(List))).StatusCode);
        await AssertProblemAsync(Post(List, origin: "https://evil.example"), 403, "mcp.origin_refused");
        await AssertProblemAsync(Post(List), 400, "mcp.no_session");
        await AssertProblemAsync(Post(List, session: "none"), 404, "mcp.session_ended");
        await AssertProblemAsync(Post("{"), 400, "mcp.bad_message");
        await AssertProblemAsync(new HttpRequestMessage(HttpMethod.Post, "/mcp") { Content = new StringContent(List, Encoding.UTF8, "application/json"), Headers = { { "Accept", "text/plain" } } }, 406, "mcp.not_acceptable");
    }

    [Fact]
    public async Task Session_EndsWhenItsClientSaysSo()
    {
        var begun = await _server.Http.SendAsync(Post("""
            {"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
            """, origin: _server.Http.BaseAddress!.GetLeftPart(UriPartial.Authority)));
        Assert.True(begun.IsSuccessStatusCode, await begun.Content.ReadAsStringAsync());
        var session = begun.Headers.GetValues("Mcp-Session-Id").Single();
        Assert.Contains("2025-06-18", await begun.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.NoContent, (await _server.Http.SendAsync(new HttpRequestMessage(HttpMethod.Delete, "/mcp") { Headers = { { "Mcp-Session-Id", session } } })).StatusCode);
        await AssertProblemAsync(Post("""{"jsonrpc":"2.0","id":2,"method":"tools/list"}""", session: session), 404, "mcp.session_ended");
    }

    private async Task<McpClient> ConnectAsync()
    {
        var key = (await File.ReadAllTextAsync(Path.Combine(_server.DataFolder, "api-key"))).Trim();
        return await McpClient.CreateAsync(new HttpClientTransport(new HttpClientTransportOptions
        {
            Endpoint = new Uri(_server.Http.BaseAddress!, "/mcp"),
            TransportMode = HttpTransportMode.StreamableHttp,
            AdditionalHeaders = new Dictionary<string, string> { ["Authorization"] = $"Bearer {key}" },
        }));
    }

    private static HttpRequestMessage Post(string body, string? session = null, string? origin = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/mcp") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        if (session is not null)
            request.Headers.Add("Mcp-Session-Id", session);
        if (origin is not null)
            request.Headers.Add("Origin", origin);
        return request;
    }

    private async Task AssertProblemAsync(HttpRequestMessage request, int status, string code)
    {
        var response = await _server.Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode}: {text}");
        Assert.Equal(code, JsonElement.Parse(text).GetProperty("code").GetString());
    }

    private static string Workflow(string id, bool usable) => $$"""
        { "definitionId": "{{id}}", "name": "{{id}}", "description": "Gives a number back.", "customProperties": { "usableAsTool": {{(usable ? "true" : "false")}} },
          "inputs": [{ "name": "Number", "type": "Int32" }], "outputs": [{ "name": "Result", "type": "Int32" }],
          "root": { "id": "r", "type": "Elsa.SetOutput", "version": 1, "outputName": { "typeName": "String", "expression": { "type": "Literal", "value": "Result" } },
                    "outputValue": { "typeName": "Object", "expression": { "type": "Input", "value": "Number" } } } }
        """;
}
