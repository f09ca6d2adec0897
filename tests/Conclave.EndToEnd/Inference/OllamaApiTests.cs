using System.Text.Json;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Inference;

[Collection(ModelApiServer.Name)]
public sealed class OllamaApiTests(ModelApiServer fixture)
{
    private ServerProcess Server => fixture.Server;

    [Fact]
    public async Task Root_ForPrograms_SaysThatOllamaIsRunning()
    {
        using var client = new HttpClient { BaseAddress = Server.Http.BaseAddress };

        Assert.Equal("Ollama is running", await client.GetStringAsync("/"));
        Assert.Equal(200, (int)(await client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/"))).StatusCode);
    }

    [Fact]
    public async Task Chat_Stream_EndsWithStatistics()
    {
        var reply = (await Server.CallAsync("POST /api/chat", """{"model": "small", "messages": [{"role": "user", "content": "hello there"}]}""")).Is(200);

        Assert.Equal("application/x-ndjson", reply.Message.Content.Headers.ContentType?.MediaType);
        var lines = reply.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line)).ToList();
        Assert.Equal("You said: hello there", string.Concat(lines.Select(line => line.GetProperty("message").GetProperty("content").GetString())));
        Assert.All(lines[..^1], line => Assert.False(line.GetProperty("done").GetBoolean()));
        var end = lines[^1];
        Assert.True(end.GetProperty("done").GetBoolean());
        Assert.Equal("stop", end.GetProperty("done_reason").GetString());
        Assert.Equal(11, end.GetProperty("prompt_eval_count").GetInt32());
        Assert.True(end.GetProperty("eval_count").GetInt32() > 0);
        Assert.True(end.GetProperty("total_duration").GetInt64() >= end.GetProperty("eval_duration").GetInt64());
    }

    [Fact]
    public async Task Chat_WithoutStream_IsOneObject()
    {
        var reply = (await Server.CallAsync("POST /api/chat", """
            {"model": "other", "stream": false, "messages": [{"role": "user", "content": "Weather?"}],
             "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]}
            """)).Is(200);

        var call = Assert.Single(reply["message"].GetProperty("tool_calls").EnumerateArray());
        Assert.Equal("weather", call.GetProperty("function").GetProperty("name").GetString());
        Assert.Equal("text", call.GetProperty("function").GetProperty("arguments").GetProperty("city").GetString());
        Assert.True(reply["done"].GetBoolean());
    }

    [Fact]
    public async Task Generate_SystemFormatAndOptions_ReachTheModel()
    {
        var reply = (await Server.CallAsync("POST /api/generate", """
            {"model": "small", "stream": false, "system": "You answer in JSON.", "prompt": "generate it", "options": {"num_ctx": 2048, "seed": 7},
             "format": {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}}
            """)).Is(200);

        Assert.Equal(42, JsonElement.Parse(reply["response"].GetString()!).GetProperty("age").GetInt32());
        var body = fixture.Ollama.Requests.Last(r => r.IsChat && r.LastText.Contains("generate it", StringComparison.Ordinal)).Body;
        Assert.Equal(2048, body.GetProperty("options").GetProperty("num_ctx").GetInt32());
        Assert.Equal(7, body.GetProperty("options").GetProperty("seed").GetInt32());
        Assert.Equal("system", body.GetProperty("messages")[0].GetProperty("role").GetString());
    }

    [Fact]
    public async Task Embed_TwoTexts_TwoVectors()
    {
        var reply = (await Server.CallAsync("POST /api/embed", """{"model": "embedder", "input": ["one", "two"]}""")).Is(200);
        var old = (await Server.CallAsync("POST /api/embeddings", """{"model": "embedder", "prompt": "one"}""")).Is(200);

        Assert.Equal(2, reply["embeddings"].GetArrayLength());
        Assert.Equal(reply["embeddings"][0].GetRawText(), old["embedding"].GetRawText());
    }

    [Fact]
    public async Task Models_TagsShowPsAndVersion()
    {
        var tags = (await Server.CallAsync("GET /api/tags")).Is(200);
        var show = (await Server.CallAsync("POST /api/show", """{"model": "small"}""")).Is(200);
        var running = (await Server.CallAsync("GET /api/ps")).Is(200);
        var version = (await Server.CallAsync("GET /api/version")).Is(200);

        var names = tags["models"].EnumerateArray().Select(m => m.GetProperty("name").GetString()!).ToHashSet();
        Assert.Superset(new HashSet<string> { "small", "other" }, names.Select(n => n.Replace(":latest", "", StringComparison.Ordinal)).ToHashSet());
        Assert.All(tags["models"].EnumerateArray(), m => Assert.Equal(JsonValueKind.String, m.GetProperty("details").GetProperty("family").ValueKind));
        Assert.Contains("tools", show["capabilities"].EnumerateArray().Select(c => c.GetString()));
        Assert.Equal(JsonValueKind.Array, running["models"].ValueKind);
        Assert.Matches(@"^\d+\.\d+\.\d+$", version["version"].GetString());
    }

