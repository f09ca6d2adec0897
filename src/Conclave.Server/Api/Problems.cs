using System.Diagnostics;
using System.Text.Json;
using Conclave.Inference;
using Conclave.Server.Hosting;
using Conclave.Server.Inference;
using Conclave.Server.Inference.OpenAI;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.AspNetCore.WebUtilities;
using Npgsql;

namespace Conclave.Server.Api;

/// <summary>Answers with RFC 9457 problems.</summary>
internal static partial class Problems
{
    /// <summary>Writes a problem.</summary>
    public static Task WriteAsync(
        HttpContext context, int status, string code, string detail, IReadOnlyList<DefinitionProblem>? errors = null, string? retryAfter = null)
    {
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = "application/problem+json";
        response.Headers.CacheControl = "no-store";
        if (retryAfter is not null)
            response.Headers.RetryAfter = retryAfter;
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("type", "about:blank");
            writer.WriteString("title", ReasonPhrases.GetReasonPhrase(status));
            writer.WriteNumber("status", status);
            writer.WriteString("detail", detail);
            writer.WriteString("code", code);
            writer.WriteString("instance", context.Request.Path.Value);
            writer.WriteString("traceId", Activity.Current?.Id ?? context.TraceIdentifier);
            if (errors is not null)
            {
                writer.WritePropertyName("errors");
                WriteErrors(writer, errors);
            }

            writer.WriteEndObject();
        }

        response.ContentLength = buffer.Length;
        return HttpMethods.IsHead(context.Request.Method)
            ? Task.CompletedTask
            : response.Body.WriteAsync(buffer.GetBuffer().AsMemory(0, (int)buffer.Length), context.RequestAborted).AsTask();
    }

    /// <summary>Writes what is wrong with a definition.</summary>
    public static void WriteErrors(Utf8JsonWriter writer, IReadOnlyList<DefinitionProblem> errors)
    {
        writer.WriteStartArray();
        foreach (var error in errors)
        {
            writer.WriteStartObject();
            writer.WriteString("code", error.Code);
            writer.WriteString("message", error.Message);
            writer.WriteString("severity", error.Severity == ProblemSeverity.Error ? "error" : "warning");
            writer.WriteString("activityId", error.ActivityId);
            writer.WriteString("property", error.Property);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    /// <summary>Answers for what an endpoint threw.</summary>
    public static async Task HandleAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody is left to answer.
        }
        catch (Exception exception) when (!context.Response.HasStarted)
        {
            await AnswerAsync(context, exception);
        }
    }

    private static Task AnswerAsync(HttpContext context, Exception exception)
    {
        if (exception is PostgresException)
            DropConnections(context);
        switch (exception)
        {
            case ApiException api:
                return WriteAsync(context, api.Status, api.Code, api.Message, retryAfter: api.RetryAfter);
            case InferenceException inference:
                return WriteAsync(
                    context, InferenceStatus.Of(inference), inference.Code, inference.Message, retryAfter: inference.RetryAfter is { } wait ? OpenAIErrors.RetrySeconds(wait) : null);
            case DefinitionConflictException conflict:
                return WriteAsync(context, 412, conflict.Code, conflict.Message);
            case WorkflowDefinitionException definition:
                return WriteAsync(context, 400, "definition.invalid", "The definition has problems; every one is listed. Nothing was changed.", definition.Problems);
            case WorkflowException workflow:
                return WriteAsync(context, StatusOf(workflow.Code), workflow.Code, workflow.Message);
            case BadHttpRequestException bad:
                return WriteAsync(context, bad.StatusCode, bad.StatusCode == 413 ? "request.too_large" : "request.malformed", bad.Message);
            case JsonException json:
                return WriteAsync(context, 400, "request.not_json", $"The body is not JSON: {json.Message}");
            case PostgresException unfit when TextOfUnfit(unfit) is { } text:
                return WriteAsync(context, 400, "request.invalid", text);
            case NpgsqlException when DatabaseOutage.Is(exception):
                Log(context).LogDatabase(exception);
                return WriteAsync(context, 503, "database.unavailable", "The database cannot be reached right now. Nothing was changed, or the request can be repeated with the same Idempotency-Key. Try again in a moment.", retryAfter: "2");
            default:
                Log(context).LogUnexpected(context.Request.Method, context.Request.Path, exception);
                return WriteAsync(context, 500, "server.error", "Something went wrong in the server. The log has the details under this trace id.");
        }
    }

    /// <summary>A command that failed while it was being prepared leaves its connection out of step (npgsql#6391): none is used again.</summary>
    public static void DropConnections(HttpContext context) => context.RequestServices.GetRequiredService<ServerRuntime>().Database.Clear();

    /// <summary>What to say of a request that the database cannot store; null when it failed for another reason.</summary>
    public static string? TextOfUnfit(PostgresException exception) =>
        exception.SqlState is PostgresErrorCodes.CharacterNotInRepertoire or PostgresErrorCodes.UntranslatableCharacter or PostgresErrorCodes.ProgramLimitExceeded
            ? $"The database does not take an id or a text of the request: {exception.MessageText}. Shorten it, and leave NUL characters out."
            : null;

    private static int StatusOf(string code) => code switch
    {
        "instance.not_found" or "workflow.not_found" or "definition.version_missing" => 404,
        "instance.busy" or "instance.ended" or "definition.read_only" or "definition.version_in_use" or "definition.in_use" => 409,
        "test.not_recorded" or "test.not_repeatable" or "test.too_large" => 409,
        _ => 400,
    };

    private static ILogger Log(HttpContext context) => context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger("Conclave.Server.Api");

    [LoggerMessage(3101, LogLevel.Error, "{Method} {Path} failed.")]
    private static partial void LogUnexpected(this ILogger logger, string method, PathString path, Exception exception);

    [LoggerMessage(3102, LogLevel.Warning, "A request failed because the database cannot be reached.")]
    private static partial void LogDatabase(this ILogger logger, Exception exception);
}

/// <summary>A request that cannot be answered as asked.</summary>
internal sealed class ApiException(int status, string code, string message) : Exception(message)
{
    public int Status { get; } = status;

    public string Code { get; } = code;

    public string? RetryAfter { get; init; }

    public static ApiException NoInstance(string id) => new(404, "instance.not_found", $"There is no instance '{id}'. It may have been deleted.");

    public static ApiException NoWorkflow(string id) => new(404, "workflow.not_found", $"There is no workflow '{id}', or not the version that was asked for.");

    public static ApiException Bad(string message) => new(400, "request.invalid", message);
}
