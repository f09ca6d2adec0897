using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Agents;
using Conclave.Agents.Tools.Mcp;
using Conclave.Workflows.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Conclave.Tests.Agents.Tools;

/// <summary>Tools of MCP servers over streamable HTTP: with the server's secrets, a session for each agent, and another one when the server has forgotten it.</summary>
public sealed class McpHttpTests : IAsyncLifetime
{
    private readonly ConcurrentDictionary<string, int> _sessions = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _authorizations = new();
    private WebApplication _server = null!;
    private ToolHost _host = null!;
    private Uri _address = null!;

    public async Task InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _server = builder.Build();
        _server.MapPost("/mcp", AnswerAsync);
        _server.MapGet("/mcp", () => Results.StatusCode(405));
        _server.MapDelete("/mcp", (HttpRequest request) => _sessions.TryRemove(request.Headers["Mcp-Session-Id"].ToString(), out _) ? Results.Ok() : Results.NotFound());
        await _server.StartAsync();
        _address = new Uri(_server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        _host = await ToolHost.StartAsync(http: new OutboundHttpOptions { AllowedHosts = [$"127.0.0.1:{_address.Port}"] });
        var settings = JsonElement.Parse($$"""{"transport":"http","url":"{{new Uri(_address, "mcp")}}","trustsAnnotations":true}""");
        Assert.Empty(McpServer.Check("far", settings));
        await _host.Services.Servers.PutAsync(
            ToolHost.Tenant, new McpServer("far", settings) { Secrets = new Dictionary<string, string> { ["Authorization"] = "Bearer of-the-server" } }, "ann", default);
        await _host.Services.Mcp.RefreshAsync(ToolHost.Tenant, "far", "ann", default);
        await _host.Services.Registry.LoadAsync(ToolHost.Tenant, default);
    }

    public async Task DisposeAsync()
    {
        await _host.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Server_GivesTools_WithASessionForEachAgentAndItsSecrets()
    {
        Assert.Equal(ToolMode.Allow, _host.Services.Registry.Find(ToolHost.Tenant, "far-count")!.Definition.DefaultMode);
        Assert.Equal(1, await CountAsync());
        Assert.Equal(2, await CountAsync());
        Assert.Equal(1, await CountAsync("other"));
        Assert.All(_authorizations, a => Assert.Equal("Bearer of-the-server", a));
    }

    [Fact]
    public async Task Server_HasForgottenTheSession_IsAskedInAnotherOne()
    {
        Assert.Equal(1, await CountAsync());
        Assert.Equal(2, await CountAsync());

        // As after its restart.
        _sessions.Clear();

        Assert.Equal(1, await CountAsync());
        Assert.Equal(2, await CountAsync());
    }

    [Fact]
    public async Task Server_IsGone_IsToldOf()
    {
        Assert.Equal(1, await CountAsync());
        await _server.StopAsync();

        await _host.FailAsync("tool.server_failed", "far-count");
    }

    private async Task<int> CountAsync(string agent = ToolHost.Agent) => (await _host.OutputAsync("far-count", agent: agent)).GetProperty("calls").GetInt32();

    private async Task AnswerAsync(HttpContext context)
    {
        var message = (await JsonNode.ParseAsync(context.Request.Body))!;
        _authorizations.Enqueue(context.Request.Headers.Authorization.ToString());
        var session = context.Request.Headers["Mcp-Session-Id"].ToString();
        var method = (string?)message["method"];
        if (method == "initialize")
        {
            session = Guid.NewGuid().ToString("n");
            _sessions[session] = 0;
            context.Response.Headers["Mcp-Session-Id"] = session;
        }
        else if (!_sessions.ContainsKey(session))
        {
            context.Response.StatusCode = 404;
            return;
        }

        if (message["id"] is not { } id)
        {
            context.Response.StatusCode = 202;
            return;
        }

        JsonNode? result = method switch
        {
            "initialize" => JsonNode.Parse($$"""{"protocolVersion":"{{(string?)message["params"]!["protocolVersion"]}}","capabilities":{"tools":{} },"serverInfo":{"name":"far","version":"1"} }"""),
            "tools/list" => JsonNode.Parse("""{"tools":[{"name":"count","description":"Counts calls.","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"openWorldHint":false}}]}"""),
            "tools/call" => JsonNode.Parse($$"""{"content":[{"type":"text","text":"counted"}],"structuredContent":{"calls":{{_sessions.AddOrUpdate(session, 1, (_, n) => n + 1)}} } }"""),
            _ => null,
        };
        var answer = new JsonObject { ["jsonrpc"] = "2.0", ["id"] = id.DeepClone() };
        if (result is null)
            answer["error"] = new JsonObject { ["code"] = -32601, ["message"] = "no such method" };
        else
            answer["result"] = result;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(answer.ToJsonString());
    }
}
