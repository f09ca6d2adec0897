using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Inference.Providers.OpenAI;
using Conclave.Workflows.Expressions.Scripting;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.StructuredOutput;

/// <summary>An answer that was checked against a schema.</summary>
/// <param name="Value">The value; undefined when the text is no JSON, or the model calls tools instead.</param>
/// <param name="Text">What the model wrote.</param>
/// <param name="Report">What does not fit; empty when all does.</param>
/// <param name="WasRepaired">Whether the model was asked a second time.</param>
/// <param name="Response">The model's last answer; its usage is that of both.</param>
public sealed record StructuredAnswer(JsonElement Value, string Text, SchemaReport Report, bool WasRepaired, ChatResponse Response);

/// <summary>Asks for JSON, checks it, and asks once more with what is wrong.</summary>
/// <param name="inference">Who is asked.</param>
/// <param name="schemas">Checks values: draft 2020-12, or draft 7 where <c>$schema</c> says so.</param>
public sealed class StructuredAnswers(IInference inference, ScriptRunnerPool schemas)
{
    private static readonly SchemaReport Fits = new(true, []);

    /// <summary>Asks for JSON under a schema.</summary>
    /// <param name="call">The question.</param>
    /// <param name="schema">What the answer is to fit.</param>
    /// <param name="report">Filled while the call proceeds; counts both tries.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="InferenceException"><see cref="InferenceFailure.SchemaMismatch"/>: it fits neither at once nor after a repair; or the call failed.</exception>
    public async Task<StructuredAnswer> AskAsync(ChatCall call, JsonElement schema, CallReport report, CancellationToken cancellationToken)
    {
        var options = call.Options.Clone();
        options.ResponseFormat = ChatResponseFormat.ForJsonSchema(schema, "answer");
        var answer = await TryAsync(call with { Options = options }, schema, report, cancellationToken);
        return answer.Report.Valid ? answer : throw Mismatch(answer, report);
    }

    /// <summary>Asks for the JSON that <see cref="ChatOptions.ResponseFormat"/> says: any, or under a schema.</summary>
    /// <param name="call">The question.</param>
    /// <param name="report">Filled while the call proceeds; counts both tries.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>The answer, whose text is the JSON and nothing else. One that was cut off at a limit, as its finish reason says, or that calls tools, is as the model gave it.</returns>
    /// <exception cref="InferenceException">As for <see cref="AskAsync"/>.</exception>
    public async Task<ChatResponse> AnswerAsync(ChatCall call, CallReport report, CancellationToken cancellationToken)
    {
        var answer = await TryAsync(call, (call.Options.ResponseFormat as ChatResponseFormatJson)?.Schema, report, cancellationToken);
        if (IsCut(answer.Response) || CallsTools(answer.Response))
            return answer.Response;
        if (!answer.Report.Valid)
            throw Mismatch(answer, report);
        var json = answer.Value.GetRawText();
        if (json != answer.Response.Text)
            Replace(answer.Response, json);
        return answer.Response;
    }

    /// <summary>Hands an answer on as it comes, and checks it at its end.</summary>
    /// <param name="call">The question, whose <see cref="ChatOptions.ResponseFormat"/> asks for JSON.</param>
    /// <param name="report">Filled while the call proceeds.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceFailure.SchemaMismatch"/> in place of the end: what was handed on is no JSON, or does not fit. Nulls of members that are optional pass. Answers that were cut off
    /// or call tools are not checked.
    /// </exception>
    public async IAsyncEnumerable<ChatResponseUpdate> StreamAsync(ChatCall call, CallReport report, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in inference.StreamAsync(call, report, cancellationToken))
        {
            updates.Add(update);
            yield return update;
        }

