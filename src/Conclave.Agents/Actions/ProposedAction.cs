using System.Buffers;
using System.Text.Json;

namespace Conclave.Agents.Actions;

/// <summary>Exactly what an agent wants to do. What is approved, run and audited is this and nothing else.</summary>
/// <param name="Tenant">Whose agent.</param>
/// <param name="AgentId">The agent that wants it.</param>
/// <param name="Tool">Name of the tool.</param>
/// <param name="ToolHash">Hash of the tool's definition: another definition makes it another action.</param>
/// <param name="Arguments">Arguments as a JSON object.</param>
public sealed record ProposedAction(string Tenant, string AgentId, string Tool, string ToolHash, JsonElement Arguments)
{
    /// <summary>The action as canonical JSON: <c>{"agent":…,"arguments":{…},"tenant":…,"tool":…,"toolHash":…}</c>.</summary>
    public string Canonical => CanonicalJson.Text(ToJson());

    /// <summary>SHA-256 of <see cref="Canonical"/>, as 64 lower-case hex digits.</summary>
    public string Hash => CanonicalJson.Hash(ToJson());

    /// <summary>The same action with other arguments, as somebody who approves may have edited them.</summary>
    public ProposedAction With(JsonElement arguments) => new(Tenant, AgentId, Tool, ToolHash, arguments);

    /// <summary>The action as JSON.</summary>
    public JsonElement ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("agent"u8, AgentId);
            writer.WritePropertyName("arguments"u8);
            if (Arguments.ValueKind == JsonValueKind.Undefined)
                writer.WriteNullValue();
            else
                Arguments.WriteTo(writer);
            writer.WriteString("tenant"u8, Tenant);
            writer.WriteString("tool"u8, Tool);
            writer.WriteString("toolHash"u8, ToolHash);
            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.WrittenSpan);
    }

    /// <summary>Reads an action that <see cref="ToJson"/> wrote.</summary>
    /// <exception cref="JsonException">It is none.</exception>
    public static ProposedAction Read(JsonElement json)
    {
        return json.ValueKind == JsonValueKind.Object
            ? new ProposedAction(Text("tenant"), Text("agent"), Text("tool"), Text("toolHash"), json.TryGetProperty("arguments", out var arguments) ? arguments.Clone() : default)
            : throw new JsonException("An action must be a JSON object.");

        string Text(string name) => json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()! : throw new JsonException($"The action has no '{name}'.");
    }
}
