using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Conclave.Workflows.Runtime.Journal;

/// <summary>Keeps the journal readable: a value over 64 KB is told, not kept.</summary>
internal static class LargeValues
{
    /// <summary>Largest value that is kept whole, in bytes.</summary>
    public const int Limit = 64 * 1024;

    private const int Shown = 1024;
    private const string Mark = " bytes; only the beginning is kept in the journal)";

    /// <summary>The value, or its beginning and its size when it is too large.</summary>
    public static object? Shorten(object? value) => value switch
    {
        string text when text.Length > Limit => Describe(text[..Shown], Encoding.UTF8.GetByteCount(text)),
        byte[] bytes when bytes.Length > Limit => Describe(Convert.ToBase64String(bytes.AsSpan(0, Shown)), bytes.Length),
        JsonElement { ValueKind: JsonValueKind.Object or JsonValueKind.Array or JsonValueKind.String } json
            when JsonMarshal.GetRawUtf8Value(json) is { Length: > Limit } raw => Describe(Encoding.UTF8.GetString(raw[..Shown]), raw.Length),
        _ => value,
    };

    /// <summary>Whether the journal has only the beginning of a value.</summary>
    public static bool IsShortened(object? value) => value is string text && text.EndsWith(Mark, StringComparison.Ordinal);

    private static string Describe(string beginning, long size) =>
        string.Create(CultureInfo.InvariantCulture, $"{beginning}… ({size:N0}{Mark}");
}
