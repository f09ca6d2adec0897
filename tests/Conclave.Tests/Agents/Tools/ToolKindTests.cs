using System.Net;
using System.Text;
using System.Text.Json;
using Conclave.Agents;
using Conclave.Agents.Tools;
using Conclave.Agents.Tools.Web;
using Conclave.Agents.Tools.Workflows;
using Conclave.Tests.Runtime;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Http;

namespace Conclave.Tests.Agents.Tools;

/// <summary>Each kind of tool does its work: scripts, requests, files, workflows, sums.</summary>
public sealed class ToolKindTests : IAsyncLifetime
{
    private HttpListener Server { get; } = new();
    private readonly List<(string Line, string? Key, string? Authorization, string Body)> _requests = [];
    private ToolHost _host = null!;
    private int _port;

    public async Task InitializeAsync()
    {
        for (var attempt = 0; ; attempt++)
        {
            _port = Random.Shared.Next(20_000, 60_000);
            Server.Prefixes.Clear();
            Server.Prefixes.Add($"http://127.0.0.1:{_port}/");
            try
            {
                Server.Start();
                break;
            }
            catch (HttpListenerException) when (attempt < 20)
            {
                // Somebody else has the port.
            }
        }

        _ = ServeAsync();
        _host = await ToolHost.StartAsync(
            options: new ToolOptions { Keys = { ["shop"] = "key-of-the-shop" }, HomeAssistant = new HomeAssistantOptions { Url = $"http://127.0.0.1:{_port}", Token = "token-of-the-home" } },
            http: new OutboundHttpOptions { AllowedHosts = [$"127.0.0.1:{_port}"] });
    }

    public async Task DisposeAsync()
    {
        await _host.DisposeAsync();
        Server.Close();
    }

    [Fact]
    public async Task SystemStatus_TellsOfThisMachine()
    {
        var status = await _host.OutputAsync("system-status");

        Assert.Equal(Environment.ProcessorCount, status.GetProperty("processors").GetInt32());
        Assert.InRange(status.GetProperty("memoryUsedBytes").GetInt64(), 1, status.GetProperty("memoryBytes").GetInt64());
        Assert.InRange(status.GetProperty("diskFreeBytes").GetInt64(), 1, status.GetProperty("diskBytes").GetInt64());
        Assert.True(status.GetProperty("server").GetProperty("memoryBytes").GetInt64() > 1 << 20);
        await _host.FailAsync("tool.arguments_invalid", "system-status", """{"of":"another machine"}""");
    }

    [Theory]
    [InlineData("1 + 2 * 3", 7)]
    [InlineData("(1 + 2) * 3", 9)]
    [InlineData("2 ^ 3 ^ 2", 512)]
    [InlineData("-2 ^ 2", -4)]
    [InlineData("10 % 4 / 2", 1)]
    [InlineData("sqrt(16) + abs(-3) * round(2.5)", 13)]
    [InlineData("1.5e3 - .5", 1499.5)]
    public async Task Calculator_Evaluates(string expression, double value) =>
        Assert.Equal(value, (await _host.OutputAsync("calculator", JsonSerializer.Serialize(new Dictionary<string, string> { ["expression"] = expression }))).GetProperty("value").GetDouble());

    [Theory]
    [InlineData("1 / 0")]
    [InlineData("2 +")]
    [InlineData("process.exit()")]
    [InlineData("((((1)")]
    [InlineData("1e999")]
    public async Task Calculator_WithNoSense_SaysSo(string expression) =>
        await _host.FailAsync("tool.arithmetic", "calculator", JsonSerializer.Serialize(new Dictionary<string, string> { ["expression"] = expression }));

    [Fact]
    public async Task Workspace_KeepsVersions_AndBringsThemBack()
    {
        foreach (var content in new[] { "one", "two", "three" })
            await _host.OutputAsync("workspace-write", $$"""{"path":"notes/a.txt","content":"{{content}}"}""");

        Assert.Equal([2, 1], (await _host.OutputAsync("workspace-versions", """{"path":"notes/a.txt"}""")).GetProperty("versions").EnumerateArray().Select(v => v.GetProperty("version").GetInt32()));
        await _host.OutputAsync("workspace-rollback", """{"path":"notes/a.txt","version":1}""");
        Assert.Equal("one", (await _host.OutputAsync("workspace-read", """{"path":"notes/a.txt"}""")).GetProperty("content").GetString());
        Assert.Equal(3, (await _host.OutputAsync("workspace-delete", """{"path":"notes/a.txt"}""")).GetProperty("keptAsVersion").GetInt32() - 1);
        await _host.FailAsync("workspace.not_found", "workspace-read", """{"path":"notes/a.txt"}""");
        await _host.OutputAsync("workspace-rollback", """{"path":"notes/a.txt","version":2}""");
        await _host.OutputAsync("workspace-write", """{"path":"b.txt","content":"Alpha\nbeta\n"}""");
        var matches = (await _host.OutputAsync("workspace-search", """{"query":"^(al|t)","isPattern":true}""")).GetProperty("matches").EnumerateArray().Select(m => m.GetProperty("text").GetString());
        Assert.Equal(["Alpha", "two"], matches);
        Assert.Equal(["b.txt", "notes/a.txt"], (await _host.OutputAsync("workspace-list")).GetProperty("files").EnumerateArray().Select(f => f.GetProperty("path").GetString()));
        Assert.Equal(0, (await _host.OutputAsync("workspace-list", agent: "another")).GetProperty("files").GetArrayLength());
    }

