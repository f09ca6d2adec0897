namespace Conclave.Workflows.Definitions;

/// <summary>A type that authors may give to variables, inputs and outputs.</summary>
/// <param name="TypeName">Alias, see <see cref="TypeAliases"/>.</param>
/// <param name="DisplayName">Name shown to authors.</param>
/// <param name="Category">Group in the picker.</param>
/// <param name="Description">What values of the type are, with an example.</param>
public sealed record VariableType(string TypeName, string DisplayName, string Category, string Description)
{
    private const string Primitives = "Primitives";
    private const string Lookups = "Lookups";
    private const string Dynamic = "Dynamic";
    private const string Data = "Data";
    private const string Http = "HTTP";

    /// <summary>The types, in the order of the picker. Each can also be a list.</summary>
    public static IReadOnlyList<VariableType> All { get; } =
    [
        new("Object", "Any", Primitives, "Any value, kept as it comes."),
        new("String", "Text", Primitives, "A text."),
        new("Boolean", "Boolean", Primitives, "True or false."),
        new("Int32", "Integer", Primitives, "A whole number from about -2 to 2 billion."),
        new("Int64", "Long integer", Primitives, "A whole number with up to 18 digits."),
        new("Single", "Single", Primitives, "A number with about 7 significant digits."),
        new("Double", "Double", Primitives, "A number with about 15 significant digits."),
        new("Decimal", "Decimal", Primitives, "An exact decimal number, for money."),
        new("Guid", "Guid", Primitives, "A globally unique id, for example 0198c5a1-5f4e-7c11-9d0b-3f6a2f1c77aa."),
        new("DateTime", "Date and time", Primitives, "A date with a time and no offset, for example 2026-12-24T18:00:00."),
        new("DateTimeOffset", "Date and time with offset", Primitives, "A moment, for example 2026-12-24T18:00:00+01:00."),
        new("TimeSpan", "Time span", Primitives, "A length of time, for example 00:05:00 or 3.00:00:00 for three days."),
        new("StringDictionary", "Map of texts", Lookups, "Texts by name."),
        new("ObjectDictionary", "Map of any values", Lookups, "Values of any kind by name."),
        new("JSON", "JSON", Dynamic, "Structured data of any shape; scripts read its members directly."),
        new("JsonElement", "JSON element", Dynamic, "Structured data of any shape. The same as JSON."),
        new("JsonNode", "JSON node", Dynamic, "Structured data of any shape. The same as JSON."),
        new("JsonObject", "JSON object", Dynamic, "An object with named members."),
        new("ByteArray", "Bytes", Data, "Binary data; written as base64."),
        new("Stream", "Stream", Data, "Binary data from elsewhere, kept as bytes."),
        new("HttpRequest", "HTTP request", Http, "What an HTTP endpoint received: method, path, query, headers, routeData and content."),
        new("HttpResponseMessage", "HTTP response", Http, "The answer to a request that was sent: statusCode, reasonPhrase, headers and content."),
        new("HttpHeaders", "HTTP headers", Http, "Lists of texts by the name of the header."),
        new("HttpRouteData", "HTTP route data", Http, "Values of the parameters in an endpoint's path, by name."),
        new("HttpFile", "HTTP file", Http, "A file: fileName, contentType, size and content in base64."),
        new("Downloadable", "Downloadable", Http, "A file to answer with: text or bytes, with a name and a content type."),
    ];
}
