using System.Text.Json;
using Conclave.Agents.Turns;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Activities;

/// <summary>Says something to an agent and waits for its answer.</summary>
[Activity("Conclave.Agents", "Agents", "Says something to an agent and waits until it has answered: goes on through Done, or through Failed when its turn failed or was cancelled. Works in every workflow.", DisplayName = "Run agent",
    Kind = ActivityKind.Task, HasEffect = true, Icon = AgentIcons.Agent, Color = AgentIcons.Color)]
[FlowNode("Done", "Failed")]
public class RunAgent : Activity
{
    /// <summary>How deep agents may hand work to each other.</summary>
    private const int Deepest = 3;

    /// <summary>The agent.</summary>
    [Input(Description = "Name or id of the agent.")]
    public Input<string> Agent { get; set; } = new();

    /// <summary>The message.</summary>
    [Input(Description = "What is said to it.", UIHint = InputUIHints.MultiLine)]
    public Input<string> Message { get; set; } = new();

    /// <summary>The conversation.</summary>
    [Input(Description = "The conversation that it goes on with; empty begins a new one.")]
    public Input<string> ConversationId { get; set; } = new();

    /// <summary>The most that its turn may cost.</summary>
    [Input(Description = "The most that its turn may cost, in the currency of the prices; its own limits hold as well. Inside a turn, that turn's limit holds for both together.")]
    public Input<decimal?> MaxCost { get; set; } = new();

    /// <summary>The answer.</summary>
    [Output(Description = "What the agent answered.")]
    public Output<string>? Answer { get; set; }

    /// <summary>The turn.</summary>
    [Output(Description = "The turn: id, conversationId, status, answer, error, cost, modelCalls and toolCalls.")]
    public Output<JsonElement>? Turn { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var turnId = TurnStarter.IdOf(context.Instance.Id, context.Number);
        var turns = context.Engine.Service<TurnStarter>("run agents");
        try
        {
            // Also through workflows that an agent's tools or this behaviour have begun: else agents could call each other without end, and beyond every limit.
            var origin = await turns.FindTurnOfAsync(context.Host.Tenant, context.Instance, context.CancellationToken);
            var depth = DepthOf(origin) + 1;
            if (depth > Deepest)
                throw new AgentException(AgentFailure.BadRequest, "agents.too_deep", $"Agents hand work to each other {Deepest} levels deep at most.");
            await turns.StartAsync(
                context.Host.Tenant,
                context.Get(Agent) ?? "",
                new TurnRequest(MessageOf(context), $"instance:{context.Instance.Id}")
                {
                    ConversationId = context.Get(ConversationId) is { Length: > 0 } conversation ? conversation : null,
                    TurnId = turnId,
                    ParentInstanceId = context.Instance.Id,
                    MaxCost = context.Get(MaxCost),
                    SharedLimits = origin is null ? [] : TurnCosts.LimitsOf(origin),
                    Depth = depth,
                },
                context.CancellationToken);
        }
        catch (AgentException exception)
        {
            throw new WorkflowException(exception.Code, $"{context.Node}: {exception.Message}", exception)
            {
                IsPermanent = exception.Failure is AgentFailure.BadRequest or AgentFailure.NotFound,
                RetryAfter = exception.RetryAfter,
            };
        }

        // Told when the turn has ended, as for a workflow that is waited for.
        context.CreateBookmark(null, new BookmarkPayload("RunAgentStimulus", ("ChildInstanceId", turnId)));
    }

    /// <inheritdoc/>
    public override async ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input)
    {
        var id = bookmark.Payload["ChildInstanceId"] as string ?? "";
        var turn = await context.Engine.Service<TurnStore>("run agents").FindAsync(context.Host.Tenant, id, context.CancellationToken)
            ?? throw new WorkflowException("agents.turn_not_found", $"{context.Node}: the turn '{id}' is gone.") { IsPermanent = true };
        context.Set(Answer, turn.Answer);
        context.Set(Turn, Json.Object(
            ("id", turn.Id), ("conversationId", turn.ConversationId), ("status", turn.Status), ("answer", turn.Answer), ("error", turn.Error), ("cost", turn.Cost),
            ("modelCalls", turn.ModelCalls), ("toolCalls", turn.ToolCalls)));
        // What it cost is part of what this turn may cost.
        if (context.Instance.Input.ContainsKey(TurnInputs.AgentId))
            (TurnProgress.Of(context) is var progress ? progress with { Cost = progress.Cost + turn.Cost } : progress).Store(context);
        if (turn is { Status: "completed", Answer: { } answer })
            Answered(context, answer);
        context.Complete(turn.Status == "completed" ? "Done" : "Failed");
    }

    /// <inheritdoc/>
    public override void OnAnswered(ActivityContext context)
    {
        if (context.Find<JsonElement?>(Turn) is not { ValueKind: JsonValueKind.Object } turn || !context.Instance.Input.ContainsKey(TurnInputs.AgentId))
            return;
        if (turn.TryGetProperty("cost", out var cost))
            (TurnProgress.Of(context) is var progress ? progress with { Cost = progress.Cost + cost.GetDecimal() } : progress).Store(context);
        if (turn.GetProperty("status").GetString() == "completed" && turn.TryGetProperty("answer", out var answer))
            Answered(context, answer.GetString()!);
    }

    /// <summary>What is said to the agent.</summary>
    private protected virtual string MessageOf(ActivityContext context) => context.Get(Message) ?? "";

    /// <summary>The agent has answered.</summary>
    private protected virtual void Answered(ActivityContext context, string answer)
    {
    }

    private static int DepthOf(WorkflowInstance? turn) => turn?.Input.GetValueOrDefault(TurnInputs.Depth) is { } depth ? ValueConverter.Convert<int>(depth) : 0;
}

/// <summary>Hands the turn over to another agent.</summary>
[Activity("Conclave.Agents", "Agents", "Hands the turn over to another agent, whose answer becomes this turn's answer. Goes on through Done when it has answered, or through Failed.", DisplayName = "Hand off",
    Kind = ActivityKind.Task, HasEffect = true, Icon = AgentIcons.HandOff, Color = AgentIcons.Color)]
[FlowNode("Done", "Failed")]
public sealed class HandOff : RunAgent
{
    /// <summary>Why.</summary>
    [Input(Description = "Why it is handed over and what the other agent has to know, before the message.", UIHint = InputUIHints.MultiLine)]
    public Input<string> Note { get; set; } = new();

    private protected override string MessageOf(ActivityContext context)
    {
        var message = base.MessageOf(context) is { Length: > 0 } given ? given : ValueConverter.ToText(context.Instance.Input.GetValueOrDefault(TurnInputs.Message)) ?? "";
        return context.Get(Note) is { Length: > 0 } note ? $"{note}\n\n{message}" : message;
    }

    private protected override void Answered(ActivityContext context, string answer)
    {
        TurnScope.Say(context, TurnMessage.Assistant(answer, default));
        context.Request(new TurnAnswered(context.Number, answer));
    }
}