    [Fact]
    public async Task Workspace_OfCommandsAndTools_IsTheSame()
    {
        await _host.AddAsync("""
            { "name": "upper", "description": "Makes a file's letters large.", "kind": "command", "mode": "allow", "permissions": { "workspace": "write" },
              "settings": { "command": ["sh", "-c", "tr a-z A-Z < \"$1\" > \"$1.up\" && mv \"$1.up\" \"$1\"", "sh", "{{file}}"] },
              "parameters": { "type": "object", "properties": { "file": { "type": "string" } }, "required": ["file"] } }
            """);
        await _host.OutputAsync("workspace-write", """{"path":"in/a.txt","content":"hello"}""");

        await _host.OutputAsync("upper", """{"file":"in/a.txt"}""");
        await _host.OutputAsync("workspace-write", """{"path":"in/a.txt","content":" world","append":true}""");

        Assert.Equal("HELLO world", (await _host.OutputAsync("workspace-read", """{"path":"in/a.txt"}""")).GetProperty("content").GetString());
    }

    [Fact]
    public async Task Script_UsesWhatItMay()
    {
        await _host.AddAsync($$"""
            { "name": "clever", "description": "A script.", "kind": "logic", "mode": "allow", "parameters": { "type": "object" },
              "permissions": { "memory": true, "workspace": "write", "network": ["127.0.0.1:{{_port}}"], "home": true },
              "settings": { "function": "go", "script": {{JsonSerializer.Serialize("""
                async function go(args, ctx) {
                  ctx.memory.set('count', (ctx.memory.get('count') ?? 0) + 1);
                  ctx.files.write('out.txt', `for ${args.name}`);
                  const answer = ctx.http.post(args.url, { a: 1 }, { 'x-more': 'yes' });
                  ctx.logger.info('done');
                  return { count: ctx.memory.get('count'), keys: ctx.memory.keys('c'), status: answer.status, body: JSON.parse(answer.body), file: ctx.files.read('out.txt'), light: ctx.home.state('light.kitchen'), missing: ctx.memory.get('no') };
                }
                """)}} } }
            """);
        var arguments = $$"""{"name":"Ann","url":"http://127.0.0.1:{{_port}}/post"}""";
        await _host.OutputAsync("clever", arguments);

        var output = await _host.OutputAsync("clever", arguments);

        Assert.Equal("""{"count":2,"keys":["count"],"status":200,"body":{"path":"/post"},"file":"for Ann","light":{"path":"/api/states/light.kitchen"},"missing":null}""", output.GetRawText());
        Assert.Contains(_requests, r => r.Line == "POST /post" && r.Body == """{"a":1}""");
        Assert.Contains(_requests, r => r.Line == "GET /api/states/light.kitchen" && r.Authorization == "Bearer token-of-the-home");
        // Another agent's memory is another.
        Assert.Equal(1, (await _host.OutputAsync("clever", arguments, agent: "other")).GetProperty("count").GetInt32());
    }

