using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;

namespace Conclave.Workflows.Activities;

/// <summary>Starts the workflow when an HTTP request arrives at a path. Inside a workflow it waits for one.</summary>
[Activity(
    "Elsa", "HTTP", "Starts the workflow when an HTTP request arrives at a path. Inside a workflow it waits for one.",
    DisplayName = "HTTP Endpoint", Kind = ActivityKind.Trigger)]
public sealed class HttpEndpoint : Activity
{
    /// <summary>Name of the payload type of the endpoint's bookmarks.</summary>
    public const string PayloadType = "HttpEndpointBookmarkPayload";

    /// <summary>Path below the base path, with parameters in braces.</summary>
    [Input(Description = "The path to listen at, for example orders/{id}. It follows the address shown beside it; names in braces become route data.", ShowsAddress = true)]
    public Input<string> Path { get; set; } = new();

    /// <summary>Methods to listen for.</summary>
    [Input(Description = "The HTTP methods to listen for. Others do not reach the workflow.", UIHint = InputUIHints.CheckList, Options = ["GET", "POST", "PUT", "HEAD", "DELETE"])]
    public Input<IReadOnlyList<string>> SupportedMethods { get; set; } = new(["GET"]);

    /// <summary>Whether the caller must be signed in.</summary>
    [Input(Description = "Let only callers in who are signed in or send an API key. Others get 401.", Category = "Security")]
    public Input<bool> Authorize { get; set; } = new();

    /// <summary>Authorization policy that the caller must meet.</summary>
    [Input(Description = "A right that the caller must have besides, for example exec:workflow-definitions. Empty asks for none; it counts only with Authorize.", Category = "Security")]
    public Input<string> Policy { get; set; } = new();

    /// <summary>How the sender signs requests; empty for not at all.</summary>
    [Input(
        Description = "How the sender signs its requests. Requests with a wrong signature, or an old one, are refused.",
        Category = "Security",
        UIHint = InputUIHints.DropDown,
        EmptyOption = "Not signed",
        Options = [WebhookSignature.StandardWebhooks, WebhookSignature.GitHub, WebhookSignature.Stripe, WebhookSignature.Slack])]
    public Input<string> SignatureScheme { get; set; } = new();

    /// <summary>Secrets that requests are signed with. Evaluated for each request, so that no instance stores them and all know new ones.</summary>
    [Input(
        Description = "The secret that requests are signed with. Give several, on a line each, while the secret changes.",
        Category = "Security",
        UIHint = InputUIHints.MultiLine,
        AutoEvaluate = false,
        IsSensitive = true)]
    public Input<string> SignatureSecret { get; set; } = new();

    /// <summary>How old a signed request may be.</summary>
    [Input(Description = "How old a signed request may be, for example 00:05:00. Empty is five minutes.", Category = "Security")]
    public Input<TimeSpan?> SignatureTolerance { get; set; } = new(WebhookSignature.DefaultTolerance);

    /// <summary>Longest time for the request to be answered.</summary>
    [Input(Description = "How long the workflow may take to answer, for example 00:00:30. Empty is the server's limit.", Category = "Upload")]
    public Input<TimeSpan?> RequestTimeout { get; set; } = new();

    /// <summary>Largest request in bytes.</summary>
    [Input(Description = "The largest request in bytes. Empty is the server's limit.", Category = "Upload")]
    public Input<long?> RequestSizeLimit { get; set; } = new();

    /// <summary>Largest file in bytes.</summary>
    [Input(Description = "The largest file in bytes. Empty sets no limit of its own.", Category = "Upload")]
    public Input<long?> FileSizeLimit { get; set; } = new();

    /// <summary>Extensions that files may have; empty for all.</summary>
    [Input(Description = "File extensions to accept, for example .pdf. Empty accepts all but the blocked ones.", Category = "Upload", UIHint = InputUIHints.MultiText)]
    public Input<IReadOnlyList<string>> AllowedFileExtensions { get; set; } = new();

