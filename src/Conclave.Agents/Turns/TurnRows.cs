using System.Security.Cryptography;
using System.Text.Json;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Agents.Turns;

/// <summary>Begins a turn with the commit that stores its instance; refuses the commit when the agent takes no turn now.</summary>
internal sealed record TurnBegun(
    string AgentId, string ConversationId, string Owner, string MakeupHash, string Message, AgentLimits Limits, AgentHealth Health, DateTimeOffset At)
    : RowEffect(0)
{
    public override string LockKey => "agent:" + AgentId;

    /// <summary>What was said before the message.</summary>
    public IReadOnlyList<TurnMessage> History { get; init; } = [];

    public override void AddTo(NpgsqlBatch batch, string tenant, string instanceId)
    {
        var parameters = batch.Add("select conclave.begin_turn_or_refuse($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
        parameters.AddValue(tenant);
        parameters.AddValue(instanceId);
        parameters.AddValue(AgentId);
        parameters.AddValue(ConversationId);
        parameters.AddValue(Owner);
        parameters.AddValue(MakeupHash);
        parameters.AddValue(Message);
        parameters.AddValue(Limits.MaxConcurrentTurns);
        parameters.AddValue(Health.MaxConsecutiveFailures);
        parameters.AddInterval(TimeSpan.FromSeconds(Health.RecoverAfterSeconds));
        parameters.AddTime(At);
        for (var i = 0; i < History.Count; i++)
            new MessageAdded(0, i - History.Count, History[i], At).AddTo(batch, tenant, instanceId);
        new MessageAdded(0, 0, TurnMessage.User(Message), At).AddTo(batch, tenant, instanceId);
    }
}

/// <summary>Adds a message to the conversation of a turn.</summary>
/// <param name="ActivityInstance">The execution that says it.</param>
/// <param name="Place">Its place in the turn: grows with the executions of an instance.</param>
/// <param name="Message">The message.</param>
/// <param name="At">When.</param>
internal sealed record MessageAdded(int ActivityInstance, int Place, TurnMessage Message, DateTimeOffset At) : RowEffect(ActivityInstance)
{
    /// <summary>Messages that one execution may add.</summary>
    public const int PerExecution = 4;

    public override void AddTo(NpgsqlBatch batch, string tenant, string instanceId)
    {
        var body = Message.Body;
        var parameters = batch.Add("select conclave.add_agent_message($1, $2, $3, $4, $5, $6, $7, $8)");
        parameters.AddValue(tenant);
        parameters.AddValue(instanceId);
        parameters.AddValue(Place);
        parameters.AddValue(Message.Role);
        parameters.AddValue(SHA256.HashData(body));
        parameters.AddValue(body);
        parameters.AddValue(Message.Tokens);
        parameters.AddTime(At);
    }
}

/// <summary>Tells what happened in a turn.</summary>
/// <param name="ActivityInstance">The execution that tells it.</param>
/// <param name="AgentId">The agent.</param>
/// <param name="Type">Type of the event, such as <c>tool.completed</c>.</param>
/// <param name="Data">What happened, as a JSON object.</param>
/// <param name="At">When.</param>
public sealed record AgentEventAdded(int ActivityInstance, string AgentId, string Type, JsonElement Data, DateTimeOffset At) : RowEffect(ActivityInstance)
{
    /// <inheritdoc/>
    public override void AddTo(NpgsqlBatch batch, string tenant, string instanceId)
    {
        var parameters = batch.Add("select conclave.add_agent_event($1, $2, $3, $4, $5::jsonb, $6)");
        parameters.AddValue(tenant);
        parameters.AddValue(AgentId);
        parameters.AddValue(instanceId);
        parameters.AddValue(Type);
        parameters.AddValue(Data.ValueKind == JsonValueKind.Undefined ? "{}" : Data.GetRawText());
        parameters.AddTime(At);
    }
}

/// <summary>Adds to what a turn has taken.</summary>
internal sealed record TurnUsed(int ActivityInstance, int ModelCalls, int ToolCalls, long InputTokens, long OutputTokens, decimal Cost) : RowEffect(ActivityInstance)
{
    public override void AddTo(NpgsqlBatch batch, string tenant, string instanceId)
    {
        var parameters = batch.Add("""
            update conclave.agent_turn
               set model_calls = model_calls + $3, tool_calls = tool_calls + $4, input_tokens = input_tokens + $5, output_tokens = output_tokens + $6, cost = cost + $7
             where tenant = $1 and id = $2
            """);
        parameters.AddValue(tenant);
        parameters.AddValue(instanceId);
        parameters.AddValue(ModelCalls);
        parameters.AddValue(ToolCalls);
        parameters.AddValue(InputTokens);
        parameters.AddValue(OutputTokens);
        parameters.AddValue(Cost);
    }
}

/// <summary>Sets the answer of a turn.</summary>
internal sealed record TurnAnswered(int ActivityInstance, string Answer) : RowEffect(ActivityInstance)
{
    public override void AddTo(NpgsqlBatch batch, string tenant, string instanceId)
    {
        var parameters = batch.Add("update conclave.agent_turn set answer = $3 where tenant = $1 and id = $2");
        parameters.AddValue(tenant);
        parameters.AddValue(instanceId);
        parameters.AddValue(Answer);
    }
}

/// <summary>Says how a turn stands after a burst.</summary>
internal sealed record TurnStored(string AgentId, string Status, string? Error, DateTimeOffset At) : RowEffect(0)
{
    // After everything else of the agent's turns: the row of the agent is locked last.
    public override string LockKey => "agent:" + AgentId;

    public override void AddTo(NpgsqlBatch batch, string tenant, string instanceId)
    {
        var parameters = batch.Add("select conclave.turn_stored($1, $2, $3, $4, $5)");
        parameters.AddValue(tenant);
        parameters.AddValue(instanceId);
        parameters.AddValue(Status);
        parameters.AddText(Error);
        parameters.AddTime(At);
    }
}

/// <summary>Statements of a batch.</summary>
internal static class BatchStatements
{
    /// <summary>Adds a statement and gives its parameters.</summary>
    public static NpgsqlParameterCollection Add(this NpgsqlBatch batch, string sql)
    {
        var command = new NpgsqlBatchCommand(sql);
        batch.BatchCommands.Add(command);
        return command.Parameters;
    }
}
