using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Conclave.Tests.Inference.Doubles;

/// <summary>Speaks Ollama's API.</summary>
public sealed class OllamaDouble : ModelServerDouble
{
    private const string Moment = "2026-01-02T03:04:05.678901Z";
    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, bool> _blobs = new();

    /// <summary>Awaited before a pull ends, so that a test decides when.</summary>
    public Task PullGate { get; set; } = Task.CompletedTask;

    /// <summary>What a pull tells; the last one is success unless a test says otherwise.</summary>
    public IList<string> PullLines { get; } =
    [
        """{"status":"pulling manifest"}""",
        """{"status":"pulling abc","digest":"sha256:abc","total":1000,"completed":500}""",
        """{"status":"pulling abc","digest":"sha256:abc","total":1000,"completed":1000}""",
        """{"status":"success"}""",
    ];

    protected override Task HandleAsync(HttpContext context, DoubleRequest request, CancellationToken cancellationToken) => (request.Method, request.Path) switch
    {
        ("GET" or "HEAD", "/") => context.Response.WriteAsync("Ollama is running", cancellationToken),
        ("GET", "/api/version") => WriteJsonAsync(context, new JsonObject { ["version"] = "0.13.0" }),
        ("GET", "/api/tags") => WriteJsonAsync(context, new JsonObject { ["models"] = new JsonArray([.. Models.Select(Tag)]) }),
        ("GET", "/api/ps") => WriteJsonAsync(context, new JsonObject { ["models"] = new JsonArray([.. Models.Where(m => m.IsLoaded).Select(Loaded)]) }),
        ("POST", "/api/show") => WithModelAsync(context, request, model => WriteJsonAsync(context, Show(model))),
        ("POST", "/api/chat" or "/api/generate") => WithModelAsync(context, request, model => ChatAsync(context, request, model, cancellationToken)),
        ("POST", "/api/embed" or "/api/embeddings") => WithModelAsync(context, request, model => EmbedAsync(context, request, model)),
        ("POST", "/api/pull") => PullAsync(context, request, cancellationToken),
        ("DELETE", "/api/delete") => WithModelAsync(context, request, model => { Models.Remove(model); return Task.CompletedTask; }),
        ("POST", "/api/copy") => CopyAsync(context, request),
        ("POST", "/api/create" or "/api/push") => TellAsync(context, """{"status":"working"}""", """{"status":"success"}"""),
        ("HEAD", var path) when path.StartsWith("/api/blobs/", StringComparison.Ordinal) => BlobAsync(context, path[11..], isNew: false),
        ("POST", var path) when path.StartsWith("/api/blobs/", StringComparison.Ordinal) => BlobAsync(context, path[11..], isNew: true),
        _ => context.Response.WriteAsync("404 page not found", cancellationToken),
    };

    protected override Task WriteErrorAsync(HttpContext context, int status, string type, string message) =>
        WriteJsonAsync(context, new JsonObject { ["error"] = message }, status);

    private async Task CopyAsync(HttpContext context, DoubleRequest request)
    {
        if (Models.FirstOrDefault(m => m.Name == request.Text("source")) is not { } source)
            await WriteErrorAsync(context, 404, "not_found", $"model '{request.Text("source")}' not found");
        else
            Models.Add(source with { Name = request.Text("destination")! });
    }

    private Task BlobAsync(HttpContext context, string digest, bool isNew)
    {
        if (isNew)
            _blobs.TryAdd(digest, true);
        context.Response.StatusCode = isNew ? 201 : _blobs.ContainsKey(digest) ? 200 : 404;
        return Task.CompletedTask;
    }

    private static async Task TellAsync(HttpContext context, params string[] lines)
    {
        context.Response.ContentType = "application/x-ndjson";
        foreach (var line in lines)
            await context.Response.WriteAsync(line + "\n");
    }

    private async Task WithModelAsync(HttpContext context, DoubleRequest request, Func<DoubleModel, Task> handle)
    {
        var name = request.Model;
        if (Models.FirstOrDefault(m => (m.Name == name || m.Name + ":latest" == name) && !m.IsLie) is { } model)
            await handle(model);
        else
            await WriteErrorAsync(context, 404, "not_found", $"model '{name}' not found");
    }