    /// <summary>Extensions that files may not have.</summary>
    [Input(Description = "File extensions to refuse, for example .exe.", Category = "Upload", UIHint = InputUIHints.MultiText)]
    public Input<IReadOnlyList<string>> BlockedFileExtensions { get; set; } = new();

    /// <summary>Media types that files may have; empty for all.</summary>
    [Input(Description = "Media types of files to accept, for example image/*. Empty accepts all.", Category = "Upload", UIHint = InputUIHints.MultiText, DisplayName = "Allowed MIME types")]
    public Input<IReadOnlyList<string>> AllowedMimeTypes { get; set; } = new();

    /// <summary>Whether a request that is too large runs an outcome.</summary>
    [Input(Description = "Go on through 'Request too large' instead of refusing the request.", Category = "Upload", DisplayName = "Expose request too large outcome")]
    public bool ExposeRequestTooLargeOutcome { get; set; }

    /// <summary>Whether a file that is too large runs an outcome.</summary>
    [Input(Description = "Go on through 'File too large' instead of refusing the request.", Category = "Upload", DisplayName = "Expose file too large outcome")]
    public bool ExposeFileTooLargeOutcome { get; set; }

    /// <summary>Whether a file with another extension runs an outcome.</summary>
    [Input(Description = "Go on through 'Invalid file extension' instead of refusing the request.", Category = "Upload", DisplayName = "Expose invalid file extension outcome")]
    public bool ExposeInvalidFileExtensionOutcome { get; set; }

    /// <summary>Whether a file with another media type runs an outcome.</summary>
    [Input(Description = "Go on through 'Invalid file MIME type' instead of refusing the request.", Category = "Upload", DisplayName = "Expose invalid file MIME type outcome")]
    public bool ExposeInvalidFileMimeTypeOutcome { get; set; }

    /// <summary>The request.</summary>
    [Output(Description = "The request: method, path, query, headers, routeData and content.", TypeName = "HttpRequest")]
    public Output<JsonElement>? Result { get; set; }

    /// <summary>Content of the request.</summary>
    [Output(Description = "The content of the request: JSON and forms structured, text as text, anything else as bytes.")]
    public Output<object>? ParsedContent { get; set; }

    /// <summary>Uploaded files.</summary>
    [Output(Description = "The files of the request.", TypeName = "List<HttpFile>")]
    public Output<JsonElement>? Files { get; set; }

    /// <summary>The first uploaded file.</summary>
    [Output(Description = "The first file of the request.", TypeName = "HttpFile")]
    public Output<object>? File { get; set; }

    /// <summary>Values of the parameters in the path.</summary>
    [Output(Description = "Values of the parameters in the path, by name.", TypeName = "HttpRouteData")]
    public Output<JsonElement>? RouteData { get; set; }

    /// <summary>Values of the query.</summary>
    [Output(Description = "Values of the query string, by name.", TypeName = "ObjectDictionary")]
    public Output<JsonElement>? QueryStringData { get; set; }

    /// <summary>Headers of the request.</summary>
    [Output(Description = "Headers of the request, by name.", TypeName = "HttpHeaders")]
    public Output<JsonElement>? Headers { get; set; }

    /// <summary>Whether requests must be handed over with <see cref="HttpRequestData.RawBody"/>, because signatures are checked.</summary>
    public bool NeedsRawBody => SignatureScheme.Expression is not null || !string.IsNullOrWhiteSpace(SignatureScheme.Literal);

