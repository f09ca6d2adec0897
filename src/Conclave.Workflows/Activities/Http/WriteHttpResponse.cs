using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Http;

namespace Conclave.Workflows.Activities;

/// <summary>Answers the HTTP request that the workflow handles.</summary>
[Activity("Elsa", "HTTP", "Answers the HTTP request that started or resumed the workflow. There is one answer to a request.", DisplayName = "HTTP Response")]
public sealed class WriteHttpResponse : Activity
{
    /// <summary>Status.</summary>
    [Input(Description = "The status code of the answer, from 200 to 599.", UIHint = InputUIHints.DropDown)]
    public Input<HttpStatusCode> StatusCode { get; set; } = new(HttpStatusCode.OK);

    /// <summary>Body.</summary>
    [Input(Description = "The content of the answer: text and bytes as they are, anything else as JSON.")]
    public Input<object> Content { get; set; } = new();

    /// <summary>Media type of the body.</summary>
    [Input(
        Description = "The media type of the content, for example application/json.",
        UIHint = InputUIHints.DropDown,
        EmptyOption = "Chosen to fit the content",
        Options = ["text/plain", "text/html", "application/json", "application/xml"])]
    public Input<string> ContentType { get; set; } = new();

    /// <summary>More headers.</summary>
    [Input(
        Description = "More headers, as a JSON object of texts or lists of texts.",
        Category = "Advanced",
        UIHint = InputUIHints.JsonEditor,
        TypeName = "HttpHeaders")]
    public Input<JsonElement> ResponseHeaders { get; set; } = new();

    /// <inheritdoc/>
    public override bool IsAnsweredInTests => true;

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var exchange = HttpExchanges.Of(context);
        var status = (int)context.Get(StatusCode);
        if (status is < 200 or > 599)
            throw new WorkflowException("http.bad_status_code", $"{context.Node}: {status} is not a status that ends a request; use 200 to 599.") { IsPermanent = true };
        var headers = HeaderRules.Read(context.Get(ResponseHeaders), nameof(ResponseHeaders));
        var given = HeaderRules.Find(headers, "Content-Type");
        headers.RemoveAll(h => h.Key.Equals("Content-Type", StringComparison.OrdinalIgnoreCase));
        var contentType = context.Get(ContentType);
        var (body, type) = HttpBody.Write(context.Get(Content), string.IsNullOrWhiteSpace(contentType) ? given : contentType, isJsonGuessed: false);
        // RFC 9110: these statuses have no content.
        if (status is 204 or 205 or 304)
            (body, type) = ([], null);
        await exchange.RespondAsync(status, type, HttpExchanges.Group(headers), body, context.CancellationToken);
        context.Complete();
    }
}

/// <summary>Answers the HTTP request that the workflow handles with a file.</summary>
[Activity("Elsa", "HTTP", "Answers the HTTP request that started or resumed the workflow with a file, or with several as a zip.", DisplayName = "HTTP File Response")]
public sealed class WriteFileHttpResponse : Activity
{
    /// <summary>Media type of the file.</summary>
    [Input(Description = "The media type of the file, for example application/pdf. Empty takes that of the content.")]
    public Input<string> ContentType { get; set; } = new();

    /// <summary>Name of the file.</summary>
    [Input(Description = "The name under which the browser saves the file or the zip.", DisplayName = "Filename")]
    public Input<string> Filename { get; set; } = new();

    /// <summary>Entity tag.</summary>
    [Input(Description = "The entity tag of the file. A client that has that version already is told so and gets nothing again.", DisplayName = "Entity tag")]
    public Input<string> EntityTag { get; set; } = new();

    /// <summary>The file or files.</summary>
    [Input(Description = "The file: text, bytes, a URL, an object with fileName and content (base64) or text; or a list of those, which is sent as a zip.")]
    public Input<object> Content { get; set; } = new();

    /// <summary>Whether a client may ask for a part.</summary>
    [Input(Description = "Let a client ask for the rest of a download that broke off.")]
    public Input<bool> EnableResumableDownloads { get; set; } = new();

    /// <summary>Kept for definitions that have it: archives of the same files are the same, so nothing has to be remembered.</summary>
    [Input(Description = "An id for a resumable download. Not needed: the same files make the same zip.", DisplayName = "Download correlation ID")]
    public Input<string> DownloadCorrelationId { get; set; } = new();

    /// <inheritdoc/>
    public override bool IsAnsweredInTests => true;

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var exchange = HttpExchanges.Of(context);
        var files = await HttpFiles.ReadAsync(context, context.Get(Content));
        if (files.Count == 0)
        {
            await exchange.RespondAsync(204, null, HttpExchanges.Group([]), default, context.CancellationToken);
            context.Complete();
            return;
        }

