using System.Text.Json;
using Conclave.Agents.Actions;
using Conclave.Agents.Tools;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;

namespace Conclave.Agents.Activities;

/// <summary>Decides whether the agent may make a call.</summary>
[Activity("Conclave.Agents", "Agents", "Decides whether the agent may call a tool with exactly these arguments: goes on through Allow, Ask (somebody has to approve it) or Deny.", DisplayName = "Check tool permission",
    Icon = AgentIcons.Permission, Color = AgentIcons.Color)]
[FlowNode("Allow", "Ask", "Deny")]
public sealed class CheckToolPermission : Activity
{
    /// <summary>The call.</summary>
    [Input(Description = "The call, one of those that Chat gives. Empty for the item of the loop around.")]
    public Input<object> Call { get; set; } = new();

    /// <summary>Why.</summary>
    [Output(Description = "Why it was decided so, for people and for the model.")]
    public Output<string>? Reason { get; set; }

    /// <summary>What would run.</summary>
    [Output(Description = "Exactly what would run, for Await approval and Run tool: agent, tool, hash of its definition and arguments.")]
    public Output<JsonElement>? Action { get; set; }

    /// <summary>A title for whoever has to approve it.</summary>
    [Output(Description = "A title for whoever has to approve it.")]
    public Output<string>? Title { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var scope = await TurnScope.OfAsync(context);
        var call = RequestedCall.Of(context, Call);
        var tool = context.Engine.Service<ToolRegistry>("use tools").Find(scope.Tenant, call.Tool);
        var decision = tool is null
            ? new ToolDecision(ToolMode.Deny, $"There is no tool '{call.Tool}'.", null)
            : await context.Engine.Service<ToolPermissions>("use tools").DecideAsync(scope.Tenant, scope.AgentId, tool.Definition, scope.Configuration, call.Arguments, context.CancellationToken);
        var action = new ProposedAction(scope.Tenant, scope.AgentId, call.Tool, tool?.Hash ?? "", call.Arguments);
        context.Set(Reason, decision.Reason);
        context.Set(Action, action.ToJson());
        context.Set(Title, $"{scope.Makeup.AgentName} wants to use {call.Tool}");
        if (decision.Mode != ToolMode.Allow)
        {
            scope.Tell(context, decision.Mode == ToolMode.Ask ? "tool.requested" : "tool.denied", Json.Object(
                ("call", call.Id), ("tool", call.Tool), ("arguments", call.Arguments), ("reason", decision.Reason), ("rule", decision.Rule)));
        }

        context.Complete(decision.Mode.ToString());
    }
}