        var response = updates.ToChatResponse();
        if (IsCut(response) || CallsTools(response))
            yield break;
        // Whoever listens reads all of the text: JSON with something around it is none here.
        var answer = JsonInText.TryParse(response.Text) is null
            ? new StructuredAnswer(default, response.Text, new SchemaReport(false, [new SchemaError("", "json", "must be JSON and nothing else")]), false, response)
            : await CheckAsync(response, (call.Options.ResponseFormat as ChatResponseFormatJson)?.Schema, wasRepaired: false, cancellationToken);
        if (!answer.Report.Valid)
            throw Mismatch(answer, report);
    }

    private async Task<StructuredAnswer> TryAsync(ChatCall call, JsonElement? schema, CallReport report, CancellationToken cancellationToken)
    {
        var first = await inference.ChatAsync(call, report, cancellationToken);
        var answer = await CheckAsync(first, schema, wasRepaired: false, cancellationToken);
        // Whoever was cut off once would be again.
        if (answer.Report.Valid || IsCut(first))
            return answer;
        var repair = new CallReport();
        var key = call.Context.IdempotencyKey is { } given ? $"{given}/repair" : null;
        var second = await inference.ChatAsync(
            call with
            {
                Context = call.Context with { IdempotencyKey = key, ParentId = report.CallId },
                Messages = [.. call.Messages, new ChatMessage(ChatRole.Assistant, answer.Text), new ChatMessage(ChatRole.User, $"This does not fit{(schema is null ? "" : " the JSON Schema")}:\n{Describe(answer.Report)}\nWrite the whole answer again, corrected, as JSON and nothing else.")],
            },
            repair, cancellationToken);
        report.InputTokens += repair.InputTokens;
        report.OutputTokens += repair.OutputTokens;
        report.Cost += repair.Cost;
        if (first.Usage is { } usage)
            (second.Usage ??= new UsageDetails()).Add(usage);
        return await CheckAsync(second, schema, wasRepaired: true, cancellationToken);
    }

    private async Task<StructuredAnswer> CheckAsync(ChatResponse response, JsonElement? schema, bool wasRepaired, CancellationToken cancellationToken)
    {
        var text = response.Text;
        if (CallsTools(response))
            return new StructuredAnswer(default, text, Fits, wasRepaired, response);
        if (JsonInText.TryParse(JsonInText.Find(text)) is not { } value)
        {
            var problem = IsCut(response) ? "was cut off at a limit before it was whole" : text.Length == 0 ? "must not be empty" : "must be JSON";
            return new StructuredAnswer(default, text, new SchemaReport(false, [new SchemaError("", "json", problem)]), wasRepaired, response);
        }

        if (schema is not { } expected)
            return new StructuredAnswer(value, text, Fits, wasRepaired, response);
        var report = await ValidateAsync(expected, value, cancellationToken);
        if (!report.Valid && WithoutNulls(value, expected) is { } pruned && await ValidateAsync(expected, pruned, cancellationToken) is { Valid: true } fits)
            (value, report) = (pruned, fits);
        return new StructuredAnswer(value, text, report, wasRepaired, response);
    }

    private async Task<SchemaReport> ValidateAsync(JsonElement schema, JsonElement value, CancellationToken cancellationToken)
    {
        try
        {
            return await schemas.ValidateJsonAsync(Encoding.UTF8.GetBytes(schema.GetRawText()), Encoding.UTF8.GetBytes(value.GetRawText()), cancellationToken);
        }
        catch (ScriptException exception) when (exception.Code == "script.schema")
        {
            throw new InferenceException(InferenceFailure.BadRequest, "inference.bad_schema", $"The JSON Schema cannot be used: {exception.Message}", exception) { Parameter = "schema" };
        }
    }

    // OpenAI's strict subset has every member required, so that what is optional comes as null. Null when there are none of those.
    private static JsonElement? WithoutNulls(JsonElement value, JsonElement schema)
    {
        var node = value.ValueKind switch { JsonValueKind.Object => JsonObject.Create(value), JsonValueKind.Array => JsonArray.Create(value), _ => (JsonNode?)null };
        if (node is null)
            return null;
        var before = node.ToJsonString();
        StrictJsonSchema.Prune(node, schema);
        return node.ToJsonString() is var after && after != before ? JsonElement.Parse(after) : null;
    }

    private static void Replace(ChatResponse response, string text)
    {
        foreach (var message in response.Messages)
        {
            for (var i = message.Contents.Count - 1; i >= 0; i--)
            {
                if (message.Contents[i] is TextContent)
                    message.Contents.RemoveAt(i);
            }
        }

        response.Messages[^1].Contents.Add(new TextContent(text));
    }

    private static bool IsCut(ChatResponse response) => response.FinishReason == ChatFinishReason.Length || response.FinishReason == ChatFinishReason.ContentFilter;

    private static bool CallsTools(ChatResponse response) => response.Messages.Any(m => m.Contents.Any(c => c is FunctionCallContent));

    private static InferenceException Mismatch(StructuredAnswer answer, CallReport report) => new(
        InferenceFailure.SchemaMismatch, "inference.schema_mismatch",
        $"The answer of {report.Model} does not fit what was asked for{(answer.WasRepaired ? ", and did not after a repair either" : "")}: {Describe(answer.Report).ReplaceLineEndings(" ")} "
        + (IsCut(answer.Response) ? "Allow more tokens." : "Simplify the schema, or choose another model."));

    private static string Describe(SchemaReport report) =>
        string.Join("\n", report.Errors.Take(10).Select(e => $"- {(e.Path.Length == 0 ? "the value" : e.Path)} {e.Message}"));
}