    internal override void Configure(ActivityConfiguration configuration)
    {
        foreach (var (code, message, property) in SignatureProblems(SignatureScheme.Expression is null ? SignatureScheme.Literal : null))
            configuration.Problem(code, message, property);
        if (Path.Expression is null && HttpEndpointPath.Problem(Path.Literal) is { } problem)
            configuration.Problem("http_endpoint.bad_path", problem, "path");
        if (SupportedMethods.Expression is not null)
            return;
        foreach (var method in SupportedMethods.Literal ?? [])
        {
            if (!HttpEndpointPath.IsMethod(method))
                configuration.Problem("http_endpoint.unknown_method", $"'{method}' is not a method that an endpoint can listen for. Use {HttpEndpointPath.Methods}.", "supportedMethods");
        }

        if (SupportedMethods.Literal is { Count: 0 })
            configuration.Problem("http_endpoint.no_method", "The endpoint listens for no method. Select at least one.", "supportedMethods");
    }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        if (context.TryTakeTrigger(out var input))
        {
            if (await ReceiveAsync(context, input) is { } refusal)
                throw new WorkflowException("http_endpoint.refused", $"{context.Node} refused the request that started the workflow. {refusal.Message}") { IsPermanent = true };
            return;
        }

        foreach (var payload in Payloads(context))
            context.CreateBookmark(null, payload);
    }

    /// <inheritdoc/>
    public override async ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input)
    {
        if (await ReceiveAsync(context, input) is not null)
            context.CreateBookmark(bookmark.Name, bookmark.Payload);
    }

    internal override IReadOnlyList<BookmarkPayload> TriggerPayloads(ActivityContext context) => Payloads(context);

    /// <summary>What the endpoint listens for, one payload for each method. Inputs must be evaluated.</summary>
    internal IReadOnlyList<BookmarkPayload> Payloads(ActivityContext context)
    {
        var path = context.Get(Path);
        if (HttpEndpointPath.Problem(path) is { } problem)
            throw new WorkflowException("http_endpoint.bad_path", $"{context.Node}: {problem}") { IsPermanent = true };
        var methods = context.Get(SupportedMethods) is { Count: > 0 } given ? given : ["GET"];
        if (methods.FirstOrDefault(m => !HttpEndpointPath.IsMethod(m)) is { } unknown)
            throw new WorkflowException("http_endpoint.unknown_method", $"{context.Node}: '{unknown}' is not a method that an endpoint can listen for. Use {HttpEndpointPath.Methods}.") { IsPermanent = true };
        foreach (var (code, message, _) in SignatureProblems(context.Get(SignatureScheme)))
            throw new WorkflowException(code, $"{context.Node}: {message}") { IsPermanent = true };
        return
        [
            .. methods.Select(m => m.Trim().ToLowerInvariant()).Distinct().Select(method => new BookmarkPayload(
                PayloadType,
                ("Path", HttpEndpointPath.Normalize(path)),
                ("Method", method),
                ("Authorize", context.Get(Authorize)),
                ("Policy", context.Get(Policy)),
                ("RequestTimeout", context.Get(RequestTimeout) is { Ticks: > 0 } timeout ? timeout : null),
                ("RequestSizeLimit", Limit(context.Get(RequestSizeLimit))))),
        ];
    }

    /// <summary>A limit; null for none, which an empty editor writes as 0.</summary>
    private static long? Limit(long? given) => given > 0 ? given : null;

    /// <summary>Takes a request in. If it is refused, the endpoint goes on waiting.</summary>
    private async ValueTask<HttpEndpointRefusal?> ReceiveAsync(ActivityContext context, object? input)
    {
        var request = HttpRequestData.From(input);
        if (request is null)
        {
            context.Complete();
            return null;
        }

        if (await CheckSignatureAsync(context, request) is { } forged)
            return await RefuseAsync(context, forged, [new("WWW-Authenticate", $"Signature scheme=\"{WebhookSignature.FindScheme(context.Get(SignatureScheme))}\"")]);
        context.Set(RouteData, ValueConverter.ToJson(request.RouteData));
        context.Set(QueryStringData, HttpBody.ToObject(request.Query));
        context.Set(Headers, HttpBody.ToObject(request.Headers));
        var limits = new HttpEndpointLimits(
            Limit(context.Get(RequestSizeLimit)),
            Limit(context.Get(FileSizeLimit)),
            context.Get(AllowedFileExtensions) ?? [],
            context.Get(BlockedFileExtensions) ?? [],
            context.Get(AllowedMimeTypes) ?? []);
        if (limits.Check(request) is { } refusal)
        {
            if (!IsExposed(refusal.Outcome))
                return await RefuseAsync(context, refusal, []);
            context.Set(Result, request.ToResult(null));
            context.Complete(refusal.Outcome!);
            return null;
        }

        var content = request.ParseContent();
        context.Set(Files, ValueConverter.ToJson(request.Files));
        context.Set(File, request.Files is [var first, ..] ? ValueConverter.ToJson(first) : null);
        context.Set(ParsedContent, content);
        context.Set(Result, request.ToResult(content));
        context.Complete();
        return null;
    }

    private static async ValueTask<HttpEndpointRefusal> RefuseAsync(ActivityContext context, HttpEndpointRefusal refusal, List<KeyValuePair<string, string>> headers)
    {
        if (context.Host.HttpExchange is { } exchange)
            await exchange.RefuseAsync(refusal.StatusCode, refusal.Code, refusal.Message, HttpExchanges.Group(headers), context.CancellationToken);
        return refusal;
    }

    private async ValueTask<HttpEndpointRefusal?> CheckSignatureAsync(ActivityContext context, HttpRequestData request)
    {
        var given = context.Get(SignatureScheme);
        if (string.IsNullOrWhiteSpace(given))
            return null;
        var scheme = WebhookSignature.FindScheme(given) ?? given;
        // Not EvaluateAsync of the context, which would store the secret with the instance.
        var secret = SignatureSecret.Expression is { } expression ? ValueConverter.ToText(await expression.EvaluateAsync(context)) : SignatureSecret.Literal;
        var tolerance = context.Get(SignatureTolerance) is { Ticks: > 0 } some ? some : WebhookSignature.DefaultTolerance;
        var message = request.RawBody is null && (request.Form.Count > 0 || request.Files.Count > 0)
            ? "The signature of a form of several parts cannot be checked, because its bytes were not kept."
            : WebhookSignature.Verify(
                scheme,
                WebhookSignature.SplitSecrets(scheme, secret),
                tolerance,
                request.ReceivedAt ?? context.Time.GetUtcNow(),
                request.Header,
                request.RawBody ?? request.Body);
        return message is null ? null : new HttpEndpointRefusal(null, 401, "http_endpoint.bad_signature", message);
    }

    private IEnumerable<(string Code, string Message, string Property)> SignatureProblems(string? given)
    {
        if (string.IsNullOrWhiteSpace(given))
            yield break;
        if (WebhookSignature.FindScheme(given) is not { } scheme)
        {
            yield return ("http_endpoint.unknown_scheme", $"'{given}' is not a way of signing that an endpoint can check. Use {WebhookSignature.Schemes}.", "signatureScheme");
            yield break;
        }

        if (SignatureSecret.Expression is not null)
            yield break;
        var secrets = WebhookSignature.SplitSecrets(scheme, SignatureSecret.Literal);
        if (secrets.Count == 0)
            yield return ("http_endpoint.no_secret", $"The endpoint checks signatures ({scheme}) but has no secret. Set SignatureSecret to the one that the sender signs with.", "signatureSecret");
        foreach (var problem in secrets.Select(s => WebhookSignature.SecretProblem(scheme, s)).OfType<string>().Distinct())
            yield return ("http_endpoint.bad_secret", problem, "signatureSecret");
    }

    private bool IsExposed(string? outcome) => outcome switch
    {
        HttpEndpointLimits.RequestTooLarge => ExposeRequestTooLargeOutcome,
        HttpEndpointLimits.FileTooLarge => ExposeFileTooLargeOutcome,
        HttpEndpointLimits.InvalidExtension => ExposeInvalidFileExtensionOutcome,
        HttpEndpointLimits.InvalidMediaType => ExposeInvalidFileMimeTypeOutcome,
        _ => false,
    };
}
