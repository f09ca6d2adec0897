using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Ollama;

/// <summary>Reads the lines of one answer.</summary>
internal sealed class OllamaChatReader(ModelServerConnection connection, string? model)
{
    /// <summary>Durations that Ollama tells with the end of an answer, in nanoseconds.</summary>
    private static readonly string[] Durations = ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"];

    /// <summary>Ollama gives its answers no ids; updates of one message need one.</summary>
    private readonly string _id = "ollama-" + Guid.CreateVersion7().ToString("N");

    private bool _hasCalls;

    /// <summary>Whether the last line has come.</summary>
    public bool IsDone { get; private set; }

    /// <summary>Reads a line.</summary>
    /// <returns>What is new in it; null for nothing.</returns>
    /// <exception cref="ModelServerException">The line is an error, or is not Ollama's protocol.</exception>
    public ChatResponseUpdate? Read(JsonElement line)
    {
        if (line.TryGetProperty("error", out _))
            throw connection.Failed(ServerError.Parse(line), model);
        var message = line.ObjectOf("message");
        IsDone = line.TryGetProperty("done", out var done) && done.ValueKind == JsonValueKind.True;
        if (message.ValueKind == JsonValueKind.Undefined && !IsDone)
            throw connection.Failed(ModelServerFailure.InvalidAnswer, "sent a line without a message");
        var update = new ChatResponseUpdate
        {
            Role = ChatRole.Assistant,
            ResponseId = _id,
            MessageId = _id,
            ModelId = line.TextOf("model") ?? model,
            CreatedAt = WireJson.FromText(line.TextOf("created_at")),
        };
        if (message.TextOf("thinking") is { Length: > 0 } thinking)
            update.Contents.Add(new TextReasoningContent(thinking));
        if (message.TextOf("content") is { Length: > 0 } text)
            update.Contents.Add(new TextContent(text));
        foreach (var call in message.ItemsOf("tool_calls"))
        {
            _hasCalls = true;
            update.Contents.Add(ReadCall(call));
        }

        if (line.TryGetProperty("logprobs", out var logprobs) && logprobs.ValueKind == JsonValueKind.Array)
        {
            // In OpenAI's shape, which is what callers are told: {"content":[…]}.
            using var shaped = JsonDocument.Parse($$"""{"content":{{logprobs.GetRawText()}}}""");
            (update.AdditionalProperties ??= [])["logprobs"] = shaped.RootElement.Clone();
        }

        if (IsDone)
            Finish(update, line);
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

    private void Finish(ChatResponseUpdate update, JsonElement line)
    {
        update.FinishReason = line.TextOf("done_reason") switch
        {
            "length" => ChatFinishReason.Length,
            "stop" or null or "" => _hasCalls ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop,
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
