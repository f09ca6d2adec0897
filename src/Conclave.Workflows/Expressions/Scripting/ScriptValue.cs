using System.Text.Json;

namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>A value on its way into or out of a script: JSON, plus a .NET type that JSON cannot say.</summary>
/// <param name="Json">One JSON value in UTF-8; empty means null.</param>
/// <param name="Type">
/// One of <see cref="ScriptTypes"/>, or null for plain JSON. A <c>DateTime</c>, <c>DateTimeOffset</c>, <c>TimeSpan</c>
/// and <c>Guid</c> are JSON strings, <c>Bytes</c> is base64. <c>Decimal</c> and <c>Int64</c> may be strings on the way
/// in, where a number beyond 2^53 has to be one; <c>Int64</c> comes out as a number of any length.
/// </param>
public readonly record struct ScriptValue(ReadOnlyMemory<byte> Json, string? Type = null)
{
    private static readonly byte[] NullJson = "null"u8.ToArray();

    public static ScriptValue Null { get; } = new(NullJson);

    public bool IsNull => Json.IsEmpty || Json.Span.SequenceEqual(NullJson);

    /// <summary>Writes the value as the object <c>{"v": …, "t": …}</c> that scopes consist of.</summary>
    public void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WritePropertyName("v"u8);
        writer.WriteRawValue(IsNull ? NullJson : Json.Span, skipInputValidation: true);
        if (Type is not null) writer.WriteString("t"u8, Type);
        writer.WriteEndObject();
    }

    /// <summary>Parses the JSON.</summary>
    public JsonElement ToElement()
    {
        var options = new JsonReaderOptions { MaxDepth = ScriptTypes.MaxDepth };
        var reader = new Utf8JsonReader(IsNull ? NullJson : Json.Span, options);
        return JsonElement.ParseValue(ref reader);
    }

    public static ScriptValue FromString(string? text) =>
        text is null ? Null : new ScriptValue(JsonSerializer.SerializeToUtf8Bytes(text));
}

/// <summary>The types that <see cref="ScriptValue.Type"/> names.</summary>
public static class ScriptTypes
{
#pragma warning disable CA1720 // They are named after the types that they stand for.
    public const string DateTime = "DateTime";
    public const string DateTimeOffset = "DateTimeOffset";
    public const string TimeSpan = "TimeSpan";
    public const string Guid = "Guid";
    public const string Bytes = "Bytes";
    public const string Decimal = "Decimal";
    public const string Int64 = "Int64";
#pragma warning restore CA1720

    /// <summary>How deep JSON from a script may nest.</summary>
    public const int MaxDepth = 1000;

    internal static string? Intern(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("DateTime"u8) ? DateTime
        : reader.ValueTextEquals("DateTimeOffset"u8) ? DateTimeOffset
        : reader.ValueTextEquals("TimeSpan"u8) ? TimeSpan
        : reader.ValueTextEquals("Guid"u8) ? Guid
        : reader.ValueTextEquals("Bytes"u8) ? Bytes
        : reader.ValueTextEquals("Int64"u8) ? Int64
        : reader.GetString();
}
