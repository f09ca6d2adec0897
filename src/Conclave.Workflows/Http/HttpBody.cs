using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Http;

/// <summary>Turns workflow values into bodies of messages, and bodies into workflow values.</summary>
internal static class HttpBody
{
    private const string Form = "application/x-www-form-urlencoded";

    /// <summary>The bytes of a value: text as it is, bytes as they are, anything else as JSON, or as a form when the type says so.</summary>
    /// <param name="content">The value; null for an empty body.</param>
    /// <param name="contentType">Media type; null or empty chooses one that fits the value.</param>
    /// <param name="isJsonGuessed">Whether text that is a JSON object or array counts as JSON rather than plain text.</param>
    /// <exception cref="WorkflowException">The media type is not one.</exception>
    public static (byte[] Bytes, string? ContentType) Write(object? content, string? contentType, bool isJsonGuessed)
    {
        contentType = string.IsNullOrWhiteSpace(contentType) ? null : contentType.Trim();
        if (contentType is not null && !MediaTypeHeaderValue.TryParse(contentType, out _))
            throw new WorkflowException("http.bad_content_type", $"'{contentType}' is not a media type such as application/json.") { IsPermanent = true };
        if (content is JsonElement { ValueKind: not (JsonValueKind.Object or JsonValueKind.Array) } scalar)
            content = ValueConverter.FromJson(scalar);
        switch (content)
        {
            case null:
                return ([], contentType);
            case byte[] bytes:
                return (bytes, contentType ?? "application/octet-stream");
            case string text:
                return (Charset(contentType).GetBytes(text), contentType ?? (isJsonGuessed && IsJson(text) ? "application/json" : "text/plain; charset=utf-8"));
        }

        var json = ValueConverter.ToJson(content);
        if (json.ValueKind == JsonValueKind.Object && MediaType(contentType) == Form)
            return (Encoding.ASCII.GetBytes(ToForm(json)), contentType);
        return (Charset(contentType).GetBytes(json.GetRawText()), contentType ?? "application/json");
    }

    /// <summary>A body as a value: JSON and forms structured, text as text, anything else as bytes, an empty one as null.</summary>
    public static object? Read(byte[] body, string? contentType)
    {
        if (body.Length == 0)
            return null;
        var type = MediaType(contentType);
        if (IsJsonType(type))
        {
            try
            {
                return ValueConverter.FromJson(JsonElement.Parse(Charset(contentType) is UTF8Encoding ? WithoutByteOrderMark(body) : Encoding.UTF8.GetBytes(Text())));
            }
            catch (JsonException)
            {
                // What a server calls JSON may be an error page; the author still gets to see it.
                return Text();
            }
        }

        if (type == Form)
            return FromForm(Text());
        return IsText(type) ? Text() : body;

        string Text() => Charset(contentType).GetString(WithoutByteOrderMark(body));
    }

    /// <summary>Values of headers, fields or a query as an object: a single value as text, several as a list.</summary>
    public static JsonElement ToObject(IReadOnlyDictionary<string, string[]> values) =>
        ValueConverter.ToJson(values.ToDictionary(v => v.Key, v => v.Value.Length == 1 ? (object?)v.Value[0] : v.Value));

    private static string? MediaType(string? contentType) =>
        MediaTypeHeaderValue.TryParse(contentType, out var parsed) ? parsed.MediaType?.ToLowerInvariant() : null;

    private static bool IsJsonType(string? type) => type is "application/json" or "text/json" || type?.EndsWith("+json", StringComparison.Ordinal) == true;

    private static bool IsText(string? type) =>
        type is "application/xml" or "application/javascript" or "application/yaml"
        || type?.StartsWith("text/", StringComparison.Ordinal) == true
        || type?.EndsWith("+xml", StringComparison.Ordinal) == true;

    private static Encoding Charset(string? contentType)
    {
        if (!MediaTypeHeaderValue.TryParse(contentType, out var parsed) || parsed.CharSet is not { Length: > 0 } name)
            return Encoding.UTF8;
        try
        {
            return Encoding.GetEncoding(name.Trim('"'));
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            // UTF-7 is known but not supported; callers must not be able to make workflows fault by naming it.
            return Encoding.UTF8;
        }
    }

    private static ReadOnlySpan<byte> WithoutByteOrderMark(byte[] body) =>
        body.AsSpan().StartsWith("\uFEFF"u8) ? body.AsSpan(3) : body;

    private static bool IsJson(string text)
    {
        if (text.AsSpan().TrimStart() is not (['{', ..] or ['[', ..]))
            return false;
        try
        {
            JsonElement.Parse(text);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string ToForm(JsonElement json)
    {
        var fields = json.EnumerateObject().SelectMany(
            p => ValueConverter.Enumerate(ValueConverter.FromJson(p.Value)),
            (p, value) => string.Create(CultureInfo.InvariantCulture, $"{WebUtility.UrlEncode(p.Name)}={WebUtility.UrlEncode(ValueConverter.ToText(value))}"));
        return string.Join('&', fields);
    }

    private static JsonElement FromForm(string text)
    {
        var fields = text.Split('&', StringSplitOptions.RemoveEmptyEntries)
            .Select(pair => pair.Split('=', 2))
            .GroupBy(pair => WebUtility.UrlDecode(pair[0]), pair => pair.Length > 1 ? WebUtility.UrlDecode(pair[1]) : "");
        return ToObject(fields.ToDictionary(g => g.Key, g => g.ToArray()));
    }
}
