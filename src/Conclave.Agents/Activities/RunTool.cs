using System.Text.Json;
using Conclave.Agents.Actions;
using Conclave.Agents.Tools;
using Conclave.Agents.Turns;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Activities;

/// <summary>Runs a tool.</summary>
[Activity("Conclave.Agents", "Agents", "Runs a tool, and nothing but what was decided on: permission and approval are checked once more. Goes on through Done, or through Failed with what went wrong.", DisplayName = "Run tool",
    Kind = ActivityKind.Task, HasEffect = true, IsRecorded = true, Icon = AgentIcons.Tools, Color = AgentIcons.Color)]
[FlowNode("Done", "Failed")]
public sealed class RunTool : Activity
{
    /// <summary>The call.</summary>
    [Input(Description = "The call, one of those that Chat gives. Empty for the item of the loop around.")]
    public Input<object> Call { get; set; } = new();

    /// <summary>What was decided on.</summary>
    [Input(Description = "What was decided on: the action that Check tool permission gave, or Await approval as it was approved. Empty for the call as it is.")]
    public Input<object> Action { get; set; } = new();

    /// <summary>The approval.</summary>
    [Input(Description = "Id of the approval, where one was asked for.")]
    public Input<string> ApprovalId { get; set; } = new();

    /// <summary>What the tool gave.</summary>
    [Output(Description = "What the tool gave; when it failed, what went wrong.")]
    public Output<object>? Result { get; set; }

    /// <summary>Whether it failed.</summary>
    [Output(Description = "Whether it failed, or was not run.")]
    public Output<bool>? IsError { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var began = context.Time.GetTimestamp();
        var scope = await TurnScope.OfAsync(context);
        var call = RequestedCall.Of(context, Call);
        var action = ActionOf(context, context.Get(Action));
        var approval = context.Get(ApprovalId) is { Length: > 0 } id ? id : null;
        var result = await context.Engine.Service<ToolExecutor>("run tools").RunAsync(
            new ToolCall(scope.Tenant, scope.AgentId, scope.TurnId, action?.Tool ?? call.Tool, action?.ToolHash, action?.Arguments ?? call.Arguments, context.IdempotencyKey)
            {
                TurnId = scope.TurnId,
                ApprovalId = approval,
                Account = scope.Actor,
            },
            context.CancellationToken);
        var text = result.Text;
        context.Set(Result, text);
        context.Set(IsError, !result.IsSuccess);
        context.Request(new TurnUsed(context.Number, 0, 1, 0, 0, 0));
        scope.Tell(context, result.IsSuccess ? "tool.completed" : "tool.failed", Json.Object(
            ("execution", context.Number), ("call", call.Id), ("tool", action?.Tool ?? call.Tool), ("arguments", action?.Arguments ?? call.Arguments), ("approval", approval),
            ("run", result.RunId.ToString("N")), ("status", result.Status.ToString()), ("code", result.ErrorCode), ("result", text), ("milliseconds", Math.Round(result.Duration.TotalMilliseconds, 1))));
        TurnProgress.Of(context).Worked(context.Time.GetElapsedTime(began)).Store(context);
        context.Complete(result.IsSuccess ? "Done" : "Failed");
    }

    private static ProposedAction? ActionOf(ActivityContext context, object? given)
    {
        if (given is null or "" or JsonElement { ValueKind: JsonValueKind.Undefined or JsonValueKind.Null })
            return null;
        try
        {
            var action = ProposedAction.Read(ValueConverter.ToJson(given));
            return action.Tenant == context.Host.Tenant ? action : throw new JsonException("The action is another tenant's.");
        }
        catch (JsonException exception)
        {
            throw new WorkflowException("agents.bad_action", $"{context.Node}: {exception.Message}", exception) { IsPermanent = true };
        }
    }
}
