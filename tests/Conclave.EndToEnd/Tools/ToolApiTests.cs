using System.Net;
using System.Text;
using System.Text.Json;

namespace Conclave.EndToEnd.Tools;

/// <summary>Tools over HTTP: what there is, what is called, who may, and how nonsense is refused.</summary>
[Collection(SharedServer.Name)]
public sealed class ToolApiTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [Fact]
    public async Task Tools_AreListedAndFound()
    {
        var all = (await _server.GetAsync("/api/tools")).GetProperty("items").EnumerateArray().ToList();
        Assert.Contains(all, t => t.GetProperty("name").GetString() == "calculator" && t.GetProperty("state").GetString() == "ready" && t.GetProperty("source").GetString() == "product");
        var missing = (await _server.GetAsync("/api/tools?state=missing")).GetProperty("items").EnumerateArray().Select(t => t.GetProperty("name").GetString()).ToList();
        Assert.Contains("web-fetch", missing);
        var found = (await _server.GetAsync("/api/tools?query=evaluate+an+arithmetic+expression&limit=1")).GetProperty("items");
        Assert.Equal("calculator", found[0].GetProperty("name").GetString());
        Assert.True((await _server.GetAsync("/api/sandbox")).GetProperty("isAvailable").GetBoolean());
        await AssertProblemAsync(await _server.Http.GetAsync("/api/tools?state=tired"), 400, "request.invalid");
        await AssertProblemAsync(await _server.Http.GetAsync("/api/tools/none"), 404, "tool.not_found");
    }

    [Fact]
    public async Task Tool_AddedChangedTurnedOffAndDeleted_IsWhatWasSaid()
    {
        var name = SharedServer.NewId();
        var made = await PutAsync(name, Definition(name, "echo", "one"));
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        var hash = (await ServerProcess.ReadAsync(made)).GetProperty("hash").GetString();
        Assert.Equal("one\n", (await CallAsync(name)).GetProperty("output").GetProperty("stdout").GetString());

        var changed = await ServerProcess.ReadAsync(await PutAsync(name, Definition(name, "echo", "two")));
        Assert.NotEqual(hash, changed.GetProperty("hash").GetString());
        // Whoever may write a definition approves it.
        Assert.Equal(("ready", changed.GetProperty("hash").GetString()), (changed.GetProperty("state").GetString(), changed.GetProperty("approvedHash").GetString()));
        Assert.Equal("two\n", (await CallAsync(name)).GetProperty("output").GetProperty("stdout").GetString());

        Assert.Equal("disabled", (await _server.PostAsync($"/api/tools/{name}/disable", "{}")).GetProperty("state").GetString());
        var refused = await CallAsync(name);
        Assert.Equal(("refused", "tool.unavailable"), (refused.GetProperty("status").GetString(), refused.GetProperty("errorCode").GetString()));
        Assert.Equal("ready", (await _server.PostAsync($"/api/tools/{name}/enable", "{}")).GetProperty("state").GetString());
        await AssertProblemAsync(await _server.Http.PostAsync($"/api/tools/{name}/approve", Json("""{"hash":"0"}""")), 409, "tool.changed");

        var runs = await _server.GetAsync($"/api/tool-runs?tool={name}&limit=2");
        Assert.Equal(["refused", "completed"], runs.GetProperty("items").EnumerateArray().Select(r => r.GetProperty("status").GetString()));
        var rest = await _server.GetAsync($"/api/tool-runs?tool={name}&limit=2&cursor={runs.GetProperty("next").GetString()}");
        Assert.Equal(hash, Assert.Single(rest.GetProperty("items").EnumerateArray()).GetProperty("toolHash").GetString());
        Assert.Equal("refused", (await _server.GetAsync($"/api/tool-runs/{refused.GetProperty("runId").GetString()}")).GetProperty("status").GetString());
        var use = (await _server.GetAsync("/api/tool-runs/usage")).GetProperty("items").EnumerateArray().Single(u => u.GetProperty("tool").GetString() == name);
        Assert.Equal((3, 2, 1), (use.GetProperty("calls").GetInt32(), use.GetProperty("completed").GetInt32(), use.GetProperty("refused").GetInt32()));

        Assert.Equal(HttpStatusCode.NoContent, (await _server.Http.DeleteAsync($"/api/tools/{name}")).StatusCode);
        await AssertProblemAsync(await _server.Http.GetAsync($"/api/tools/{name}"), 404, "tool.not_found");
        await AssertProblemAsync(await _server.Http.DeleteAsync("/api/tools/calculator"), 409, "tool.name_taken");
        await AssertProblemAsync(await PutAsync("calculator", Definition("calculator", "echo")), 409, "tool.name_taken");
    }

    [Theory]
    [InlineData("""{"name":"NAME","kind":"command","description":"x","settings":{"command":[]}}""")]
    [InlineData("""{"name":"NAME","kind":"built-in","description":"x"}""")]
    [InlineData("""{"name":"other","kind":"command","description":"x","settings":{"command":["echo"]}}""")]
    [InlineData("""{"name":"NAME","kind":"command","description":"x","settings":{"command":["echo"]},"parameters":{"type":"object","properties":7}}""")]
    [InlineData("""{"name":"NAME","kind":"http","description":"x","settings":{"method":"GET","url":"https://{{host}}/"}}""")]
    [InlineData("""{"name":"NAME","kind":"http","description":"x","settings":{"method":"GET","url":"https://a.example/"},"permissions":{"network":["b.example"]}}""")]
    [InlineData("""{"name":"NAME","kind":"logic","description":"x","settings":{}}""")]
    public async Task Definition_ThatMakesNoSense_IsRefused(string definition)
    {
        var name = SharedServer.NewId();
        await AssertProblemAsync(await PutAsync(name, definition.Replace("NAME", name, StringComparison.Ordinal)), 400, "tool.definition_invalid");
        await AssertProblemAsync(await _server.Http.GetAsync($"/api/tools/{name}"), 404, "tool.not_found");
    }

    [Fact]
    public async Task Call_WithAKey_IsMadeOnce()
    {
        var request = () => new HttpRequestMessage(HttpMethod.Post, "/api/tools/workspace-write/call") { Content = Json("""{"agentId":"keyed","arguments":{"path":"a.txt","content":"x","append":true}}"""), Headers = { { "Idempotency-Key", "tool-call-once" } } };
        await ServerProcess.ReadAsync(await _server.Http.SendAsync(request()));
        await ServerProcess.ReadAsync(await _server.Http.SendAsync(request()));

        var read = await CallAsync("workspace-read", """{"path":"a.txt"}""", "keyed");
        Assert.Equal("x", read.GetProperty("output").GetProperty("content").GetString());
        Assert.Equal("failed", (await CallAsync("workspace-read", """{"path":"a.txt"}""", "another")).GetProperty("status").GetString());
        await AssertProblemAsync(await _server.Http.PostAsync("/api/tools/calculator/call", Json("[]")), 400, "request.invalid");
        Assert.Equal("tool.arguments_invalid", (await CallAsync("calculator", "7")).GetProperty("errorCode").GetString());
    }

    [Fact]
    public async Task Permissions_WithRulesOnArguments_Decide()
    {
        var agent = SharedServer.NewId();
        var stored = await ServerProcess.ReadAsync(await _server.Http.PutAsync($"/api/tool-permissions/{agent}", Json("""
            {"permissions":[{"tool":"calculator","mode":"ask","rules":[{"name":"short","mode":"allow","when":{"properties":{"expression":{"maxLength":5}}}}]},{"tool":"clock","mode":"deny"}]}
            """)));
        Assert.Equal(2, stored.GetProperty("items").GetArrayLength());

        Assert.Equal("allow", (await CheckAsync(agent, "calculator", """{"expression":"1+1"}""")).GetProperty("mode").GetString());
        Assert.Equal($"permission {agent}/calculator: short", (await CheckAsync(agent, "calculator", """{"expression":"1+1"}""")).GetProperty("rule").GetString());
        Assert.Equal("ask", (await CheckAsync(agent, "calculator", """{"expression":"1+1+1+1"}""")).GetProperty("mode").GetString());
        Assert.Equal("tool.approval_required", (await CallAsync("calculator", """{"expression":"1+1+1+1"}""", agent)).GetProperty("errorCode").GetString());
        Assert.Equal("tool.denied", (await CallAsync("clock", "{}", agent)).GetProperty("errorCode").GetString());
        // What is left out is deleted.
        await ServerProcess.ReadAsync(await _server.Http.PutAsync($"/api/tool-permissions/{agent}", Json("""{"permissions":[]}""")));
        Assert.Equal("allow", (await CheckAsync(agent, "clock", "{}")).GetProperty("mode").GetString());
    }

    [Theory]
    [InlineData("""{"permissions":[{"tool":"clock"}],"more":1}""")]
    [InlineData("""{"permissions":[{"tool":"clock","mode":"sometimes"}]}""")]
    [InlineData("""{"permissions":[{"tool":"","mode":"allow"}]}""")]
    [InlineData("""{"permissions":[{"tool":"clock","mode":"allow"},{"tool":"clock","mode":"deny"}]}""")]
    [InlineData("""{"permissions":[{"tool":"clock","mode":"allow","rules":[{"name":"x","mode":"allow","when":{"type":"nothing"}}]}]}""")]
    [InlineData("""{"permissions":[{"tool":"clock","mode":"allow","rules":[{"name":"","mode":"allow","when":{}}]}]}""")]
    public async Task Permissions_ThatMakeNoSense_AreRefused(string body)
    {
        if (body.Contains("more", StringComparison.Ordinal))
            body = """{"permissions":{}}""";
        await AssertProblemAsync(await _server.Http.PutAsync("/api/tool-permissions/nobody", Json(body)), 400, "request.invalid");
    }

    [Fact]
    public async Task OpenApi_Imported_GivesTools_AndTakesThemAway()
    {
        var name = SharedServer.NewId()[..12];
        const string Document = """{"openapi":"3.1.0","servers":[{"url":"https://api.example/v1"}],"paths":{"/a":{"get":{"operationId":"getA"},"put":{"operationId":"putA"}}}}""";
        var tried = await _server.PostAsync("/api/tool-imports/openapi", $$"""{"name":"{{name}}","document":{{Document}},"dryRun":true}""");
        Assert.Equal([$"{name}-getA", $"{name}-putA"], tried.GetProperty("tools").EnumerateArray().Select(t => t.GetString()));
        await AssertProblemAsync(await _server.Http.GetAsync($"/api/tools/{name}-getA"), 404, "tool.not_found");

        await _server.PostAsync("/api/tool-imports/openapi", $$"""{"name":"{{name}}","document":{{JsonSerializer.Serialize("openapi: 3.1.0\nservers: [{url: https://api.example/v1}]\npaths:\n  /a:\n    get: {operationId: getA}\n")}}}""");
        var tool = await _server.GetAsync($"/api/tools/{name}-getA");
        Assert.Equal(($"openapi:{name}", "ask"), (tool.GetProperty("source").GetString(), tool.GetProperty("defaultMode").GetString()));
        Assert.Equal(HttpStatusCode.NoContent, (await _server.Http.DeleteAsync($"/api/tools/{name}-getA")).StatusCode);
        await AssertProblemAsync(await _server.Http.PostAsync("/api/tool-imports/openapi", Json($$"""{"name":"{{name}}","document":{"swagger":"2.0"} }""")), 400, "tool.document_invalid");
        await AssertProblemAsync(await _server.Http.PostAsync("/api/tool-imports/openapi", Json("""{"name":"a b","document":{}}""")), 400, "request.invalid");
    }

    [Fact]
    public async Task Servers_AreKeptWithoutShowingSecrets()
    {
        var name = SharedServer.NewId()[..12];
        var stored = await ServerProcess.ReadAsync(await _server.Http.PutAsync($"/api/tool-servers/{name}", Json("""{"settings":{"transport":"http","url":"http://127.0.0.1:9/mcp"},"secrets":{"Authorization":"Bearer of-a-secret"}}""")));
        Assert.Equal(["Authorization"], stored.GetProperty("secretNames").EnumerateArray().Select(s => s.GetString()));
        Assert.DoesNotContain("of-a-secret", (await _server.GetAsync("/api/tool-servers")).GetRawText(), StringComparison.Ordinal);
        await AssertProblemAsync(await _server.Http.PostAsync($"/api/tool-servers/{name}/refresh", Json("{}")), 502, "tool.server_failed");
        Assert.NotEqual(JsonValueKind.Null, (await _server.GetAsync("/api/tool-servers")).GetProperty("items").EnumerateArray().Single(s => s.GetProperty("name").GetString() == name).GetProperty("problem").ValueKind);
        Assert.Equal(HttpStatusCode.NoContent, (await _server.Http.DeleteAsync($"/api/tool-servers/{name}")).StatusCode);
        await AssertProblemAsync(await _server.Http.DeleteAsync($"/api/tool-servers/{name}"), 404, "tool.server_not_found");
        await AssertProblemAsync(await _server.Http.PostAsync("/api/tool-servers/none/refresh", Json("{}")), 404, "tool.server_not_found");
        await AssertProblemAsync(await _server.Http.PutAsync("/api/tool-servers/x", Json("""{"settings":{"transport":"pigeon"}}""")), 400, "tool.server_invalid");
    }

    private Task<HttpResponseMessage> PutAsync(string name, string definition) => _server.Http.PutAsync($"/api/tools/{name}", Json(definition));

    private Task<JsonElement> CheckAsync(string agent, string tool, string arguments) => _server.PostAsync($"/api/tool-permissions/{agent}/check", $$"""{"tool":"{{tool}}","arguments":{{arguments}} }""");

    private Task<JsonElement> CallAsync(string tool, string arguments = "{}", string? agent = null) =>
        _server.PostAsync($"/api/tools/{tool}/call", $$"""{"arguments":{{arguments}},"agentId":{{JsonSerializer.Serialize(agent)}} }""");

    private static string Definition(string name, params string[] command) =>
        $$"""{"name":"{{name}}","kind":"command","description":"Prints.","settings":{"command":{{JsonSerializer.Serialize(command)}} },"annotations":{"readOnly":true} }""";

    private static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");

    private static async Task AssertProblemAsync(HttpResponseMessage response, int status, string code)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode}: {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(code, JsonElement.Parse(text).GetProperty("code").GetString());
    }
}
