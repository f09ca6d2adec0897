using System.Text.Json;
using Conclave.Inference;

namespace Conclave.Server.Inference;

/// <summary>Reads members of requests; what does not fit is a <see cref="InferenceFailure.BadRequest"/> that names the member.</summary>
internal static class JsonReading
{
    /// <summary>A member; undefined when it is missing or null.</summary>
    public static JsonElement Member(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : default;

    /// <summary>A text; null when it is missing.</summary>
    public static string? Text(this JsonElement element, string name, string? path = null)
    {
        var value = element.Member(name);
        return value.ValueKind switch
        {
            JsonValueKind.Undefined => null,
            JsonValueKind.String => value.GetString(),
            _ => throw Bad(path ?? name, "must be a string"),
        };
    }

    /// <summary>A text that has to be there.</summary>
    public static string RequiredText(this JsonElement element, string name, string? path = null) =>
        element.Text(name, path) is { Length: > 0 } text ? text : throw Bad(path ?? name, "is missing");

    /// <summary>A number; null when it is missing.</summary>
    public static float? Number(this JsonElement element, string name, double min, double max)
    {
        var value = element.Member(name);
        if (value.ValueKind == JsonValueKind.Undefined)
            return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= min && number <= max
            ? (float)number
            : throw Bad(name, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"must be a number from {min} to {max}"));
    }

    /// <summary>A whole number; null when it is missing.</summary>
    public static int? Whole(this JsonElement element, string name, int min, int max)
    {
        var value = element.Member(name);
        if (value.ValueKind == JsonValueKind.Undefined)
            return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= min && number <= max
            ? number
            : throw Bad(name, $"must be a whole number from {min} to {max}");
    }

    /// <summary>Yes or no; the normal when it is missing.</summary>
    public static bool Flag(this JsonElement element, string name, bool normal)
    {
        var value = element.Member(name);
        return value.ValueKind switch
        {
            JsonValueKind.Undefined => normal,
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Bad(name, "must be true or false"),
        };
    }

    /// <summary>A text or a list of texts; null when it is missing.</summary>
    public static List<string>? Texts(this JsonElement element, string name)
    {
        var value = element.Member(name);
        return value.ValueKind switch
        {
            JsonValueKind.Undefined => null,
            JsonValueKind.String => [value.GetString()!],
            JsonValueKind.Array when value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) => [.. value.EnumerateArray().Select(item => item.GetString()!)],
            _ => throw Bad(name, "must be a string or a list of strings"),
        };
    }

    /// <summary>The items of a list; none when it is missing.</summary>
    public static JsonElement.ArrayEnumerator Items(this JsonElement element, string name, string? path = null)
    {
        var value = element.Member(name);
        return value.ValueKind switch
        {
            JsonValueKind.Undefined => default,
            JsonValueKind.Array => value.EnumerateArray(),
            _ => throw Bad(path ?? name, "must be a list"),
        };
    }

    /// <summary>An object that has to be one; undefined when it is missing.</summary>
    public static JsonElement Object(this JsonElement element, string name, string? path = null)
    {
        var value = element.Member(name);
        return value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Object ? value : throw Bad(path ?? name, "must be an object");
    }

    /// <summary>The error of a member.</summary>
    public static InferenceException Bad(string member, string problem) =>
        new(InferenceFailure.BadRequest, "inference.bad_request", $"'{member}' {problem}.") { Parameter = member };
}
