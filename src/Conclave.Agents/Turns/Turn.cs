using System.Text.Json;

namespace Conclave.Agents.Turns;

/// <summary>One turn of an agent: a message, what was done for it, and the answer.</summary>
public sealed record Turn
{
    /// <summary>Its id, which is that of the behaviour's instance.</summary>
    public required string Id { get; init; }

    /// <summary>The agent.</summary>
    public required string AgentId { get; init; }

    /// <summary>The conversation.</summary>
    public required string ConversationId { get; init; }

    /// <summary>Its number in the conversation, from 1.</summary>
    public required int Number { get; init; }

    /// <summary>running, waiting, completed, failed or cancelled.</summary>
    public required string Status { get; init; }

    /// <summary>Hash of what the agent was made of.</summary>
    public required string MakeupHash { get; init; }

    /// <summary>Who sent the message.</summary>
    public required string Actor { get; init; }

    /// <summary>The message.</summary>
    public required string Message { get; init; }

    /// <summary>The answer; null before there is one.</summary>
    public string? Answer { get; init; }

    /// <summary>Why it failed; null when it did not.</summary>
    public string? Error { get; init; }

    /// <summary>Calls of models.</summary>
    public int ModelCalls { get; init; }

    /// <summary>Calls of tools.</summary>
    public int ToolCalls { get; init; }

    /// <summary>Tokens that models read.</summary>
    public long InputTokens { get; init; }

    /// <summary>Tokens that models wrote.</summary>
    public long OutputTokens { get; init; }

    /// <summary>What it cost, in the currency of the models' prices.</summary>
    public decimal Cost { get; init; }

    /// <summary>When it began.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>When it ended; null while it has not.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>Whether it has ended.</summary>
    public bool IsEnded => Status is "completed" or "failed" or "cancelled";
}

/// <summary>Something that happened to an agent.</summary>
/// <param name="Id">Number; later ones are greater.</param>
/// <param name="AgentId">The agent.</param>
/// <param name="TurnId">The turn; null for what belongs to none.</param>
/// <param name="Type">What happened, such as <c>tool.completed</c>.</param>
/// <param name="Data">More of it, a JSON object.</param>
/// <param name="CreatedAt">When.</param>
public sealed record AgentEvent(long Id, string AgentId, string? TurnId, string Type, JsonElement Data, DateTimeOffset CreatedAt);

/// <summary>A conversation with an agent.</summary>
/// <param name="Id">Its id.</param>
/// <param name="AgentId">The agent.</param>
/// <param name="Owner">Who began it.</param>
/// <param name="Title">The beginning of its first message.</param>
/// <param name="Turns">Number of its turns.</param>
/// <param name="CreatedAt">When it began.</param>
/// <param name="UpdatedAt">When its last turn began.</param>
public sealed record Conversation(string Id, string AgentId, string Owner, string? Title, int Turns, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>A message of a conversation as it is stored.</summary>
/// <param name="Turn">Number of the turn.</param>
/// <param name="Place">Place in the turn.</param>
/// <param name="TurnId">Id of the turn.</param>
/// <param name="Message">The message.</param>
/// <param name="CreatedAt">When it was said.</param>
public sealed record StoredMessage(int Turn, int Place, string TurnId, TurnMessage Message, DateTimeOffset CreatedAt);
