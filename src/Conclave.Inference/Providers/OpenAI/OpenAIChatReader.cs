using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.OpenAI;

/// <summary>Reads the chunks of one answer. Only the first choice is read: nobody here asks for more.</summary>
internal sealed class OpenAIChatReader(ModelServerConnection connection, string? requestedModel)
{
    private readonly SortedDictionary<int, ToolCall> _calls = [];
    private string? _id;
    private string? _model;
    private DateTimeOffset? _created;
    private UsageDetails? _usage;
    private bool _isBegun;
    private bool _isFinished;

    /// <summary>Reads a chunk, or a whole completion.</summary>
    /// <returns>What is new in it; null for nothing.</returns>
    /// <exception cref="ModelServerException">The chunk is an error, or is not OpenAI's protocol.</exception>
    public ChatResponseUpdate? Read(JsonElement chunk)
    {
        if (chunk.TryGetProperty("error", out var error) && error.ValueKind != JsonValueKind.Null)
            throw connection.Failed(ServerError.Parse(chunk), requestedModel);
        if (chunk.TextOf("object") == "error")
            throw connection.Failed(ServerError.Parse(chunk), requestedModel);
        if (!chunk.TryGetProperty("choices", out var choices) || choices.ValueKind != JsonValueKind.Array)
            throw connection.Failed(ModelServerFailure.InvalidAnswer, "sent a chunk without choices");
        _isBegun = true;
        _id ??= chunk.TextOf("id");
        _created ??= WireJson.FromUnix(chunk.NumberOf("created"));
        if (chunk.TextOf("model") is { Length: > 0 } name)
            _model = name;
        // Some servers send the usage so far with every chunk: the last one counts.
        if (chunk.ObjectOf("usage") is { ValueKind: JsonValueKind.Object } usage)
            _usage = ReadUsage(usage);
        foreach (var choice in choices.EnumerateArray())
        {
            if (choice.NumberOf("index") is null or 0)
                return ReadChoice(choice);
        }

        return null;
    }

    /// <summary>After the last chunk.</summary>
    /// <returns>The usage; null when the server did not tell.</returns>
    /// <exception cref="ModelServerException"><see cref="ModelServerFailure.Cut"/>: the answer has no end.</exception>
    public ChatResponseUpdate? Complete()
    {
        if (!_isBegun)
            throw connection.Failed(ModelServerFailure.InvalidAnswer, "answered something that is not a completion");
        if (!_isFinished)
            throw connection.Failed(ModelServerFailure.Cut, "ended its answer in the middle");
        return _usage is null ? null : Update(new UsageContent(_usage));
    }

    private ChatResponseUpdate? ReadChoice(JsonElement choice)
    {
        var delta = choice.ObjectOf("delta") is { ValueKind: JsonValueKind.Object } part ? part : choice.ObjectOf("message");
        var text = delta.TextOf("content");
        // vLLM's name changed from the one that DeepSeek, llama.cpp and LiteLLM use to the one that OpenRouter uses.
        var reasoning = delta.TextOf("reasoning_content") ?? delta.TextOf("reasoning");
        foreach (var call in delta.ItemsOf("tool_calls"))
            Collect(call);
        var finish = choice.TextOf("finish_reason");
        var hasLogprobs = choice.TryGetProperty("logprobs", out var logprobs) && logprobs.ValueKind == JsonValueKind.Object;
        var refusal = delta.TextOf("refusal");
        if (string.IsNullOrEmpty(text) && string.IsNullOrEmpty(reasoning) && string.IsNullOrEmpty(refusal) && finish is null && !hasLogprobs)
            return null;
        var update = Update();
        if (!string.IsNullOrEmpty(reasoning))
            update.Contents.Add(new TextReasoningContent(reasoning));
        if (!string.IsNullOrEmpty(text))
            update.Contents.Add(new TextContent(text));
        if (!string.IsNullOrEmpty(refusal))
            update.Contents.Add(new ErrorContent(refusal) { ErrorCode = "Refusal" });
        if (hasLogprobs)
            (update.AdditionalProperties ??= [])["logprobs"] = logprobs.Clone();
        if (finish is not null)
            Finish(update, finish);
        return update;
    }

    private void Finish(ChatResponseUpdate update, string finish)
    {
        _isFinished = true;
        foreach (var call in _calls.Values)
            update.Contents.Add(WireJson.ToolCall(call.Id ?? "call_" + Guid.CreateVersion7().ToString("N"), call.Name, call.Arguments.ToString()));
        update.FinishReason = finish switch
        {
            // Some servers say stop after tool calls.
            "stop" or "function_call" when _calls.Count > 0 => ChatFinishReason.ToolCalls,
            "stop" => ChatFinishReason.Stop,
            "length" => ChatFinishReason.Length,
            "tool_calls" => ChatFinishReason.ToolCalls,
            "content_filter" => ChatFinishReason.ContentFilter,
            _ => new ChatFinishReason(finish),
        };
        _calls.Clear();
    }

    private void Collect(JsonElement part)
    {
        // Servers that send calls whole may leave the index out; then each part is a call.
        var index = (int)(part.NumberOf("index") ?? _calls.Count);
        if (!_calls.TryGetValue(index, out var call))
            _calls[index] = call = new ToolCall();
        call.Id ??= part.TextOf("id") is { Length: > 0 } id ? id : null;
        var function = part.ObjectOf("function");
        call.Name += function.TextOf("name");
        if (function.ObjectOf("arguments") is { ValueKind: JsonValueKind.Object } whole)
            call.Arguments.Append(whole.GetRawText());
        else
            call.Arguments.Append(function.TextOf("arguments"));
    }

    private ChatResponseUpdate Update(params AIContent[] contents) => new()
    {
        Role = ChatRole.Assistant,
        Contents = [.. contents],
        ResponseId = _id,
        MessageId = _id,
        ModelId = _model ?? requestedModel,
        CreatedAt = _created,
    };

    private static UsageDetails ReadUsage(JsonElement usage) => new()
    {
        InputTokenCount = usage.NumberOf("prompt_tokens"),
        OutputTokenCount = usage.NumberOf("completion_tokens"),
        TotalTokenCount = usage.NumberOf("total_tokens"),
        CachedInputTokenCount = usage.ObjectOf("prompt_tokens_details").NumberOf("cached_tokens"),
        ReasoningTokenCount = usage.ObjectOf("completion_tokens_details").NumberOf("reasoning_tokens"),
    };

    private sealed class ToolCall
    {
        public string? Id { get; set; }

        public string Name { get; set; } = "";

        public StringBuilder Arguments { get; } = new();
    }
}