    private static JsonObject Details() => new() { ["format"] = "gguf", ["family"] = "llama", ["parameter_size"] = "3.2B", ["quantization_level"] = "Q4_K_M" };

    private static JsonObject Tag(DoubleModel model) => new()
    {
        ["name"] = model.Name,
        ["model"] = model.Name,
        ["modified_at"] = Moment,
        ["size"] = 2_000_000_000L,
        ["digest"] = model.Digest,
        ["details"] = Details(),
    };

    private static JsonObject Loaded(DoubleModel model)
    {
        var loaded = Tag(model);
        loaded["expires_at"] = "2026-01-02T04:04:05Z";
        loaded["size_vram"] = 1_900_000_000L;
        loaded["context_length"] = model.ContextSize;
        return loaded;
    }

    private static JsonObject Show(DoubleModel model)
    {
        var capabilities = new JsonArray();
        foreach (var (has, name) in (ReadOnlySpan<(bool, string)>)[(!model.IsEmbedding, "completion"), (model.CanCallTools, "tools"), (model.CanSee, "vision"), (model.CanThink, "thinking"), (model.IsEmbedding, "embedding")])
        {
            if (has)
                capabilities.Add(name);
        }

        return new JsonObject
        {
            ["modelfile"] = "",
            ["template"] = "{{ .Prompt }}",
            ["details"] = Details(),
            ["modified_at"] = Moment,
            ["capabilities"] = capabilities,
            ["model_info"] = new JsonObject { ["general.architecture"] = "llama", ["llama.context_length"] = model.ContextSize },
        };
    }

