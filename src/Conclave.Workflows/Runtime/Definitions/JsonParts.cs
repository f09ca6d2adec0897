using System.Text;
using System.Text.Json;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>
/// Where in a document its definitions are, and what each looks like, found without building anything: a list is never
/// parsed as a whole, so that each definition has limits and errors of its own.
/// </summary>
/// <param name="Kind">What the whole document is; for a list, of no meaning.</param>
/// <param name="Items">The entries of a list; null when the document is none. At most one more than allowed.</param>
internal readonly record struct JsonParts(JsonParts.Content Kind, List<JsonParts.Item>? Items)
{
    /// <summary>What a JSON value looks like from outside.</summary>
    public enum Content
    {
        /// <summary>Neither a root nor a definition id.</summary>
        Other,

        /// <summary>A definition id without a root.</summary>
        WithoutRoot,

        /// <summary>A root without a definition id.</summary>
        WithoutId,

        /// <summary>A root and a definition id, or something that only the reader can judge.</summary>
        Definition,
    }

    public readonly record struct Item(Range Range, Content Kind);

    private static readonly string[] Wrappers = ["items", "_items", "$values", "workflowDefinitions"];

    public static JsonParts Split(ReadOnlySpan<byte> json, PackageLimits limits)
    {
        var reader = NewReader(json, limits);
        try
        {
            if (!reader.Read())
                return new JsonParts(Content.Definition, null);
            if (reader.TokenType == JsonTokenType.StartArray)
            {
                var items = ReadItems(json, ref reader, limits);
                // Past the limit the rest does not matter.
                while (items.Count <= limits.MaxEntries && reader.Read())
                {
                }

                return new JsonParts(Content.Definition, items);
            }

            var kind = Judge(json, limits, out var list);
            return new JsonParts(kind, kind == Content.Other ? list : null);
        }
        catch (JsonException)
        {
            // The reader of definitions refuses it too, and says where.
            return new JsonParts(Content.Definition, null);
        }
    }

    private static List<Item> ReadItems(ReadOnlySpan<byte> json, ref Utf8JsonReader reader, PackageLimits limits)
    {
        var items = new List<Item>();
        while (items.Count <= limits.MaxEntries && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            var range = start..(int)reader.BytesConsumed;
            items.Add(new Item(range, Judge(json[range], limits, out _)));
        }

        return items;
    }

    private static Content Judge(ReadOnlySpan<byte> json, PackageLimits limits, out List<Item>? list)
    {
        list = null;
        var (hasId, hasRoot) = (false, false);
        var reader = NewReader(json, limits);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            while (reader.Read())
            {
            }

            return Content.Other;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            // Escaped and long names are none of those looked for.
            var name = reader.ValueIsEscaped || reader.ValueSpan.Length > 24 ? "" : Encoding.UTF8.GetString(reader.ValueSpan);
            reader.Read();
            if (name.Equals("definitionId", StringComparison.OrdinalIgnoreCase))
                hasId = reader.TokenType == JsonTokenType.String && !reader.ValueSpan.Trim(" \t"u8).IsEmpty;
            else if (name.Equals("root", StringComparison.OrdinalIgnoreCase))
                hasRoot = reader.TokenType is JsonTokenType.StartObject or JsonTokenType.Null;
            else if (list is null && reader.TokenType == JsonTokenType.StartArray && Array.IndexOf(Wrappers, name) >= 0)
                list = ReadWrapped(json, ref reader, limits);
            reader.Skip();
        }

        while (reader.Read())
        {
        }

        return (hasId, hasRoot) switch
        {
            (true, true) => Content.Definition,
            (true, false) => Content.WithoutRoot,
            (false, true) => Content.WithoutId,
            _ => Content.Other,
        };
    }

    private static List<Item> ReadWrapped(ReadOnlySpan<byte> json, ref Utf8JsonReader reader, PackageLimits limits)
    {
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        var inner = NewReader(json[start..(int)reader.BytesConsumed], limits);
        inner.Read();
        var items = ReadItems(json[start..(int)reader.BytesConsumed], ref inner, limits);
        return items.ConvertAll(item => item with { Range = (item.Range.Start.Value + start)..(item.Range.End.Value + start) });
    }

    // A list and its wrapper take two levels more than a definition.
    private static Utf8JsonReader NewReader(ReadOnlySpan<byte> json, PackageLimits limits) =>
        new(json, new JsonReaderOptions { MaxDepth = limits.Definition.MaxDepth + 4 });
}
