using System.Globalization;
using System.Text;
using Conclave.Workflows.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace Conclave.Server.Webhooks;

/// <summary>Reads the fields and files of a form of several parts.</summary>
internal static class MultipartForm
{
    /// <summary>RFC 2046 section 5.1.1.</summary>
    private const int MaxBoundary = 70;

    /// <summary>A part of a form has three headers at most; some senders add a few.</summary>
    private const int MaxHeaders = 16;

    /// <summary>The request with what its body says.</summary>
    public static async ValueTask<HttpReadResult> ReadAsync(
        HttpRequestData request, MediaTypeHeaderValue type, bool keepsRawBody, WebhookOptions options, CancellationToken cancellationToken)
    {
        var boundary = HeaderUtilities.RemoveQuotes(type.Boundary).Value;
        if (string.IsNullOrEmpty(boundary) || boundary.Length > MaxBoundary)
            return Bad($"The Content-Type of a form must have a boundary of 1 to {MaxBoundary} characters.");
        var fields = new Dictionary<string, List<string>>(StringComparer.OrdinalIgnoreCase);
        var files = new List<HttpFileData>();
        using var body = new MemoryStream(request.Body, writable: false);
        var reader = new MultipartReader(boundary, body) { HeadersCountLimit = MaxHeaders, HeadersLengthLimit = options.MaxPartHeaderBytes };
        try
        {
            for (var count = 0; await reader.ReadNextSectionAsync(cancellationToken) is { } part; count++)
            {
                if (count == options.MaxParts)
                    return new(null, TooManyParts(options));
                if (!ContentDispositionHeaderValue.TryParse(part.ContentDisposition, out var disposition)
                    || !disposition.DispositionType.Equals("form-data", StringComparison.OrdinalIgnoreCase)
                    || HeaderUtilities.RemoveQuotes(disposition.Name).Value is not { Length: > 0 } name)
                    return Bad($"Part {count + 1} of the form has no Content-Disposition such as form-data; name=\"field\".");
                using var content = new MemoryStream();
                await part.Body.CopyToAsync(content, cancellationToken);
                if (FileName(disposition) is { } fileName)
                    files.Add(new HttpFileData(name, fileName, part.ContentType, content.ToArray()));
                else if (fields.TryGetValue(name, out var values))
                    values.Add(Text(part, content));
                else
                    fields.Add(name, [Text(part, content)]);
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException)
        {
            return Bad($"The form cannot be read: it is not made of parts that the boundary separates and ends, or the headers of a part are too large. {exception.Message}");
        }

        return new(
            request with
            {
                Form = fields.ToDictionary(f => f.Key, f => f.Value.ToArray(), StringComparer.OrdinalIgnoreCase),
                Files = files,
                Body = [],
                RawBody = keepsRawBody ? request.Body : null,
            },
            null);
    }

    public static HttpReadRefusal TooManyParts(WebhookOptions options) => new(
        StatusCodes.Status413PayloadTooLarge,
        "http_request.too_many_parts",
        string.Create(CultureInfo.InvariantCulture, $"The form has more than the {options.MaxParts:N0} fields and files that this server accepts."));

    private static HttpReadResult Bad(string detail) => new(null, new(StatusCodes.Status400BadRequest, "http_request.bad_form", detail));

    /// <summary>The name of a file without folders and control characters; null for a field.</summary>
    private static string? FileName(ContentDispositionHeaderValue disposition)
    {
        var given = disposition.FileNameStar.HasValue ? disposition.FileNameStar : HeaderUtilities.RemoveQuotes(disposition.FileName);
        if (given.Value is not { Length: > 0 } name)
            return null;
        name = string.Concat(name[(name.LastIndexOfAny(['/', '\\']) + 1)..].Where(c => !char.IsControl(c)));
        return name is "" or "." or ".." ? "file" : name;
    }

    private static string Text(MultipartSection part, MemoryStream content)
    {
        var encoding = Encoding.UTF8;
        if (MediaTypeHeaderValue.TryParse(part.ContentType, out var type) && type.Charset is { HasValue: true } charset)
        {
            try
            {
                encoding = Encoding.GetEncoding(HeaderUtilities.RemoveQuotes(charset).ToString());
            }
            catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
            {
                // Same as for whole bodies: what nobody knows is read as UTF-8.
            }
        }

        return encoding.GetString(content.GetBuffer(), 0, (int)content.Length);
    }
}