    [Theory]
    [InlineData("POST /api/chat", """{"model": "nobody-has-it", "messages": [{"role": "user", "content": "x"}]}""", 404)]
    [InlineData("POST /api/chat", """{"messages": [{"role": "user", "content": "x"}]}""", 400)]
    [InlineData("POST /api/chat", """{"model": "small", "messages": [{"role": "user", "content": "x", "images": ["%%%"]}]}""", 400)]
    [InlineData("POST /api/generate", """{"model": "small", "prompt": "x", "raw": true}""", 400)]
    [InlineData("POST /api/show", """{"model": "nobody-has-it"}""", 404)]
    [InlineData("DELETE /api/delete", """{"model": "nobody-has-it"}""", 404)]
    public async Task BadRequest_IsRefusedInOllamasShape(string call, string body, int status)
    {
        var reply = (await Server.CallAsync(call, body)).Is(status);

        Assert.NotEqual("", reply["error"].GetString());
    }

    [Fact]
    public async Task PullAndDelete_NewModel_ComesAndGoes()
    {
        var pulled = (await Server.CallAsync("POST /api/pull", """{"model": "fresh"}""", "x-conclave-server: lama")).Is(200);
        var steps = pulled.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line)).ToList();
        Assert.Equal("success", steps[^1].GetProperty("status").GetString());
        Assert.True(await HasAsync("fresh"));

        (await Server.CallAsync("DELETE /api/delete", """{"model": "fresh"}""")).Is(200);

        Assert.False(await HasAsync("fresh"));
    }

    [Fact]
    public async Task PassThrough_CreateCopyPushBlobs_GoOnToTheOllama()
    {
        const string Blob = "/api/blobs/sha256:abc123";
        (await Server.CallAsync($"HEAD {Blob}")).Is(404);
        (await Server.CallAsync($"POST {Blob}", """{"weights": [1, 2]}""")).Is(201);
        (await Server.CallAsync($"HEAD {Blob}", (string?)null, "x-conclave-server: lama")).Is(200);
        foreach (var call in (string[])["POST /api/create", "POST /api/push"])
        {
            var told = (await Server.CallAsync(call, """{"model": "mine", "from": "small"}""")).Is(200);
            Assert.Equal(["working", "success"], told.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line).GetProperty("status").GetString()));
            Assert.Equal("application/x-ndjson", told.Message.Content.Headers.ContentType?.MediaType);
        }

        Assert.Equal("small", fixture.Ollama.Requests.Last(r => r.Path == "/api/create").Text("from"));
        (await Server.CallAsync("POST /api/copy", """{"source": "small", "destination": "copy-of-small"}""")).Is(200);
        // The pool has looked again.
        Assert.True(await HasAsync("copy-of-small"));
        Assert.Equal("model 'nobody' not found", (await Server.CallAsync("POST /api/copy", """{"source": "nobody", "destination": "x"}""")).Is(404)["error"].GetString());
        (await Server.CallAsync("POST /api/copy", """{"source": "small", "destination": "x"}""", "x-conclave-server: vllm")).Is(400);
        (await Server.CallAsync("DELETE /api/delete", """{"model": "copy-of-small"}""")).Is(200);
    }

    [Fact]
    public async Task Pull_TwiceAtOnce_IsOnePullThatBothFollow()
    {
        var gate = new TaskCompletionSource();
        fixture.Ollama.PullGate = gate.Task;
        HttpResponseMessage[] pulls;
        try
        {
            // Their first lines are there once both are under way; the server that has the model may hear of it later.
            pulls = await Task.WhenAll(PullAsync(), PullAsync());
            await ServerProcess.UntilAsync(() => Task.FromResult(fixture.Ollama.Requests.Any(IsPull)), "the model is pulled");
        }
        finally
        {
            gate.SetResult();
            fixture.Ollama.PullGate = Task.CompletedTask;
        }

        foreach (var pull in pulls)
        {
            var lines = (await pull.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal("success", JsonElement.Parse(lines[^1]).GetProperty("status").GetString());
        }

        Assert.Single(fixture.Ollama.Requests, IsPull);
        (await Server.CallAsync("DELETE /api/delete", """{"model": "shared"}""")).Is(200);

        static bool IsPull(DoubleRequest request) => request.Path == "/api/pull" && request.Body.GetRawText().Contains("shared", StringComparison.Ordinal);

        async Task<HttpResponseMessage> PullAsync()
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/pull") { Content = new StringContent("""{"model": "shared"}""") };
            request.Headers.Add("x-conclave-server", "lama");
            return await Server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        }
    }

    private async Task<bool> HasAsync(string model) => (await Server.CallAsync("GET /api/tags")).Is(200)["models"].EnumerateArray()
        .Any(m => m.GetProperty("name").GetString() is { } name && (name == model || name == $"{model}:latest"));
}
