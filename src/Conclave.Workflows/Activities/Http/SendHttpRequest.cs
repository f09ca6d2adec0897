using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Http;

namespace Conclave.Workflows.Activities;

/// <summary>What both activities that send a request have in common.</summary>
public abstract class SendHttpRequestBase : Activity
{
    /// <summary>Where to.</summary>
    [Input(Description = "The complete address, for example https://api.example.com/orders/7.")]
    public Input<Uri> Url { get; set; } = new();

    /// <summary>HTTP method.</summary>
    [Input(Description = "The HTTP method. Requests other than GET, HEAD and OPTIONS carry an Idempotency-Key, so that a repeated one is recognised.", UIHint = InputUIHints.DropDown, Options = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])]
    public Input<string> Method { get; set; } = new("GET");

    /// <summary>Body.</summary>
    [Input(Description = "The content to send: text and bytes as they are, anything else as JSON.")]
    public Input<object> Content { get; set; } = new();

    /// <summary>Media type of the body.</summary>
    [Input(
        Description = "The media type of the content, for example application/json.",
        UIHint = InputUIHints.DropDown,
        EmptyOption = "Chosen to fit the content",
        Options = ["text/plain", "text/html", "application/json", "application/xml", "application/x-www-form-urlencoded"])]
    public Input<string> ContentType { get; set; } = new();

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

    /// <summary>Obsolete: whether to retry with the strategy <c>default</c>.</summary>
    [Input(Description = "Obsolete: choose a resilience strategy instead.", IsBrowsable = false)]
    public Input<bool> EnableResiliency { get; set; } = new();

    /// <summary>The answer.</summary>
    [Output(Description = "The answer: statusCode, reasonPhrase, headers and content.", TypeName = "HttpResponseMessage")]
    public Output<JsonElement>? Result { get; set; }

    /// <summary>Status of the answer.</summary>
    [Output(Description = "The status code of the answer.")]
    public Output<int>? StatusCode { get; set; }

    /// <summary>Content of the answer.</summary>
    [Output(Description = "The content of the answer: JSON and forms structured, text as text, anything else as bytes.")]
    public Output<object>? ParsedContent { get; set; }

    /// <summary>Headers of the answer.</summary>
    [Output(Description = "The headers of the answer, a list of values by name.", TypeName = "HttpHeaders")]
    public Output<JsonElement>? ResponseHeaders { get; set; }

    internal override void Configure(ActivityConfiguration configuration)
    {
        HttpCall.Check(configuration, Url, Method);
        HttpCall.ApplyObsoleteResiliency(configuration, EnableResiliency);
    }

    private protected async ValueTask<HttpCallResult> SendAsync(ActivityContext context, Func<int, bool> isExpected)
    {
        var inputs = new HttpCallInputs(context.Get(Url), context.Get(Method), context.Get(Content), context.Get(ContentType), context.Get(RequestHeaders))
        {
            Authorization = context.Get(Authorization),
            DisableAuthorizationValidation = context.Get(DisableAuthorizationHeaderValidation),
        };
        var result = await HttpCall.SendAsync(context, HttpCall.Create(context, inputs), isExpected);
        if (result.Response is { } response)
        {
            var content = HttpBody.Read(response.Body, response.ContentType);
            var headers = HttpCall.Headers([.. response.Headers, .. response.ContentHeaders]);
            context.Set(StatusCode, response.StatusCode);
            context.Set(ResponseHeaders, headers);
            context.Set(ParsedContent, content);
            context.Set(Result, HttpCall.Describe(response, headers, content));
        }

        return result;
    }
}

/// <summary>Sends a request and runs the activity for the status of the answer.</summary>
[Activity(
    "Elsa", "HTTP", "Sends an HTTP request and runs the activity inside that belongs to the status code of the answer.",
    DisplayName = "HTTP Request", Kind = ActivityKind.Task, IsResilient = true, HasEffect = true)]
public sealed class SendHttpRequest : SendHttpRequestBase
{
    private readonly Dictionary<int, ActivityNode?> _cases = [];

    /// <summary>Expected statuses with their activities, as the author wrote them.</summary>
    [Input(Description = "The status codes to expect, each with the activity that runs then.", UIHint = InputUIHints.HttpStatusCodes)]
    public JsonElement ExpectedStatusCodes { get; set; }

    /// <summary>Runs when the status is none of the expected ones.</summary>
    [Port]
    public ActivityNode? UnmatchedStatusCode { get; set; }

    /// <summary>Runs when the server cannot be reached; without it that is a fault.</summary>
    [Port]
    public ActivityNode? FailedToConnect { get; set; }

    /// <summary>Runs when the answer does not come in time; without it that is a fault.</summary>
    [Port]
    public ActivityNode? Timeout { get; set; }

    internal override void Configure(ActivityConfiguration configuration)
    {
        base.Configure(configuration);
        if (!configuration.TryGet("expectedStatusCodes", out var list))
            return;
        foreach (var item in JsonShapes.Items(list))
        {
            if (!JsonShapes.TryGet(item, "statusCode", out var given) || !TryReadStatus(given, out var status))
                configuration.Problem("http.bad_status_code", "An expected status code is an object with a statusCode from 100 to 999.", "expectedStatusCodes");
            else if (_cases.ContainsKey(status))
                configuration.Problem("http.duplicate_status_code", $"The status code {status} is expected twice; the first one counts.", "expectedStatusCodes", ProblemSeverity.Warning);
            else
                _cases[status] = JsonShapes.TryGet(item, "activity", out var activity) ? configuration.CompileChild(activity, $"{status}") : null;
        }
    }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var result = await SendAsync(context, _cases.ContainsKey);
        ActivityNode? next;
        if (result.Response is { } response)
            next = _cases.TryGetValue(response.StatusCode, out var expected) ? expected : UnmatchedStatusCode;
        else
            next = (result.IsTimeout ? Timeout : FailedToConnect) ?? throw result.Failure!;
        if (next is null)
            context.Complete();
        else
            context.Schedule(next);
    }

    private static bool TryReadStatus(JsonElement given, out int status)
    {
        status = 0;
        return (given.ValueKind == JsonValueKind.Number ? given.TryGetInt32(out status)
                : given.ValueKind == JsonValueKind.String && int.TryParse(given.GetString(), out status))
            && status is >= 100 and <= 999;
    }
}

/// <summary>Sends a request and goes on through the outcome for the status of the answer.</summary>
[Activity(
    "Elsa", "HTTP", "Sends an HTTP request and goes on through the port that belongs to the status code of the answer, or to what went wrong.",
    DisplayName = "HTTP Request (flow)", Kind = ActivityKind.Task, IsResilient = true, HasEffect = true)]
[FlowNode(HttpCall.Unmatched, HttpCall.FailedToConnect, HttpCall.Timeout, HttpCall.Done)]
public sealed class FlowSendHttpRequest : SendHttpRequestBase
{
    /// <summary>Expected statuses; each is an outcome.</summary>
    [Input(Description = "The status codes to expect. Each becomes a port to connect; others lead to Unmatched status code.", UIHint = InputUIHints.MultiText)]
    public Input<IReadOnlyList<int>> ExpectedStatusCodes { get; set; } = new([200]);

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var expected = context.Get(ExpectedStatusCodes) ?? [];
        context.CompleteWith(HttpCall.Outcomes(await SendAsync(context, expected.Contains), expected.Contains));
    }
}
