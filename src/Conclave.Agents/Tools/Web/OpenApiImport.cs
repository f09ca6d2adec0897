using System.Buffers;
using System.Text.Json;
using Conclave.Agents.Tools.Workflows;

namespace Conclave.Agents.Tools.Web;

/// <summary>Makes HTTP tools of an OpenAPI document (3.0 and 3.1): one for each operation.</summary>
/// <remarks>Reading methods give tools that read only, DELETE and PUT ones that may destroy; all reach out. Security schemes give headers with <c>{{key:NAME}}</c>, whose values are settings.</remarks>
public static class OpenApiImport
{
    private const int MostOperations = 200;
    private const int MostReferences = 200;
    private static readonly string[] Methods = ["get", "head", "post", "put", "patch", "delete"];

    /// <summary>Reads a document.</summary>
    /// <param name="prefix">What names of tools begin with.</param>
    /// <param name="document">The document as JSON.</param>
    /// <param name="baseUrl">Where the API is; null takes the document's first server.</param>
    /// <param name="problems">Receives what was left out and why, a sentence each.</param>
    /// <exception cref="FormatException">It is no OpenAPI document, or says not where the API is.</exception>
    public static IReadOnlyList<ToolDefinition> Read(string prefix, JsonElement document, string? baseUrl, out IReadOnlyList<string> problems)
    {
        if (document.Text("openapi") is not { } version || !version.StartsWith("3.", StringComparison.Ordinal))
            throw new FormatException("This is no OpenAPI 3 document: it has no 'openapi' of 3.x.");
        var address = baseUrl ?? (document.Member("servers") is { ValueKind: JsonValueKind.Array } servers && servers.GetArrayLength() > 0 ? servers[0].Text("url") : null);
        if (!Uri.TryCreate(address, UriKind.Absolute, out var root) || root.Scheme is not ("http" or "https"))
            throw new FormatException($"The document does not say where the API is ('{address}'). Give its address as baseUrl.");
        var (tools, left) = (new List<ToolDefinition>(), new List<string>());
        foreach (var path in document.Member("paths") is { ValueKind: JsonValueKind.Object } paths ? paths.EnumerateObject().ToArray() : [])
        {
            foreach (var method in Methods)
            {
                if (path.Value.Member(method) is not { ValueKind: JsonValueKind.Object } operation)
                    continue;
                if (tools.Count == MostOperations)
                {
                    left.Add($"Only the first {MostOperations} operations are imported.");
                    problems = left;
                    return tools;
                }

                try
                {
                    var tool = Tool(prefix, document, root, path.Name, path.Value, method, operation);
                    if (ToolDefinitionReader.Read(tool, out var wrong) is not { } definition)
                        left.Add($"{method.ToUpperInvariant()} {path.Name}: {string.Join(" ", wrong)}");
                    else if (tools.Exists(t => t.Name == definition.Name))
                        left.Add($"{method.ToUpperInvariant()} {path.Name}: another operation is called '{definition.Name}', too.");
                    else
                        tools.Add(definition);
                }
                catch (FormatException exception)
                {
                    left.Add($"{method.ToUpperInvariant()} {path.Name}: {exception.Message}");
                }
            }
        }

        problems = left;
        return tools;
    }