    private async Task ChatAsync(HttpContext context, DoubleRequest request, DoubleModel model, CancellationToken cancellationToken)
    {
        if (model.IsEmbedding)
        {
            await WriteErrorAsync(context, 400, "bad_request", $"\"{model.Name}\" does not support {request.Path[5..]}");
            return;
        }

        var isGenerate = request.Path == "/api/generate";
        if ((isGenerate && string.IsNullOrEmpty(request.Text("prompt"))) || (!isGenerate && request.LastMessage.ValueKind == JsonValueKind.Undefined))
        {
            // Without a question it only loads the model, or unloads it.
            model.IsLoaded = !(request.Body.TryGetProperty("keep_alive", out var keep) && keep.ToString() is "0" or "0s");
            await WriteJsonAsync(context, new JsonObject { ["model"] = model.Name, ["created_at"] = Moment, ["response"] = "", ["done"] = true, ["done_reason"] = model.IsLoaded ? "load" : "unload" });
            return;
        }

        model.IsLoaded = true;
        var answer = Answer(request);
        if (await FailsAtOnceAsync(context, answer, cancellationToken))
            return;
        var isStream = !(request.Body.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.False);
        context.Response.ContentType = isStream ? "application/x-ndjson" : "application/json; charset=utf-8";
        var head = $"{{\"model\":{JsonSerializer.Serialize(request.Model)},\"created_at\":\"{Moment}\",";
        if (isStream && answer.Thinking is { } thought)
            await WriteAsync($"{head}{Message("", thought, null)},\"done\":false}}");
        for (var i = 0; i < answer.Tokens.Count; i++)
        {
            if (await FailsBeforeTokenAsync(context, answer, i, () => WriteAsync(new JsonObject { ["error"] = answer.ErrorMessage }.ToJsonString()), cancellationToken))
                return;
            if (isStream)
                await WriteAsync($"{head}{Message(answer.Tokens[i], null, null)},{Logprobs(request, answer.Tokens[i])}\"done\":false}}");
        }

        var calls = answer.ToolCalls.Count == 0
            ? null
            : "[" + string.Join(',', answer.ToolCalls.Select(c => $$$"""{"function":{"name":{{{JsonSerializer.Serialize(c.Name)}}},"arguments":{{{c.Arguments}}}}}""")) + "]";
        if (isStream && calls is not null)
            await WriteAsync($"{head}{Message("", null, calls)},\"done\":false}}");
        var reason = answer.FinishReason is "length" ? "length" : "stop";
        var end = $"\"done\":true,\"done_reason\":\"{reason}\",\"total_duration\":5000000,\"load_duration\":1000000,\"prompt_eval_count\":{answer.InputTokens},\"prompt_eval_duration\":1000000,\"eval_count\":{answer.Tokens.Count + answer.ToolCalls.Count},\"eval_duration\":3000000}}";
        await WriteAsync($"{head}{(isStream ? Message("", null, null) : Message(string.Concat(answer.Tokens), answer.Thinking, calls))},{end}");

        string Message(string text, string? thinking, string? toolCalls)
        {
            if (isGenerate)
                return $"\"response\":{JsonSerializer.Serialize(text)}" + (thinking is null ? "" : $",\"thinking\":{JsonSerializer.Serialize(thinking)}");
            return $"\"message\":{{\"role\":\"assistant\",\"content\":{JsonSerializer.Serialize(text)}"
                + (thinking is null ? "" : $",\"thinking\":{JsonSerializer.Serialize(thinking)}") + (toolCalls is null ? "}" : $",\"tool_calls\":{toolCalls}}}");
        }

        async Task WriteAsync(string line)
        {
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), cancellationToken);
            await context.Response.Body.FlushAsync(cancellationToken);
        }
    }

    private static string Logprobs(DoubleRequest request, string token) =>
        request.Body.TryGetProperty("logprobs", out var wanted) && wanted.ValueKind == JsonValueKind.True
            ? $"\"logprobs\":[{{\"token\":{JsonSerializer.Serialize(token)},\"logprob\":-0.25}}],"
            : "";

    private async Task EmbedAsync(HttpContext context, DoubleRequest request, DoubleModel model)
    {
        if (!model.IsEmbedding)
        {
            await WriteErrorAsync(context, 400, "bad_request", "this model does not support embeddings");
            return;
        }

        if (request.Path == "/api/embeddings")
        {
            await WriteJsonAsync(context, new JsonObject { ["embedding"] = Vector(request.Text("prompt") ?? "", model.Dimensions) });
            return;
        }

        var input = request.Body.GetProperty("input");
        var texts = input.ValueKind == JsonValueKind.Array ? input.EnumerateArray().Select(t => t.ToString()).ToList() : [input.GetString()!];
        var keepsNot = request.Body.TryGetProperty("keep_alive", out var keep) && keep.ToString() is "0" or "0s";
        model.IsLoaded = !keepsNot;
        var dimensions = request.Body.TryGetProperty("dimensions", out var d) ? d.GetInt32() : model.Dimensions;
        await WriteJsonAsync(context, new JsonObject
        {
            ["model"] = request.Model,
            ["embeddings"] = new JsonArray([.. texts.Select(t => Vector(t, dimensions))]),
            ["total_duration"] = 1_000_000,
            ["load_duration"] = 500_000,
            ["prompt_eval_count"] = texts.Count * 3,
        });
    }

    private static JsonArray Vector(string text, int dimensions) => new([.. Embed(text, dimensions).Select(x => JsonValue.Create(x))]);

    private async Task PullAsync(HttpContext context, DoubleRequest request, CancellationToken cancellationToken)
    {
        var isStream = !(request.Body.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.False);
        context.Response.ContentType = isStream ? "application/x-ndjson" : "application/json";
        foreach (var line in isStream ? PullLines : PullLines.TakeLast(1))
        {
            if (line == PullLines.LastOrDefault())
                await PullGate.WaitAsync(cancellationToken);
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), cancellationToken);
            await context.Response.Body.FlushAsync(cancellationToken);
        }

        if (PullLines.LastOrDefault()?.Contains("success", StringComparison.Ordinal) == true && Models.All(m => m.Name != request.Model))
            Models.Add(new DoubleModel(request.Model));
    }
}
