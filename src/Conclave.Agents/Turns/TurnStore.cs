using System.Text.Json;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Agents.Turns;

/// <summary>Turns, conversations and events, to be read.</summary>
public sealed partial class TurnStore(NpgsqlDataSource database)
{
    private const string Columns = """
        id, agent_id, conversation_id, number, status, makeup_hash, actor, message, answer, error, model_calls, tool_calls, input_tokens, output_tokens, cost, started_at, ended_at
        """;

    /// <summary>A turn; null when there is none.</summary>
    public async Task<Turn?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select {Columns} from conclave.agent_turn where tenant = $1 and id = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        return (await ReadTurnsAsync(command, cancellationToken)).SingleOrDefault();
    }

    /// <summary>The turn that a conversation is in; null when none is under way.</summary>
    public async Task<Turn?> FindRunningAsync(string tenant, string conversationId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select {Columns} from conclave.agent_turn where tenant = $1 and conversation_id = $2 and status in ('running', 'waiting')");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(conversationId);
        return (await ReadTurnsAsync(command, cancellationToken)).SingleOrDefault();
    }

    /// <summary>Turns that run or wait, of all agents, oldest first, with the agents' names.</summary>
    public async Task<IReadOnlyList<(Turn Turn, string AgentName)>> ListRunningAsync(string tenant, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select {Columns} from conclave.agent_turn where tenant = $1 and status in ('running', 'waiting') order by started_at, id limit $2
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(limit);
        var running = await ReadTurnsAsync(command, cancellationToken);
        await using var named = database.CreateCommand("select id, name from conclave.agent where tenant = $1 and id = any($2)");
        named.Parameters.AddValue(tenant);
        named.Parameters.AddArray(running, t => t.AgentId);
        var names = new Dictionary<string, string>();
        await using var reader = await named.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            names[reader.GetString(0)] = reader.GetString(1);
        return running.ConvertAll(t => (t, names.GetValueOrDefault(t.AgentId, t.AgentId)));
    }

    /// <summary>Turns of an agent, newest first.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="agentId">The agent.</param>
    /// <param name="conversationId">Only those of this conversation; null for all.</param>
    /// <param name="before">Only those that began before this one, by its start and id; null for the newest.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IReadOnlyList<Turn>> ListAsync(
        string tenant, string agentId, string? conversationId, (DateTimeOffset StartedAt, string Id)? before, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select {Columns} from conclave.agent_turn
             where tenant collate "C" = $1 and agent_id = $2 and ($3::text is null or conversation_id = $3) and ($4::timestamptz is null or (started_at, id) < ($4, $5))
             order by started_at desc, id desc limit $6
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(agentId);
        command.Parameters.AddText(conversationId);
        command.Parameters.AddTime(before?.StartedAt);
        command.Parameters.AddText(before?.Id);
        command.Parameters.AddValue(limit);
        return await ReadTurnsAsync(command, cancellationToken);
    }

    /// <summary>What an agent was made of, as canonical JSON; null when no turn recorded this hash.</summary>
    public async Task<string?> FindMakeupAsync(string tenant, string hash, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select body::text from conclave.agent_makeup where tenant = $1 and hash = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(hash);
        return await command.ExecuteScalarAsync(cancellationToken) as string;
    }

    /// <summary>A conversation; null when there is none.</summary>
    public async Task<Conversation?> FindConversationAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "select id, agent_id, owner, title, turns, created_at, updated_at from conclave.agent_conversation where tenant = $1 and id = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        return (await ReadConversationsAsync(command, cancellationToken)).SingleOrDefault();
    }

    /// <summary>Conversations with an agent, those with the newest turns first.</summary>
    public async Task<IReadOnlyList<Conversation>> ListConversationsAsync(string tenant, string agentId, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select id, agent_id, owner, title, turns, created_at, updated_at from conclave.agent_conversation
             where tenant collate "C" = $1 and agent_id = $2 order by updated_at desc, id limit $3
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(agentId);
        command.Parameters.AddValue(limit);
        return await ReadConversationsAsync(command, cancellationToken);
    }

    /// <summary>The messages of a conversation, oldest first.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="conversationId">The conversation.</param>
    /// <param name="mostTokens">Only the newest that take no more than this together, estimated.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IReadOnlyList<StoredMessage>> ReadMessagesAsync(string tenant, string conversationId, long mostTokens, CancellationToken cancellationToken)
    {
        return await SharedBatches.Of(database).QueryAsync(
            """
            select m.turn, m.place, m.turn_id, m.role, (select c.body from conclave.agent_content c where c.tenant = $1 and c.hash = m.hash), m.created_at
              from (select *, sum(tokens) over (order by turn desc, place desc) as taken from conclave.agent_message where tenant = $1 and conversation_id = $2) m
             where m.taken <= $3
             order by m.turn, m.place
            """,
            parameters =>
            {
                parameters.AddValue(tenant);
                parameters.AddValue(conversationId);
                parameters.AddValue(mostTokens);
            },
            static async reader =>
            {
                var messages = new List<StoredMessage>();
                while (await reader.ReadAsync(CancellationToken.None))
                {
                    messages.Add(new StoredMessage(
                        reader.GetInt32(0), reader.GetInt32(1), reader.GetString(2),
                        new TurnMessage(reader.GetString(3), reader.GetFieldValue<byte[]>(4)), reader.GetFieldValue<DateTimeOffset>(5)));
                }

                return messages;
            },
            cancellationToken);
    }

    /// <summary>What happened, oldest first.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="agentId">The agent.</param>
    /// <param name="turnId">Only what happened in this turn; null for all.</param>
    /// <param name="after">Only what came after this one.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IReadOnlyList<AgentEvent>> ReadEventsAsync(
        string tenant, string agentId, string? turnId, long after, int limit, CancellationToken cancellationToken)
    {
        return await SharedBatches.Of(database).QueryAsync(
            turnId is null
            ? "select id, agent_id, turn_id, type, data::text, created_at from conclave.agent_event where tenant = $1 and agent_id = $2 and id > $3 order by id limit $4"
            // From about its beginning until about now: months in which it did nothing are not looked at.
            : """
            select id, agent_id, turn_id, type, data::text, created_at from conclave.agent_event
             where tenant = $1 and agent_id = $2 and id > $3 and turn_id = $5 and created_at <= now() + interval '1 day'
               and created_at >= (select started_at - interval '1 day' from conclave.agent_turn where tenant = $1 and id = $5)
             order by id limit $4
            """,
            parameters =>
            {
                parameters.AddValue(tenant);
                parameters.AddValue(agentId);
                parameters.AddValue(after);
                parameters.AddValue(limit);
                if (turnId is not null)
                    parameters.AddValue(turnId);
            },
            static async reader =>
            {
                var events = new List<AgentEvent>();
                while (await reader.ReadAsync(CancellationToken.None))
                {
                    events.Add(new AgentEvent(
                        reader.GetInt64(0), reader.GetString(1), reader.IsDBNull(2) ? null : reader.GetString(2), reader.GetString(3),
                        JsonElement.Parse(reader.GetString(4)), reader.GetFieldValue<DateTimeOffset>(5)));
                }

                return events;
            },
            cancellationToken);
    }

    /// <summary>What turns have cost with everything that was begun in them, as far as it is stored; without those that cost nothing or are not there.</summary>
    public async Task<IReadOnlyDictionary<string, decimal>> SpentAsync(string tenant, IReadOnlyList<string> turnIds, CancellationToken cancellationToken) =>
        await SharedBatches.Of(database).QueryAsync(
            """
            with recursive begun(root, id) as (
                select r, r from unnest($2) r
                union
                select b.root, i.id from begun b join conclave.workflow_instance i on i.tenant = $1 and i.parent_id = b.id)
            select b.root, sum(t.cost) from begun b join conclave.agent_turn t on t.tenant = $1 and t.id = b.id group by b.root
            """,
            parameters =>
            {
                parameters.AddValue(tenant);
                parameters.AddArray(turnIds, id => id);
            },
            static async reader =>
            {
                var spent = new Dictionary<string, decimal>(StringComparer.Ordinal);
                while (await reader.ReadAsync(CancellationToken.None))
                    spent[reader.GetString(0)] = reader.GetDecimal(1);
                return spent;
            },
            cancellationToken);

    /// <summary>Number of an agent's last event; 0 before the first.</summary>
    public async Task<long> LastEventAsync(string tenant, string agentId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select coalesce(max(id), 0) from conclave.agent_event where tenant = $1 and agent_id = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(agentId);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task<List<Turn>> ReadTurnsAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var turns = new List<Turn>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            turns.Add(new Turn
            {
                Id = reader.GetString(0),
                AgentId = reader.GetString(1),
                ConversationId = reader.GetString(2),
                Number = reader.GetInt32(3),
                Status = reader.GetString(4),
                MakeupHash = reader.GetString(5),
                Actor = reader.GetString(6),
                Message = reader.GetString(7),
                Answer = reader.IsDBNull(8) ? null : reader.GetString(8),
                Error = reader.IsDBNull(9) ? null : reader.GetString(9),
                ModelCalls = reader.GetInt32(10),
                ToolCalls = reader.GetInt32(11),
                InputTokens = reader.GetInt64(12),
                OutputTokens = reader.GetInt64(13),
                Cost = reader.GetDecimal(14),
                StartedAt = reader.GetFieldValue<DateTimeOffset>(15),
                EndedAt = reader.IsDBNull(16) ? null : reader.GetFieldValue<DateTimeOffset>(16),
            });
        }

        return turns;
    }

    private static async Task<List<Conversation>> ReadConversationsAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var conversations = new List<Conversation>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            conversations.Add(new Conversation(
                reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.IsDBNull(3) ? null : reader.GetString(3),
                reader.GetInt32(4), reader.GetFieldValue<DateTimeOffset>(5), reader.GetFieldValue<DateTimeOffset>(6)));
        }

        return conversations;
    }
}