    private static JsonElement Tool(string prefix, JsonElement document, Uri root, string path, JsonElement item, string method, JsonElement operation)
    {
        var references = new SortedDictionary<string, JsonElement>(StringComparer.Ordinal);
        var parameters = new SortedDictionary<string, (string In, JsonElement Schema, string? Description, bool IsRequired)>(StringComparer.Ordinal);
        foreach (var given in Items(item, "parameters").Concat(Items(operation, "parameters")).Select(p => Resolve(document, p)))
        {
            if (given.Text("name") is { } name && given.Text("in") is { } place and ("path" or "query" or "header"))
                parameters[name] = (place, given.Member("schema"), given.Text("description"), place == "path" || given.Member("required").ValueKind == JsonValueKind.True);
        }

        var body = Resolve(document, operation.Member("requestBody"));
        var bodySchema = body.Member("content").Member("application/json").Member("schema");
        if (body.ValueKind == JsonValueKind.Object && bodySchema.ValueKind == JsonValueKind.Undefined && body.Member("required").ValueKind == JsonValueKind.True)
            throw new FormatException("its body is not JSON.");
        var bodyName = parameters.ContainsKey("body") ? "requestBody" : "body";
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("name", WorkflowToolSource.ToName($"{prefix}-{operation.Text("operationId") ?? $"{method}-{path}"}"));
            writer.WriteString("category", "http");
            var description = $"{operation.Text("summary")}\n{operation.Text("description")}".Trim();
            writer.WriteString("description", description.Length == 0 ? $"{method.ToUpperInvariant()} {path} of {root.Host}." : description[..Math.Min(description.Length, 4_000)]);
            writer.WriteString("kind", ToolKinds.Http);
            writer.WriteStartObject("settings");
            writer.WriteString("method", method.ToUpperInvariant());
            writer.WriteString("url", root.AbsoluteUri.TrimEnd('/') + path.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal));
            writer.WriteStartArray("query");
            foreach (var (name, parameter) in parameters.Where(p => p.Value.In == "query"))
                writer.WriteStringValue(name);
            foreach (var (name, _) in Keys(prefix, document, operation).Where(k => k.Value.In == "query"))
                throw new FormatException($"its key '{name}' goes into the URL, where it would be logged.");
            writer.WriteEndArray();
            writer.WriteStartObject("headers");
            foreach (var (name, parameter) in parameters.Where(p => p.Value.In == "header"))
                writer.WriteString(name, $"{{{{{name}}}}}");
            foreach (var (_, key) in Keys(prefix, document, operation))
                writer.WriteString(key.Header, key.Value);
            writer.WriteEndObject();
            if (bodySchema.ValueKind != JsonValueKind.Undefined)
                writer.WriteString("body", bodyName);
            writer.WriteEndObject();
            writer.WriteStartObject("permissions");
            writer.WriteStartArray("network");
            writer.WriteStringValue($"{root.IdnHost}:{root.Port}");
            writer.WriteEndArray();
            writer.WriteEndObject();
            writer.WriteStartObject("annotations");
            writer.WriteBoolean("readOnly", method is "get" or "head");
            writer.WriteBoolean("destructive", method is "delete" or "put");
            writer.WriteBoolean("idempotent", method is "get" or "head" or "put" or "delete");
            writer.WriteBoolean("openWorld", true);
            writer.WriteEndObject();
            writer.WriteString("risk", method is "get" or "head" ? "low" : "medium");
            writer.WriteNumber("concurrency", 4);
            writer.WriteStartObject("parameters");
            writer.WriteString("type", "object");
            writer.WriteStartObject("properties");
            foreach (var (name, parameter) in parameters)
            {
                writer.WritePropertyName(name);
                WriteSchema(writer, document, parameter.Schema, references, parameter.Description);
            }

            if (bodySchema.ValueKind != JsonValueKind.Undefined)
            {
                writer.WritePropertyName(bodyName);
                WriteSchema(writer, document, bodySchema, references, body.Text("description"));
            }

