using System.Globalization;

namespace Conclave.Workflows.Http;

/// <summary>What an endpoint accepts.</summary>
/// <param name="RequestSize">Largest request in bytes; null for no limit.</param>
/// <param name="FileSize">Largest file in bytes; null for no limit.</param>
/// <param name="AllowedExtensions">File extensions to accept, with or without dot; empty for all.</param>
/// <param name="BlockedExtensions">File extensions to refuse.</param>
/// <param name="AllowedMediaTypes">Media types of files to accept, <c>image/*</c> for a group; empty for all.</param>
public sealed record HttpEndpointLimits(
    long? RequestSize,
    long? FileSize,
    IReadOnlyList<string> AllowedExtensions,
    IReadOnlyList<string> BlockedExtensions,
    IReadOnlyList<string> AllowedMediaTypes)
{
    internal const string RequestTooLarge = "Request too large";
    internal const string FileTooLarge = "File too large";
    internal const string InvalidExtension = "Invalid file extension";
    internal const string InvalidMediaType = "Invalid file MIME type";

    /// <summary>Checks a request; null when it is acceptable.</summary>
    public HttpEndpointRefusal? Check(HttpRequestData request)
    {
        if (request.Size > RequestSize)
            return new(RequestTooLarge, 413, "http_endpoint.request_too_large", string.Create(CultureInfo.InvariantCulture, $"The request has {request.Size:N0} bytes; at most {RequestSize:N0} are accepted."));
        foreach (var file in request.Files)
        {
            if (file.Content.LongLength > FileSize)
                return new(FileTooLarge, 413, "http_endpoint.file_too_large", string.Create(CultureInfo.InvariantCulture, $"The file '{file.FileName}' has {file.Content.LongLength:N0} bytes; at most {FileSize:N0} are accepted."));
            var extension = Path.GetExtension(file.FileName ?? "");
            if ((AllowedExtensions.Count > 0 && !AllowedExtensions.Any(e => IsExtension(extension, e))) || BlockedExtensions.Any(e => IsExtension(extension, e)))
                return new(InvalidExtension, 415, "http_endpoint.bad_file_extension", $"The file '{file.FileName}' has an extension that is not accepted.");
            if (AllowedMediaTypes.Count > 0 && !AllowedMediaTypes.Any(t => IsMediaType(file.ContentType, t)))
                return new(InvalidMediaType, 415, "http_endpoint.bad_media_type", $"The file '{file.FileName}' has the media type '{file.ContentType}', which is not accepted.");
        }

        return null;
    }

    private static bool IsExtension(string extension, string listed) =>
        extension.AsSpan().TrimStart('.').Equals(listed.AsSpan().Trim().TrimStart('.'), StringComparison.OrdinalIgnoreCase);

    private static bool IsMediaType(string? contentType, string listed)
    {
        var type = (contentType ?? "").Split(';')[0].Trim();
        listed = listed.Trim();
        return listed is "*" or "*/*"
            || (listed.EndsWith("/*", StringComparison.Ordinal) && type.StartsWith(listed[..^1], StringComparison.OrdinalIgnoreCase))
            || type.Equals(listed, StringComparison.OrdinalIgnoreCase);
    }
}

/// <summary>Why an endpoint does not accept a request.</summary>
/// <param name="Outcome">Outcome of the endpoint, if its author exposes it; null for a refusal that has none.</param>
/// <param name="StatusCode">HTTP status of the answer otherwise.</param>
/// <param name="Code">Stable code of the answer; listed in <c>docs/errors.md</c>.</param>
/// <param name="Message">What is wrong, for the caller.</param>
public sealed record HttpEndpointRefusal(string? Outcome, int StatusCode, string Code, string Message);
