using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;

namespace Conclave.Workflows.Activities;

/// <summary>What activities that send a request have in common: making it, sending it, and when to try again.</summary>
internal static class HttpCall
{
    public const string Unmatched = "Unmatched status code";
    public const string FailedToConnect = "Failed to connect";
    public const string Timeout = "Timeout";
    public const string Done = "Done";

    /// <summary>Reports what is wrong with a literal URL or method.</summary>
    public static void Check(ActivityConfiguration configuration, Input<Uri> url, Input<string> method)
    {
        if (url.Expression is null && Redirects.Problem(url.Literal) is { } problem)
            configuration.Problem("http.bad_url", problem, "url");
        if (method is { Expression: null, Literal: { } name } && !HeaderRules.IsToken(name))
            configuration.Problem("http.bad_method", $"'{name}' is not an HTTP method.", "method");
    }

    /// <summary>The request that an activity's inputs describe.</summary>
    public static OutboundRequest Create(ActivityContext context, HttpCallInputs inputs)
    {
        var method = string.IsNullOrWhiteSpace(inputs.Method) ? "GET" : inputs.Method.Trim().ToUpperInvariant();
        var url = inputs.Url ?? new Uri("", UriKind.Relative);
        Redirects.CheckUrl(url);
        var headers = HeaderRules.Read(inputs.Headers, "RequestHeaders");
        if (!string.IsNullOrWhiteSpace(inputs.Authorization))
        {
            if (!inputs.DisableAuthorizationValidation && !AuthenticationHeaderValue.TryParse(inputs.Authorization, out _))
                throw new WorkflowException("http.bad_authorization", $"{context.Node}: the Authorization input is not a scheme with its parameters, such as 'Bearer <token>'. If the server wants it so, disable the validation of the header.") { IsPermanent = true };
            headers.RemoveAll(h => h.Key.Equals("Authorization", StringComparison.OrdinalIgnoreCase));
            headers.Add(new("Authorization", inputs.Authorization));
        }

        // RFC 9110 section 9.2.1, safe methods: sending them twice does nothing twice.
        if (method is not ("GET" or "HEAD" or "OPTIONS") && HeaderRules.Find(headers, "Idempotency-Key") is null)
            headers.Add(new("Idempotency-Key", context.IdempotencyKey));
        var given = HeaderRules.Find(headers, "Content-Type");
        headers.RemoveAll(h => h.Key.Equals("Content-Type", StringComparison.OrdinalIgnoreCase));
        if (inputs.Content is null)
            return new OutboundRequest(method, url) { Headers = headers };
        var (body, contentType) = HttpBody.Write(inputs.Content, string.IsNullOrWhiteSpace(inputs.ContentType) ? given : inputs.ContentType, isJsonGuessed: true);
        return new OutboundRequest(method, url) { Headers = headers, Body = body, ContentType = contentType };
    }

    /// <summary>
    /// Sends a request. While the activity's policy has attempts left, every failure that may pass is thrown, so that it
    /// tries again; afterwards the failure is returned.
    /// </summary>
    /// <param name="context">The activity.</param>
    /// <param name="request">The request.</param>
    /// <param name="isExpected">Statuses that the author expects; they are never failures.</param>
    /// <exception cref="OutboundHttpException">Another attempt follows, or none makes sense.</exception>
    public static async ValueTask<HttpCallResult> SendAsync(ActivityContext context, OutboundRequest request, Func<int, bool> isExpected)
    {
        OutboundHttpException failure;
        try
        {
            var response = await context.Engine.Http.SendAsync(request, context.CancellationToken);
            if (context.RetriesLeft == 0 || !IsTransient(response.StatusCode) || isExpected(response.StatusCode))
                return new HttpCallResult(response, null);
            throw new OutboundHttpException(
                "http.unavailable",
                $"{request.Url.Host} answered {response.StatusCode} {response.ReasonPhrase}.",
                OutboundHttpFailure.Unavailable)
            {
                RetryAfter = RetryAfter(response, context.Time.GetUtcNow()),
            };
        }
        catch (OutboundHttpException exception) when (exception.Failure is OutboundHttpFailure.ConnectionFailed or OutboundHttpFailure.Timeout)
        {
            failure = exception;
        }
        catch (OperationCanceledException exception) when (!context.Burst.IsStopRequested)
        {
            // The policy's time-out cancelled the attempt.
            failure = new OutboundHttpException("http.timeout", $"{request.Url.Host} did not answer within the time that {context.Node} allows.", OutboundHttpFailure.Timeout, exception);
        }

        return context.RetriesLeft > 0 ? throw failure : new HttpCallResult(null, failure);
    }

    /// <summary>Gives an activity the strategy <c>default</c> when the obsolete input asks for one and there is none.</summary>
    public static void ApplyObsoleteResiliency(ActivityConfiguration configuration, Input<bool> isEnabled)
    {
        if (isEnabled is { Expression: null, Literal: true })
            configuration.Node.Policy ??= ActivityPolicy.Find(configuration.Engine, "default");
    }

    /// <summary>Outcomes of an answer: its status when expected, and <c>Done</c>.</summary>
    public static IReadOnlyList<string> Outcomes(HttpCallResult result, Func<int, bool> isExpected)
    {
        if (result.Response is not { } response)
            return [result.IsTimeout ? Timeout : FailedToConnect];
        var status = response.StatusCode;
        return [isExpected(status) ? status.ToString(CultureInfo.InvariantCulture) : Unmatched, Done];
    }

    /// <summary>Headers as <c>{name: [values]}</c>.</summary>
    public static JsonElement Headers(params IEnumerable<KeyValuePair<string, string[]>> headers)
    {
        var merged = new Dictionary<string, string[]>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, values) in headers)
            merged[name] = values;
        return ValueConverter.ToJson(merged);
    }

    /// <summary>An answer as a value.</summary>
    public static JsonElement Describe(OutboundResponse response, JsonElement headers, object? content) => ValueConverter.ToJson(new Dictionary<string, object?>
    {
        ["statusCode"] = response.StatusCode,
        ["reasonPhrase"] = response.ReasonPhrase,
        ["headers"] = headers,
        ["content"] = content,
    });

    private static bool IsTransient(int status) => status is 408 or 429 or >= 500;

    private static TimeSpan? RetryAfter(OutboundResponse response, DateTimeOffset now) =>
        response.Headers.TryGetValue("Retry-After", out var values) && RetryConditionHeaderValue.TryParse(values[0], out var condition)
            ? condition.Delta ?? condition.Date - now
            : null;
}

/// <summary>Values of the inputs that describe a request.</summary>
internal sealed record HttpCallInputs(Uri? Url, string? Method, object? Content, string? ContentType, JsonElement Headers)
{
    public string? Authorization { get; init; }

    public bool DisableAuthorizationValidation { get; init; }
}

/// <summary>An answer, or why there is none.</summary>
internal sealed record HttpCallResult(OutboundResponse? Response, OutboundHttpException? Failure)
{
    public bool IsTimeout => Failure?.Failure == OutboundHttpFailure.Timeout;
}
