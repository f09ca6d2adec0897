using System.Buffers;
using System.Text;
using System.Text.Json;
using Conclave.Inference.Providers;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Telemetry;

/// <summary>
/// Messages as spans have them: <c>[{"role", "parts": [{"type": "text", "content"}]}]</c>. Source: the JSON schemas of OpenTelemetry's conventions for generative AI
/// (gen-ai-input-messages, gen-ai-output-messages, gen-ai-system-instructions, gen-ai-tool-definitions).
/// </summary>
internal static class SpanMessages
{
    /// <summary>Messages.</summary>
    /// <param name="messages">The messages.</param>
    /// <param name="finishReason">Why the model stopped, for its own; null for none.</param>
    public static string Write(IEnumerable<ChatMessage> messages, string? finishReason = null) => Write(writer =>
    {
        foreach (var message in messages)
        {
            writer.WriteStartObject();
            writer.WriteString("role", message.Role.Value);
            writer.WriteStartArray("parts");
            foreach (var content in message.Contents)
                WritePart(writer, content);
            writer.WriteEndArray();
            if (finishReason is not null)
                writer.WriteString("finish_reason", finishReason);
            writer.WriteEndObject();
        }
    });

    /// <summary>The parts of messages alone.</summary>
    public static string WriteParts(IEnumerable<ChatMessage> messages) => Write(writer =>
    {
        foreach (var content in messages.SelectMany(m => m.Contents))
            WritePart(writer, content);
    });

    /// <summary>Tools.</summary>
    public static string Write(IEnumerable<AITool> tools) => Write(writer =>
    {
        foreach (var tool in tools)
        {
            writer.WriteStartObject();
            writer.WriteString("type", "function");
            writer.WriteString("name", tool.Name);
            writer.WriteString("description", tool.Description);
            if (tool is AIFunctionDeclaration function)
                writer.WriteParameters("parameters", function);
            writer.WriteEndObject();
        }
    });

    private static void WritePart(Utf8JsonWriter writer, AIContent content)
    {
        writer.WriteStartObject();
        switch (content)
        {
            case TextReasoningContent thought:
                writer.WriteString("type", "reasoning");
                writer.WriteString("content", thought.Text);
                break;
            case TextContent text:
                writer.WriteString("type", "text");
                writer.WriteString("content", text.Text);
                break;
            case FunctionCallContent call:
                writer.WriteString("type", "tool_call");
                writer.WriteString("id", call.CallId);
                writer.WriteString("name", call.Name);
                writer.WritePropertyName("arguments");
                writer.WriteAny(call.Arguments);
                break;
            case FunctionResultContent result:
                writer.WriteString("type", "tool_call_response");
                writer.WriteString("id", result.CallId);
                writer.WriteString("response", WireJson.ToText(result.Result));
                break;
            case UriContent uri:
                writer.WriteString("type", "uri");
                writer.WriteString("uri", uri.Uri.OriginalString);
                break;
            default:
                // Pictures and the like: that they were there, not what they show.
                writer.WriteString("type", content is DataContent data ? data.MediaType : content.GetType().Name);
                break;
        }

        writer.WriteEndObject();
    }

    private static string Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = WireJson.Writer(buffer))
        {
            writer.WriteStartArray();
            write(writer);
            writer.WriteEndArray();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
