using System.Text.Json;
using Conclave.Agents.Turns;
using Conclave.Inference;
using Conclave.Inference.Activities;
using Conclave.Inference.Streaming;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Microsoft.Extensions.AI;

namespace Conclave.Agents.Activities;

/// <summary>Asks the agent's model.</summary>
[Activity("Conclave.Agents", "Agents", "Asks the agent's model with its prompt and conversation, hands on what it says as it says it, and adds the answer to the conversation. Goes on through Answer, or through Tool calls when the model wants tools.",
    DisplayName = "Chat (agent)", Kind = ActivityKind.Task, IsResilient = true, HasEffect = true, IsRecorded = true, Icon = AgentIcons.Chat, Color = AgentIcons.Color)]
[FlowNode("Answer", "Tool calls")]
public sealed class Chat : ModelActivity
{
    /// <summary>Makes it ask the agent's model unless an author names another.</summary>
    public Chat() => Model = new("");

    /// <summary>What it reads.</summary>
    [Input(Description = "What Build prompt gave. Empty for the agent's prompt and the conversation.", UIHint = InputUIHints.VariablePicker)]
    public Input<object> Prompt { get; set; } = new();

    /// <summary>Tools that the model may call.</summary>
    [Input(Description = "Names of the tools that the model may call, as Select tools gives them. Empty for none.")]
    public Input<object> Tools { get; set; } = new();

    /// <summary>JSON Schema of the answer.</summary>
    [Input(Description = "A JSON Schema that the answer is to fit; empty for text.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object", Category = "Answer")]
    public Input<JsonElement> Schema { get; set; } = new();

    /// <summary>How free the answer may be.</summary>
    [Input(Description = "0 for always the same, 2 for free; empty for the agent's own.", Category = "Answer")]
    public Input<double?> Temperature { get; set; } = new();

    /// <summary>The most tokens of the answer.</summary>
    [Input(Description = "The most tokens of the answer; empty for the model's default.", Category = "Answer")]
    public Input<int?> MaxTokens { get; set; } = new();

    /// <summary>Whether the answer belongs to the conversation.</summary>
    [Input(Description = "Whether the answer is added to the conversation and shown as it comes. Turn it off for what the agent thinks for itself.", Category = "Answer")]
    public Input<bool> AddToConversation { get; set; } = new(true);

    /// <summary>What the model wrote.</summary>
    [Output(Description = "What the model wrote.")]
    public Output<string>? Text { get; set; }

    /// <summary>The value that fits the schema.</summary>
    [Output(Description = "With a schema, the value that fits it; else the text.")]
    public Output<object>? Result { get; set; }

    /// <summary>Calls of tools.</summary>
    [Output(Description = "Tools that the model wants to be called: a list of {id, name, arguments}.")]
    public Output<JsonElement>? ToolCalls { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var began = context.Time.GetTimestamp();
        var scope = await TurnScope.OfAsync(context);
        var shows = context.Get(AddToConversation);
        var options = new ChatOptions
        {
            Temperature = (float?)(context.Get(Temperature) ?? scope.Configuration.Temperature),
            MaxOutputTokens = context.Get(MaxTokens),
            Tools = ToolDeclarations.Of(context, scope, context.Get(Tools)),
        };
        var messages = await PromptText.MessagesAsync(context, scope, context.Get(Prompt), options.MaxOutputTokens);
        var report = new CallReport();
        var streams = shows ? context.Engine.Service<TokenStreams>("stream answers") : null;
        streams?.Begin(scope.Tenant, scope.TurnId);
        ChatResponse response;
        Action<ChatResponseUpdate>? onUpdate = streams is null ? null : update => streams.Publish(scope.Tenant, scope.TurnId, update.Text);
        try
        {
            if (SchemaOf(context.Get(Schema)) is { } schema)
            {
                var answer = await AskAsync(context, messages, options, schema, onUpdate, report);
                response = answer.Response;
                context.Set(Result, ValueConverter.FromJson(answer.Value));
            }
            else
            {
                response = await AskAsync(context, messages, options, onUpdate, report);
                context.Set(Result, response.Text);
            }
        }
        finally
        {
            streams?.End(scope.Tenant, scope.TurnId);
        }

        var calls = ChatInputs.ToolCalls(response);
        context.Set(Text, response.Text);
        context.Set(ToolCalls, calls);
        if (shows)
            TurnScope.Say(context, TurnMessage.Assistant(response.Text, calls));
        context.Request(new TurnUsed(context.Number, 1, 0, report.InputTokens, report.OutputTokens, report.Cost));
        scope.Tell(context, "model.completed", Json.Object(
            ("execution", context.Number), ("model", report.Model), ("server", report.Server), ("inputTokens", report.InputTokens), ("outputTokens", report.OutputTokens), ("cost", report.Cost),
            ("text", shows ? response.Text : null), ("toolCalls", calls.GetArrayLength() > 0 ? calls : null)));
        TurnProgress.Of(context).Asked(report.Cost, context.Time.GetElapsedTime(began)).Store(context);
        context.Complete(calls.GetArrayLength() > 0 ? "Tool calls" : "Answer");
    }

    /// <inheritdoc/>
    public override void OnAnswered(ActivityContext context) => TurnProgress.Of(context).Asked(context.Find<decimal?>(Cost) ?? 0, TimeSpan.Zero).Store(context);

    private protected override async ValueTask<CallContext> ContextOfAsync(ActivityContext context)
    {
        var call = await base.ContextOfAsync(context);
        var input = context.Instance.Input;
        return call with
        {
            AgentId = input.GetValueOrDefault(TurnInputs.AgentId) as string,
            // The next turn of a conversation finds what the server has of the one before.
            SessionId = input.GetValueOrDefault(TurnInputs.ConversationId) as string ?? call.SessionId,
            ParentId = context.Instance.ParentInstanceId,
            MaxCost = call.MaxCost ?? await TurnCosts.LeftAsync(context),
        };
    }

    private protected override string ModelOf(ActivityContext context) =>
        context.Get(Model) is { Length: > 0 } model ? model
        : context.Engine.Service<Makeups>("run agents").Known(context.Host.Tenant, context.Instance.Input.GetValueOrDefault(TurnInputs.Makeup) as string)?.Configuration.Model ?? base.ModelOf(context);
}
