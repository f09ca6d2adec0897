using System.Net.Http.Headers;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;

namespace Conclave.Workflows.Activities;

/// <summary>Downloads a file.</summary>
[Activity(
    "Elsa", "HTTP", "Downloads a file from an address and goes on through the port that belongs to the status code of the answer.",
    DisplayName = "Download File", Kind = ActivityKind.Task, IsResilient = true, HasEffect = true)]
[FlowNode(HttpCall.Unmatched, HttpCall.FailedToConnect, HttpCall.Timeout, HttpCall.Done)]
public sealed class DownloadHttpFile : Activity
{
    /// <summary>Where from.</summary>
    [Input(Description = "The complete address of the file, for example https://example.com/report.pdf.")]
    public Input<Uri> Url { get; set; } = new();

    /// <summary>HTTP method.</summary>
    [Input(Description = "The HTTP method. GET fits nearly always.", UIHint = InputUIHints.DropDown, Options = ["GET", "POST", "PUT"])]
    public Input<string> Method { get; set; } = new("GET");

    /// <summary>Expected statuses; each is an outcome.</summary>
    [Input(Description = "The status codes to expect. Each becomes a port to connect; others lead to Unmatched status code.", UIHint = InputUIHints.MultiText)]
    public Input<IReadOnlyList<int>> ExpectedStatusCodes { get; set; } = new([200]);

    /// <summary>Body.</summary>
    [Input(Description = "The content to send: text and bytes as they are, anything else as JSON.")]
    public Input<object> Content { get; set; } = new();

    /// <summary>Media type of the body.</summary>
    [Input(
        Description = "The media type of the content that is sent, for example application/json.",
        UIHint = InputUIHints.DropDown,
        EmptyOption = "Chosen to fit the content",
        Options = ["text/plain", "text/html", "application/json", "application/xml", "application/x-www-form-urlencoded"])]
    public Input<string> RequestContentType { get; set; } = new();

    /// <summary>Authorization header.</summary>
    [Input(Description = "The Authorization header, for example Bearer <token>. It does not appear in the journal.", Category = "Security", IsSensitive = true)]
    public Input<string> Authorization { get; set; } = new();

    /// <summary>Whether the Authorization header is sent whatever its form.</summary>
    [Input(Description = "Send the Authorization header as it is, for servers that want something else than a scheme and its parameters.", Category = "Security")]
    public Input<bool> DisableAuthorizationHeaderValidation { get; set; } = new();

    /// <summary>More headers.</summary>
    [Input(
        Description = "More headers, as a JSON object of texts or lists of texts.",
        Category = "Advanced",
        UIHint = InputUIHints.JsonEditor,
        TypeName = "HttpHeaders")]
    public Input<JsonElement> RequestHeaders { get; set; } = new();

    /// <summary>The file.</summary>
    [Output(Description = "The file: fileName, contentType, size and content in base64.", TypeName = "HttpFile")]
    public Output<JsonElement>? Result { get; set; }

    /// <summary>The answer without its content.</summary>
    [Output(Description = "The answer without its content: statusCode, reasonPhrase and headers.", TypeName = "HttpResponseMessage")]
    public Output<JsonElement>? Response { get; set; }

    /// <summary>Status of the answer.</summary>
    [Output(Description = "The status code of the answer.")]
    public Output<int>? StatusCode { get; set; }

    /// <summary>The content; the same as <see cref="ResponseContentBytes"/>, for definitions that use it.</summary>
    [Output(Description = "The content of the file.", TypeName = "Stream")]
    public Output<byte[]>? ResponseContentStream { get; set; }

    /// <summary>The content.</summary>
    [Output(Description = "The content of the file.")]
    public Output<byte[]>? ResponseContentBytes { get; set; }

    /// <summary>Headers of the answer.</summary>
    [Output(Description = "The headers of the answer, a list of values by name.", TypeName = "HttpHeaders")]
    public Output<JsonElement>? ResponseHeaders { get; set; }

    /// <summary>Headers of the content.</summary>
    [Output(Description = "The headers of the content, a list of values by name.", TypeName = "HttpHeaders")]
    public Output<JsonElement>? ResponseContentHeaders { get; set; }

    internal override void Configure(ActivityConfiguration configuration) => HttpCall.Check(configuration, Url, Method);

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var expected = context.Get(ExpectedStatusCodes) ?? [];
        var inputs = new HttpCallInputs(context.Get(Url), context.Get(Method), context.Get(Content), context.Get(RequestContentType), context.Get(RequestHeaders))
        {
            Authorization = context.Get(Authorization),
            DisableAuthorizationValidation = context.Get(DisableAuthorizationHeaderValidation),
        };
        var result = await HttpCall.SendAsync(context, HttpCall.Create(context, inputs), expected.Contains);
        if (result.Response is { } response)
        {
            var headers = HttpCall.Headers(response.Headers);
            context.Set(StatusCode, response.StatusCode);
            context.Set(ResponseHeaders, headers);
            context.Set(ResponseContentHeaders, HttpCall.Headers(response.ContentHeaders));
            context.Set(ResponseContentBytes, response.Body);
            context.Set(ResponseContentStream, response.Body);
            context.Set(Response, HttpCall.Describe(response, headers, null));
            context.Set(Result, ValueConverter.ToJson(new HttpFileData("", FileName(response), response.ContentType, response.Body)));
        }

        context.CompleteWith(HttpCall.Outcomes(result, expected.Contains));
    }

    /// <summary>The name that the server gives, or the last part of the URL; never with a folder.</summary>
    private static string? FileName(OutboundResponse response)
    {
        string? name = null;
        if (response.ContentHeaders.TryGetValue("Content-Disposition", out var values) && ContentDispositionHeaderValue.TryParse(values[0], out var disposition))
            name = disposition.FileNameStar ?? disposition.FileName?.Trim('"');
        name = HttpFiles.SafeName(name ?? Uri.UnescapeDataString(response.Url.Segments[^1]));
        return name.Length == 0 ? null : name;
    }
}
