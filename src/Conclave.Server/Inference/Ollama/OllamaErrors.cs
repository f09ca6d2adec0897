using System.Text.Json;
using Conclave.Inference;
using Conclave.Server.Api;
using Conclave.Server.Inference.OpenAI;

namespace Conclave.Server.Inference.Ollama;

/// <summary>Errors in Ollama's shape: <c>{"error": "…"}</c>.</summary>
internal static class OllamaErrors
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
        catch (Exception exception) when (!context.Response.HasStarted)
        {
            await WriteAsync(context, exception);
            return Results.Empty;
        }
    }

    /// <summary>Writes an error with its status.</summary>
    public static Task WriteAsync(HttpContext context, Exception exception)
    {
        var error = OpenAIErrors.Describe(context, exception);
        if (error.RetryAfter is { } wait)
            context.Response.Headers.RetryAfter = OpenAIErrors.RetrySeconds(wait);
        var status = exception is InferenceException { Failure: InferenceFailure.BudgetExhausted } ? StatusCodes.Status402PaymentRequired : error.Status;
        return context.WriteJsonAsync(writer => Write(writer, error.Message), status);
    }

    /// <summary>Writes an error's JSON.</summary>
    public static void Write(Utf8JsonWriter writer, string message)
    {
        writer.WriteStartObject();
        writer.WriteString("error", message);
        writer.WriteEndObject();
    }
}
