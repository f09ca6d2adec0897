using System.Text.Json;

namespace Conclave.Cli.Server;

/// <summary>Reads answers without insisting on their shape: a missing member is undefined, and shows as nothing.</summary>
internal static class JsonMembers
{
    /// <summary>The first of the named members that is there and not null.</summary>
    public static JsonElement Member(this JsonElement json, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null)
                return value;
        }

        return default;
    }

    public static IEnumerable<JsonElement> Items(this JsonElement json) =>
        json.ValueKind == JsonValueKind.Array ? json.EnumerateArray() : Enumerable.Empty<JsonElement>();

    public static IEnumerable<JsonProperty> Properties(this JsonElement json) =>
        json.ValueKind == JsonValueKind.Object ? json.EnumerateObject() : Enumerable.Empty<JsonProperty>();

    /// <summary>A string as it is, anything else as JSON, nothing as the empty string.</summary>
    public static string Text(this JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.String => String(json),
        JsonValueKind.Undefined or JsonValueKind.Null => "",
        _ => json.GetRawText(),
    };

    public static string Text(this JsonElement json, params ReadOnlySpan<string> names) => json.Member(names).Text();

    public static string? TextOrNull(this JsonElement json, string name) => json.Text(name) is { Length: > 0 } text ? text : null;

    public static bool IsTrue(this JsonElement json, string name) => json.Member(name).ValueKind == JsonValueKind.True;

    public static long Number(this JsonElement json, string name) =>
        json.Member(name) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out var value) ? value : 0;

    private static string String(JsonElement json)
    {
        try
        {
            return json.GetString()!;
        }
        catch (InvalidOperationException)
        {
            // Escapes that are half a character, which JSON allows and text does not.
            return json.GetRawText();
        }
    }
}
