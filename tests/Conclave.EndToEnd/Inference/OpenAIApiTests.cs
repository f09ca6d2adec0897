using System.Runtime.InteropServices;
using System.Text.Json;

namespace Conclave.EndToEnd.Inference;

[Collection(ModelApiServer.Name)]
public sealed class OpenAIApiTests(ModelApiServer fixture)
{
    private const string Hello = """{"model": "small", "messages": [{"role": "user", "content": "hello there"}]}""";

    private ServerProcess Server => fixture.Server;

    [Fact]
    public async Task Chat_OneQuestion_AnswersInOpenAIsShape()
    {
        var reply = (await Server.CallAsync("POST /v1/chat/completions", Hello)).Is(200);

        Assert.StartsWith("chatcmpl-", reply["id"].GetString(), StringComparison.Ordinal);
        Assert.Equal("chat.completion", reply["object"].GetString());
        Assert.Equal("small", reply["model"].GetString());
        var choice = Assert.Single(reply["choices"].EnumerateArray());
        Assert.Equal("You said: hello there", choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("logprobs").ValueKind);
        Assert.Equal(11, reply["usage"].GetProperty("prompt_tokens").GetInt32());
        Assert.True(reply["usage"].GetProperty("completion_tokens").GetInt32() > 0);
        Assert.Equal("lama", reply.Header("x-conclave-backend"));
        Assert.Equal("miss", reply.Header("x-conclave-cache"));
        Assert.True(double.Parse(reply.Header("x-conclave-overhead-ms")!, System.Globalization.CultureInfo.InvariantCulture) >= 0);
        Assert.NotNull(reply.Header("x-conclave-queue-ms"));
        Assert.NotNull(reply.Header("x-conclave-call-id"));
    }

