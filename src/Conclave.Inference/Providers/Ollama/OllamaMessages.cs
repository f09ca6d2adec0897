using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Ollama;

/// <summary>Writes a conversation as Ollama's <c>messages</c>.</summary>
internal static class OllamaMessages
{
    public static void Write(Utf8JsonWriter writer, IEnumerable<ChatMessage> messages, string? instructions)
    {
        writer.WriteStartArray("messages"u8);
        if (!string.IsNullOrEmpty(instructions))
            WriteText(writer, "system", instructions);
        // Ollama's results name the tool, others the call.
        Dictionary<string, string>? toolNames = null;
        foreach (var message in messages)
            Write(writer, message, ref toolNames);
        writer.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter writer, ChatMessage message, ref Dictionary<string, string>? toolNames)
    {
        var (hasResults, hasRest) = (false, false);
        foreach (var content in message.Contents)
        {
            if (content is FunctionResultContent result)
            {
                hasResults = true;
                WriteResult(writer, result, toolNames);
            }
            else
            {
                hasRest |= content is TextContent or DataContent or UriContent or FunctionCallContent;
            }
        }

        if (hasResults && !hasRest)
            return;
        writer.WriteStartObject();
        writer.WriteString("role"u8, message.Role.Value == "developer" ? "system" : message.Role.Value);
        writer.WriteString("content"u8, message.Text);
        WriteThinking(writer, message);
        WriteImages(writer, message);
        WriteCalls(writer, message, ref toolNames);
        writer.WriteEndObject();
    }

    private static void WriteText(Utf8JsonWriter writer, string role, string text)
    {
        writer.WriteStartObject();
        writer.WriteString("role"u8, role);
        writer.WriteString("content"u8, text);
        writer.WriteEndObject();
    }

    private static void WriteResult(Utf8JsonWriter writer, FunctionResultContent result, Dictionary<string, string>? toolNames)
    {
        writer.WriteStartObject();
        writer.WriteString("role"u8, "tool"u8);
        if (toolNames?.TryGetValue(result.CallId, out var name) == true)
            writer.WriteString("tool_name"u8, name);
        writer.WriteString("content"u8, result.Exception is { } exception ? "Error: " + exception.Message : WireJson.ToText(result.Result));
        writer.WriteEndObject();
    }

    private static void WriteThinking(Utf8JsonWriter writer, ChatMessage message)
    {
        var thinking = string.Concat(message.Contents.OfType<TextReasoningContent>().Select(c => c.Text));
        if (thinking.Length > 0)
            writer.WriteString("thinking"u8, thinking);
    }

    private static void WriteImages(Utf8JsonWriter writer, ChatMessage message)
    {
        var isOpen = false;
        foreach (var content in message.Contents)
        {
            if (content is UriContent or DataContent && !(content is DataContent image && image.HasTopLevelMediaType("image")))
            {
                throw new ModelServerException(
                    ModelServerFailure.BadRequest, "Ollama takes pictures only, and those as bytes (data: addresses), not as addresses to fetch.");
            }

            if (content is not DataContent data)
                continue;
            if (!isOpen)
                writer.WriteStartArray("images"u8);
            isOpen = true;
            writer.WriteStringValue(data.Base64Data.Span);
        }

        if (isOpen)
            writer.WriteEndArray();
    }

    private static void WriteCalls(Utf8JsonWriter writer, ChatMessage message, ref Dictionary<string, string>? toolNames)
    {
        var isOpen = false;
        foreach (var content in message.Contents)
        {
            if (content is not FunctionCallContent call)
                continue;
            if (!isOpen)
                writer.WriteStartArray("tool_calls"u8);
            isOpen = true;
            (toolNames ??= new(StringComparer.Ordinal))[call.CallId] = call.Name;
            writer.WriteStartObject();
            writer.WriteStartObject("function"u8);
            writer.WriteString("name"u8, call.Name);
            writer.WritePropertyName("arguments"u8);
            writer.WriteAny(call.Arguments ?? new Dictionary<string, object?>());
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        if (isOpen)
            writer.WriteEndArray();
    }
}
