using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Anthropic;

/// <summary>Writes a conversation as <c>system</c> and <c>messages</c>: blocks, with the results of tools on the user's side and neighbours of one side joined.</summary>
internal static class AnthropicMessages
{
    public static void Write(Utf8JsonWriter writer, IEnumerable<ChatMessage> messages, string? instructions)
    {
        List<ChatMessage> conversation = [];
        List<string> system = [];
        if (!string.IsNullOrEmpty(instructions))
            system.Add(instructions);
        foreach (var message in messages)
        {
            // Instructions in the middle have no place of their own.
            if (message.Role == ChatRole.System || message.Role.Value == "developer")
                system.Add(message.Text);
            else
                conversation.Add(message);
        }

        if (system.Count > 0)
            writer.WriteString("system"u8, string.Join("\n\n", system));
        writer.WriteStartArray("messages"u8);
        string? open = null;
        for (var i = 0; i < conversation.Count; i++)
        {
            var message = conversation[i];
            var role = message.Role == ChatRole.Assistant ? "assistant" : "user";
            if (role != open)
            {
                End(writer, open);
                open = role;
                writer.WriteStartObject();
                writer.WriteString("role"u8, role);
                writer.WriteStartArray("content"u8);
            }

            WriteBlocks(writer, message, isLast: i == conversation.Count - 1);
        }

        End(writer, open);
        writer.WriteEndArray();
    }

    private static void End(Utf8JsonWriter writer, string? open)
    {
        if (open is null)
            return;
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteBlocks(Utf8JsonWriter writer, ChatMessage message, bool isLast)
    {
        WriteThinking(writer, message);
        // Results come first: the API wants them before anything else of the turn.
        foreach (var result in message.Contents.OfType<FunctionResultContent>())
        {
            writer.WriteStartObject();
            writer.WriteString("type"u8, "tool_result"u8);
            writer.WriteString("tool_use_id"u8, result.CallId);
            writer.WriteString("content"u8, result.Exception?.Message ?? WireJson.ToText(result.Result));
            if (result.Exception is not null)
                writer.WriteBoolean("is_error"u8, true);
            writer.WriteEndObject();
        }

        foreach (var content in message.Contents)
        {
            switch (content)
            {
                case TextContent text:
                    // Text to be continued must not end with space; empty blocks are refused.
                    var value = isLast && message.Role == ChatRole.Assistant ? text.Text.TrimEnd() : text.Text;
                    if (value.Length == 0)
                        break;
                    writer.WriteStartObject();
                    writer.WriteString("type"u8, "text"u8);
                    writer.WriteString("text"u8, value);
                    writer.WriteEndObject();
                    break;
                case DataContent data:
                    WriteSource(writer, data.HasTopLevelMediaType("image"), data.MediaType, data, null);
                    break;
                case UriContent uri:
                    WriteSource(writer, uri.HasTopLevelMediaType("image"), uri.MediaType, null, uri.Uri);
                    break;
                case FunctionCallContent call:
                    writer.WriteStartObject();
                    writer.WriteString("type"u8, "tool_use"u8);
                    writer.WriteString("id"u8, call.CallId);
                    writer.WriteString("name"u8, call.Name);
                    writer.WritePropertyName("input"u8);
                    writer.WriteAny(call.Arguments ?? new Dictionary<string, object?>());
                    writer.WriteEndObject();
                    break;
            }
        }
    }

    /// <summary>What the model thought goes back only with its signature: without one the API refuses it.</summary>
    private static void WriteThinking(Utf8JsonWriter writer, ChatMessage message)
    {
        var text = "";
        foreach (var thinking in message.Contents.OfType<TextReasoningContent>())
        {
            text += thinking.Text;
            if (thinking.ProtectedData is not { } signature)
                continue;
            writer.WriteStartObject();
            if (text.Length == 0)
            {
                writer.WriteString("type"u8, "redacted_thinking"u8);
                writer.WriteString("data"u8, signature);
            }
            else
            {
                writer.WriteString("type"u8, "thinking"u8);
                writer.WriteString("thinking"u8, text);
                writer.WriteString("signature"u8, signature);
            }

            writer.WriteEndObject();
            text = "";
        }
    }

    private static void WriteSource(Utf8JsonWriter writer, bool isImage, string mediaType, DataContent? data, Uri? address)
    {
        if (!isImage && mediaType != "application/pdf")
            throw new ModelServerException(ModelServerFailure.BadRequest, $"Content of the type '{mediaType}' cannot be given to Anthropic; it takes text, pictures and PDF.");
        writer.WriteStartObject();
        writer.WriteString("type"u8, isImage ? "image"u8 : "document"u8);
        writer.WriteStartObject("source"u8);
        if (data is not null)
        {
            writer.WriteString("type"u8, "base64"u8);
            writer.WriteString("media_type"u8, mediaType);
            writer.WriteString("data"u8, data.Base64Data.Span);
        }
        else
        {
            writer.WriteString("type"u8, "url"u8);
            writer.WriteString("url"u8, address!.AbsoluteUri);
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}