    [Fact]
    public async Task Chat_Stream_SendsChunksUsageAndDone()
    {
        var reply = (await Server.CallAsync("POST /v1/chat/completions",
            """{"model": "small", "stream": true, "stream_options": {"include_usage": true}, "messages": [{"role": "user", "content": "hello there"}]}""")).Is(200);

        Assert.Equal("text/event-stream", reply.Message.Content.Headers.ContentType?.MediaType);
        var events = Events(reply.Text);
        Assert.Equal("[DONE]", events[^1]);
        var chunks = events[..^1].Select(e => JsonElement.Parse(e)).ToList();
        Assert.All(chunks, chunk => Assert.Equal("chat.completion.chunk", chunk.GetProperty("object").GetString()));
        Assert.Equal("assistant", chunks[0].GetProperty("choices")[0].GetProperty("delta").GetProperty("role").GetString());
        var text = string.Concat(chunks.SelectMany(c => c.GetProperty("choices").EnumerateArray()).Select(c => c.GetProperty("delta").TryGetProperty("content", out var content) ? content.GetString() : ""));
        Assert.Equal("You said: hello there", text);
        Assert.Equal("stop", chunks[^2].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        Assert.Equal(11, chunks[^1].GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_SeveralChoices_EachIsAnAnswer()
    {
        var body = """{"model": "small", "n": 3, "messages": [{"role": "user", "content": "hi"}]}""";

        var reply = (await Server.CallAsync("POST /v1/chat/completions", body)).Is(200);
        var streamed = (await Server.CallAsync("POST /v1/chat/completions", body.Replace("\"n\"", "\"stream\": true, \"n\"", StringComparison.Ordinal))).Is(200);

        Assert.Equal([0, 1, 2], reply["choices"].EnumerateArray().Select(c => c.GetProperty("index").GetInt32()));
        Assert.Equal(33, reply["usage"].GetProperty("prompt_tokens").GetInt32());
        var ends = Events(streamed.Text)[..^1].Select(e => JsonElement.Parse(e).GetProperty("choices")[0]).Where(c => c.GetProperty("finish_reason").ValueKind == JsonValueKind.String);
        Assert.Equal([0, 1, 2], ends.Select(c => c.GetProperty("index").GetInt32()).Order());
    }

    [Theory]
    [InlineData("small")]
    [InlineData("other")]
    public async Task Chat_Tool_IsCalledAndItsResultUsed(string model)
    {
        const string Tools = """[{"type": "function", "function": {"name": "weather", "description": "Tells the weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]""";
        var asked = """{"role": "user", "content": "Weather in Bern?"}""";

        var called = (await Server.CallAsync("POST /v1/chat/completions", $$"""{"model": "{{model}}", "tools": {{Tools}}, "messages": [{{asked}}]}""")).Is(200);
        var choice = called["choices"][0];
        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("message").GetProperty("content").ValueKind);
        var call = Assert.Single(choice.GetProperty("message").GetProperty("tool_calls").EnumerateArray());
        Assert.Equal("weather", call.GetProperty("function").GetProperty("name").GetString());
        Assert.Equal("text", JsonElement.Parse(call.GetProperty("function").GetProperty("arguments").GetString()!).GetProperty("city").GetString());

        var answered = (await Server.CallAsync("POST /v1/chat/completions",
            $$"""{"model": "{{model}}", "tools": {{Tools}}, "messages": [{{asked}}, {{choice.GetProperty("message").GetRawText()}}, {"role": "tool", "tool_call_id": "{{call.GetProperty("id").GetString()}}", "content": "sunny"}]}""")).Is(200);
        Assert.Equal("You said: sunny", answered["choices"][0].GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Chat_Schema_AnswerFits()
    {
        var reply = (await Server.CallAsync("POST /v1/chat/completions", """
            {"model": "small", "messages": [{"role": "user", "content": "A person"}], "response_format": {"type": "json_schema", "json_schema": {"name": "person", "strict": true,
             "schema": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name", "age"], "additionalProperties": false}}}}
            """)).Is(200);

        var person = JsonElement.Parse(reply["choices"][0].GetProperty("message").GetProperty("content").GetString()!);
        Assert.Equal(42, person.GetProperty("age").GetInt32());
    }

    [Fact]
    public async Task Chat_UnknownMember_GoesOnToTheServer()
    {
        (await Server.CallAsync("POST /v1/chat/completions", """{"model": "other", "priority": 7, "logit_bias": {"50256": -100}, "messages": [{"role": "user", "content": "pass it on"}]}""")).Is(200);

        var body = fixture.OpenAI.Requests.Last(r => r.IsChat && r.LastText.Contains("pass it on", StringComparison.Ordinal)).Body;
        Assert.Equal(7, body.GetProperty("priority").GetInt32());
        Assert.Equal(-100, body.GetProperty("logit_bias").GetProperty("50256").GetInt32());
    }

    [Theory]
    [InlineData("""{"messages": [{"role": "user", "content": "x"}]}""", 400, "model")]
    [InlineData("""{"model": "small", "messages": []}""", 400, "messages")]
    [InlineData("""{"model": "small", "messages": [{"role": "boss", "content": "x"}]}""", 400, "messages[0].role")]
    [InlineData("""{"model": "small", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]}""", 400, "messages[0].content[0].image_url.url")]
    [InlineData("""{"model": "small", "temperature": 9, "messages": [{"role": "user", "content": "x"}]}""", 400, "temperature")]
    [InlineData("""{"model": "small", "tool_choice": "required", "messages": [{"role": "user", "content": "x"}]}""", 400, "tool_choice")]
    [InlineData("""{"model": "nobody-has-it", "messages": [{"role": "user", "content": "x"}]}""", 404, null)]
    [InlineData("""{"model": 5""", 400, null)]
    [InlineData("[]", 400, null)]
    public async Task Chat_BadRequest_IsRefusedInOpenAIsShape(string body, int status, string? parameter)
    {
        var reply = (await Server.CallAsync("POST /v1/chat/completions", body)).Is(status);

        var error = reply["error"];
        Assert.NotEqual("", error.GetProperty("message").GetString());
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        if (parameter is not null)
            Assert.Equal(parameter, error.GetProperty("param").GetString());
        if (status == 404)
            Assert.Equal("model_not_found", error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task AnyCall_WithoutKey_IsRefusedInTheProtocolsShape()
    {
        using var stranger = new HttpClient { BaseAddress = Server.Http.BaseAddress };

        var openAI = await stranger.GetAsync("/v1/models");
        var ollama = await stranger.GetAsync("/api/tags");

        Assert.Equal(401, (int)openAI.StatusCode);
        Assert.Equal("invalid_api_key", JsonElement.Parse(await openAI.Content.ReadAsStringAsync()).GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(401, (int)ollama.StatusCode);
        Assert.Equal(JsonValueKind.String, JsonElement.Parse(await ollama.Content.ReadAsStringAsync()).GetProperty("error").ValueKind);
    }

    [Fact]
    public async Task UnknownPath_Is404InOpenAIsShape() =>
        Assert.Equal("unknown_url", (await Server.CallAsync("POST /v1/images/generations", "{}")).Is(404)["error"].GetProperty("code").GetString());

    [Fact]
    public async Task Completions_PromptAndStream_AnswerText()
    {
        var reply = (await Server.CallAsync("POST /v1/completions", """{"model": "small", "prompt": "Once", "echo": true}""")).Is(200);
        var streamed = (await Server.CallAsync("POST /v1/completions", """{"model": "small", "prompt": "Once", "stream": true}""")).Is(200);

        Assert.Equal("text_completion", reply["object"].GetString());
        Assert.Equal("OnceYou said: Once", reply["choices"][0].GetProperty("text").GetString());
        Assert.Equal("You said: Once", string.Concat(Events(streamed.Text)[..^1].Select(e => JsonElement.Parse(e).GetProperty("choices")[0].GetProperty("text").GetString())));
    }

    [Fact]
    public async Task Embeddings_FloatAndBase64_AreTheSame()
    {
        var floats = (await Server.CallAsync("POST /v1/embeddings", """{"model": "embedder", "input": ["one", "two"]}""")).Is(200);
        var packed = (await Server.CallAsync("POST /v1/embeddings", """{"model": "embedder", "input": ["one", "two"], "encoding_format": "base64"}""")).Is(200);

        Assert.Equal(2, floats["data"].GetArrayLength());
        for (var index = 0; index < 2; index++)
        {
            var expected = floats["data"][index].GetProperty("embedding").EnumerateArray().Select(n => n.GetSingle()).ToArray();
            Assert.NotEmpty(expected);
            Assert.Equal(expected, MemoryMarshal.Cast<byte, float>(packed["data"][index].GetProperty("embedding").GetBytesFromBase64()).ToArray());
        }
    }

    [Fact]
    public async Task Models_ListAndOne()
    {
        var list = (await Server.CallAsync("GET /v1/models")).Is(200);
        var one = (await Server.CallAsync("GET /v1/models/small")).Is(200);

        Assert.Equal("list", list["object"].GetString());
        Assert.Superset(new HashSet<string> { "small", "embedder", "other" }, list["data"].EnumerateArray().Select(m => m.GetProperty("id").GetString()!).ToHashSet());
        Assert.Equal("ollama", one["owned_by"].GetString());
        (await Server.CallAsync("GET /v1/models/nobody-has-it")).Is(404);
    }

    [Fact]
    public async Task Models_Aliases_AreListedAndMarked()
    {
        var list = (await Server.CallAsync("GET /v1/models")).Is(200)["data"].EnumerateArray().ToDictionary(m => m.GetProperty("id").GetString()!);
        var tags = (await Server.CallAsync("GET /api/tags")).Is(200)["models"].EnumerateArray().ToDictionary(m => m.GetProperty("name").GetString()!);

        foreach (var fast in (JsonElement[])[list["fast"], tags["fast"], (await Server.CallAsync("GET /v1/models/fast")).Is(200).Json, (await Server.CallAsync("POST /api/show", """{"model": "fast"}""")).Is(200).Json])
        {
            Assert.True(fast.GetProperty("conclave").GetProperty("alias").GetBoolean());
            Assert.Contains(fast.GetProperty("conclave").GetProperty("stands_for").GetString(), list.Keys);
        }

        Assert.Equal("conclave", list["fast"].GetProperty("owned_by").GetString());
        Assert.False(list["small"].TryGetProperty("conclave", out _));
        (await Server.CallAsync("POST /v1/chat/completions", Hello.Replace("small", "fast", StringComparison.Ordinal))).Is(200);
    }

    [Fact]
    public async Task Responses_ChainOfTwo_SecondKnowsTheFirst()
    {
        var first = (await Server.CallAsync("POST /v1/responses", """{"model": "small", "instructions": "Be brief.", "input": "my name is Ann"}""")).Is(200);
        Assert.Equal("response", first["object"].GetString());
        Assert.Equal("completed", first["status"].GetString());
        Assert.Equal("You said: my name is Ann", first["output"][0].GetProperty("content")[0].GetProperty("text").GetString());
        var id = first["id"].GetString();

        var second = (await Server.CallAsync("POST /v1/responses", $$"""{"model": "small", "previous_response_id": "{{id}}", "input": "and what is my name?"}""")).Is(200);
        Assert.Equal(id, second["previous_response_id"].GetString());
        var messages = fixture.Ollama.Requests.Last(r => r.IsChat && r.LastText.Contains("what is my name", StringComparison.Ordinal)).Body.GetProperty("messages").EnumerateArray().ToList();
        Assert.Equal(["user", "assistant", "user"], messages.Select(m => m.GetProperty("role").GetString()));

        Assert.Equal(id, (await Server.CallAsync($"GET /v1/responses/{id}")).Is(200)["id"].GetString());
        Assert.True((await Server.CallAsync($"DELETE /v1/responses/{id}")).Is(200)["deleted"].GetBoolean());
        (await Server.CallAsync($"GET /v1/responses/{id}")).Is(404);
        var refused = (await Server.CallAsync("POST /v1/responses", $$"""{"model": "small", "previous_response_id": "{{second["id"].GetString()}}", "input": "still there?"}""")).Is(400);
        Assert.Equal("previous_response_id", refused["error"].GetProperty("param").GetString());
    }

    [Fact]
    public async Task Responses_Stream_TellsEveryStep()
    {
        var reply = (await Server.CallAsync("POST /v1/responses", """{"model": "small", "stream": true, "input": [{"role": "user", "content": [{"type": "input_text", "text": "hello there"}]}]}""")).Is(200);

        var events = Events(reply.Text).Select(e => JsonElement.Parse(e)).ToList();
        var types = events.Select(e => e.GetProperty("type").GetString()).Distinct();
        Assert.Equal(
            ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"],
            types);
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(e => e.GetProperty("sequence_number").GetInt32()));
        Assert.Equal("You said: hello there", string.Concat(events.Where(e => e.TryGetProperty("delta", out _)).Select(e => e.GetProperty("delta").GetString())));
        Assert.Equal(11, events[^1].GetProperty("response").GetProperty("usage").GetProperty("input_tokens").GetInt32());
    }

    [Fact]
    public async Task ClientGoesAway_CallEndsAtTheServerToo()
    {
        using var client = new HttpClient { BaseAddress = Server.Http.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new("Bearer", fixture.Key);
        using var stop = new CancellationTokenSource();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent("""{"model": "other", "stream": true, "messages": [{"role": "user", "content": "slow"}]}""", null, "application/json"),
        };
        var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop.Token);
        var stream = await response.Content.ReadAsStreamAsync();
        Assert.NotEqual(0, await stream.ReadAsync(new byte[16]));

        response.Dispose();

        await fixture.OpenAI.WaitForAbortAsync();
    }

    [Fact]
    public async Task TrustedHeaders_ForOrdinaryKeys_AreRefused()
    {
        var reply = (await Server.CallAsync("POST /v1/chat/completions", Hello, "x-conclave-priority: P9")).Is(400);
        Assert.Equal("x-conclave-priority", reply["error"].GetProperty("param").GetString());
        // The machine's key may do everything.
        (await Server.CallAsync("POST /v1/chat/completions", Hello, "x-conclave-priority: P0", "x-conclave-agent: athena")).Is(200);
    }

    /// <summary>Data of the events of a stream, in order.</summary>
    internal static List<string> Events(string text) =>
        [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).SelectMany(e => e.Split('\n')).Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => line[6..])];
}
