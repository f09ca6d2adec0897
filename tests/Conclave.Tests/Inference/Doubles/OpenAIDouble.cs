using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Conclave.Tests.Inference.Doubles;

/// <summary>Speaks OpenAI's API as vLLM does.</summary>
public sealed class OpenAIDouble : ModelServerDouble
{
    /// <summary>Who owns its models, by which clients tell servers apart.</summary>
    public string OwnedBy { get; set; } = "vllm";

    /// <summary>Where its API is, for clouds that have it elsewhere.</summary>
    public string ApiPath { get; set; } = "/v1";

    protected override string PathOf(HttpRequest request)
    {
        var path = base.PathOf(request);
        return ApiPath == "/v1" ? path : path.StartsWith(ApiPath, StringComparison.Ordinal) ? "/v1" + path[ApiPath.Length..] : "/elsewhere" + path;
    }

    protected override Task HandleAsync(HttpContext context, DoubleRequest request, CancellationToken cancellationToken) => (request.Method, request.Path) switch
    {
        ("POST", "/v1/chat/completions") => ChatAsync(context, request, cancellationToken),
        ("POST", "/v1/embeddings") => EmbedAsync(context, request),
        ("GET", "/v1/models") => WriteJsonAsync(context, new JsonObject { ["object"] = "list", ["data"] = new JsonArray([.. Models.Select(Describe)]) }),
        ("GET", var path) when path.StartsWith("/v1/models/", StringComparison.Ordinal) =>
            Models.FirstOrDefault(m => m.Name == Uri.UnescapeDataString(path[11..])) is { } model
                ? WriteJsonAsync(context, Describe(model))
                : UnknownModelAsync(context, path[11..]),
        _ => WriteErrorAsync(context, 404, "not_found", "Not Found"),
    };

    protected override Task WriteErrorAsync(HttpContext context, int status, string type, string message) => WriteJsonAsync(context, Error(status, type, message), status);

    private JsonObject Describe(DoubleModel model) => new()
    {
        ["id"] = model.Name,
        ["object"] = "model",
        ["created"] = 1_700_000_000,
        ["owned_by"] = OwnedBy,
        ["max_model_len"] = model.ContextSize,
    };

    private static JsonObject Error(int status, string type, string message) =>
        new() { ["error"] = new JsonObject { ["message"] = message, ["type"] = type, ["param"] = null, ["code"] = status < 500 ? type : null } };

    private Task UnknownModelAsync(HttpContext context, string name) => WriteErrorAsync(context, 404, "model_not_found", $"The model `{name}` does not exist.");

    private async Task ChatAsync(HttpContext context, DoubleRequest request, CancellationToken cancellationToken)
    {
        if (!Models.Any(m => m.Name == request.Model && !m.IsLie))
        {
            await UnknownModelAsync(context, request.Model);
            return;
        }

        if (!request.Body.TryGetProperty("messages", out var messages) || messages.ValueKind != JsonValueKind.Array || messages.GetArrayLength() == 0)
        {
            await WriteErrorAsync(context, 400, "invalid_request_error", "messages: field required");
            return;
        }

        var answer = Answer(request);
        if (await FailsAtOnceAsync(context, answer, cancellationToken))
            return;
        if (request.Body.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True)
            await StreamAsync(context, request, answer, cancellationToken);
        else
            await CompleteAsync(context, request, answer, cancellationToken);
    }

