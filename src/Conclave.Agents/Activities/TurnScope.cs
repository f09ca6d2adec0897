using System.Text.Json;
using Conclave.Agents.Turns;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Activities;

/// <summary>The turn that an activity is part of.</summary>
/// <param name="Tenant">Whose.</param>
/// <param name="TurnId">The turn, which is the instance.</param>
/// <param name="AgentId">The agent.</param>
/// <param name="ConversationId">The conversation.</param>
/// <param name="Actor">Who sent the message.</param>
/// <param name="MaxCost">The most that the turn may cost; null for no limit.</param>
/// <param name="Makeup">What the agent was made of when the turn began.</param>
internal sealed record TurnScope(string Tenant, string TurnId, string AgentId, string ConversationId, string Actor, decimal? MaxCost, AgentMakeup Makeup)
{
    /// <summary>The agent's configuration when the turn began.</summary>
    public AgentConfiguration Configuration => Makeup.Configuration;

    /// <summary>The turn of an execution.</summary>
    /// <exception cref="WorkflowException"><c>agents.no_turn</c>: the workflow runs outside of a turn.</exception>
    public static async ValueTask<TurnScope> OfAsync(ActivityContext context)
    {
        var input = context.Instance.Input;
        if (Text(TurnInputs.AgentId) is not { } agentId || Text(TurnInputs.ConversationId) is not { } conversation || Text(TurnInputs.Makeup) is not { } hash)
        {
            throw new WorkflowException("agents.no_turn", $"{context.Node} works inside the behaviour of an agent, when somebody sends it a message. Use Run agent in other workflows.")
            {
                IsPermanent = true,
            };
        }

        var makeup = await context.Engine.Service<Makeups>("run agents").GetAsync(context.Host.Tenant, hash, context.CancellationToken);
        var most = input.TryGetValue(TurnInputs.MaxCost, out var cost) && cost is not null ? ValueConverter.Convert<decimal?>(cost) : null;
        return new TurnScope(context.Host.Tenant, context.Instance.Id, agentId, conversation, Text(TurnInputs.Actor) ?? "", most, makeup);

        string? Text(string name) => input.TryGetValue(name, out var value) ? ValueConverter.ToText(value) is { Length: > 0 } text ? text : null : null;
    }

    /// <summary>Tells what happens, with the next commit.</summary>
    public void Tell(ActivityContext context, string type, JsonElement data) => context.Request(new AgentEventAdded(context.Number, AgentId, type, data, context.Time.GetUtcNow()));

    /// <summary>Adds a message to the conversation, with the next commit.</summary>
    /// <param name="context">The execution that says it.</param>
    /// <param name="message">The message.</param>
    /// <param name="index">Which one of the execution's messages it is, from 0.</param>
    public static void Say(ActivityContext context, TurnMessage message, int index = 0) =>
        context.Request(new MessageAdded(context.Number, (context.Number * MessageAdded.PerExecution) + index, message, context.Time.GetUtcNow()));
}

/// <summary>JSON objects that events and outputs are made of.</summary>
internal static class Json
{
    /// <summary>An object of members; those that are null are left out.</summary>
    public static JsonElement Object(params ReadOnlySpan<(string Name, object? Value)> members)
    {
        var values = new Dictionary<string, object?>();
        foreach (var (name, value) in members)
        {
            if (value is not null)
                values[name] = value;
        }

        return ValueConverter.ToJson(values);
    }
}
