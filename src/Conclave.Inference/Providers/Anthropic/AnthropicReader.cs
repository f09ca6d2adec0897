using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Anthropic;

/// <summary>Reads the events of one answer.</summary>
internal sealed class AnthropicReader(ModelServerConnection connection, string? requestedModel)
{
    private readonly Dictionary<long, ToolUse> _tools = [];
    private readonly UsageDetails _usage = new();
    private string? _id;
    private string? _model;
    private ChatFinishReason? _finish;
    private bool _isBegun;

    /// <summary>Whether the last event has come.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Reads an event.</summary>
    /// <returns>What is new in it; null for nothing.</returns>
    /// <exception cref="ModelServerException">The event is an error.</exception>
    public ChatResponseUpdate? Read(JsonElement data)
    {
        switch (data.TextOf("type"))
        {
            case "message_start":
                var message = data.ObjectOf("message");
                _isBegun = true;
                _id = message.TextOf("id");
                _model = message.TextOf("model");
                ReadUsage(message.ObjectOf("usage"));
                return null;
            case "content_block_start":
                return StartBlock(data.NumberOf("index") ?? 0, data.ObjectOf("content_block"));
            case "content_block_delta":
                return ReadDelta(data.NumberOf("index") ?? 0, data.ObjectOf("delta"));
            case "content_block_stop":
                return _tools.Remove(data.NumberOf("index") ?? 0, out var tool) ? Update(WireJson.ToolCall(tool.Id, tool.Name, tool.Arguments.ToString())) : null;
            case "message_delta":
                _finish = Finish(data.ObjectOf("delta").TextOf("stop_reason")) ?? _finish;
                ReadUsage(data.ObjectOf("usage"));
                return null;
            case "message_stop":
                IsStopped = true;
                return null;
            case "error":
                throw connection.Failed(ServerError.Parse(data), requestedModel);
            default:
                // Pings, and what later versions add.
                return null;
        }
    }

    /// <summary>After the last event: the usage and why the answer ended.</summary>
    /// <exception cref="ModelServerException">The answer has no end.</exception>
    public ChatResponseUpdate Complete()
    {
        if (!_isBegun)
            throw connection.Failed(ModelServerFailure.InvalidAnswer, "answered something that is not a message");
        if (!IsStopped)
            throw connection.Failed(ModelServerFailure.Cut, "ended its answer in the middle");
        _usage.TotalTokenCount = (_usage.InputTokenCount ?? 0) + (_usage.OutputTokenCount ?? 0);
        var update = Update(new UsageContent(_usage));
        update.FinishReason = _finish ?? ChatFinishReason.Stop;
        return update;
    }

    private ChatResponseUpdate? StartBlock(long index, JsonElement block)
    {
        switch (block.TextOf("type"))
        {
            case "tool_use":
                _tools[index] = new ToolUse(block.TextOf("id") ?? "", block.TextOf("name") ?? "");
                return null;
            case "text" when block.TextOf("text") is { Length: > 0 } text:
                return Update(new TextContent(text));
            case "redacted_thinking" when block.TextOf("data") is { } data:
                // Has to be handed back as it came, and can be told from a signature by having no text.
                return Update(new TextReasoningContent(null) { ProtectedData = data });
            default:
                return null;
        }
    }

    private ChatResponseUpdate? ReadDelta(long index, JsonElement delta)
    {
        switch (delta.TextOf("type"))
        {
            case "text_delta" when delta.TextOf("text") is { Length: > 0 } text:
                return Update(new TextContent(text));
            case "thinking_delta" when delta.TextOf("thinking") is { Length: > 0 } thinking:
                return Update(new TextReasoningContent(thinking));
            case "signature_delta" when delta.TextOf("signature") is { Length: > 0 } signature:
                return Update(new TextReasoningContent("") { ProtectedData = signature });
            case "input_json_delta" when _tools.TryGetValue(index, out var tool):
                tool.Arguments.Append(delta.TextOf("partial_json"));
                return null;
            default:
                return null;
        }
    }

    private void ReadUsage(JsonElement usage)
    {
        // The API counts what it read from its cache, and what it wrote there, apart from the rest of the input.
        if (usage.NumberOf("input_tokens") is { } input)
        {
            var cached = usage.NumberOf("cache_read_input_tokens") ?? 0;
            var written = usage.NumberOf("cache_creation_input_tokens") ?? 0;
            _usage.InputTokenCount = input + cached + written;
            _usage.CachedInputTokenCount = cached;
            (_usage.AdditionalCounts ??= [])["cache_creation_input_tokens"] = written;
        }

        if (usage.NumberOf("output_tokens") is { } output)
            _usage.OutputTokenCount = output;
    }

    private static ChatFinishReason? Finish(string? reason) => reason switch
    {
        null => null,
        "end_turn" or "stop_sequence" or "pause_turn" => ChatFinishReason.Stop,
        "max_tokens" or "model_context_window_exceeded" => ChatFinishReason.Length,
        "tool_use" => ChatFinishReason.ToolCalls,
        "refusal" => ChatFinishReason.ContentFilter,
        _ => new ChatFinishReason(reason),
    };

    private ChatResponseUpdate Update(AIContent content) => new()
    {
        Role = ChatRole.Assistant,
        Contents = [content],
        ResponseId = _id,
        MessageId = _id,
        ModelId = _model ?? requestedModel,
    };

    private sealed record ToolUse(string Id, string Name)
    {
        public StringBuilder Arguments { get; } = new();
    }
}
