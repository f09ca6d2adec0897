using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Conclave.Agents.Actions;

/// <summary>JSON in one form only, so that equal values have equal hashes: RFC 8785 (JSON Canonicalization Scheme).</summary>
/// <remarks>Members are sorted by their UTF-16 units, there is no white space, text has the shortest escapes, and numbers are written as ECMAScript does.</remarks>
public static class CanonicalJson
{
    /// <summary>Deepest nesting; <see cref="JsonDocument"/> reads no deeper either.</summary>
    private const int Deepest = 64;

    /// <summary>The canonical form, in UTF-8.</summary>
    /// <exception cref="JsonException">A number is none of a double's, or the nesting is deeper than 64.</exception>
    public static byte[] Write(JsonElement value)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        Write(buffer, value, 0);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>The canonical form as text.</summary>
    /// <inheritdoc cref="Write(JsonElement)"/>
    public static string Text(JsonElement value) => Encoding.UTF8.GetString(Write(value));

    /// <summary>SHA-256 of the canonical form, as 64 lower-case hex digits.</summary>
    /// <inheritdoc cref="Write(JsonElement)"/>
    public static string Hash(JsonElement value) => Convert.ToHexStringLower(SHA256.HashData(Write(value)));

    private static void Write(ArrayBufferWriter<byte> buffer, JsonElement value, int depth)
    {
        if (depth > Deepest)
            throw new JsonException($"JSON is nested deeper than {Deepest} levels.");
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                WriteObject(buffer, value, depth);
                break;
            case JsonValueKind.Array:
                buffer.Write("["u8);
                var isFirst = true;
                foreach (var item in value.EnumerateArray())
                {
                    if (!isFirst)
                        buffer.Write(","u8);
                    isFirst = false;
                    Write(buffer, item, depth + 1);
                }

                buffer.Write("]"u8);
                break;
            case JsonValueKind.String:
                WriteText(buffer, value.GetString()!);
                break;
            case JsonValueKind.Number:
                WriteNumber(buffer, value);
                break;
            case JsonValueKind.True:
                buffer.Write("true"u8);
                break;
            case JsonValueKind.False:
                buffer.Write("false"u8);
                break;
            default:
                buffer.Write("null"u8);
                break;
        }
    }

    private static void WriteObject(ArrayBufferWriter<byte> buffer, JsonElement value, int depth)
    {
        // Of members with the same name the last one counts, as for whoever reads it into an object.
        var members = new SortedDictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var member in value.EnumerateObject())
            members[member.Name] = member.Value;
        buffer.Write("{"u8);
        var isFirst = true;
        foreach (var (name, member) in members)
        {
            if (!isFirst)
                buffer.Write(","u8);
            isFirst = false;
            WriteText(buffer, name);
            buffer.Write(":"u8);
            Write(buffer, member, depth + 1);
        }

        buffer.Write("}"u8);
    }

    private static void WriteText(ArrayBufferWriter<byte> buffer, string text)
    {
        buffer.Write("\""u8);
        var start = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c is >= ' ' and not ('"' or '\\'))
                continue;
            Copy(buffer, text.AsSpan(start, i - start));
            start = i + 1;
            switch (c)
            {
                case '"': buffer.Write("\\\""u8); break;
                case '\\': buffer.Write("\\\\"u8); break;
                case '\b': buffer.Write("\\b"u8); break;
                case '\f': buffer.Write("\\f"u8); break;
                case '\n': buffer.Write("\\n"u8); break;
                case '\r': buffer.Write("\\r"u8); break;
                case '\t': buffer.Write("\\t"u8); break;
                default: Copy(buffer, string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}")); break;
            }
        }

        Copy(buffer, text.AsSpan(start));
        buffer.Write("\""u8);
    }

    /// <summary>As <c>Number::toString</c> of ECMAScript: whole up to 21 digits, no exponent from 1e-7 on, else the shortest with one.</summary>
    private static void WriteNumber(ArrayBufferWriter<byte> buffer, JsonElement value)
    {
        if (!value.TryGetDouble(out var number) || !double.IsFinite(number))
            throw new JsonException($"{value.GetRawText()} is no number that other programs could read.");
        if (number == 0)
        {
            buffer.Write("0"u8);
            return;
        }

        // The shortest digits that read back as the same number.
        var (digits, exponent) = Digits(Math.Abs(number).ToString("R", CultureInfo.InvariantCulture));
        var text = new StringBuilder(number < 0 ? "-" : "");
        if (exponent is >= 0 and < 21)
        {
            text.Append(digits.Length > exponent + 1 ? $"{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}" : digits.PadRight(exponent + 1, '0'));
        }
        else if (exponent is < 0 and >= -7 + 1)
            text.Append("0.").Append('0', -exponent - 1).Append(digits);
        else
        {
            text.Append(digits[0]);
            if (digits.Length > 1)
                text.Append('.').Append(digits, 1, digits.Length - 1);
            text.Append('e').Append(exponent < 0 ? '-' : '+').Append(Math.Abs(exponent));
        }

        Copy(buffer, text.ToString());
    }

    /// <summary>Digits without zeros around them, and the power of ten of the first one.</summary>
    private static (string Digits, int Exponent) Digits(string shortest)
    {
        var mark = shortest.IndexOf('E', StringComparison.Ordinal);
        var power = mark < 0 ? 0 : int.Parse(shortest.AsSpan(mark + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        var mantissa = mark < 0 ? shortest : shortest[..mark];
        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        var before = point < 0 ? mantissa.Length : point;
        var digits = mantissa.Replace(".", "", StringComparison.Ordinal);
        var zeros = digits.Length - digits.TrimStart('0').Length;
        return (digits.Trim('0'), before - 1 - zeros + power);
    }

    private static void Copy(ArrayBufferWriter<byte> buffer, ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
            return;
        var span = buffer.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length));
        buffer.Advance(Encoding.UTF8.GetBytes(text, span));
    }
}
