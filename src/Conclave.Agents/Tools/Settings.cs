using System.Text.Json;

namespace Conclave.Agents.Tools;

/// <summary>Reads what a kind's settings have.</summary>
internal static class Settings
{
    /// <summary>A text; null when there is none.</summary>
    public static string? Text(this JsonElement settings, string name) =>
        settings.ValueKind == JsonValueKind.Object && settings.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>A member; undefined when there is none.</summary>
    public static JsonElement Member(this JsonElement settings, string name) =>
        settings.ValueKind == JsonValueKind.Object && settings.TryGetProperty(name, out var value) ? value : default;

    /// <summary>Texts of an array; none when there is none.</summary>
    public static IEnumerable<string> Texts(this JsonElement settings, string name) => settings.Member(name) is { ValueKind: JsonValueKind.Array } array
        ? array.EnumerateArray().Where(i => i.ValueKind == JsonValueKind.String).Select(i => i.GetString()!) : [];

    /// <summary>Whether arguments have something that is not null, false, empty or missing.</summary>
    public static bool IsSet(this JsonElement arguments, string name) => arguments.Member(name) switch
    {
        { ValueKind: JsonValueKind.Undefined or JsonValueKind.Null or JsonValueKind.False } => false,
        { ValueKind: JsonValueKind.String } text => text.GetString()!.Length > 0,
        { ValueKind: JsonValueKind.Array } array => array.GetArrayLength() > 0,
        _ => true,
    };

    /// <summary>A value as the word of a command line or the part of a URL.</summary>
    public static string Word(this JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => value.GetRawText(),
    };
}
