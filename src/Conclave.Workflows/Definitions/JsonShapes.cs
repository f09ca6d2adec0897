using System.Collections.Frozen;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Conclave.Workflows.Definitions;

/// <summary>Reads the JSON shapes that definitions of different ages use for the same thing.</summary>
internal static class JsonShapes
{
    private static readonly string[] ItemWrappers = ["$values", "_items", "items"];

    /// <summary>The items of an array, or of an object that wraps one (<c>$values</c>, <c>_items</c>, <c>items</c>).</summary>
    public static JsonElement.ArrayEnumerator Items(JsonElement element) =>
        Unwrap(element) is { ValueKind: JsonValueKind.Array } array ? array.EnumerateArray() : default;

    /// <summary>The array inside a wrapper object, or the element itself.</summary>
    public static JsonElement Unwrap(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Object)
            return element;
        foreach (var name in ItemWrappers)
        {
            if (element.TryGetProperty(name, out var items) && items.ValueKind == JsonValueKind.Array)
                return items;
        }

        return element;
    }

    /// <summary>Looks a property's name up without allocating it.</summary>
    public static bool TryFind<T>(
        FrozenDictionary<string, T>.AlternateLookup<ReadOnlySpan<char>> lookup, JsonProperty property, out T? value)
    {
        var raw = JsonMarshal.GetRawUtf8PropertyName(property);
        if (raw.Length > 128 || raw.Contains((byte)'\\'))
            return lookup.TryGetValue(property.Name, out value);
        Span<char> name = stackalloc char[raw.Length];
        var length = Encoding.UTF8.GetChars(raw, name);
        return lookup.TryGetValue(name[..length], out value);
    }

    /// <summary>Finds a property whatever the case of its name; exact matches win.</summary>
    public static bool TryGet(JsonElement element, string name, out JsonElement value)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            value = default;
            return false;
        }

        if (element.TryGetProperty(name, out value))
            return true;
        foreach (var property in element.EnumerateObject())
        {
            if (!property.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                continue;
            value = property.Value;
            return true;
        }

        return false;
    }

    /// <summary>The members of an object that have a value and are none of these names, whatever their case.</summary>
    public static IReadOnlyList<KeyValuePair<string, JsonElement>> Others(JsonElement element, FrozenSet<string> known)
    {
        List<KeyValuePair<string, JsonElement>>? others = null;
        if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in element.EnumerateObject())
            {
                if (property.Value.ValueKind != JsonValueKind.Null && !known.Contains(property.Name))
                    (others ??= []).Add(new(property.Name, property.Value));
            }
        }

        return others ?? (IReadOnlyList<KeyValuePair<string, JsonElement>>)[];
    }

    /// <summary>A string member, or null when it is missing or not a string.</summary>
    public static string? GetString(JsonElement element, string name) =>
        TryGet(element, name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>A boolean member given as <c>true</c>, <c>false</c> or their text; null when missing.</summary>
    public static bool? GetBoolean(JsonElement element, string name) =>
        TryGet(element, name, out var value) ? AsBoolean(value) : null;

    /// <summary>A boolean given as <c>true</c>, <c>false</c> or their text; null otherwise.</summary>
    public static bool? AsBoolean(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.String when bool.TryParse(value.GetString(), out var parsed) => parsed,
        _ => null,
    };
}
