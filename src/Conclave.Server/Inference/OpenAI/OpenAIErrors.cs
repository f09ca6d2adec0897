using System.Globalization;
using System.Text.Json;
using Conclave.Inference;
using Conclave.Server.Api;

namespace Conclave.Server.Inference.OpenAI;

/// <summary>Errors in OpenAI's shape: <c>{"error": {"message", "type", "param", "code"}}</c>.</summary>
internal static partial class OpenAIErrors
{
    /// <summary>Answers for what an endpoint threw.</summary>
    public static async ValueTask<object?> HandleAsync(EndpointFilterInvocationContext invocation, EndpointFilterDelegate next)
    {
        var context = invocation.HttpContext;
        try
        {
            return await next(invocation);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return Results.Empty;
        }
        catch (Exception exception) when (!context.Response.HasStarted && Describe(context, exception) is { } error)
        {
            await WriteAsync(context, error);
            return Results.Empty;
        }
    }

    /// <summary>Writes an error.</summary>
    public static Task WriteAsync(HttpContext context, OpenAIError error)
    {
        if (error.RetryAfter is { } wait)
            context.Response.Headers.RetryAfter = RetrySeconds(wait);
        return context.WriteJsonAsync(writer => Write(writer, error), error.Status);
    }

    /// <summary>Writes an error's JSON.</summary>
    public static void Write(Utf8JsonWriter writer, OpenAIError error)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("error");
        writer.WriteString("message", error.Message);
        writer.WriteString("type", error.Type);
        writer.WriteString("param", error.Parameter);
        writer.WriteString("code", error.Code);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    /// <summary>What an exception is to a client; unexpected ones are logged.</summary>
    public static OpenAIError Describe(HttpContext context, Exception exception)
    {
        switch (exception)
        {
            case InferenceException inference:
                var (status, type, code) = Map(inference);
                return new OpenAIError(status, type, code, inference.Message, inference.Parameter, inference.RetryAfter);
            case ApiException api:
                return new OpenAIError(api.Status, "invalid_request_error", api.Code, api.Message);
            case BadHttpRequestException bad:
                return new OpenAIError(bad.StatusCode, "invalid_request_error", bad.StatusCode == 413 ? "request.too_large" : "request.malformed", bad.Message);
            case JsonException json:
                return new OpenAIError(400, "invalid_request_error", "request.not_json", $"The body is not JSON: {json.Message}");
            default:
                LogUnexpected(context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger("Conclave.Server.Inference"), context.Request.Method, context.Request.Path, exception);
                return new OpenAIError(500, "server_error", "server.error", $"Something went wrong in the server. The log has the details under the trace id {System.Diagnostics.Activity.Current?.Id ?? context.TraceIdentifier}.");
        }
    }

    /// <summary>Whole seconds, at least one, as <c>Retry-After</c> wants them.</summary>
    public static string RetrySeconds(TimeSpan wait) => Math.Max(1, Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);

    // The words that OpenAI's own API has for these, which clients look at; ours where it has none.
    private static (int Status, string Type, string Code) Map(InferenceException exception)
    {
        var status = InferenceStatus.Of(exception);
        return exception.Failure switch
        {
            InferenceFailure.BadRequest => (status, "invalid_request_error", exception.Code),
            InferenceFailure.ContextTooLong => (status, "invalid_request_error", "context_length_exceeded"),
            InferenceFailure.Forbidden => (status, "permission_error", exception.Code),
            InferenceFailure.ModelNotFound => (status, "invalid_request_error", "model_not_found"),
            InferenceFailure.IdempotencyConflict => (status, "idempotency_error", exception.Code),
            InferenceFailure.SchemaMismatch => (status, "invalid_response_error", exception.Code),
            InferenceFailure.BudgetExhausted => (429, "insufficient_quota", "insufficient_quota"),
            InferenceFailure.QueueFull => (status, "rate_limit_error", "rate_limit_exceeded"),
            InferenceFailure.DeadlineExceeded => (status, "timeout_error", exception.Code),
            _ => (status, "server_error", exception.Code),
        };
    }

    [LoggerMessage(3801, LogLevel.Error, "{Method} {Path} failed.")]
    private static partial void LogUnexpected(ILogger logger, string method, PathString path, Exception exception);
}

/// <summary>An error as OpenAI's clients read it.</summary>
internal sealed record OpenAIError(int Status, string Type, string? Code, string Message, string? Parameter = null, TimeSpan? RetryAfter = null);
