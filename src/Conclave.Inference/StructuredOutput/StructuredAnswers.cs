using System.Text;
using System.Text.Json;
using Conclave.Workflows.Expressions.Scripting;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.StructuredOutput;

/// <summary>An answer that was checked against a schema.</summary>
/// <param name="Value">The value; undefined when the text is no JSON.</param>
/// <param name="Text">What the model wrote.</param>
/// <param name="Report">What does not fit; empty when all does.</param>
/// <param name="WasRepaired">Whether the model was asked a second time.</param>
/// <param name="Response">The model's last answer.</param>
public sealed record StructuredAnswer(JsonElement Value, string Text, SchemaReport Report, bool WasRepaired, ChatResponse Response);

/// <summary>Asks for JSON under a schema, checks it, and asks once more with what is wrong.</summary>
/// <param name="inference">Who is asked.</param>
/// <param name="schemas">Checks values: draft 2020-12, or draft 7 where <c>$schema</c> says so.</param>
public sealed class StructuredAnswers(IInference inference, ScriptRunnerPool schemas)
{
    /// <summary>Asks.</summary>
    /// <param name="call">The question.</param>
    /// <param name="schema">What the answer is to fit.</param>
    /// <param name="report">Filled while the call proceeds; counts both tries.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="InferenceException"><see cref="InferenceFailure.SchemaMismatch"/>: it fits neither at once nor after a repair; or the call failed.</exception>
    public async Task<StructuredAnswer> AskAsync(ChatCall call, JsonElement schema, CallReport report, CancellationToken cancellationToken)
    {
        var options = call.Options.Clone();
        options.ResponseFormat = ChatResponseFormat.ForJsonSchema(schema, "answer");
        var first = await inference.ChatAsync(call with { Options = options }, report, cancellationToken);
        var answer = await CheckAsync(first, schema, wasRepaired: false, cancellationToken);
        if (answer.Report.Valid)
            return answer;
        var repair = new CallReport { CallId = Guid.CreateVersion7().ToString("N") };
        var key = call.Context.IdempotencyKey is { } given ? $"{given}/repair" : null;
        var second = await inference.ChatAsync(
            call with
            {
                Context = call.Context with { IdempotencyKey = key, ParentId = report.CallId },
                Messages = [.. call.Messages, new ChatMessage(ChatRole.Assistant, answer.Text), new ChatMessage(ChatRole.User, $"This does not fit the JSON Schema:\n{Describe(answer.Report)}\nWrite the whole answer again, corrected, as JSON and nothing else.")],
                Options = options,
            },
            repair, cancellationToken);
        report.InputTokens += repair.InputTokens;
        report.OutputTokens += repair.OutputTokens;
        report.Cost += repair.Cost;
        answer = await CheckAsync(second, schema, wasRepaired: true, cancellationToken);
        return answer.Report.Valid ? answer : throw new InferenceException(
            InferenceFailure.SchemaMismatch, "inference.schema_mismatch",
            $"The answer of {report.Model} does not fit the schema, and did not after a repair either: {Describe(answer.Report).ReplaceLineEndings(" ")} Simplify the schema, or choose another model.");
    }

    private async Task<StructuredAnswer> CheckAsync(ChatResponse response, JsonElement schema, bool wasRepaired, CancellationToken cancellationToken)
    {
        var text = response.Text;
        if (JsonInText.TryParse(JsonInText.Find(text)) is not { } value)
            return new StructuredAnswer(default, text, new SchemaReport(false, [new SchemaError("", "json", text.Length == 0 ? "must not be empty" : "must be JSON")]), wasRepaired, response);
        try
        {
            var report = await schemas.ValidateJsonAsync(Encoding.UTF8.GetBytes(schema.GetRawText()), Encoding.UTF8.GetBytes(value.GetRawText()), cancellationToken);
            return new StructuredAnswer(value, text, report, wasRepaired, response);
        }
        catch (ScriptException exception) when (exception.Code == "script.schema")
        {
            throw new InferenceException(InferenceFailure.BadRequest, "inference.bad_schema", $"The JSON Schema cannot be used: {exception.Message}", exception) { Parameter = "schema" };
        }
    }

    private static string Describe(SchemaReport report) =>
        string.Join("\n", report.Errors.Take(10).Select(e => $"- {(e.Path.Length == 0 ? "the value" : e.Path)} {e.Message}"));
}
