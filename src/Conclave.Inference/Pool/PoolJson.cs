using System.Text.Json;
using System.Text.Json.Serialization;

namespace Conclave.Inference.Pool;

/// <summary>How models are written as JSON, in the database and in the API.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    Converters = [typeof(CapabilitiesConverter)])]
[JsonSerializable(typeof(IReadOnlyList<ServedModel>))]
[JsonSerializable(typeof(ServedModel))]
internal sealed partial class PoolJson : JsonSerializerContext;

/// <summary>Capabilities as an array of names.</summary>
internal sealed class CapabilitiesConverter : JsonConverter<ModelCapabilities>
{
    /// <summary>Every capability and its name.</summary>
    public static IReadOnlyList<(ModelCapabilities Value, string Name)> Names { get; } =
    [
        (ModelCapabilities.Chat, "chat"),
        (ModelCapabilities.Tools, "tools"),
        (ModelCapabilities.Vision, "vision"),
        (ModelCapabilities.JsonSchema, "json-schema"),
        (ModelCapabilities.Embeddings, "embeddings"),
        (ModelCapabilities.Thinking, "thinking"),
        (ModelCapabilities.Continue, "continue"),
    ];

    /// <summary>Their names.</summary>
    public static IEnumerable<string> NamesOf(ModelCapabilities capabilities) => Names.Where(n => capabilities.HasFlag(n.Value)).Select(n => n.Name);

    /// <summary>The capability of a name; null when there is none.</summary>
    public static ModelCapabilities? Find(string? name) => Names.Where(n => n.Name == name).Select(n => (ModelCapabilities?)n.Value).FirstOrDefault();

    /// <inheritdoc/>
    public override ModelCapabilities Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw new JsonException("Capabilities are an array of names.");
        var result = ModelCapabilities.None;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var name = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
            result |= Find(name) ?? throw new JsonException($"'{name}' is no capability. There are {string.Join(", ", Names.Select(n => n.Name))}.");
        }

        return result;
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, ModelCapabilities value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        foreach (var name in NamesOf(value))
            writer.WriteStringValue(name);
        writer.WriteEndArray();
    }
}
