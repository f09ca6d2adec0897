using System.Text.Json;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Inference;

/// <summary>Operators look after model servers: those that the tests bring along.</summary>
[Collection(SharedServer.Name)]
public sealed class OperatorApiTests(SharedServer shared) : IAsyncLifetime
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _name = SharedServer.NewId();
    private OllamaDouble _ollama = null!;

    private string Path => $"/api/inference/servers/{_name}";

    public async Task InitializeAsync() => _ollama = await StartOllamaAsync();

    public async Task DisposeAsync()
    {
        await _server.CallAsync($"DELETE {Path}");
        await _ollama.DisposeAsync();
    }

    private static async Task<OllamaDouble> StartOllamaAsync()
    {
        var ollama = new OllamaDouble();
        await ollama.StartAsync();
        return ollama;
    }

    private async Task<Reply> AddAsync(string more = "") =>
        (await _server.CallAsync($"PUT {Path}", $$"""{"provider":"ollama","address":"{{_ollama.Address.GetLeftPart(UriPartial.Authority)}}"{{more}}}""")).Is(201);

    [Fact]
    public async Task Servers_AddChangeDrainDelete_NeverShowTheKey()
    {
        var added = await AddAsync(""","apiKey":"sk-very-secret","slots":2,"tags":["eu"],"models":[{"name":"*","inputPrice":0.5}]""");
        Assert.Equal($"/api/inference/servers/{_name}", added.Header("Location"));
        Assert.True(added["hasApiKey"].GetBoolean());
        var checkedNow = (await _server.CallAsync($"POST {Path}/check", "{}")).Is(200);
        Assert.Equal("healthy", checkedNow["health"].GetProperty("status").GetString());
        Assert.Equal(["small", "embedder"], checkedNow["served"].EnumerateArray().Select(m => m.GetProperty("name").GetString()!.Replace(":latest", "", StringComparison.Ordinal)));
        Assert.Equal(0.5, checkedNow["served"][0].GetProperty("inputPrice").GetDouble());

        (await _server.CallAsync($"PUT {Path}", """{"provider":"ollama","address":"http://127.0.0.1:1"}""")).IsProblem(400, "inference.key_needed");
        (await _server.CallAsync($"PUT {Path}", """{"provider":"ollama","address":"http://127.0.0.1:1","apiKey":""}""", "If-Match: \"9\"")).IsProblem(412, "inference.server_changed");
        (await _server.CallAsync($"PUT {Path}", """{"provider":"nobody","address":"http://127.0.0.1:1","apiKey":""}""")).IsProblem(400, "inference.server_invalid");
        (await _server.CallAsync($"PUT {Path}", """{"provider":"ollama","address":"http://127.0.0.1:1","adress":""}""")).IsProblem(400, "request.invalid");
        Assert.Equal("draining", (await _server.CallAsync($"POST {Path}/mode", """{"mode":"draining"}""")).Is(200)["mode"].GetString());
        (await _server.CallAsync($"POST {Path}/mode", """{"mode":"gone"}""")).IsProblem(400, "request.invalid");

        var shown = (await _server.CallAsync($"GET {Path}")).Is(200);
        Assert.Equal("\"2\"", shown.Header("ETag"));
        foreach (var reply in (Reply[])[added, shown, (await _server.CallAsync("GET /api/inference/servers")).Is(200)])
            Assert.DoesNotContain("sk-very", reply.Text, StringComparison.Ordinal);
        Assert.Contains(_ollama.Requests, r => r.Headers.Any(h => h.Value.Contains("sk-very-secret", StringComparison.Ordinal)));

        (await _server.CallAsync($"DELETE {Path}")).Is(204);
        (await _server.CallAsync($"GET {Path}")).IsProblem(404, "inference.server_not_found");
    }

    [Fact]
    public async Task Servers_Script_IsReadFromOwnFoldersOnly()
    {
        var own = System.IO.Path.Combine(_server.DataFolder, $"{_name}.yaml");
        var outside = Directory.CreateTempSubdirectory("conclave-script-").FullName;
        var link = System.IO.Path.Combine(_server.DataFolder, $"{_name}-link");
        try
        {
            const string Script = "models: [{name: assistant}]\nrules: [{reply: hello}]\n";
            await File.WriteAllTextAsync(own, Script);
            await File.WriteAllTextAsync(System.IO.Path.Combine(outside, "script.yaml"), Script);
            Directory.CreateSymbolicLink(link, outside);

            foreach (var path in (string[])["/etc/passwd", System.IO.Path.Combine(outside, "script.yaml"), System.IO.Path.Combine(link, "script.yaml"), $"{_server.DataFolder}/../{System.IO.Path.GetFileName(outside)}/script.yaml", $"{_server.DataFolder}-x/script.yaml"])
                (await _server.CallAsync($"PUT {Path}", $$"""{"provider":"scripted","address":"file://{{path}}"}""")).IsProblem(403, "inference.script_elsewhere");
            (await _server.CallAsync($"GET {Path}")).Is(404);
            (await _server.CallAsync($"PUT {Path}", $$"""{"provider":"scripted","address":"file://{{own}}"}""")).Is(201);
        }
        finally
        {
            Directory.Delete(link);
            Directory.Delete(outside, recursive: true);
            File.Delete(own);
        }
    }

    [Fact]
    public async Task Models_PullLoadDelete_AreManaged()
    {
        await AddAsync();
        (await _server.CallAsync($"POST {Path}/check", "{}")).Is(200);
        var pull = (await _server.CallAsync($"POST {Path}/models/pull", """{"model":"fresh"}""")).Is(202);
        var followed = (await _server.CallAsync($"GET {pull.Header("Location")}/progress")).Is(200);
        var last = JsonElement.Parse(followed.Text.TrimEnd('\n').Split('\n')[^1]);
        Assert.Equal(("success", 1000, JsonValueKind.Null), (last.GetProperty("status").GetString(), last.GetProperty("completedBytes").GetInt32(), last.GetProperty("error").ValueKind));
        Assert.Contains((await _server.CallAsync("GET /api/inference/pulls")).Is(200)["items"].EnumerateArray(), p => p.GetProperty("id").GetString() == pull["id"].GetString());

        (await _server.CallAsync($"POST {Path}/models/load", """{"model":"small","keepAliveSeconds":60}""")).Is(204);
        (await _server.CallAsync($"POST {Path}/models/delete", """{"model":"small"}""")).Is(204);
        (await _server.CallAsync($"POST {Path}/models/delete", """{"model":"small"}""")).IsProblem(404, "inference.server_failed");
        var models = (await _server.CallAsync($"GET /api/inference/models?server={_name}")).Is(200)["items"].EnumerateArray();
        Assert.DoesNotContain(models, m => m.GetProperty("model").GetProperty("name").GetString()!.StartsWith("small", StringComparison.Ordinal));
        (await _server.CallAsync("GET /api/inference/pulls/none")).IsProblem(404, "inference.no_such_pull");
    }

    [Fact]
    public async Task Aliases_MakeChangeDelete_DecideWhereCallsGo()
    {
        await AddAsync();
        (await _server.CallAsync($"POST {Path}/check", "{}")).Is(200);
        var alias = $"/api/inference/aliases/{_name}-a";
        var made = (await _server.CallAsync($"PUT {alias}", $$"""{"rules":[{"name":"here","targets":[{"servers":["{{_name}}"],"models":["small"]}]}]}""", "If-Match: \"0\"")).Is(200);
        Assert.Equal("\"1\"", made.Header("ETag"));
        (await _server.CallAsync($"PUT {alias}", """{"rules":[{"name":"x","targets":[{}]}]}""", "If-Match: \"0\"")).IsProblem(412, "inference.alias_changed");
        (await _server.CallAsync($"PUT {alias}", """{"rules":[]}""")).IsProblem(400, "inference.alias_invalid");
        (await _server.CallAsync($"PUT {alias}", """{"rules":[{"name":"x","tragets":[]}]}""")).IsProblem(400, "inference.alias_invalid");

        var route = (await _server.CallAsync("POST /api/inference/route", $$"""{"model":"{{_name}}-a","messages":[{"role":"user","content":"Why is that?"}]}""")).Is(200);
        var candidate = Assert.Single(route["candidates"].EnumerateArray());
        Assert.Equal(_name, candidate.GetProperty("server").GetString());
        Assert.Equal("here", route["decision"].GetProperty("rule").GetString());
        Assert.Contains(route["complexity"].EnumerateArray(), i => i.GetProperty("name").GetString() == "reasoning" && i.GetProperty("seen").GetDouble() == 1);
        Assert.DoesNotContain(_ollama.Requests, r => r.IsChat);
        (await _server.CallAsync("POST /api/inference/route", $$"""{"model":"{{_name}}-b","messages":[{"role":"user","content":"x"}]}""")).IsProblem(404, "inference.model_not_found");

        (await _server.CallAsync($"DELETE {alias}")).Is(204);
        (await _server.CallAsync($"GET {alias}")).IsProblem(404, "inference.no_such_alias");
        Assert.Equal(2, (await _server.CallAsync($"GET {alias}/versions")).Is(200)["items"].GetArrayLength());
        (await _server.CallAsync("POST /api/inference/calls/none/rating", """{"rating":1}""")).IsProblem(404, "inference.no_such_call");
        (await _server.CallAsync("POST /api/inference/calls/none/rating", """{"rating":2}""")).IsProblem(400, "request.invalid");
    }
}