            writer.WriteEndObject();
            writer.WriteStartArray("required");
            foreach (var (name, parameter) in parameters.Where(p => p.Value.IsRequired))
                writer.WriteStringValue(name);
            if (bodySchema.ValueKind != JsonValueKind.Undefined && body.Member("required").ValueKind == JsonValueKind.True)
                writer.WriteStringValue(bodyName);
            writer.WriteEndArray();
            writer.WriteBoolean("additionalProperties", false);
            if (references.Count > 0)
            {
                writer.WriteStartObject("$defs");
                var written = new HashSet<string>(StringComparer.Ordinal);
                // What is written may refer to more.
                while (references.Keys.FirstOrDefault(r => !written.Contains(r)) is { } next)
                {
                    if (written.Count == MostReferences)
                        throw new FormatException($"its schemas refer to more than {MostReferences} others.");
                    written.Add(next);
                    writer.WritePropertyName(next);
                    WriteSchema(writer, document, references[next], references, null);
                }

                writer.WriteEndObject();
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.WrittenSpan);
    }

    /// <summary>Writes a schema: references to the document's own become those of the tool's, and 3.0's <c>nullable</c> a type.</summary>
    private static void WriteSchema(Utf8JsonWriter writer, JsonElement document, JsonElement schema, SortedDictionary<string, JsonElement> references, string? description)
    {
        if (schema.ValueKind is not JsonValueKind.Object)
        {
            writer.WriteStartObject();
            if (description is not null)
                writer.WriteString("description", description);
            writer.WriteEndObject();
            return;
        }

        writer.WriteStartObject();
        var isNullable = schema.Member("nullable").ValueKind == JsonValueKind.True;
        foreach (var member in schema.EnumerateObject())
        {
            switch (member.Name)
            {
                case "$ref" when member.Value.ValueKind == JsonValueKind.String:
                    const string Own = "#/components/schemas/";
                    var reference = member.Value.GetString()!;
                    if (!reference.StartsWith(Own, StringComparison.Ordinal) || document.Member("components").Member("schemas").Member(reference[Own.Length..]) is not { ValueKind: JsonValueKind.Object } target)
                        throw new FormatException($"it refers to '{reference}', which is not in the document.");
                    references.TryAdd(reference[Own.Length..], target);
                    writer.WriteString("$ref", $"#/$defs/{reference[Own.Length..]}");
                    break;
                case "type" when isNullable && member.Value.ValueKind == JsonValueKind.String:
                    writer.WriteStartArray("type");
                    member.Value.WriteTo(writer);
                    writer.WriteStringValue("null");
                    writer.WriteEndArray();
                    break;
                case "nullable" or "example" or "examples" or "xml" or "externalDocs" or "discriminator" or "$schema" or "$id":
                    break;
                case "exclusiveMinimum" or "exclusiveMaximum" when member.Value.ValueKind is JsonValueKind.True or JsonValueKind.False:
                    // 3.0 says only whether the limit itself is out, which decides nothing here.
                    break;
                case "items" or "not" or "additionalProperties" when member.Value.ValueKind == JsonValueKind.Object:
                    writer.WritePropertyName(member.Name);
                    WriteSchema(writer, document, member.Value, references, null);
                    break;
                case "properties" when member.Value.ValueKind == JsonValueKind.Object:
                    writer.WriteStartObject("properties");
                    foreach (var property in member.Value.EnumerateObject())
                    {
                        writer.WritePropertyName(property.Name);
                        WriteSchema(writer, document, property.Value, references, null);
                    }

                    writer.WriteEndObject();
                    break;
                case "allOf" or "anyOf" or "oneOf" when member.Value.ValueKind == JsonValueKind.Array:
                    writer.WriteStartArray(member.Name);
                    foreach (var part in member.Value.EnumerateArray())
                        WriteSchema(writer, document, part, references, null);
                    writer.WriteEndArray();
                    break;
                case "description" when description is not null:
                    break;
                default:
                    member.WriteTo(writer);
                    break;
            }
        }

        if (description is not null)
            writer.WriteString("description", description[..Math.Min(description.Length, 1_000)]);
        writer.WriteEndObject();
    }

    /// <summary>The keys that an operation needs: header, value, and where the document wants them.</summary>
    private static IEnumerable<(string Name, (string In, string Header, string Value) Value)> Keys(string prefix, JsonElement document, JsonElement operation)
    {
        var wanted = operation.Member("security") is { ValueKind: JsonValueKind.Array } own ? own : document.Member("security");
        if (wanted.ValueKind != JsonValueKind.Array || wanted.GetArrayLength() == 0)
            yield break;
        foreach (var need in wanted[0].EnumerateObject())
        {
            var scheme = Resolve(document, document.Member("components").Member("securitySchemes").Member(need.Name));
            var key = $"{{{{key:{prefix}-{need.Name}}}}}";
            switch (scheme.Text("type"), scheme.Text("scheme")?.ToLowerInvariant())
            {
                case ("apiKey", _) when scheme.Text("in") is "header" or "query":
                    yield return (need.Name, (scheme.Text("in")!, scheme.Text("name") ?? "Authorization", key));
                    break;
                case ("http", "basic"):
                    yield return (need.Name, ("header", "Authorization", $"Basic {key}"));
                    break;
                case ("http", _) or ("oauth2", _) or ("openIdConnect", _):
                    yield return (need.Name, ("header", "Authorization", $"Bearer {key}"));
                    break;
            }
        }
    }

    private static JsonElement Resolve(JsonElement document, JsonElement value)
    {
        for (var i = 0; i < 8 && value.Text("$ref") is { } reference; i++)
        {
            if (!reference.StartsWith("#/", StringComparison.Ordinal))
                throw new FormatException($"it refers to another document: '{reference}'.");
            value = reference[2..].Split('/').Aggregate(document, (at, part) => at.Member(part.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)));
        }

        return value;
    }

    private static JsonElement[] Items(JsonElement value, string name) => value.Member(name) is { ValueKind: JsonValueKind.Array } array ? [.. array.EnumerateArray()] : [];
}
