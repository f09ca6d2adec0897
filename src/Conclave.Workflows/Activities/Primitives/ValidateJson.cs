using System.Runtime.InteropServices;
using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Workflows.Activities;

/// <summary>Checks a value against a JSON Schema.</summary>
[Activity("Conclave", "Primitives", "Checks a value against a JSON Schema and goes on through Valid or Invalid. Result says what does not fit and where.", DisplayName = "Validate JSON", RequiredSyntax = "JavaScript",
    Icon = ActivityIcons.CheckedJson, Color = "#0f766e")]
[FlowNode("Valid", "Invalid")]
public sealed class ValidateJson : Activity
{
    /// <summary>The value to check, for example the content of a request.</summary>
    [Input(Description = "The value to check, for example the content of a request.")]
    public Input<object> Value { get; set; } = new();

    /// <summary>The schema: draft 2020-12, or draft 7 where <c>$schema</c> says so.</summary>
    [Input(Description = "The JSON Schema: draft 2020-12, or draft 7 where $schema says so.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object")]
    public Input<JsonElement> Schema { get; set; } = new();

    /// <summary>What does not fit: <c>[{path, keyword, message}]</c>; empty when all does.</summary>
    [Output(Description = "What does not fit, as a list of path, keyword and message; empty when all does.")]
    public Output<object>? Result { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var schema = context.Get(Schema);
        if (schema.ValueKind is not (JsonValueKind.Object or JsonValueKind.True or JsonValueKind.False))
            throw new WorkflowException("validate_json.no_schema", $"{Node}: the schema is missing or is not a JSON object.");
        if (context.Engine.Expressions.Find("JavaScript") is not JavaScriptSyntax { Runners: { } runners })
            throw new ExpressionException("expression.unavailable", "JSON Schema needs a script runner; create the engine with one.");
        SchemaReport report;
        try
        {
            report = await runners.ValidateJsonAsync(Utf8(schema), Utf8(ValueConverter.ToJson(context.Get(Value))), context.CancellationToken);
        }
        catch (ScriptException exception)
        {
            throw ScriptText.Failure(exception);
        }

        context.Set(Result, ValueConverter.ToJson(report.Errors
            .Select(e => new Dictionary<string, string> { ["path"] = e.Path, ["keyword"] = e.Keyword, ["message"] = e.Message })
            .ToArray()));
        context.Complete(report.Valid ? "Valid" : "Invalid");
    }

    private static byte[] Utf8(JsonElement json) => JsonMarshal.GetRawUtf8Value(json).ToArray();
}
