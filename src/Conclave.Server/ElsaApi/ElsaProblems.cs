using System.Text.Json;
using Conclave.Server.Api;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Npgsql;

namespace Conclave.Server.ElsaApi;

/// <summary>Refusals in the shape that Elsa Studio shows to people: 400 with <c>errors</c>, texts by the field that they are about.</summary>
internal static class ElsaProblems
{
    /// <summary>Key of what is wrong with the request as a whole.</summary>
    public const string General = "generalErrors";

    /// <summary>Answers 400.</summary>
    public static Task WriteAsync(HttpContext context, IReadOnlyDictionary<string, string[]> errors) => context.WriteJsonAsync(
        writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("statusCode", StatusCodes.Status400BadRequest);
            writer.WriteString("message", "One or more errors occurred!");
            writer.WriteStartObject("errors");
            foreach (var (field, texts) in errors)
            {
                writer.WriteStartArray(field);
                foreach (var text in texts)
                    writer.WriteStringValue(text);
                writer.WriteEndArray();
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        },
        StatusCodes.Status400BadRequest,
        "application/problem+json");

    /// <summary>Answers 400 for what is wrong with the request as a whole.</summary>
    public static Task WriteAsync(HttpContext context, params string[] texts) => WriteAsync(context, new Dictionary<string, string[]> { [General] = texts });

    /// <summary>Answers for what an endpoint threw. Studio shows texts for 400 alone, so every refusal is one.</summary>
    public static Task HandleAsync(HttpContext context, RequestDelegate next) => Problems.HandleAsync(context, async inner =>
    {
        try
        {
            await next(inner);
        }
        catch (Exception exception) when (!inner.Response.HasStarted && TextsOf(exception) is { } texts)
        {
            await WriteAsync(inner, texts);
        }
        catch (JsonException exception) when (!inner.Response.HasStarted)
        {
            await inner.WriteJsonAsync(
                writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("modelBindingError", $"The body is not JSON: {exception.Message}");
                    writer.WriteEndObject();
                },
                StatusCodes.Status400BadRequest);
        }
        catch (PostgresException exception) when (!inner.Response.HasStarted && Problems.TextOfUnfit(exception) is not null)
        {
            Problems.DropConnections(inner);
            await WriteAsync(inner, Problems.TextOfUnfit(exception)!);
        }
        catch (ApiException exception) when (exception.Status == StatusCodes.Status404NotFound && !inner.Response.HasStarted)
        {
            inner.Response.StatusCode = StatusCodes.Status404NotFound;
        }
    });

    /// <summary>The texts of a refusal; null for what is none.</summary>
    public static string[]? TextsOf(Exception exception) => exception switch
    {
        ApiException { Status: not StatusCodes.Status404NotFound } api => [api.Message],
        DefinitionConflictException conflict => [conflict.Message],
        WorkflowDefinitionException definition => [.. definition.Problems.Where(p => p.Severity == ProblemSeverity.Error).Select(TextOf)],
        WorkflowException workflow => [workflow.Message],
        BadHttpRequestException { StatusCode: StatusCodes.Status400BadRequest } bad => [bad.Message],
        _ => null,
    };

    /// <summary>A problem of a definition as one text that names its place.</summary>
    public static string TextOf(DefinitionProblem problem) => problem switch
    {
        { ActivityId: { } activity, Property: { } property } => $"{activity}.{property}: {problem.Message}",
        { ActivityId: { } activity } => $"{activity}: {problem.Message}",
        _ => problem.Message,
    };
}