    [Fact]
    public async Task Script_ThatThrows_SaysWhereInItsFile()
    {
        await _host.AddAsync("""
            { "name": "broken", "description": "A script.", "kind": "logic", "mode": "allow", "settings": { "script": "function run() {\n  return nothing.at.all;\n}" } }
            """);

        var result = await _host.FailAsync("tool.script_failed", "broken");

        Assert.Contains("line 2", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Memory_HasALimit()
    {
        await _host.AddAsync("""
            { "name": "hoard", "description": "A script.", "kind": "logic", "mode": "allow", "permissions": { "memory": true },
              "settings": { "script": "function run(args, ctx) { for (let i = 0; i < 100; i++) ctx.memory.set('k' + i, 'x'.repeat(10000)); }" } }
            """);

        await _host.FailAsync("tool.memory_full", "hoard");
        Assert.True(await _host.Database.QueryAsync<long>("select sum(bytes) from conclave.tool_memory") <= 256 << 10);
    }

    [Fact]
    public async Task OpenApi_MakesTools_ThatCall()
    {
        var tools = OpenApiImport.Read("shop", JsonElement.Parse($$"""
            { "openapi": "3.0.3", "servers": [{ "url": "http://127.0.0.1:{{_port}}/v1" }], "security": [{ "key": [] }],
              "components": { "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
                "schemas": { "Order": { "type": "object", "properties": { "item": { "type": "string", "nullable": true }, "next": { "$ref": "#/components/schemas/Order" } }, "required": ["item"] } } },
              "paths": {
                "/orders/{id}": { "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }],
                  "get": { "operationId": "getOrder", "summary": "Reads an order.", "parameters": [{ "name": "fields", "in": "query", "schema": { "type": "array", "items": { "type": "string" } } }] },
                  "delete": { "summary": "Deletes an order." } },
                "/orders": { "post": { "operationId": "addOrder", "requestBody": { "required": true, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Order" } } } } } },
                "/files": { "post": { "operationId": "upload", "requestBody": { "required": true, "content": { "text/csv": {} } } } } } }
            """), null, out var problems);

        Assert.Equal(["shop-getOrder", "shop-delete-orders-id", "shop-addOrder"], tools.Select(t => t.Name));
        Assert.Single(problems, p => p.StartsWith("POST /files:", StringComparison.Ordinal));
        Assert.Equal([ToolMode.Ask, ToolMode.Ask, ToolMode.Ask], tools.Select(t => t.DefaultMode));
        Assert.True(tools[0].Annotations.ReadOnly);
        Assert.True(tools[1].Annotations.Destructive);
        foreach (var tool in tools)
        {
            var json = tool.ToJson().GetRawText().Replace("{{key:shop-key}}", "{{key:shop}}", StringComparison.Ordinal).Replace("\"mode\":null", "\"mode\":\"allow\"", StringComparison.Ordinal)
                .Replace("\"idempotency\":null", "\"idempotency\":\"key\"", StringComparison.Ordinal);
            await _host.AddAsync(json);
        }

        var order = await _host.OutputAsync("shop-getOrder", """{"id":"a/b ../c","fields":["x","y"]}""");
        Assert.Equal(200, order.GetProperty("status").GetInt32());
        Assert.Contains(_requests, r => r.Line == "GET /v1/orders/a%2Fb%20..%2Fc?fields=x&fields=y" && r.Authorization == "Bearer key-of-the-shop");
        await _host.FailAsync("tool.arguments_invalid", "shop-addOrder", """{"body":{"item":5}}""");
        await _host.CallAsync("shop-addOrder", """{"body":{"item":null,"next":{"item":"b"}}}""", key: "key-7");
        Assert.Contains(_requests, r => r.Line == "POST /v1/orders" && r.Key == "key-7" && r.Body == """{"item":null,"next":{"item":"b"}}""");
    }

    [Fact]
    public async Task Workflow_ThatIsATool_IsStartedOnce()
    {
        await using var workflows = await TestRuntime.StartAsync();
        await using var host = await ToolHost.StartAsync(on: workflows.Database, runtime: workflows.Runtime);
        await workflows.PublishAsync("""
            { "definitionId": "double-it", "name": "Double it", "description": "Doubles a number.", "customProperties": { "usableAsTool": true, "tool": { "timeoutSeconds": 60 } },
              "inputs": [{ "name": "Number", "type": "Int32", "description": "What to double." }], "outputs": [{ "name": "Result", "type": "Int32" }],
              "root": { "id": "r", "type": "Elsa.SetOutput", "version": 1, "outputName": { "typeName": "String", "expression": { "type": "Literal", "value": "Result" } },
                        "outputValue": { "typeName": "Object", "expression": { "type": "Input", "value": "Number" } } } }
            """);
        var tool = host.Services.Registry.Find(ToolHost.Tenant, "Double-it");
        Assert.NotNull(tool);
        Assert.Equal("workflow", tool.Source);
        Assert.Equal("""{"type":"object","properties":{"Number":{"type":"integer","description":"What to double."}},"additionalProperties":false}""", tool.Definition.Parameters.GetRawText());

        var results = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => host.CallAsync("Double-it", """{"Number":21}""", key: "once")));

        Assert.All(results, r => Assert.True(r.IsSuccess, r.Text));
        Assert.All(results, r => Assert.Equal("""{"Result":21}""", r.Output.GetRawText()));
        Assert.Equal(1, await workflows.Database.QueryAsync<long>("select count(*) from conclave.workflow_instance"));
        await host.FailAsync("tool.arguments_invalid", "Double-it", """{"Number":"x"}""");
    }

    [Fact]
    public void Workflow_WithoutAWord_IsNoTool() =>
        Assert.Empty(WorkflowToolSource.Describe(WorkflowDefinitionReader.Read("""{ "definitionId": "a", "customProperties": { "usableAsTool": false }, "root": { "id": "r", "type": "Elsa.WriteLine", "version": 1 } }"""u8.ToArray())));

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                var context = await Server.GetContextAsync();
                using var reader = new StreamReader(context.Request.InputStream);
                lock (_requests)
                    _requests.Add(($"{context.Request.HttpMethod} {context.Request.RawUrl}", context.Request.Headers["Idempotency-Key"], context.Request.Headers["Authorization"], reader.ReadToEnd()));
                context.Response.ContentType = "application/json";
                var answer = Encoding.UTF8.GetBytes($$"""{"path":"{{context.Request.Url!.AbsolutePath}}"}""");
                await context.Response.OutputStream.WriteAsync(answer);
                context.Response.Close();
            }
        }
        catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException or InvalidOperationException)
        {
            // The test is over.
        }
    }
}
