using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Ollama;

/// <summary>Writes the body of <c>/api/chat</c>.</summary>
internal static class OllamaChatRequest
{
    /// <summary>Settings that are members of the request.</summary>
    private static readonly FrozenSet<string> Members = FrozenSet.Create("keep_alive", "logprobs", "top_logprobs", "truncate", "shift");

    /// <summary>Settings that are members of <c>options</c>, as of Ollama 0.13; those with properties of their own are not here. What is in neither list is another protocol's.</summary>
    private static readonly FrozenSet<string> OptionNames = FrozenSet.Create(
        "num_ctx", "num_keep", "num_predict", "num_batch", "num_gpu", "main_gpu", "num_thread", "use_mmap", "use_mlock", "numa", "low_vram", "f16_kv", "vocab_only",
        "logits_all", "penalize_newline", "mirostat", "mirostat_eta", "mirostat_tau", "repeat_penalty", "repeat_last_n", "tfs_z", "typical_p", "min_p");

    /// <summary>Writes a request.</summary>
    /// <exception cref="ModelServerException"><see cref="ModelServerFailure.BadRequest"/>: the conversation has something that the protocol cannot say.</exception>
    public static ArrayBufferWriter<byte> Write(IEnumerable<ChatMessage> messages, ChatOptions options) =>
        WireJson.Object((messages, options), static (writer, state) => Write(writer, state.messages, state.options));

    private static void Write(Utf8JsonWriter writer, IEnumerable<ChatMessage> messages, ChatOptions options)
    {
        writer.WriteString("model"u8, options.ModelId);
        writer.WriteBoolean("stream"u8, true);
        OllamaMessages.Write(writer, messages, options.Instructions);
        WriteTools(writer, options);
        if (options.ResponseFormat is ChatResponseFormatJson format)
        {
            writer.WritePropertyName("format"u8);
            if (format.Schema is { } schema)
                schema.WriteTo(writer);
            else
                writer.WriteStringValue("json"u8);
        }

        WriteThink(writer, options);
        foreach (var (name, value) in options.AdditionalProperties ?? [])
        {
            if (!Members.Contains(name))
                continue;
            writer.WritePropertyName(name);
            writer.WriteAny(value);
        }

        writer.WriteStartObject("options"u8);
        WriteOptions(writer, options);
        writer.WriteEndObject();
    }

    private static void WriteTools(Utf8JsonWriter writer, ChatOptions options)
    {
        // Ollama has no choice of tools: none is no tools, and one that must be called is the only one that it sees.
        if (options.Tools is not { Count: > 0 } tools || options.ToolMode is NoneChatToolMode)
            return;
        var only = (options.ToolMode as RequiredChatToolMode)?.RequiredFunctionName;
        writer.WriteFunctions(tools.Select(RequestJson.Function).Where(function => only is null || function.Name == only));
    }

    /// <summary><c>think</c> as it was given, or from OpenAI's effort, whose levels Ollama knows too.</summary>
    private static void WriteThink(Utf8JsonWriter writer, ChatOptions options)
    {
        if (options.AdditionalProperties?.TryGetValue("think", out var think) == true)
        {
            writer.WritePropertyName("think"u8);
            writer.WriteAny(think);
            return;
        }

        switch (options.TextSetting("reasoning_effort") ?? options.Reasoning?.Effort?.ToString().ToLowerInvariant())
        {
            case "none":
                writer.WriteBoolean("think"u8, false);
                break;
            case "minimal" or "low":
                writer.WriteString("think"u8, "low"u8);
                break;
            case "medium":
                writer.WriteString("think"u8, "medium"u8);
                break;
            case "high" or "extrahigh" or "xhigh":
                writer.WriteString("think"u8, "high"u8);
                break;
        }
    }

    private static void WriteOptions(Utf8JsonWriter writer, ChatOptions options)
    {
        if (options.MaxOutputTokens is { } max)
            writer.WriteNumber("num_predict"u8, max);
        if (options.TopK is { } topK)
            writer.WriteNumber("top_k"u8, topK);
        writer.WriteSampling(options);
        foreach (var (name, value) in options.AdditionalProperties ?? [])
        {
            if (!OptionNames.Contains(name) || (name == "num_predict" && options.MaxOutputTokens is not null))
                continue;
            writer.WritePropertyName(name);
            writer.WriteAny(value);
        }
    }
}
