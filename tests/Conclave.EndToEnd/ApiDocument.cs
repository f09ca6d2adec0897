using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Conclave.EndToEnd;

/// <summary>The server's OpenAPI document. Answers are held against it: none may have what it does not name, or lack what it promises.</summary>
internal sealed partial class ApiDocument
{
    /// <summary>Elsa's format is open: whatever a file has is kept and shown.</summary>
    private static readonly HashSet<string> Open = ["ElsaDefinition", "ElsaDefinitionFile", "ElsaActivity", "ElsaVariable", "ElsaInput", "ElsaOutput", "ElsaOptions"];

    private readonly JsonElement _document;
    private readonly List<(string Method, Regex Path, int Literals, JsonElement Operation)> _operations = [];

    public ApiDocument(JsonElement document)
    {
        _document = document;
        foreach (var path in document.GetProperty("paths").EnumerateObject())
        {
            var pattern = new Regex($"^{Parameter().Replace(Regex.Escape(path.Name).Replace("\\{", "{"), "[^/]+")}/?$", RegexOptions.IgnoreCase);
            foreach (var operation in path.Value.EnumerateObject())
                _operations.Add((operation.Name.ToUpperInvariant(), pattern, path.Name.Split('/').Count(s => !s.StartsWith('{')), operation.Value));
        }
    }

    /// <summary>What is wrong with an answer; null when nothing is, or when the document is not about it.</summary>
    public string? FindProblem(string method, string path, int status, string? mediaType, ReadOnlyMemory<byte> body)
    {
        var operation = _operations.Where(o => o.Method == method && o.Path.IsMatch(path)).OrderByDescending(o => o.Literals).Select(o => (JsonElement?)o.Operation).FirstOrDefault();
        if (operation is not { } found)
            return null;
        var responses = found.GetProperty("responses");
        if (!responses.TryGetProperty(status.ToString(CultureInfo.InvariantCulture), out var response) && !responses.TryGetProperty("default", out response))
            return $"{method} {path} answered with {status}, which the document does not name.";
        var isJson = mediaType?.EndsWith("json", StringComparison.Ordinal) == true;
        if (!response.TryGetProperty("content", out var content))
            return body.Length == 0 || !isJson || responses.TryGetProperty("default", out _) ? null : $"{method} {path} answered {status} with a body, which the document does not name.";
        // Lines of JSON are held against nothing: the document has no words for a stream.
        if (body.Length == 0 || !isJson || mediaType == "application/x-ndjson")
            return null;
        if (!content.TryGetProperty(mediaType!, out var media))
            return $"{method} {path} answered {status} as {mediaType}, which the document does not name.";
        var problem = Check(JsonElement.Parse(body.Span, new JsonDocumentOptions { MaxDepth = 512 }), media.GetProperty("schema"), "");
        return problem is null ? null : $"{method} {path}, {status}: {problem}";
    }

    /// <summary>Holds JSON against a schema; the parts of JSON Schema that the document uses.</summary>
    private string? Check(JsonElement value, JsonElement schema, string at, bool isOpen = false)
    {
        if (schema.TryGetProperty("$ref", out var reference))
        {
            var name = reference.GetString()!.Split('/')[^1];
            return Check(value, _document.GetProperty("components").GetProperty("schemas").GetProperty(name), at, Open.Contains(name));
        }

        if (schema.TryGetProperty("oneOf", out var either))
            return either.EnumerateArray().Any(s => Check(value, s, at) is null) ? null : $"{at}: {value} is none of what is allowed";
        if (schema.TryGetProperty("type", out var type) && !TypesOf(type).Contains(TypeOf(value)) && !(TypeOf(value) == "integer" && TypesOf(type).Contains("number")))
            return $"{at}: {TypeOf(value)} instead of {type}";
        if (schema.TryGetProperty("enum", out var names) && value.ValueKind != JsonValueKind.Null && !names.EnumerateArray().Any(n => n.ToString() == value.ToString()))
            return $"{at}: {value} is not one of {names}";
        if (value.ValueKind == JsonValueKind.String && schema.TryGetProperty("format", out var format) && format.GetString() == "date-time" && !value.TryGetDateTimeOffset(out _))
            return $"{at}: {value} is no time";
        if (value.ValueKind == JsonValueKind.String && schema.TryGetProperty("pattern", out var pattern) && !Regex.IsMatch(value.GetString()!, pattern.GetString()!))
            return $"{at}: {value} does not match {pattern}";
        return value.ValueKind switch
        {
            JsonValueKind.Array when schema.TryGetProperty("items", out var items) => value.EnumerateArray().Select((item, i) => Check(item, items, $"{at}[{i}]")).FirstOrDefault(p => p is not null),
            JsonValueKind.Object => CheckMembers(value, schema, at, isOpen),
            _ => null,
        };
    }

    private string? CheckMembers(JsonElement value, JsonElement schema, string at, bool isOpen)
    {
        if (schema.TryGetProperty("required", out var required) && required.EnumerateArray().FirstOrDefault(r => !value.TryGetProperty(r.GetString()!, out _)) is { ValueKind: JsonValueKind.String } missing)
            return $"{at}.{missing} is missing";
        var hasMembers = schema.TryGetProperty("properties", out var members);
        var hasOthers = schema.TryGetProperty("additionalProperties", out var others) && others.ValueKind == JsonValueKind.Object;
        foreach (var member in value.EnumerateObject())
        {
            if (hasMembers && members.TryGetProperty(member.Name, out var known))
            {
                if (Check(member.Value, known, $"{at}.{member.Name}") is { } problem)
                    return problem;
            }
            else if (hasOthers)
            {
                if (Check(member.Value, others, $"{at}.{member.Name}") is { } problem)
                    return problem;
            }
            else if (hasMembers && !isOpen)
                return $"{at}.{member.Name} is not in the document";
        }

        return null;
    }

    private static IEnumerable<string?> TypesOf(JsonElement type) => type.ValueKind == JsonValueKind.Array ? type.EnumerateArray().Select(t => t.GetString()) : [type.GetString()];

    private static string TypeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "object",
        JsonValueKind.Array => "array",
        JsonValueKind.String => "string",
        JsonValueKind.Number => value.TryGetInt64(out _) ? "integer" : "number",
        JsonValueKind.Null => "null",
        _ => "boolean",
    };

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Parameter();
}
