using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Ollama;

/// <summary><c>/api/chat</c>, streamed.</summary>
internal sealed class OllamaChat(ModelServerConnection connection) : IChatClient
{
    /// <summary>Durations that Ollama tells with the end of an answer, in nanoseconds.</summary>
    private static readonly string[] Durations = ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"];

    private readonly Uri _endpoint = connection.Endpoint("api/chat");

    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ChatOptions();
        var body = OllamaChatRequest.Write(messages, options);
        using var answer = await connection.SendAsync(HttpMethod.Post, _endpoint, body, options.ModelId, cancellationToken);
        // Ollama gives its answers no ids; updates of one message need one.
        var id = "ollama-" + Guid.CreateVersion7().ToString("N");
        var (isDone, hasCalls) = (false, false);
        while (!isDone)
        {
            if (!await answer.ReadLineAsync())
                throw connection.Failed(ModelServerFailure.Cut, "ended its answer in the middle");
            ChatResponseUpdate? update;
            using (var document = answer.ParseLine())
                update = Read(document.RootElement, options.ModelId, id, ref isDone, ref hasCalls);
            if (update is not null)
                yield return update;
        }

        await answer.EndAsync();
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    /// <summary>Nothing: the connection belongs to the client of the server.</summary>
    public void Dispose()
    {
    }

    private ChatResponseUpdate? Read(JsonElement line, string? model, string id, ref bool isDone, ref bool hasCalls)
    {
        if (line.TryGetProperty("error", out _))
            throw connection.Failed(ServerError.Parse(line), model);
        var message = line.ObjectOf("message");
        isDone = line.TryGetProperty("done", out var done) && done.ValueKind == JsonValueKind.True;
        if (message.ValueKind == JsonValueKind.Undefined && !isDone)
            throw connection.Failed(ModelServerFailure.InvalidAnswer, "sent a line without a message");
        var update = new ChatResponseUpdate
        {
            Role = ChatRole.Assistant,
            ResponseId = id,
            MessageId = id,
            ModelId = line.TextOf("model") ?? model,
            CreatedAt = WireJson.FromText(line.TextOf("created_at")),
        };
        if (message.TextOf("thinking") is { Length: > 0 } thinking)
            update.Contents.Add(new TextReasoningContent(thinking));
        if (message.TextOf("content") is { Length: > 0 } text)
            update.Contents.Add(new TextContent(text));
        foreach (var call in message.ItemsOf("tool_calls"))
        {
            hasCalls = true;
            update.Contents.Add(ReadCall(call));
        }

        if (line.TryGetProperty("logprobs", out var logprobs) && logprobs.ValueKind == JsonValueKind.Array)
        {
            // In OpenAI's shape, which is what callers are told: {"content":[…]}.
            using var shaped = JsonDocument.Parse($$"""{"content":{{logprobs.GetRawText()}}}""");
            (update.AdditionalProperties ??= [])["logprobs"] = shaped.RootElement.Clone();
        }

        if (isDone)
            Finish(update, line, hasCalls);
        return update.Contents.Count > 0 || update.FinishReason is not null || update.AdditionalProperties is not null ? update : null;
    }

    private static FunctionCallContent ReadCall(JsonElement call)
    {
        var function = call.ObjectOf("function");
        var id = call.TextOf("id") is { Length: > 0 } given ? given : "call_" + Guid.CreateVersion7().ToString("N");
        var name = function.TextOf("name") ?? "";
        return function.ObjectOf("arguments") is { ValueKind: JsonValueKind.Object } arguments
            ? new FunctionCallContent(id, name, WireJson.Arguments(arguments))
            : WireJson.ToolCall(id, name, function.TextOf("arguments") ?? "");
    }

    private static void Finish(ChatResponseUpdate update, JsonElement line, bool hasCalls)
    {
        update.FinishReason = line.TextOf("done_reason") switch
        {
            "length" => ChatFinishReason.Length,
            "stop" or null or "" => hasCalls ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop,
            var other => new ChatFinishReason(other),
        };
        var (read, written) = (line.NumberOf("prompt_eval_count"), line.NumberOf("eval_count"));
        if (read is not null || written is not null)
            update.Contents.Add(new UsageContent(new UsageDetails { InputTokenCount = read ?? 0, OutputTokenCount = written ?? 0, TotalTokenCount = (read ?? 0) + (written ?? 0) }));
        foreach (var name in Durations)
        {
            if (line.NumberOf(name) is { } nanoseconds)
                (update.AdditionalProperties ??= [])[name] = nanoseconds;
        }
    }
}
