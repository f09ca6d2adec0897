using System.Collections.Frozen;
using System.Text.Json;

namespace Conclave.Workflows.Definitions;

/// <summary>A type as definitions name it: the CLR type that values are converted to, and whether it is a list of it.</summary>
/// <param name="Clr">CLR type of one value; structured values are <see cref="JsonElement"/>, unknown types <see cref="object"/>.</param>
/// <param name="IsList">Whether the value is a list, kept as a <see cref="JsonElement"/> array.</param>
/// <param name="IsKnown">Whether the alias was recognised.</param>
/// <param name="IsMap">Whether a value must be an object with named members.</param>
public readonly record struct DataType(Type Clr, bool IsList, bool IsKnown, bool IsMap = false)
{
    /// <summary>Any value, not converted.</summary>
    public static DataType Any { get; } = new(typeof(object), false, true);
}

/// <summary>The type aliases of the Elsa 3 format. Names are case-insensitive.</summary>
public static class TypeAliases
{
    private static readonly FrozenDictionary<string, Type> Known = new Dictionary<string, Type>
    {
        ["Object"] = typeof(object),
        ["String"] = typeof(string),
        ["Boolean"] = typeof(bool),
        ["Bool"] = typeof(bool),
        ["Int16"] = typeof(short),
        ["Int32"] = typeof(int),
        ["Int64"] = typeof(long),
        ["Long"] = typeof(long),
        ["Single"] = typeof(float),
        ["Double"] = typeof(double),
        ["Decimal"] = typeof(decimal),
        ["Guid"] = typeof(Guid),
        ["DateTime"] = typeof(DateTime),
        ["DateTimeOffset"] = typeof(DateTimeOffset),
        ["TimeSpan"] = typeof(TimeSpan),
        ["Uri"] = typeof(Uri),
        ["ByteArray"] = typeof(byte[]),
        ["Byte[]"] = typeof(byte[]),
        ["Stream"] = typeof(object),
        ["JSON"] = typeof(JsonElement),
        ["JsonElement"] = typeof(JsonElement),
        ["JsonNode"] = typeof(JsonElement),
        ["JsonObject"] = typeof(JsonElement),
        ["JsonArray"] = typeof(JsonElement),
        ["StringDictionary"] = typeof(JsonElement),
        ["ObjectDictionary"] = typeof(JsonElement),
        ["StringMap"] = typeof(JsonElement),
        ["ObjectMap"] = typeof(JsonElement),
        ["HttpRequest"] = typeof(object),
        ["HttpResponse"] = typeof(object),
        ["HttpResponseMessage"] = typeof(object),
        ["HttpHeaders"] = typeof(object),
        ["HttpRouteData"] = typeof(object),
        ["IFormFile"] = typeof(object),
        ["HttpFile"] = typeof(object),
        ["Downloadable"] = typeof(object),
    }.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenSet<string> Maps = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase, "JsonObject", "StringDictionary", "ObjectDictionary", "StringMap", "ObjectMap");

    /// <summary>Generic collections, each written <c>Name&lt;X&gt;</c>.</summary>
    private static readonly string[] Lists =
    [
        "List", "HashSet", "Collection", "IEnumerable", "ICollection", "IList", "IReadOnlyCollection", "IReadOnlyList", "ISet",
    ];

    /// <summary>Longer names are unknown; each <c>[]</c> of a hostile one would cost a level of recursion.</summary>
    private const int LongestAlias = 1024;

    /// <summary>Every alias that is not a collection, for pickers.</summary>
    public static IEnumerable<string> Names => Known.Keys;

    /// <summary>Resolves an alias; an unknown one is <see cref="DataType.Any"/> with <see cref="DataType.IsKnown"/> false.</summary>
    public static DataType Resolve(string? alias, bool isArray = false)
    {
        if (string.IsNullOrEmpty(alias))
            return DataType.Any with { IsList = isArray };
        if (alias.Length > LongestAlias)
            return new DataType(typeof(object), isArray, false);
        if (Known.TryGetValue(alias, out var type))
            return new DataType(type, isArray, true, Maps.Contains(alias));
        var name = alias.AsSpan().Trim().TrimEnd('?');
        if (name.EndsWith("[]"))
            return Resolve(name[..^2].ToString()) with { IsList = true };
        var open = name.IndexOf('<');
        if (open > 0 && name.EndsWith(">"))
        {
            var outer = name[..open].ToString();
            var inner = name[(open + 1)..^1];
            if (Array.Exists(Lists, l => l.Equals(outer, StringComparison.OrdinalIgnoreCase)))
                return Resolve(inner.ToString()) with { IsList = true };
            if (outer.EndsWith("Dictionary", StringComparison.OrdinalIgnoreCase))
                return new DataType(typeof(JsonElement), isArray, true, IsMap: true);
        }

        if (Known.TryGetValue(name.ToString(), out type))
            return new DataType(type, isArray, true);
        return new DataType(typeof(object), isArray, false);
    }
}
