using System.Globalization;
using System.Net;
using System.Text.Json;
using Conclave.Workflows.Definitions;

namespace Conclave.Cli.Server;

/// <summary>The server answered with an error.</summary>
internal sealed class ProblemException(HttpStatusCode status, int exitCode, string message, JsonElement problem)
    : CommandException(exitCode, message)
{
    public HttpStatusCode Status { get; } = status;

    /// <summary>The problem document; undefined when the answer was none.</summary>
    public JsonElement Problem { get; } = problem;
}

/// <summary>Makes readable errors of <c>application/problem+json</c>.</summary>
internal static class Problem
{
    private static readonly HashSet<string> Known = ["type", "title", "status", "detail", "instance", "code", "errors", "traceId", "requestId"];

    /// <summary>The error that an answer stands for.</summary>
    /// <param name="status">Status of the answer.</param>
    /// <param name="problem">Its body; undefined when that is no JSON object.</param>
    /// <param name="retryAfter">When the server wants to be asked again.</param>
    /// <param name="server">The server that answered.</param>
    public static ProblemException Of(HttpStatusCode status, JsonElement problem, TimeSpan? retryAfter, ServerConnection server)
    {
        var exitCode = (int)status switch
        {
            503 => ExitCodes.NoServer,
            >= 500 => ExitCodes.Unexpected,
            < 400 => ExitCodes.Unexpected,
            _ => ExitCodes.Refused,
        };
        List<string> lines = [First(status, problem)];
        if (status == HttpStatusCode.Unauthorized)
            lines.Add(server.Key is null ? $"The API key: {server.KeySource}." : $"The API key came from {server.KeySource}; {server} does not accept it.");
        if (status == HttpStatusCode.RequestEntityTooLarge)
            lines.Add("Send less at once: some of the files, or a zip of them.");
        if (retryAfter is { } wait)
            lines.Add($"Try again in {When.Span(wait)}.");
        lines.AddRange(Errors(problem));
        lines.AddRange(Extensions(problem));
        return new ProblemException(status, exitCode, string.Join('\n', lines), problem);
    }

    /// <summary>What is wrong with definitions, one line each.</summary>
    public static IEnumerable<string> Errors(JsonElement answer)
    {
        var errors = answer.Member("errors");
        if (errors.ValueKind == JsonValueKind.Object)
        {
            // The shape ASP.NET Core gives to a request that fails its rules.
            foreach (var member in errors.EnumerateObject())
                yield return $"  error: {member.Name}: {string.Join(' ', member.Value.Items().Select(e => e.Text()))}";
        }

        foreach (var error in errors.Items())
        {
            var severity = error.Text("severity").Equals("Warning", StringComparison.OrdinalIgnoreCase) ? "warning" : "error";
            var problem = new DefinitionProblem(
                error.Text("code"), error.Text("message"), error.TextOrNull("activityId"), error.TextOrNull("property"));
            yield return $"  {severity}: {problem}";
        }
    }

    private static string First(HttpStatusCode status, JsonElement problem)
    {
        var title = problem.TextOrNull("title");
        var detail = problem.TextOrNull("detail");
        var text = (title, detail) switch
        {
            (null, null) => string.Create(CultureInfo.InvariantCulture, $"The server answered {(int)status} {status}."),
            (_, null) => title,
            (null, _) => detail,
            _ => $"{title.TrimEnd('.')}: {detail}",
        };
        return problem.TextOrNull("code") is { } code ? $"{text} ({code})" : text;
    }

    // What else the server says, such as the workflows that use the one to delete.
    private static IEnumerable<string> Extensions(JsonElement problem)
    {
        if (problem.ValueKind != JsonValueKind.Object)
            yield break;
        foreach (var member in problem.EnumerateObject())
        {
            if (!Known.Contains(member.Name) && member.Value.ValueKind is not (JsonValueKind.Null or JsonValueKind.False))
                yield return $"  {member.Name}: {string.Join(", ", member.Value.ValueKind == JsonValueKind.Array ? member.Value.Items().Select(Item) : [Item(member.Value)])}";
        }
    }

    private static string Item(JsonElement item) =>
        item.TextOrNull("definitionId") ?? item.TextOrNull("id") ?? item.Text();
}
