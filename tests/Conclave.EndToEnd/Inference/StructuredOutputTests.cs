using System.Text.Json;

namespace Conclave.EndToEnd.Inference;

/// <summary>JSON over every surface that can be asked for it.</summary>
[Collection(ModelApiServer.Name)]
public sealed class StructuredOutputTests(ModelApiServer fixture)
{
    private const string Schema = """{"type": "object", "properties": {"age": {"type": "integer"}, "note": {"type": "string"}}, "required": ["age"], "additionalProperties": false}""";

    public static TheoryData<string> Surfaces => ["chat json_schema", "chat json_object", "responses", "ollama chat", "ollama generate", "ollama json"];

    private ServerProcess Server => fixture.Server;

    [Theory]
    [MemberData(nameof(Surfaces))]
    public async Task Answer_DoesNotFit_IsRepairedOnce(string surface)
    {
        var reply = (await AskAsync(surface, "small", $"{surface} misfit once")).Is(200);

        Assert.Equal(JsonValueKind.Object, JsonElement.Parse(TextOf(surface, reply)).ValueKind);
        Assert.Equal(2, fixture.Ollama.Requests.Count(r => r.IsChat && r.Body.GetRawText().Contains($"{surface} misfit once", StringComparison.Ordinal)));
        Assert.Equal(22, InputTokens(surface, reply));
    }

    [Theory]
    [MemberData(nameof(Surfaces))]
    public async Task Answer_NeverFits_Is422InTheProtocolsShape(string surface)
    {
        var reply = (await AskAsync(surface, "other", $"{surface} misfit always")).Is(422);

        if (surface.StartsWith("ollama", StringComparison.Ordinal))
        {
            Assert.Contains("does not fit", reply["error"].GetString(), StringComparison.Ordinal);
            return;
        }

        Assert.Equal("invalid_response_error", reply["error"].GetProperty("type").GetString());
        Assert.Equal("inference.schema_mismatch", reply["error"].GetProperty("code").GetString());
        Assert.Contains("does not fit", reply["error"].GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_ToolsAndSchema_CallOfAToolIsHandedOnUnchecked()
    {
        var reply = (await Server.CallAsync("POST /v1/chat/completions", $$"""
            {"model": "small", "messages": [{"role": "user", "content": "Weather in Bern?"}], "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"} } } } }],
             "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": {{Schema}} } } }
            """)).Is(200);

        Assert.Equal("tool_calls", reply["choices"][0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Chat_SchemaThatIsNone_IsRefused()
    {
        var reply = (await Server.CallAsync("POST /v1/chat/completions", """
            {"model": "small", "messages": [{"role": "user", "content": "A person"}], "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": {"type": "nonsense"}}}}
            """)).Is(400);

        Assert.Equal("inference.bad_schema", reply["error"].GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("/v1/chat/completions", "small")]
    [InlineData("/v1/responses", "small")]
    [InlineData("/api/chat", "small")]
    public async Task Stream_Fits_EndsAsUsual(string path, string model)
    {
        var text = await StreamAsync(path, model, $"{path} fits", null);

        Assert.Contains(path switch { "/api/chat" => "\"done\":true", "/v1/responses" => "response.completed", _ => "[DONE]" }, text, StringComparison.Ordinal);
        Assert.DoesNotContain("error\":{", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/responses")]
    [InlineData("/api/chat")]
    public async Task Stream_DoesNotFit_EndsWithAnErrorInTheProtocolsShape(string path)
    {
        var text = await StreamAsync(path, "small", $"{path} stream misfit always", null);

        Assert.Contains("rather", text, StringComparison.Ordinal);
        Assert.Contains("must be JSON and nothing else", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\"done\":true", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\"finish_reason\":\"stop\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("response.completed", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/responses")]
    [InlineData("/api/chat")]
    public async Task Stream_Repair_ComesRepaired(string path)
    {
        var text = await StreamAsync(path, "small", $"{path} stream misfit once", "repair");

        Assert.DoesNotContain("rather", text, StringComparison.Ordinal);
        Assert.Contains("age", text, StringComparison.Ordinal);
        Assert.Equal(2, fixture.Ollama.Requests.Count(r => r.IsChat && r.Body.GetRawText().Contains($"{path} stream misfit once", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Stream_Off_IsNotChecked()
    {
        Assert.Contains("[DONE]", await StreamAsync("/v1/chat/completions", "small", "unchecked misfit always", "off"), StringComparison.Ordinal);
        Assert.Contains("must be check, repair or off", await StreamAsync("/v1/chat/completions", "small", "x", "maybe"), StringComparison.Ordinal);
    }

    private async Task<string> StreamAsync(string path, string model, string text, string? use)
    {
        var messages = $$"""[{"role": "user", "content": "{{text}}"}]""";
        var body = path switch
        {
            "/v1/responses" => $$"""{"model": "{{model}}", "stream": true, "input": "{{text}}", "text": {"format": {"type": "json_schema", "name": "person", "schema": {{Schema}} } } }""",
            "/api/chat" => $$"""{"model": "{{model}}", "messages": {{messages}}, "format": {{Schema}} }""",
            _ => $$"""{"model": "{{model}}", "stream": true, "messages": {{messages}}, "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": {{Schema}} } } }""",
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json") };
        if (use is not null)
            request.Headers.Add("x-conclave-schema", use);
        using var response = await Server.Http.SendAsync(request);
        return await response.Content.ReadAsStringAsync();
    }

    private Task<Reply> AskAsync(string surface, string model, string text)
    {
        var messages = $$"""[{"role": "user", "content": "{{text}}"}]""";
        return surface switch
        {
            "chat json_schema" => Server.CallAsync("POST /v1/chat/completions", $$"""{"model": "{{model}}", "messages": {{messages}}, "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": {{Schema}} } } }"""),
            "chat json_object" => Server.CallAsync("POST /v1/chat/completions", $$"""{"model": "{{model}}", "messages": {{messages}}, "response_format": {"type": "json_object"} }"""),
            "responses" => Server.CallAsync("POST /v1/responses", $$"""{"model": "{{model}}", "input": "{{text}}", "text": {"format": {"type": "json_schema", "name": "person", "schema": {{Schema}} } } }"""),
            "ollama chat" => Server.CallAsync("POST /api/chat", $$"""{"model": "{{model}}", "stream": false, "messages": {{messages}}, "format": {{Schema}} }"""),
            "ollama json" => Server.CallAsync("POST /api/chat", $$"""{"model": "{{model}}", "stream": false, "messages": {{messages}}, "format": "json" }"""),
            _ => Server.CallAsync("POST /api/generate", $$"""{"model": "{{model}}", "stream": false, "prompt": "{{text}}", "format": {{Schema}} }"""),
        };
    }

    private static string TextOf(string surface, Reply reply) => surface switch
    {
        "responses" => reply["output"][0].GetProperty("content")[0].GetProperty("text").GetString()!,
        "ollama generate" => reply["response"].GetString()!,
        "ollama chat" or "ollama json" => reply["message"].GetProperty("content").GetString()!,
        _ => reply["choices"][0].GetProperty("message").GetProperty("content").GetString()!,
    };

    private static int InputTokens(string surface, Reply reply) => surface switch
    {
        "responses" => reply["usage"].GetProperty("input_tokens").GetInt32(),
        _ when surface.StartsWith("ollama", StringComparison.Ordinal) => reply["prompt_eval_count"].GetInt32(),
        _ => reply["usage"].GetProperty("prompt_tokens").GetInt32(),
    };
}
