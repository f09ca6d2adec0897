using System.IO.Compression;
using System.Text;
using System.Text.Json;

namespace Conclave.EndToEnd.Agents;

/// <summary>Packages come, change and go under a real server, and so does what is made of them.</summary>
public sealed class PackageTests : IAsyncLifetime
{
    private readonly string _workflows = Directory.CreateTempSubdirectory("conclave-packages-").FullName;
    private ServerProcess _server = null!;

    public async Task InitializeAsync()
    {
        Directory.CreateDirectory(Path.Combine(_workflows, "agents"));
        _server = await ServerProcess.StartAsync(null, $"Workflows:Folder={_workflows}");
        _server.Document = new ApiDocument(await _server.GetAsync("/openapi/v1.json"));
    }

    public async Task DisposeAsync()
    {
        var key = (await File.ReadAllTextAsync(Path.Combine(_server.DataFolder, "api-key"))).Trim();
        await _server.DisposeAsync();
        SharedServer.AssertCleanLog(_server, key);
        Directory.Delete(_workflows, recursive: true);
    }

    /// <summary>The behaviour waits for an event and answers with the package's version: each turn answers with that it began with.</summary>
    [Fact]
    public async Task Turns_InFlight_KeepWhatTheyBeganWith()
    {
        Write("waiter", Manifest("waiter", "1.0.0", "own"), ("behaviours/own.json", Waits("one")));
        await UntilAsync("waiter", p => p.Text("state") == "accepted");
        var agent = (await _server.CallAsync("POST /api/agents", """{"name":"Ada","template":"waiter"}""")).Is(201).Json.Text("id");
        var first = await SayAsync(agent);

        Write("waiter", Manifest("waiter", "2.0.0", "own"), ("behaviours/own.json", Waits("two")));
        await UntilAsync("waiter", p => p.Text("version") == "2.0.0");
        var second = await SayAsync(agent);

        Directory.Delete(Path.Combine(_workflows, "agents", "waiter"), recursive: true);
        await UntilAsync("waiter", p => p.Text("state") == "removed");
        var lost = await _server.GetAsync($"/api/agents/{agent}");
        Assert.Equal("error", lost.Text("state"));
        Assert.Contains("'waiter' is gone", lost.Text("stateReason"), StringComparison.Ordinal);
        (await _server.CallAsync($"POST /api/agents/{agent}/messages", """{"message":"Hello?"}""")).IsProblem(409, "agents.package_lost");

        (await _server.CallAsync("POST /api/events/go", "{}")).Is(200);
        Assert.Equal("one", await AnswerAsync(agent, first));
        Assert.Equal("two", await AnswerAsync(agent, second));
        await ServerProcess.UntilAsync(async () => (await _server.GetAsync($"/api/agents/{agent}")).Text("state") == "error", "the agent stays out of use");

        Write("waiter", Manifest("waiter", "3.0.0", "own"), ("behaviours/own.json", Waits("three")));
        await UntilAsync("waiter", p => p.Text("state") == "accepted");
        await ServerProcess.UntilAsync(async () => (await _server.GetAsync($"/api/agents/{agent}")).Text("state") == "active", "the agent comes back");
        var third = await SayAsync(agent);
        (await _server.CallAsync("POST /api/events/go", "{}")).Is(200);
        Assert.Equal("three", await AnswerAsync(agent, third));

        // What each was made of can be told.
        var hashes = new List<string>();
        foreach (var turn in (string[])[first, second, third])
            hashes.Add((await _server.GetAsync($"/api/agents/{agent}/turns/{turn}")).GetProperty("makeup").Text("package"));
        Assert.Equal(3, hashes.Distinct().Count());
        Assert.All(hashes, h => Assert.StartsWith("waiter@", h, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Folder_WhatDoesNotPass_IsListedWithItsLineAndCannotBeUsed()
    {
        Write("bad", Manifest("bad", "1.0.0"), ("logic.js", "// fine\nconst f = [].filter['con' + 'structor'];\n"));

        var package = await UntilAsync("bad", p => p.Text("state") == "rejected");

        var problem = package.GetProperty("refused").GetProperty("problems")[0];
        Assert.Equal(("logic", "agent_package.logic.constructor", "logic.js", "2"), (problem.Text("stage"), problem.Text("code"), problem.Text("file"), problem.Text("line")));
        (await _server.CallAsync("POST /api/agents", """{"name":"Bad","template":"bad"}""")).IsProblem(409, "agents.package_lost");
        (await _server.CallAsync("POST /api/agents", """{"name":"None","template":"nobody"}""")).IsProblem(404, "agents.no_template");
    }

    [Fact]
    public async Task Upload_IsCheckedAddedReplacedTurnedOffAndTakenAway()
    {
        const string Logic = "exports.tools = [{ name: 'hi', description: 'Says hi.', parameters: { type: 'object' }, readOnly: true, run: () => 'hi' }];";
        var good = Zip(("up/agent.yaml", Manifest("up", "1.0.0")), ("up/logic.js", Logic));
        var check = (await SendAsync("/validate", good)).Is(200);
        Assert.True(check["accepted"].GetBoolean());
        Assert.Equal("up_hi", check["tools"][0].Text("name"));
        (await _server.CallAsync("GET /api/agent-packages/up")).IsProblem(404, "agent_package.not_found");

        (await SendAsync("", good)).Is(201);
        (await SendAsync("", Zip(("agent.yaml", Manifest("up", "1.1.0"))))).Is(200);
        Assert.Equal("1.1.0", (await _server.GetAsync("/api/agent-packages/up")).Text("version"));
        Assert.Contains("agent_package.missing_behaviour", (await _server.GetAsync("/api/agent-packages/up")).GetProperty("warnings").EnumerateArray().Select(w => w.Text("code")));

        // What is refused changes nothing.
        (await SendAsync("", Zip(("agent.yaml", Manifest("up", "2.0.0")), ("logic.js", "process.exit()")))).IsProblem(422, "agent_package.refused");
        Assert.Equal("1.1.0", (await _server.GetAsync("/api/agent-packages/up")).Text("version"));

        var agent = (await _server.CallAsync("POST /api/agents", """{"name":"Up","template":"up","configuration":{"model":"mine"}}""")).Is(201);
        Assert.Equal("mine", agent["configuration"].Text("model"));
        Assert.Equal("disabled", (await _server.CallAsync("POST /api/agent-packages/up/disable", "{}")).Is(200)["state"].GetString());
        Assert.Equal("error", (await _server.GetAsync($"/api/agents/{agent.Json.Text("id")}")).Text("state"));
        Assert.Equal("accepted", (await _server.CallAsync("POST /api/agent-packages/up/enable", "{}")).Is(200)["state"].GetString());
        Assert.Equal("active", (await _server.GetAsync($"/api/agents/{agent.Json.Text("id")}")).Text("state"));

        (await _server.CallAsync("DELETE /api/agent-packages/up")).Is(204);
        (await _server.CallAsync("DELETE /api/agent-packages/up")).IsProblem(404, "agent_package.not_found");
        Assert.DoesNotContain(await _server.ItemsAsync("/api/agent-packages"), p => p.Text("name") == "up");
        Assert.Contains(await _server.ItemsAsync("/api/agent-packages?state=removed"), p => p.Text("name") == "up");
        (await _server.CallAsync("GET /api/agent-packages?state=7")).IsProblem(400, "request.invalid");
    }

    [Fact]
    public async Task Upload_OfAnotherKind_SaysWhatWasNotTaken()
    {
        var aios = Zip(
            ("ann/helper/config.json", """{"name":"helper","description":["You help."],"tools":["ann/search"],"meta":{"author":"ann","version":"0.0.1"},"build":{"entry":"entry.py","module":"Helper"}}"""),
            ("ann/helper/entry.py", "class Helper: pass"));

        var reply = (await SendAsync("", aios)).Is(201);

        Assert.Equal("aios", reply["import"].Text("kind"));
        Assert.Contains(reply["import"].GetProperty("notTaken").EnumerateArray(), n => n.GetString()!.Contains("entry.py", StringComparison.Ordinal));
        var agent = (await _server.CallAsync("POST /api/agents", """{"name":"Helper","template":"helper"}""")).Is(201);
        Assert.Equal("You help.", agent["configuration"].Text("systemPrompt"));
    }

    [Fact]
    public async Task Files_AreServedWithoutBeingRun()
    {
        const string Svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"/>";
        var hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(Svg)));
        (await SendAsync("", Zip(("agent.yaml", $"{Manifest("pictures", "1.0.0")}\nassets: [{{path: assets/face.svg, sha256: {hash}}}]\n"), ("assets/face.svg", Svg)))).Is(201);

        Assert.Equal(["agent.yaml", "assets/face.svg"], (await _server.ItemsAsync("/api/agent-packages/pictures/files")).Select(f => f.Text("path")));
        var file = (await _server.CallAsync("GET /api/agent-packages/pictures/files/content?path=assets/face.svg")).Is(200);
        Assert.Equal((Svg, "image/svg+xml", "nosniff"), (file.Text, file.Message.Content.Headers.ContentType!.MediaType, file.Header("X-Content-Type-Options")));
        Assert.Contains("sandbox", file.Header("Content-Security-Policy"), StringComparison.Ordinal);
        foreach (var path in (string[])["../agent.yaml", "/etc/passwd", "assets/none.png"])
            (await _server.CallAsync($"GET /api/agent-packages/pictures/files/content?path={Uri.EscapeDataString(path)}")).IsProblem(404, "agent_package.file_not_found");
        (await _server.CallAsync("GET /api/agent-packages/pictures/files/content")).IsProblem(400, "request.invalid");
        Assert.Equal("object", JsonElement.Parse((await _server.CallAsync("GET /api/agent-packages/schema")).Is(200).Text).Text("type"));
    }

    [Fact]
    public async Task Garbage_IsRefusedAndChangesNothing()
    {
        byte[][] bodies = [[], "not yaml: ["u8.ToArray(), "name: x"u8.ToArray(), [0xff, 0xfe, 0, 1], "PK\u0003\u0004garbage"u8.ToArray(), Zip(("../agent.yaml", Manifest("evil", "1.0.0"))), Zip(("readme.txt", "x"))];
        foreach (var body in bodies)
        {
            (await SendAsync("", body)).IsProblem(422, "agent_package.refused");
            Assert.False((await SendAsync("/validate", body)).Is(200)["accepted"].GetBoolean());
        }

        using var form = new MultipartFormDataContent { { new StringContent("x"), "field" } };
        (await _server.CallAsync("POST /api/agent-packages", form)).IsProblem(400, "request.invalid");
        foreach (var call in (string[])["GET /api/agent-packages/nobody", "POST /api/agent-packages/nobody/enable", "POST /api/agent-packages/nobody/disable", "DELETE /api/agent-packages/nobody", "GET /api/agent-packages/nobody/files"])
            (await _server.CallAsync(call)).IsProblem(404, "agent_package.not_found");
        Write("mine", Manifest("mine", "1.0.0"));
        await UntilAsync("mine", p => p.Text("state") == "accepted");
        (await SendAsync("", Zip(("agent.yaml", Manifest("mine", "2.0.0"))))).IsProblem(409, "agent_package.in_folder");
        (await _server.CallAsync("DELETE /api/agent-packages/mine")).IsProblem(409, "agent_package.in_folder");
        Assert.DoesNotContain(await _server.ItemsAsync("/api/agent-packages"), p => p.Text("name") is "evil" or "x");
    }

    private Task<Reply> SendAsync(string path, byte[] body) => _server.CallAsync($"POST /api/agent-packages{path}", Calls.Bytes(body, "application/zip"));

    private async Task<string> SayAsync(string agent)
    {
        var turn = (await _server.CallAsync($"POST /api/agents/{agent}/messages", """{"message":"Hello"}""")).Is(202)["turnId"].GetString()!;
        await ServerProcess.UntilAsync(async () => (await _server.GetAsync($"/api/agents/{agent}/turns/{turn}")).Text("status") == "waiting", $"{turn} waits");
        return turn;
    }

    private async Task<string> AnswerAsync(string agent, string turn)
    {
        JsonElement found = default;
        await ServerProcess.UntilAsync(async () => (found = await _server.GetAsync($"/api/agents/{agent}/turns/{turn}")).Text("status") is "completed" or "failed", $"{turn} ends");
        Assert.True(found.Text("status") == "completed", found.GetRawText());
        return found.Text("answer");
    }

    private async Task<JsonElement> UntilAsync(string name, Func<JsonElement, bool> isReached)
    {
        Reply? last = null;
        await ServerProcess.UntilAsync(async () => (last = await _server.CallAsync($"GET /api/agent-packages/{name}")).Status == 200 && isReached(last.Json), $"package {name} is as expected");
        return last!.Json;
    }

    private void Write(string name, string manifest, params (string Path, string Content)[] files)
    {
        // All at once, as a careful person would.
        var next = Path.Combine(_workflows, $".{name}");
        Directory.CreateDirectory(next);
        foreach (var (path, content) in files.Prepend(("agent.yaml", manifest)))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(next, path))!);
            File.WriteAllText(Path.Combine(next, path), content);
        }

        var folder = Path.Combine(_workflows, "agents", name);
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        Directory.Move(next, folder);
    }

    private static string Manifest(string name, string version, string behaviour = "react") => $$"""
        name: {{name}}
        version: {{version}}
        type: standard
        displayName: {{name}}
        description: Waits.
        role: Waiter
        domain: Waiting
        systemPrompt: You wait.
        behaviour: {definition: {{behaviour}}}
        """;

    private static string Waits(string answer) => $$"""
        { "name": "Waits", "root": { "id": "s", "type": "Elsa.Sequence", "version": 1, "activities": [
          { "id": "e", "type": "Elsa.Event", "version": 1, "eventName": { "typeName": "String", "expression": { "type": "Literal", "value": "go" } } },
          { "id": "r", "type": "Conclave.Agents.StreamReply", "version": 1, "text": { "typeName": "String", "expression": { "type": "Literal", "value": "{{answer}}" } },
            "addToConversation": { "typeName": "Boolean", "expression": { "type": "Literal", "value": true } } } ] } }
        """;

    private static byte[] Zip(params (string Name, string Content)[] files)
    {
        using var buffer = new MemoryStream();
        using (var archive = new ZipArchive(buffer, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, content) in files)
            {
                using var writer = new StreamWriter(archive.CreateEntry(name).Open());
                writer.Write(content);
            }
        }

        return buffer.ToArray();
    }
}