        var file = files is [var single] ? single : new HttpFileData("", "download.zip", "application/zip", HttpFiles.Zip(files));
        var contentType = context.Get(ContentType) is { Length: > 0 } type ? type : file.ContentType ?? "application/octet-stream";
        var isResumable = context.Get(EnableResumableDownloads);
        var headers = new Dictionary<string, string[]>(StringComparer.OrdinalIgnoreCase)
        {
            ["Content-Disposition"] = [Disposition(context.Get(Filename), file.FileName)],
        };
        var tag = Tag(context.Get(EntityTag), isResumable ? file.Content : null);
        if (tag is not null)
            headers["ETag"] = [tag];
        foreach (var (name, values) in headers)
            HeaderRules.CheckResponse(name, values[0]);
        HeaderRules.CheckResponse("Content-Type", contentType);
        await SendAsync(exchange, file.Content, contentType, headers, tag, isResumable, context.CancellationToken);
        context.Complete();
    }

    private static ValueTask SendAsync(
        IHttpExchange exchange,
        byte[] content,
        string contentType,
        Dictionary<string, string[]> headers,
        string? tag,
        bool isResumable,
        CancellationToken cancellationToken)
    {
        if (tag is not null && exchange.RequestHeader("If-None-Match") is { } known && known.Split(',').Any(t => t.Trim() == tag || t.Trim() == "*"))
            return exchange.RespondAsync(304, null, headers, default, cancellationToken);
        if (!isResumable)
            return exchange.RespondAsync(200, contentType, headers, content, cancellationToken);
        headers["Accept-Ranges"] = ["bytes"];
        var isSame = exchange.RequestHeader("If-Range") is not { } condition || condition == tag;
        if (!isSame || exchange.RequestHeader("Range") is not { } text || !RangeHeaderValue.TryParse(text, out var range)
            || range is not { Unit: "bytes", Ranges.Count: 1 })
            return exchange.RespondAsync(200, contentType, headers, content, cancellationToken);
        var part = range.Ranges.First();
        // Without a beginning, the end counts from the end of the file.
        var from = part.From ?? Math.Max(0, content.LongLength - (part.To ?? 0));
        var to = part.From is null ? content.LongLength - 1 : Math.Min(part.To ?? long.MaxValue, content.LongLength - 1);
        if (from > to)
        {
            headers["Content-Range"] = [string.Create(CultureInfo.InvariantCulture, $"bytes */{content.Length}")];
            return exchange.RespondAsync(416, null, headers, default, cancellationToken);
        }

        headers["Content-Range"] = [string.Create(CultureInfo.InvariantCulture, $"bytes {from}-{to}/{content.Length}")];
        return exchange.RespondAsync(206, contentType, headers, content.AsMemory((int)from, (int)(to - from + 1)), cancellationToken);
    }

    private static string Disposition(string? given, string? ofFile)
    {
        var name = HttpFiles.SafeName(given);
        if (name.Length == 0)
            name = HttpFiles.SafeName(ofFile);
        if (name.Length == 0)
            name = "file.bin";
        var disposition = new ContentDispositionHeaderValue("attachment") { FileNameStar = name };
        if (name.All(char.IsAscii))
            disposition.FileName = $"\"{name}\"";
        return disposition.ToString();
    }

    private static string? Tag(string? given, byte[]? content)
    {
        if (!string.IsNullOrWhiteSpace(given))
            return given.StartsWith('"') || given.StartsWith("W/\"", StringComparison.Ordinal) ? given : $"\"{given}\"";
        return content is null ? null : $"\"{Convert.ToHexStringLower(SHA256.HashData(content).AsSpan(0, 16))}\"";
    }
}

/// <summary>Finds the request that an activity answers.</summary>
internal static class HttpExchanges
{
    /// <summary>The exchange of the burst.</summary>
    /// <exception cref="WorkflowException">The burst does not handle a request.</exception>
    public static IHttpExchange Of(ActivityContext context) => context.Host.HttpExchange ?? throw new WorkflowException(
        "http.no_request",
        $"{context.Node} has no HTTP request to answer. It must run in the same go as the HTTP endpoint that received the request: not after a delay, an event or anything else that makes the workflow wait, and not in a workflow that was started otherwise.")
    {
        IsPermanent = true,
    };

    /// <summary>Checked headers by name.</summary>
    public static Dictionary<string, string[]> Group(List<KeyValuePair<string, string>> headers)
    {
        foreach (var (name, value) in headers)
            HeaderRules.CheckResponse(name, value);
        return headers.GroupBy(h => h.Key, StringComparer.OrdinalIgnoreCase)
            .ToDictionary(g => g.Key, g => g.Select(h => h.Value).ToArray(), StringComparer.OrdinalIgnoreCase);
    }
}
