using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Activities;

/// <summary>Asks a model.</summary>
[Activity("Conclave", "AI", "Asks a model and takes its answer: text, JSON that fits a schema, or calls of tools.", DisplayName = "Chat", Kind = ActivityKind.Task, IsResilient = true, HasEffect = true, IsRecorded = true,
    Icon = AIIcons.Chat, Color = AIIcons.Color)]
public sealed class Chat : ModelActivity
{
    /// <summary>The question.</summary>
    [Input(Description = "What to ask. With Messages, it comes after them.", UIHint = InputUIHints.MultiLine)]
    public Input<string> Prompt { get; set; } = new();

    /// <summary>Who the model is to be.</summary>
    [Input(Description = "What the model should know and keep to, before everything else.", UIHint = InputUIHints.MultiLine)]
    public Input<string> System { get; set; } = new();

    /// <summary>A conversation.</summary>
    [Input(Description = "The conversation so far: a list of {role, content}, with tool_calls and tool_call_id as in OpenAI's API.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object")]
    public Input<object> Messages { get; set; } = new();

    /// <summary>JSON Schema of the answer.</summary>
    [Input(Description = "A JSON Schema that the answer is to fit; empty for text. What does not fit is repaired once, then the activity faults.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object", Category = "Answer")]
    public Input<JsonElement> Schema { get; set; } = new();

    /// <summary>Tools that the model may call.</summary>
    [Input(Description = "Tools that the model may call, as in OpenAI's API: a list of {name, description, parameters}. The calls are an output; the workflow runs them.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object", Category = "Answer")]
    public Input<object> Tools { get; set; } = new();

    /// <summary>How free the answer may be.</summary>
    [Input(Description = "0 for always the same, 1 for free; empty for the model's default.", Category = "Answer")]
    public Input<double?> Temperature { get; set; } = new();

    /// <summary>The most tokens of the answer.</summary>
    [Input(Description = "The most tokens of the answer; empty for the model's default.", Category = "Answer")]
    public Input<int?> MaxTokens { get; set; } = new();

    /// <summary>Where the text is handed on while it comes.</summary>
    [Input(Description = "A name under which others listen to the answer while it comes, at /api/inference/streams/{name}; empty for nobody. With a schema they hear it once it has been checked.", Category = "Answer")]
    public Input<string> Channel { get; set; } = new();

    /// <summary>The answer: text, or the value that fits the schema.</summary>
    [Output(Description = "The answer: the text, or with a schema the value.")]
    public Output<object>? Result { get; set; }

    /// <summary>What the model wrote.</summary>
    [Output(Description = "What the model wrote, as text.")]
    public Output<string>? Text { get; set; }

    /// <summary>What does not fit the schema.</summary>
    [Output(Description = "With a schema: whether the answer fits (valid), whether it had to be repaired (wasRepaired), and what did not fit (errors).")]
    public Output<JsonElement>? Validation { get; set; }

    /// <summary>Calls of tools.</summary>
    [Output(Description = "Tools that the model wants to be called: a list of {id, name, arguments}.")]
    public Output<JsonElement>? ToolCalls { get; set; }

    /// <summary>Why the answer ended.</summary>
    [Output(Description = "Why the answer ended: stop, length, tool_calls or content_filter.")]
    public Output<string>? FinishReason { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var messages = ChatInputs.Messages(context.Get(System), context.Get(Messages), context.Get(Prompt));
        var options = new ChatOptions { Temperature = (float?)context.Get(Temperature), MaxOutputTokens = context.Get(MaxTokens), Tools = ChatInputs.Tools(context.Get(Tools)) };
        using var stream = TokenWriter.Open(context, context.Get(Channel));
        ChatResponse response;
        if (SchemaOf(context.Get(Schema)) is { } schema)
        {
            var answer = await AskAsync(context, messages, options, schema, stream.Write);
            response = answer.Response;
            // Undefined when the model calls tools first.
            context.Set(Result, answer.Value.ValueKind == JsonValueKind.Undefined ? null : ValueConverter.FromJson(answer.Value));
            context.Set(Validation, ChatInputs.Describe(answer));
        }
        else
        {
            response = await AskAsync(context, messages, options, stream.Write);
            context.Set(Result, response.Text);
        }

        context.Set(Text, response.Text);
        context.Set(FinishReason, response.FinishReason?.Value);
        context.Set(ToolCalls, ChatInputs.ToolCalls(response));
        context.Complete();
    }
}
