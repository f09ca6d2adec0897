using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Unicode;

namespace Conclave.Workflows.Http;

/// <summary>Reads the path of a request as it was sent.</summary>
internal static class HttpPathText
{
    /// <summary>Kestrel allows no longer request line.</summary>
    public const int MaxLength = 8192;

    /// <summary>The path without the slashes around it.</summary>
    public static string Trim(string path)
    {
        var start = path.StartsWith('/') ? 1 : 0;
        var end = path.Length > start && path.EndsWith('/') ? path.Length - 1 : path.Length;
        return path[start..end];
    }

    /// <summary>Segments, each decoded once; null for a path that no endpoint must see.</summary>
    /// <remarks>
    /// Splitting comes before decoding, so that an encoded slash is data. Dot segments, also encoded ones, control characters and wrong
    /// encodings are refused: a proxy in front might have read them in another way.
    /// </remarks>
    public static string[]? Split(string trimmed)
    {
        var segments = trimmed.Length == 0 ? [] : trimmed.Split('/');
        for (var i = 0; i < segments.Length; i++)
        {
            if (Decode(segments[i]) is not { } decoded || HasDots(decoded) || decoded.Any(char.IsControl))
                return null;
            segments[i] = decoded;
        }

        return segments;
    }

    private static string? Decode(string text)
    {
        if (!text.Contains('%', StringComparison.Ordinal))
            return text;
        var bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        try
        {
            var count = 0;
            for (var i = 0; i < text.Length; i++)
            {
                if (text[i] != '%')
                {
                    if (!char.IsAscii(text[i]))
                        return null;
                    bytes[count++] = (byte)text[i];
                    continue;
                }

                if (i + 2 >= text.Length || !byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes[count++]))
                    return null;
                i += 2;
            }

            return Utf8.IsValid(bytes.AsSpan(0, count)) ? Encoding.UTF8.GetString(bytes, 0, count) : null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private static bool HasDots(string segment)
    {
        if (!segment.Contains('.', StringComparison.Ordinal))
            return false;
        foreach (var range in segment.AsSpan().SplitAny('/', '\\'))
        {
            if (segment.AsSpan(range) is "." or "..")
                return true;
        }

        return false;
    }
}
