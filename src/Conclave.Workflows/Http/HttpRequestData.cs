using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Http;

/// <summary>An HTTP request that arrived for a workflow: what starts or resumes an <c>HttpEndpoint</c>.</summary>
public sealed record HttpRequestData : IJsonValue
{
    private static readonly Dictionary<string, string[]> None = [];

    /// <summary>HTTP method in upper case.</summary>
    public required string Method { get; init; }

    /// <summary>Path below the base path of endpoints, without slashes at its ends.</summary>
    public required string Path { get; init; }

    /// <summary>Query as sent, with its question mark; empty when there is none.</summary>
    public string QueryString { get; init; } = "";

    /// <summary>Values of the query by name.</summary>
    public IReadOnlyDictionary<string, string[]> Query { get; init; } = None;

    /// <summary>Values of the headers by name.</summary>
    public IReadOnlyDictionary<string, string[]> Headers { get; init; } = None;

    /// <summary>Values of the parameters in the endpoint's path.</summary>
    public IReadOnlyDictionary<string, string> RouteData { get; init; } = new Dictionary<string, string>();

    /// <summary>Fields of a form; empty when the body is none, or is one that only has to be decoded.</summary>
    public IReadOnlyDictionary<string, string[]> Form { get; init; } = None;

    /// <summary>Files of a form.</summary>
    public IReadOnlyList<HttpFileData> Files { get; init; } = [];

    /// <summary>Body; empty for a form of several parts, whose fields and files are given instead.</summary>
    public byte[] Body { get; init; } = [];

    /// <summary>Bytes of a form of several parts as they were received, kept to check its signature; null when not kept, or when <see cref="Body"/> is that.</summary>
    public byte[]? RawBody { get; init; }

    /// <summary>When the request arrived, which is what signatures are judged by if it had to wait; null for now.</summary>
    public DateTimeOffset? ReceivedAt { get; init; }

    /// <summary>Media type of the body; null when the request does not say.</summary>
    public string? ContentType => Headers
        .FirstOrDefault(h => h.Key.Equals("Content-Type", StringComparison.OrdinalIgnoreCase)).Value?.FirstOrDefault();

    /// <summary>Values of a header, joined by commas as RFC 9110 has it; null when it is missing.</summary>
    public string? Header(string name) => Headers
        .FirstOrDefault(h => h.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value is { Length: > 0 } values ? string.Join(",", values) : null;

    /// <summary>Size of the body with its files, in bytes.</summary>
    public long Size => Body.LongLength + Files.Sum(f => f.Content.LongLength);

    /// <summary>The body as a workflow value: JSON and forms structured, text as text, anything else as bytes.</summary>
    public object? ParseContent() => Form.Count > 0 ? HttpBody.ToObject(Form) : HttpBody.Read(Body, ContentType);

    /// <summary>Writes everything, the body as base64, so that <see cref="From"/> can read it back.</summary>
    public void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        WriteMembers(writer);
        Write(writer, "form", Form);
        Write(writer, "files", Files);
        writer.WriteBase64String("body", Body);
        if (RawBody is not null)
            writer.WriteBase64String("rawBody", RawBody);
        if (ReceivedAt is { } receivedAt)
            writer.WriteString("receivedAt", receivedAt);
        writer.WriteEndObject();
    }

    /// <summary>What authors see as the request: bodies and files are left to the other outputs, content is parsed.</summary>
    internal JsonElement ToResult(object? content)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            WriteMembers(writer);
            writer.WriteString("contentType", ContentType);
            Write(writer, "content", content switch { byte[] => null, _ => content });
            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }

    /// <summary>Reads a request that came as itself or, after it was stored, as JSON.</summary>
    /// <returns>The request; null for null.</returns>
    /// <exception cref="WorkflowException">The value is no request.</exception>
    internal static HttpRequestData? From(object? value) => value switch
    {
        null => null,
        HttpRequestData request => request,
        JsonElement { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined } => null,
        JsonElement json when Read(json) is { } request => request,
        _ => throw new WorkflowException("http_endpoint.bad_request", "What started or resumed the HTTP endpoint is not a description of an HTTP request with a method and a path."),
    };

    private static HttpRequestData? Read(JsonElement json)
    {
        if (JsonShapes.GetString(json, "method") is not { } method || JsonShapes.GetString(json, "path") is not { } path)
            return null;
        return new HttpRequestData
        {
            Method = method,
            Path = path,
            QueryString = JsonShapes.GetString(json, "queryString") ?? "",
            Query = ReadValues(json, "query"),
            Headers = ReadValues(json, "headers"),
            RouteData = ReadValues(json, "routeData").ToDictionary(r => r.Key, r => r.Value.FirstOrDefault() ?? ""),
            Form = ReadValues(json, "form"),
            Files = JsonShapes.TryGet(json, "files", out var files) ? [.. JsonShapes.Items(files).Select(HttpFileData.Read).OfType<HttpFileData>()] : [],
            Body = ReadBytes(json, "body") ?? [],
            RawBody = ReadBytes(json, "rawBody"),
            ReceivedAt = JsonShapes.TryGet(json, "receivedAt", out var at) && at.ValueKind == JsonValueKind.String && at.TryGetDateTimeOffset(out var receivedAt) ? receivedAt : null,
        };
    }

    private static byte[]? ReadBytes(JsonElement json, string name) =>
        JsonShapes.TryGet(json, name, out var value) && value.ValueKind == JsonValueKind.String && value.TryGetBytesFromBase64(out var bytes) ? bytes : null;

    private void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteString("method", Method);
        writer.WriteString("path", Path);
        writer.WriteString("queryString", QueryString);
        Write(writer, "query", Query);
        Write(writer, "headers", Headers);
        Write(writer, "routeData", RouteData);
    }

    private static void Write(Utf8JsonWriter writer, string name, object? value)
    {
        writer.WritePropertyName(name);
        ValueConverter.WriteJson(writer, value);
    }

    private static Dictionary<string, string[]> ReadValues(JsonElement json, string name)
    {
        var values = new Dictionary<string, string[]>(StringComparer.OrdinalIgnoreCase);
        if (!JsonShapes.TryGet(json, name, out var map) || map.ValueKind != JsonValueKind.Object)
            return values;
        foreach (var property in map.EnumerateObject())
            values[property.Name] = [.. ValueConverter.Enumerate(ValueConverter.FromJson(property.Value)).Select(v => ValueConverter.ToText(v) ?? "")];
        return values;
    }
}
