using System.Text.Json;
using System.Xml;

namespace Conclave.Agents.Packages;

/// <summary>Types of files that a package may bring, and how to tell that a file is what its name says.</summary>
internal static class AssetTypes
{
    private static readonly Dictionary<string, AssetType> ByEnding = new(StringComparer.Ordinal)
    {
        [".png"] = new("image/png", b => b.StartsWith((ReadOnlySpan<byte>)[0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])),
        [".jpg"] = new("image/jpeg", b => b.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF])),
        [".jpeg"] = new("image/jpeg", b => b.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF])),
        [".gif"] = new("image/gif", b => b.StartsWith("GIF87a"u8) || b.StartsWith("GIF89a"u8)),
        [".webp"] = new("image/webp", b => b.Length > 12 && b.StartsWith("RIFF"u8) && b[8..].StartsWith("WEBP"u8)),
        [".svg"] = new("image/svg+xml", IsHarmlessSvg),
        [".mp3"] = new("audio/mpeg", b => b.StartsWith("ID3"u8) || (b.Length > 1 && b[0] == 0xFF && (b[1] & 0xE0) == 0xE0)),
        [".ogg"] = new("audio/ogg", b => b.StartsWith("OggS"u8)),
        [".wav"] = new("audio/wav", b => b.Length > 12 && b.StartsWith("RIFF"u8) && b[8..].StartsWith("WAVE"u8)),
        [".md"] = new("text/markdown", IsText),
        [".txt"] = new("text/plain", IsText),
        [".csv"] = new("text/csv", IsText),
        [".json"] = new("application/json", IsJson),
    };

    /// <summary>Endings of names, with their dots.</summary>
    public static IReadOnlyCollection<string> Endings => ByEnding.Keys;

    /// <summary>The type of a file by its name; null when a package may not bring it.</summary>
    public static AssetType? Find(string path) => ByEnding.GetValueOrDefault(Path.GetExtension(path));

    private static bool IsText(ReadOnlySpan<byte> bytes) => !bytes.Contains((byte)0) && System.Text.Unicode.Utf8.IsValid(bytes);

    private static bool IsJson(ReadOnlySpan<byte> bytes)
    {
        try
        {
            var reader = new Utf8JsonReader(bytes);
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>SVG is a program where a browser opens it: no scripts, no handlers, nothing from elsewhere.</summary>
    private static bool IsHarmlessSvg(ReadOnlySpan<byte> bytes)
    {
        try
        {
            using var reader = XmlReader.Create(new MemoryStream(bytes.ToArray()), new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null, MaxCharactersInDocument = 4_000_000 });
            var isFirst = true;
            while (reader.Read())
            {
                if (reader.NodeType == XmlNodeType.ProcessingInstruction)
                    return false;
                if (reader.NodeType != XmlNodeType.Element)
                    continue;
                if (isFirst && reader.LocalName != "svg")
                    return false;
                isFirst = false;
                if (reader.LocalName.ToLowerInvariant() is "script" or "foreignobject" or "iframe" or "embed" or "object" or "handler" or "listener")
                    return false;
                while (reader.MoveToNextAttribute())
                {
                    var name = reader.LocalName.ToLowerInvariant();
                    var value = reader.Value.Trim();
                    if (name.StartsWith("on", StringComparison.Ordinal)
                        || (name == "href" && !value.StartsWith('#') && !value.StartsWith("data:image/", StringComparison.OrdinalIgnoreCase))
                        || value.Contains("javascript:", StringComparison.OrdinalIgnoreCase)
                        || value.Contains("url(http", StringComparison.OrdinalIgnoreCase))
                        return false;
                }
            }

            return !isFirst;
        }
        catch (XmlException)
        {
            return false;
        }
    }
}

/// <summary>A type of files.</summary>
/// <param name="MediaType">What it is to a browser.</param>
/// <param name="Fits">Whether bytes are of it, and harmless.</param>
internal sealed record AssetType(string MediaType, AssetType.Check Fits)
{
    /// <summary>Looks at the bytes of a file.</summary>
    public delegate bool Check(ReadOnlySpan<byte> bytes);
}
