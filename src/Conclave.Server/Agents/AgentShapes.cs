using System.Text.Json;
using System.Text.Json.Serialization;
using Conclave.Agents;
using Conclave.Agents.Turns;

namespace Conclave.Server.Agents;

#pragma warning disable CS1573    // most members say what they are by their names

/// <summary>An agent.</summary>
/// <param name="Template">The package that it was made from.</param>
/// <param name="State">active, working, paused, error or maintenance.</param>
/// <param name="Version">Counts its changes; also the ETag.</param>
internal sealed record AgentShape(
    string Id, string Name, string? Template, AgentConfiguration Configuration, string State, string? StateReason, DateTimeOffset StateAt, int RunningTurns, int ConsecutiveFailures,
    int Version, DateTimeOffset CreatedAt, string CreatedBy, DateTimeOffset UpdatedAt, string UpdatedBy, DateTimeOffset? LastActiveAt)
{
    public static AgentShape Of(Agent agent) => new(
        agent.Id, agent.Name, agent.Template, agent.Configuration, AgentLifecycle.Name(agent.State), agent.StateReason, agent.StateAt, agent.RunningTurns, agent.ConsecutiveFailures,
        agent.Version, agent.CreatedAt, agent.CreatedBy, agent.UpdatedAt, agent.UpdatedBy, agent.LastActiveAt);
}

/// <summary>An agent to be made or changed. What is left out comes from the template, or has its default.</summary>
/// <param name="Template">The package to make it from.</param>
internal sealed record AgentRequest(string Name, string? Template, AgentConfiguration? Configuration);

/// <summary>Where an agent is to go.</summary>
/// <param name="State">active, paused, maintenance or error.</param>
internal sealed record AgentStateRequest(string State, string? Reason);

/// <summary>Something said to an agent.</summary>
/// <param name="ConversationId">The conversation that it goes on with; a new one without it.</param>
internal sealed record AgentMessageRequest(string Message, string? ConversationId);

/// <summary>A turn that has begun.</summary>
internal sealed record TurnStartedShape(string TurnId, string ConversationId, string EventsUrl, string TurnUrl);

/// <summary>A turn.</summary>
/// <param name="Status">running, waiting, completed, failed or cancelled.</param>
/// <param name="Makeup">What the agent was made of; only where one turn is asked for.</param>
internal sealed record TurnShape(
    string Id, string AgentId, string ConversationId, int Number, string Status, string Actor, string Message, string? Answer, string? Error, int ModelCalls, int ToolCalls,
    long InputTokens, long OutputTokens, decimal Cost, DateTimeOffset StartedAt, DateTimeOffset? EndedAt, string MakeupHash, JsonElement? Makeup)
{
    public static TurnShape Of(Turn turn, JsonElement? makeup = null) => new(
        turn.Id, turn.AgentId, turn.ConversationId, turn.Number, turn.Status, turn.Actor, turn.Message, turn.Answer, turn.Error, turn.ModelCalls, turn.ToolCalls,
        turn.InputTokens, turn.OutputTokens, turn.Cost, turn.StartedAt, turn.EndedAt, turn.MakeupHash, makeup);
}

/// <summary>A conversation with an agent.</summary>
internal sealed record ConversationShape(string Id, string AgentId, string Owner, string? Title, int Turns, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    public static ConversationShape Of(Conversation conversation) => new(
        conversation.Id, conversation.AgentId, conversation.Owner, conversation.Title, conversation.Turns, conversation.CreatedAt, conversation.UpdatedAt);
}

/// <summary>A message of a conversation.</summary>
/// <param name="Message">As in OpenAI's API: role, content, tool_calls, tool_call_id.</param>
internal sealed record ConversationMessageShape(int Turn, int Place, string TurnId, JsonElement Message, DateTimeOffset CreatedAt)
{
    public static ConversationMessageShape Of(StoredMessage message) => new(message.Turn, message.Place, message.TurnId, message.Message.ToJson(), message.CreatedAt);
}

/// <summary>An agent that works, as a process table shows it.</summary>
/// <param name="Pid">Id of the turn.</param>
internal sealed record AgentProcessShape(string Pid, string AgentId, string AgentName, string Status, string ConversationId, string Actor, DateTimeOffset StartedAt, int ModelCalls, int ToolCalls, decimal Cost);

/// <summary>JSON of this API.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(AgentShape))]
[JsonSerializable(typeof(TurnShape))]
[JsonSerializable(typeof(TurnStartedShape))]
[JsonSerializable(typeof(ConversationShape))]
[JsonSerializable(typeof(ConversationMessageShape))]
[JsonSerializable(typeof(AgentProcessShape))]
[JsonSerializable(typeof(AgentPerformance))]
internal sealed partial class AgentApiJson : JsonSerializerContext;
