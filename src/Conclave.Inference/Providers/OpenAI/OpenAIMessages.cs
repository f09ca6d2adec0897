using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.OpenAI;

/// <summary>Writes a conversation as OpenAI's <c>messages</c>.</summary>
internal static class OpenAIMessages
{
    /// <summary>Writes the array.</summary>
    /// <returns>Whether the last message is text of the assistant, which is to be continued.</returns>
    public static bool Write(Utf8JsonWriter writer, IEnumerable<ChatMessage> messages, string? instructions)
    {
        writer.WriteStartArray("messages"u8);
        if (!string.IsNullOrEmpty(instructions))
        {
            writer.WriteStartObject();
            writer.WriteString("role"u8, "system"u8);
            writer.WriteString("content"u8, instructions);
            writer.WriteEndObject();
        }

        ChatMessage? last = null;
        foreach (var message in messages)
        {
            Write(writer, message);
            last = message;
        }

        writer.WriteEndArray();
        return last is not null && last.Role == ChatRole.Assistant && last.Text.Length > 0 && !last.Contents.Any(c => c is FunctionCallContent);
    }

    private static void Write(Utf8JsonWriter writer, ChatMessage message)
    {
        var hasRest = false;
        foreach (var content in message.Contents)
        {
            if (content is not FunctionResultContent result)
            {
                hasRest |= content is TextContent or DataContent or UriContent or FunctionCallContent;
                continue;
            }

            writer.WriteStartObject();
            writer.WriteString("role"u8, "tool"u8);
            writer.WriteString("tool_call_id"u8, result.CallId);
            writer.WriteString("content"u8, result.Exception is { } exception ? "Error: " + exception.Message : WireJson.ToText(result.Result));
            writer.WriteEndObject();
        }

        if (!hasRest && message.Contents.Any(c => c is FunctionResultContent))
            return;
        writer.WriteStartObject();
        writer.WriteString("role"u8, message.Role.Value);
        if (message.AuthorName is { Length: > 0 } name)
            writer.WriteString("name"u8, name);
        WriteContent(writer, message);
        WriteCalls(writer, message);
        writer.WriteEndObject();
    }

    private static void WriteContent(Utf8JsonWriter writer, ChatMessage message)
    {
        if (!message.Contents.Any(c => c is DataContent or UriContent))
        {
            var text = message.Text;
            if (text.Length == 0 && message.Contents.Any(c => c is FunctionCallContent))
                writer.WriteNull("content"u8);
            else
                writer.WriteString("content"u8, text);
            return;
        }

        writer.WriteStartArray("content"u8);
        foreach (var content in message.Contents)
        {
            switch (content)
            {
                case TextContent text:
                    writer.WriteStartObject();
                    writer.WriteString("type"u8, "text"u8);
                    writer.WriteString("text"u8, text.Text);
                    writer.WriteEndObject();
                    break;
                case DataContent data when data.HasTopLevelMediaType("image"):
                    WriteImage(writer, data.Uri, content);
                    break;
                case UriContent uri when uri.HasTopLevelMediaType("image"):
                    WriteImage(writer, uri.Uri.AbsoluteUri, content);
                    break;
                case DataContent audio when audio.HasTopLevelMediaType("audio"):
                    writer.WriteStartObject();
                    writer.WriteString("type"u8, "input_audio"u8);
                    writer.WriteStartObject("input_audio"u8);
                    writer.WriteString("data"u8, audio.Base64Data.Span);
                    writer.WriteString("format"u8, audio.MediaType.EndsWith("wav", StringComparison.OrdinalIgnoreCase) ? "wav"u8 : "mp3"u8);
                    writer.WriteEndObject();
                    writer.WriteEndObject();
                    break;
                case DataContent file:
                    writer.WriteStartObject();
                    writer.WriteString("type"u8, "file"u8);
                    writer.WriteStartObject("file"u8);
                    writer.WriteString("filename"u8, file.Name ?? "file");
                    writer.WriteString("file_data"u8, file.Uri);
                    writer.WriteEndObject();
                    writer.WriteEndObject();
                    break;
                case UriContent other:
                    throw new ModelServerException(ModelServerFailure.BadRequest, $"Content of the type '{other.MediaType}' cannot be given to this server as an address; give its bytes.");
            }
        }

        writer.WriteEndArray();
    }

    private static void WriteImage(Utf8JsonWriter writer, string url, AIContent content)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, "image_url"u8);
        writer.WriteStartObject("image_url"u8);
        writer.WriteString("url"u8, url);
        if (content.AdditionalProperties?.TryGetValue("detail", out var detail) == true)
        {
            writer.WritePropertyName("detail"u8);
            writer.WriteAny(detail);
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteCalls(Utf8JsonWriter writer, ChatMessage message)
    {
        var isOpen = false;
        foreach (var content in message.Contents)
        {
            if (content is not FunctionCallContent call)
                continue;
            if (!isOpen)
                writer.WriteStartArray("tool_calls"u8);
            isOpen = true;
            writer.WriteStartObject();
            writer.WriteString("id"u8, call.CallId);
            writer.WriteString("type"u8, "function"u8);
            writer.WriteStartObject("function"u8);
            writer.WriteString("name"u8, call.Name);
            writer.WriteString("arguments"u8, WireJson.ArgumentsText(call));
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        if (isOpen)
            writer.WriteEndArray();
    }
}
