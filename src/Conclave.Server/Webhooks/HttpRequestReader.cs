using System.Buffers;
using System.Globalization;
using Conclave.Workflows.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace Conclave.Server.Webhooks;

/// <summary>Takes requests for HTTP endpoints of workflows in.</summary>
public sealed class HttpRequestReader(IOptions<WebhookOptions> options, TimeProvider time)
{
    /// <summary>Bodies up to this size get their memory at once; for others what a sender claims must not take it.</summary>
    private const int TrustedLength = 64 << 10;

    /// <summary>The path below the base path as the request line has it, which is what <see cref="HttpRoutes{T}.Find"/> takes; null for a request to elsewhere.</summary>
    /// <remarks>Not that of <see cref="HttpRequest.Path"/>: it is decoded already, but for encoded slashes, and cannot be decoded a second time.</remarks>
    public string? EncodedPath(HttpRequest request)
    {
        var target = request.HttpContext.Features.Get<IHttpRequestFeature>()?.RawTarget;
        if (string.IsNullOrEmpty(target))
            target = (request.PathBase + request.Path).ToUriComponent();
        else if (!target.StartsWith('/'))
            target = Uri.TryCreate(target, UriKind.Absolute, out var absolute) ? absolute.AbsolutePath : "";
        var query = target.IndexOf('?', StringComparison.Ordinal);
        target = query < 0 ? target : target[..query];
        var prefix = request.PathBase.ToUriComponent() + options.Value.BasePath;
        if (!target.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            return null;
        return target.Length == prefix.Length ? "" : target[prefix.Length] == '/' ? target[(prefix.Length + 1)..] : null;
    }

    /// <summary>Reads a request with its body.</summary>
    /// <param name="request">The request.</param>
    /// <param name="routeData">Values of the parameters in the endpoint's path.</param>
    /// <param name="keepsRawBody">Whether the bytes of forms of several parts are kept, see <c>HttpEndpoint.NeedsRawBody</c>.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public async ValueTask<HttpReadResult> ReadAsync(
        HttpRequest request, IReadOnlyDictionary<string, string> routeData, bool keepsRawBody, CancellationToken cancellationToken)
    {
        if (Refuse(request) is { } early)
            return new(null, early);
        byte[]? body;
        try
        {
            body = await ReadBodyAsync(request, cancellationToken);
        }
        catch (BadHttpRequestException exception)
        {
            return new(null, exception.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? TooLarge()
                : new(exception.StatusCode, "http_request.malformed", exception.Message));
        }
        catch (EndOfStreamException)
        {
            return new(null, new(StatusCodes.Status400BadRequest, "http_request.malformed", "The body ended before the Content-Length said so."));
        }

        if (body is null)
            return new(null, TooLarge());
        var data = new HttpRequestData
        {
            Method = request.Method.ToUpperInvariant(),
            Path = PathOf(request),
            QueryString = request.QueryString.Value ?? "",
            Query = Values(request.Query),
            Headers = Values(request.Headers),
            RouteData = routeData,
            Body = body,
            ReceivedAt = time.GetUtcNow(),
        };
        _ = MediaTypeHeaderValue.TryParse(request.ContentType, out var type);
        if (type is not null && type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
            return await MultipartForm.ReadAsync(data, type, keepsRawBody, options.Value, cancellationToken);
        if (type is not null && type.MediaType.Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase)
            && body.AsSpan().Count((byte)'&') >= options.Value.MaxParts)
            return new(null, MultipartForm.TooManyParts(options.Value));
        return new(data, null);
    }

    private string PathOf(HttpRequest request) =>
        (request.Path.StartsWithSegments(options.Value.BasePath, StringComparison.OrdinalIgnoreCase, out var rest) ? rest : request.Path).Value?.Trim('/') ?? "";

    private HttpReadRefusal? Refuse(HttpRequest request)
    {
        if (request.ContentLength > options.Value.MaxRequestBytes)
            return TooLarge();
        if (request.Headers.ContentEncoding is { Count: > 0 } encodings
            && encodings.ToString() is { } encoding && !encoding.Trim().Equals("identity", StringComparison.OrdinalIgnoreCase))
        {
            return new(StatusCodes.Status415UnsupportedMediaType, "http_request.unsupported_encoding", $"The body is encoded ('{encoding}'), which is not accepted. Send it as it is.")
            {
                Headers = new Dictionary<string, string[]> { ["Accept-Encoding"] = ["identity"] },
            };
        }

        return null;
    }

    /// <summary>The body; null when it is too large.</summary>
    private async ValueTask<byte[]?> ReadBodyAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        var limit = options.Value.MaxRequestBytes;
        // Kestrel counts the framing of chunks too; what counts here is the body.
        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = null;
        if (request.ContentLength == 0)
            return [];
        if (request.ContentLength is { } length and <= TrustedLength)
        {
            var exact = new byte[length];
            await request.Body.ReadExactlyAsync(exact, cancellationToken);
            return exact;
        }

        using var buffer = new MemoryStream();
        var chunk = ArrayPool<byte>.Shared.Rent(TrustedLength);
        try
        {
            int read;
            while ((read = await request.Body.ReadAsync(chunk, cancellationToken)) > 0)
            {
                if (buffer.Length + read > limit)
                    return null;
                buffer.Write(chunk, 0, read);
            }
        }
        finally
        {
            // Bodies are other people's data; the next to rent must not see them.
            ArrayPool<byte>.Shared.Return(chunk, clearArray: true);
        }

        return buffer.ToArray();
    }

    private HttpReadRefusal TooLarge() => new(
        StatusCodes.Status413PayloadTooLarge,
        "http_request.too_large",
        string.Create(CultureInfo.InvariantCulture, $"The body is larger than the {options.Value.MaxRequestBytes:N0} bytes that this server accepts."));

    private static Dictionary<string, string[]> Values(IEnumerable<KeyValuePair<string, StringValues>> pairs)
    {
        var values = new Dictionary<string, string[]>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, given) in pairs)
            values[name] = [.. given.Select(v => v ?? "")];
        return values;
    }
}
