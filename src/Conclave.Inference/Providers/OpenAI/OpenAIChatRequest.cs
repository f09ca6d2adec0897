using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.OpenAI;

/// <summary>Writes the body of <c>/v1/chat/completions</c>.</summary>
internal static class OpenAIChatRequest
{
    /// <summary>Settings that are written from their own properties, or not at all: one answer, streamed, is what the gateway works with.</summary>
    private static readonly FrozenSet<string> Written = FrozenSet.Create(
        "model", "messages", "stream", "stream_options", "n", "tools", "tool_choice", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop",
        "frequency_penalty", "presence_penalty", "response_format", "parallel_tool_calls", "strict", "think", "continue_final_message", "add_generation_prompt");

    /// <summary>Settings that only Ollama has.</summary>
    private static readonly FrozenSet<string> OllamaOnly = FrozenSet.Create(
        "keep_alive", "num_ctx", "num_keep", "num_predict", "num_batch", "num_gpu", "main_gpu", "num_thread", "use_mmap", "use_mlock", "numa", "low_vram", "f16_kv",
        "vocab_only", "logits_all", "penalize_newline", "mirostat", "mirostat_eta", "mirostat_tau", "repeat_last_n", "tfs_z", "raw", "template", "suffix", "context", "truncate", "shift", "format", "options");

    /// <summary>Settings of servers of one's own, which OpenAI refuses.</summary>
    private static readonly FrozenSet<string> OwnServersOnly = FrozenSet.Create(
        "priority", "top_k", "min_p", "typical_p", "repeat_penalty", "repetition_penalty", "chat_template_kwargs", "chat_template", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
        "structured_outputs", "ignore_eos", "min_tokens", "stop_token_ids", "include_stop_str_in_output", "skip_special_tokens", "cache_salt", "cache_prompt", "id_slot", "grammar", "n_probs");

    /// <summary>Writes a request.</summary>
    /// <exception cref="ModelServerException"><see cref="ModelServerFailure.BadRequest"/>: the conversation has something that the protocol cannot say.</exception>
    public static ArrayBufferWriter<byte> Write(OpenAIDialect dialect, IEnumerable<ChatMessage> messages, ChatOptions options) =>
        WireJson.Object((dialect, messages, options), static (writer, state) => Write(writer, state.dialect, state.messages, state.options));

    private static void Write(Utf8JsonWriter writer, OpenAIDialect dialect, IEnumerable<ChatMessage> messages, ChatOptions options)
    {
        writer.WriteString("model"u8, options.ModelId);
        writer.WriteBoolean("stream"u8, true);
        writer.WriteStartObject("stream_options"u8);
        writer.WriteBoolean("include_usage"u8, true);
        writer.WriteEndObject();
        var continues = OpenAIMessages.Write(writer, messages, options.Instructions);
        if (continues && dialect == OpenAIDialect.Compatible)
        {
            writer.WriteBoolean("continue_final_message"u8, true);
            writer.WriteBoolean("add_generation_prompt"u8, false);
        }

        WriteSampling(writer, dialect, options);
        WriteTools(writer, options);
        WriteFormat(writer, dialect, options);
        WriteReasoning(writer, dialect, options);
        foreach (var (name, value) in options.AdditionalProperties ?? [])
        {
            if (Written.Contains(name) || OllamaOnly.Contains(name) || (dialect != OpenAIDialect.Compatible && OwnServersOnly.Contains(name)))
                continue;
            writer.WritePropertyName(name);
            writer.WriteAny(value);
        }
    }

    private static void WriteSampling(Utf8JsonWriter writer, OpenAIDialect dialect, ChatOptions options)
    {
        if (options.MaxOutputTokens is { } max)
            writer.WriteNumber(dialect == OpenAIDialect.OpenAI ? "max_completion_tokens"u8 : "max_tokens"u8, max);
        if (options.TopK is { } topK && dialect == OpenAIDialect.Compatible)
            writer.WriteNumber("top_k"u8, topK);
        writer.WriteSampling(options);
    }

    private static void WriteTools(Utf8JsonWriter writer, ChatOptions options)
    {
        if (options.Tools is not { Count: > 0 } tools)
            return;
        writer.WriteFunctions(tools.Select(RequestJson.Function));
        if (options.AllowMultipleToolCalls is { } parallel)
            writer.WriteBoolean("parallel_tool_calls"u8, parallel);
        switch (options.ToolMode)
        {
            case AutoChatToolMode:
                writer.WriteString("tool_choice"u8, "auto"u8);
                break;
            case NoneChatToolMode:
                writer.WriteString("tool_choice"u8, "none"u8);
                break;
            case RequiredChatToolMode { RequiredFunctionName: { } name }:
                writer.WriteStartObject("tool_choice"u8);
                writer.WriteString("type"u8, "function"u8);
                writer.WriteStartObject("function"u8);
                writer.WriteString("name"u8, name);
                writer.WriteEndObject();
                writer.WriteEndObject();
                break;
            case RequiredChatToolMode:
                writer.WriteString("tool_choice"u8, "required"u8);
                break;
        }
    }

    private static void WriteFormat(Utf8JsonWriter writer, OpenAIDialect dialect, ChatOptions options)
    {
        if (options.ResponseFormat is not ChatResponseFormatJson format)
            return;
        writer.WriteStartObject("response_format"u8);
        if (format.Schema is not { } schema)
        {
            writer.WriteString("type"u8, "json_object"u8);
        }
        else
        {
            var isStrict = options.FlagSetting("strict") ?? true;
            if (dialect == OpenAIDialect.OpenAI && isStrict)
                isStrict = StrictJsonSchema.TryConvert(schema, out schema);
            writer.WriteString("type"u8, "json_schema"u8);
            writer.WriteStartObject("json_schema"u8);
            writer.WriteString("name"u8, format.SchemaName ?? "answer");
            if (format.SchemaDescription is { } description)
                writer.WriteString("description"u8, description);
            writer.WriteBoolean("strict"u8, isStrict);
            writer.WritePropertyName("schema"u8);
            schema.WriteTo(writer);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    /// <summary>How much to think: OpenAI's effort, or for models of one's own the switch in their chat template, as vLLM and llama.cpp take it.</summary>
    private static void WriteReasoning(Utf8JsonWriter writer, OpenAIDialect dialect, ChatOptions options)
    {
        var extras = options.AdditionalProperties;
        if (extras?.ContainsKey("reasoning_effort") == true)
            return;
        var effort = options.TextSetting("think") ?? options.Reasoning?.Effort switch
        {
            ReasoningEffort.None => "none",
            ReasoningEffort.Low => "low",
            ReasoningEffort.Medium => "medium",
            ReasoningEffort.High => "high",
            ReasoningEffort.ExtraHigh => "xhigh",
            _ => null,
        };
        var isOn = options.FlagSetting("think") ?? (effort == "none" ? false : null);
        if (dialect == OpenAIDialect.Compatible && isOn is { } on)
        {
            if (extras?.ContainsKey("chat_template_kwargs") == true)
                return;
            writer.WriteStartObject("chat_template_kwargs"u8);
            writer.WriteBoolean("enable_thinking"u8, on);
            writer.WriteEndObject();
        }
        else if (effort is not null)
        {
            writer.WriteString("reasoning_effort"u8, effort);
        }
    }
}
