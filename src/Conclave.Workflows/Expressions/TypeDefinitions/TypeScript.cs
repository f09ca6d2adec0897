namespace Conclave.Workflows.Expressions;

/// <summary>TypeScript's types for the types of definitions.</summary>
internal static class TypeScript
{
    private const string Any = "any";

    private static readonly string[] Lists = ["List", "HashSet", "Collection", "IEnumerable", "ICollection", "IList", "IReadOnlyCollection", "IReadOnlyList", "ISet"];

    /// <summary>The type of the values that a script gets.</summary>
    /// <param name="alias">Alias, see <see cref="Definitions.TypeAliases"/>.</param>
    /// <param name="isArray">Whether the value is a list of it.</param>
    public static string TypeOf(string? alias, bool isArray = false)
    {
        var name = (alias ?? "").Trim();
        if (isArray)
            return ListOf(TypeOf(name));
        if (name.EndsWith('?'))
            return TypeOf(name[..^1]) is var inner && inner != Any ? $"{inner} | null" : Any;
        if (name.EndsWith("[]", StringComparison.Ordinal) && !name.Equals("Byte[]", StringComparison.OrdinalIgnoreCase))
            return ListOf(TypeOf(name[..^2]));
        if (name.EndsWith('>') && name.IndexOf('<', StringComparison.Ordinal) is > 0 and var open && Lists.Contains(name[..open], StringComparer.OrdinalIgnoreCase))
            return ListOf(TypeOf(name[(open + 1)..^1]));
        return name.ToUpperInvariant() switch
        {
            "STRING" or "URI" => "string",
            "BOOLEAN" or "BOOL" => "boolean",
            "INT16" or "INT32" or "INT64" or "LONG" or "SINGLE" or "DOUBLE" or "DECIMAL" => "number",
            "GUID" => "Guid",
            "DATETIME" => "DateTime",
            "DATETIMEOFFSET" => "DateTimeOffset",
            "TIMESPAN" => "TimeSpan",
            "BYTEARRAY" or "BYTE[]" => "Uint8Array",
            "JSONARRAY" => "any[]",
            "STRINGDICTIONARY" or "STRINGMAP" or "HTTPROUTEDATA" => "{ [name: string]: string }",
            "JSONOBJECT" or "OBJECTDICTIONARY" or "OBJECTMAP" => "{ [name: string]: any }",
            "HTTPHEADERS" => "{ [name: string]: string | string[] }",
            "HTTPREQUEST" => "HttpRequest",
            "HTTPRESPONSEMESSAGE" => "HttpResponseMessage",
            "HTTPFILE" => "HttpFile",
            _ => Any,
        };
    }

    /// <summary>A type that takes values of each of some types.</summary>
    public static string Union(IEnumerable<string> types)
    {
        var distinct = types.Distinct().ToList();
        return distinct.Contains(Any) ? Any : string.Join(" | ", distinct);
    }

    private static string ListOf(string type) => type.Contains('|', StringComparison.Ordinal) ? $"({type})[]" : $"{type}[]";
}