    private static async Task StreamAsync(HttpContext context, DoubleRequest request, DoubleAnswer answer, CancellationToken cancellationToken)
    {
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        var head = $"data: {{\"id\":\"chatcmpl-{Guid.NewGuid():N}\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":{JsonSerializer.Serialize(request.Model)},\"choices\":[";
        await WriteAsync($$$"""{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}""");
        if (answer.Thinking is { } thinking)
            await WriteAsync($$$"""{"index":0,"delta":{"reasoning_content":{{{JsonSerializer.Serialize(thinking)}}}},"finish_reason":null}""");
        for (var i = 0; i < answer.Tokens.Count; i++)
        {
            if (await FailsBeforeTokenAsync(context, answer, i, () => WriteRawAsync("data: " + Error(answer.Status, answer.ErrorType, answer.ErrorMessage).ToJsonString() + "\n\n"), cancellationToken))
                return;
            await WriteAsync($$$"""{"index":0,"delta":{"content":{{{JsonSerializer.Serialize(answer.Tokens[i])}}}},{{{Logprobs(request, answer.Tokens[i])}}}"finish_reason":null}""");
        }

        for (var i = 0; i < answer.ToolCalls.Count; i++)
        {
            var (name, arguments) = answer.ToolCalls[i];
            await WriteAsync($$$"""{"index":0,"delta":{"tool_calls":[{"index":{{{i}}},"id":"call_{{{Guid.NewGuid():N}}}","type":"function","function":{"name":{{{JsonSerializer.Serialize(name)}}},"arguments":""}}]},"finish_reason":null}""");
            // In two parts, as real servers do.
            foreach (var part in (string[])[arguments[..(arguments.Length / 2)], arguments[(arguments.Length / 2)..]])
                await WriteAsync($$$"""{"index":0,"delta":{"tool_calls":[{"index":{{{i}}},"function":{"arguments":{{{JsonSerializer.Serialize(part)}}}}}]},"finish_reason":null}""");
        }

        await WriteAsync($$$"""{"index":0,"delta":{},"finish_reason":"{{{Finish(answer)}}}"}""");
        if (request.Body.TryGetProperty("stream_options", out var options) && options.TryGetProperty("include_usage", out var include) && include.ValueKind == JsonValueKind.True)
            await WriteRawAsync($"{head}],\"usage\":{Usage(answer).ToJsonString()}}}\n\n");
        await WriteRawAsync("data: [DONE]\n\n");

        Task WriteAsync(string choice) => WriteRawAsync($"{head}{choice}]}}\n\n");

        async Task WriteRawAsync(string text)
        {
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text), cancellationToken);
            await context.Response.Body.FlushAsync(cancellationToken);
        }
    }

    private static async Task CompleteAsync(HttpContext context, DoubleRequest request, DoubleAnswer answer, CancellationToken cancellationToken)
    {
        var failed = false;
        for (var i = 0; i < answer.Tokens.Count && !failed; i++)
            failed = await FailsBeforeTokenAsync(context, answer, i, () => WriteJsonAsync(context, Error(answer.Status, answer.ErrorType, answer.ErrorMessage), answer.Status), cancellationToken);
        if (failed)
            return;
        var message = new JsonObject { ["role"] = "assistant", ["content"] = answer.Tokens.Count == 0 ? null : string.Concat(answer.Tokens) };
        if (answer.Thinking is { } thinking)
            message["reasoning_content"] = thinking;
        if (answer.ToolCalls.Count > 0)
        {
            message["tool_calls"] = new JsonArray([.. answer.ToolCalls.Select(c => new JsonObject
            {
                ["id"] = "call_" + Guid.NewGuid().ToString("N"), ["type"] = "function", ["function"] = new JsonObject { ["name"] = c.Name, ["arguments"] = c.Arguments },
            })]);
        }

        await WriteJsonAsync(context, new JsonObject
        {
            ["id"] = "chatcmpl-" + Guid.NewGuid().ToString("N"),
            ["object"] = "chat.completion",
            ["created"] = 1_700_000_000,
            ["model"] = request.Model,
            ["choices"] = new JsonArray(new JsonObject { ["index"] = 0, ["message"] = message, ["finish_reason"] = Finish(answer) }),
            ["usage"] = Usage(answer),
        });
    }

    private async Task EmbedAsync(HttpContext context, DoubleRequest request)
    {
        if (Models.FirstOrDefault(m => m.Name == request.Model && m.IsEmbedding && !m.IsLie) is not { } model)
        {
            await UnknownModelAsync(context, request.Model);
            return;
        }

        var input = request.Body.GetProperty("input");
        var texts = input.ValueKind == JsonValueKind.Array ? input.EnumerateArray().Select(t => t.ToString()).ToList() : [input.GetString()!];
        var dimensions = request.Body.TryGetProperty("dimensions", out var d) ? d.GetInt32() : model.Dimensions;
        var isBase64 = request.Text("encoding_format") == "base64";
        var data = new JsonArray([.. texts.Select((text, i) => new JsonObject { ["object"] = "embedding", ["index"] = i, ["embedding"] = Vector(Embed(text, dimensions), isBase64) })]);
        await WriteJsonAsync(context, new JsonObject
        {
            ["object"] = "list",
            ["data"] = data,
            ["model"] = model.Name,
            ["usage"] = new JsonObject { ["prompt_tokens"] = texts.Count * 3, ["total_tokens"] = texts.Count * 3 },
        });
    }

    private static JsonNode Vector(float[] vector, bool isBase64)
    {
        if (!isBase64)
            return new JsonArray([.. vector.Select(x => JsonValue.Create(x))]);
        var bytes = new byte[vector.Length * sizeof(float)];
        for (var i = 0; i < vector.Length; i++)
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
        return Convert.ToBase64String(bytes);
    }

    private static string Finish(DoubleAnswer answer) => answer.FinishReason ?? (answer.ToolCalls.Count > 0 ? "tool_calls" : "stop");

    private static string Logprobs(DoubleRequest request, string token) =>
        request.Body.TryGetProperty("logprobs", out var wanted) && wanted.ValueKind == JsonValueKind.True
            ? $"\"logprobs\":{{\"content\":[{{\"token\":{JsonSerializer.Serialize(token)},\"logprob\":-0.25,\"bytes\":null,\"top_logprobs\":[]}}]}},"
            : "";

    private static JsonObject Usage(DoubleAnswer answer)
    {
        var written = answer.Tokens.Count + answer.ToolCalls.Count;
        return new JsonObject
        {
            ["prompt_tokens"] = answer.InputTokens,
            ["completion_tokens"] = written,
            ["total_tokens"] = answer.InputTokens + written,
            ["prompt_tokens_details"] = new JsonObject { ["cached_tokens"] = answer.CachedTokens },
            ["completion_tokens_details"] = new JsonObject { ["reasoning_tokens"] = answer.ReasoningTokens },
        };
    }
}
