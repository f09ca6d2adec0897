using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli;

/// <summary>JSON values of the text and nodes a command has.</summary>
internal static class JsonText
{
    public static JsonElement Of(string text) => JsonElement.Parse(JsonValue.Create(text).ToJsonString());

    /// <summary>A node that can be put into an object, or null for JSON's null.</summary>
    public static JsonNode? Node(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => JsonObject.Create(json),
        JsonValueKind.Array => JsonArray.Create(json),
        JsonValueKind.Undefined or JsonValueKind.Null => null,
        _ => JsonValue.Create(json),
    };

    public static JsonObject Node(IEnumerable<KeyValuePair<string, JsonElement>> values) =>
        new(values.Select(v => KeyValuePair.Create(v.Key, Node(v.Value))));
}
