using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using Conclave.Inference.Providers.OpenAI;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Anthropic;

/// <summary>Writes the body of <c>/v1/messages</c>.</summary>
internal static class AnthropicRequest
{
    /// <summary>The API wants a limit; this one fits every model that is served in 2026.</summary>
    private const int DefaultMaxTokens = 8192;

    /// <summary>Settings that the API has and <see cref="ChatOptions"/> has not. It refuses all others, so those of other protocols are left out.</summary>
    private static readonly FrozenSet<string> Passed = FrozenSet.Create("metadata", "thinking", "service_tier", "container", "context_management", "mcp_servers", "output_config", "inference_geo");

    /// <summary>Writes a request.</summary>
    /// <exception cref="ModelServerException"><see cref="ModelServerFailure.BadRequest"/>: the conversation has something that the protocol cannot say.</exception>
    public static ArrayBufferWriter<byte> Write(IEnumerable<ChatMessage> messages, ChatOptions options) =>
        WireJson.Object((messages, options), static (writer, state) => Write(writer, state.messages, state.options));

    private static void Write(Utf8JsonWriter writer, IEnumerable<ChatMessage> messages, ChatOptions options)
    {
        var generation = AnthropicModels.GenerationOf(options.ModelId ?? "");
        var effort = Effort(options);
        // From 4.6 on, models decide themselves how long they think; before, they are given a budget.
        var isAdaptive = effort is not null && generation is >= 4.6m;
        var budget = effort is null || isAdaptive ? 0 : Budget(effort);
        writer.WriteString("model"u8, options.ModelId);
        writer.WriteBoolean("stream"u8, true);
        // What the model thinks counts towards the limit; callers mean the answer.
        writer.WriteNumber("max_tokens"u8, (options.MaxOutputTokens ?? DefaultMaxTokens) + budget);
        AnthropicMessages.Write(writer, messages, options.Instructions);
        if (effort is not null)
        {
            writer.WriteStartObject("thinking"u8);
            writer.WriteString("type"u8, isAdaptive ? "adaptive"u8 : "enabled"u8);
            if (isAdaptive)
                writer.WriteString("display"u8, "summarized"u8);
            else
                writer.WriteNumber("budget_tokens"u8, budget);
            writer.WriteEndObject();
        }
        else if (generation is null or < 4.7m)
        {
            // Thinking excludes these, and later models refuse them.
            if (options.Temperature is { } temperature)
                writer.WriteNumber("temperature"u8, Math.Clamp(temperature, 0, 1));
            if (options.TopP is { } topP)
                writer.WriteNumber("top_p"u8, topP);
            if (options.TopK is { } topK)
                writer.WriteNumber("top_k"u8, topK);
        }

        WriteOutput(writer, options, generation, isAdaptive ? effort : null);
        if (options.StopSequences is { Count: > 0 } stops)
        {
            writer.WriteStartArray("stop_sequences"u8);
            foreach (var stop in stops)
                writer.WriteStringValue(stop);
            writer.WriteEndArray();
        }

        WriteTools(writer, options);
        foreach (var (name, value) in options.AdditionalProperties ?? [])
        {
            if (!Passed.Contains(name))
                continue;
            writer.WritePropertyName(name);
            writer.WriteAny(value);
        }

        if (options.TextSetting("user") is { } user && options.AdditionalProperties?.ContainsKey("metadata") != true)
        {
            writer.WriteStartObject("metadata"u8);
            writer.WriteString("user_id"u8, user);
            writer.WriteEndObject();
        }
    }

    /// <summary>How hard to think, from OpenAI's effort or Ollama's <c>think</c>; null for not at all, or when the caller gives <c>thinking</c> itself.</summary>
    private static string? Effort(ChatOptions options)
    {
        if (options.AdditionalProperties?.ContainsKey("thinking") == true)
            return null;
        return (options.TextSetting("think") ?? options.TextSetting("reasoning_effort") ?? options.Reasoning?.Effort?.ToString().ToLowerInvariant()) switch
        {
            "minimal" or "low" => "low",
            "medium" => "medium",
            "high" => "high",
            "xhigh" or "extrahigh" or "max" => "max",
            null when options.FlagSetting("think") == true => "medium",
            _ => null,
        };
    }

    private static int Budget(string effort) => effort switch { "low" => 1024, "medium" => 4096, "high" => 16_384, _ => 32_768 };

    private static void WriteOutput(Utf8JsonWriter writer, ChatOptions options, decimal? generation, string? effort)
    {
        var strict = default(JsonElement);
        var hasFormat = generation >= AnthropicModels.FirstWithSchemas && options.ResponseFormat is ChatResponseFormatJson { Schema: { } schema } && StrictJsonSchema.TryConvert(schema, out strict);
        if ((!hasFormat && effort is null) || options.AdditionalProperties?.ContainsKey("output_config") == true)
            return;
        writer.WriteStartObject("output_config"u8);
        if (effort is not null)
            writer.WriteString("effort"u8, effort);
        if (hasFormat)
        {
            writer.WriteStartObject("format"u8);
            writer.WriteString("type"u8, "json_schema"u8);
            writer.WritePropertyName("schema"u8);
            strict.WriteTo(writer);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    private static void WriteTools(Utf8JsonWriter writer, ChatOptions options)
    {
        if (options.Tools is not { Count: > 0 } tools)
            return;
        writer.WriteStartArray("tools"u8);
        foreach (var function in tools.Select(RequestJson.Function))
        {
            writer.WriteStartObject();
            writer.WriteString("name"u8, function.Name);
            if (function.Description.Length > 0)
                writer.WriteString("description"u8, function.Description);
            writer.WriteParameters("input_schema", function);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        var mode = options.ToolMode switch
        {
            NoneChatToolMode => "none",
            RequiredChatToolMode { RequiredFunctionName: not null } => "tool",
            RequiredChatToolMode => "any",
            AutoChatToolMode => "auto",
            _ => options.AllowMultipleToolCalls is null ? null : "auto",
        };
        if (mode is null)
            return;
        writer.WriteStartObject("tool_choice"u8);
        writer.WriteString("type"u8, mode);
        if (options.ToolMode is RequiredChatToolMode { RequiredFunctionName: { } name })
            writer.WriteString("name"u8, name);
        if (options.AllowMultipleToolCalls is { } several && mode != "none")
            writer.WriteBoolean("disable_parallel_tool_use"u8, !several);
        writer.WriteEndObject();
    }
}
