using Conclave.Agents.Turns;
using Conclave.Inference.Streaming;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;

namespace Conclave.Agents.Activities;

/// <summary>Gives the answer of a turn.</summary>
[Activity("Conclave.Agents", "Agents", "Gives the answer of the turn to whoever sent the message. The last one counts.", DisplayName = "Stream reply", Icon = AgentIcons.Reply, Color = AgentIcons.Color)]
public sealed class StreamReply : Activity
{
    /// <summary>The answer.</summary>
    [Input(Description = "The answer.", UIHint = InputUIHints.MultiLine)]
    public Input<string> Text { get; set; } = new();

    /// <summary>Whether it is new to the conversation.</summary>
    [Input(Description = "Whether the text is added to the conversation: on for a text of your own, off for what Chat said and added already.")]
    public Input<bool> AddToConversation { get; set; } = new();

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var scope = await TurnScope.OfAsync(context);
        var text = context.Get(Text) ?? "";
        if (context.Get(AddToConversation))
        {
            TurnScope.Say(context, TurnMessage.Assistant(text, default));
            var streams = context.Engine.Service<TokenStreams>("stream answers");
            streams.Begin(scope.Tenant, scope.TurnId);
            streams.Publish(scope.Tenant, scope.TurnId, text);
            streams.End(scope.Tenant, scope.TurnId);
        }

        context.Request(new TurnAnswered(context.Number, text));
        context.Complete();
    }
}
