using System.Buffers;
using System.Text.Json;

namespace Conclave.Agents.Turns;

/// <summary>A message of a conversation, in the shape of OpenAI's API: <c>{role, content, tool_calls?, tool_call_id?}</c>.</summary>
/// <param name="Role">user, assistant, tool or system.</param>
/// <param name="Body">The message as JSON, in UTF-8.</param>
public sealed record TurnMessage(string Role, byte[] Body)
{
    // Rough, for all languages and models: enough to keep prompts inside a context.
    private const int BytesPerToken = 4;
    private const int TokensAround = 4;

    /// <summary>How many tokens it takes, estimated: a quarter of its bytes and four.</summary>
    public int Tokens => (Body.Length / BytesPerToken) + TokensAround;

    /// <summary>What a person says.</summary>
    public static TurnMessage User(string content) => Write("user", content, default, null);

    /// <summary>What the agent says.</summary>
    /// <param name="content">The text; may be empty when it calls tools.</param>
    /// <param name="toolCalls">Calls of tools: a list of <c>{id, name, arguments}</c>; undefined for none.</param>
    public static TurnMessage Assistant(string content, JsonElement toolCalls) => Write("assistant", content, toolCalls, null);

    /// <summary>What a tool answered.</summary>
    /// <param name="callId">Id of the call.</param>
    /// <param name="content">The answer.</param>
    public static TurnMessage Tool(string callId, string content) => Write("tool", content, default, callId);

    /// <summary>The message as JSON.</summary>
    public JsonElement ToJson() => JsonElement.Parse(Body);

    private static TurnMessage Write(string role, string content, JsonElement toolCalls, string? callId)
    {
        var buffer = new ArrayBufferWriter<byte>(content.Length + 128);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("role"u8, role);
            writer.WriteString("content"u8, content);
            if (toolCalls.ValueKind == JsonValueKind.Array && toolCalls.GetArrayLength() > 0)
            {
                writer.WritePropertyName("tool_calls"u8);
                toolCalls.WriteTo(writer);
            }

            if (callId is not null)
                writer.WriteString("tool_call_id"u8, callId);
            writer.WriteEndObject();
        }

        return new TurnMessage(role, buffer.WrittenSpan.ToArray());
    }
}
