using System.Text.Json;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Inference.Gateway;

/// <summary>Which calls of the log somebody wants to see; null for all.</summary>
/// <param name="AgentId">Of an agent.</param>
/// <param name="InstanceId">Of a workflow instance.</param>
/// <param name="Model">Answered by a model.</param>
/// <param name="Server">Answered by a server.</param>
/// <param name="Outcome">That ended like this.</param>
/// <param name="From">Not before.</param>
/// <param name="Until">Before.</param>
public sealed record CallFilter(
    string? AgentId = null, string? InstanceId = null, string? Model = null, string? Server = null, CallPhase? Outcome = null, DateTimeOffset? From = null, DateTimeOffset? Until = null);

/// <summary>What calls of one model on one server came to.</summary>
/// <param name="Server">The server; null for answers without one.</param>
/// <param name="Model">The model.</param>
/// <param name="IsLocal">Whether the server is one of the house.</param>
/// <param name="Calls">Calls that ended.</param>
/// <param name="Failed">Of them failed ones.</param>
/// <param name="InputTokens">Tokens read.</param>
/// <param name="OutputTokens">Tokens written.</param>
/// <param name="Cost">What they cost.</param>
public sealed record CallSums(string? Server, string? Model, bool IsLocal, long Calls, long Failed, long InputTokens, long OutputTokens, decimal Cost);

/// <summary>Reads the records of calls.</summary>
public sealed class CallHistory(NpgsqlDataSource database)
{
    private const string Columns = """
        id, created_at, ended_at, operation, requested, model, server, provider, is_local, agent_id, instance_id, api_key_id, session_id, parent_id,
        idempotency_key, priority, outcome, error, queued_at, started_at, slice_ended_at, slice_servers, slice_tokens, input_tokens, output_tokens,
        cached_tokens, cost, cache, first_token_ms, overhead_ms, decision
        """;

    /// <summary>A page of calls, the newest first.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="filter">Which.</param>
    /// <param name="after">The last one of the page before; null for the first page.</param>
    /// <param name="limit">Most calls.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task<List<CallRecord>> ListAsync(string tenant, CallFilter filter, (DateTimeOffset Time, string Id)? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select {Columns} from conclave.inference_call
             where tenant = $1 and ($2::text is null or agent_id = $2) and ($3::text is null or instance_id = $3) and ($4::text is null or model = $4)
               and ($5::text is null or server = $5) and ($6::int is null or outcome = $6) and ($7::timestamptz is null or created_at >= $7)
               and ($8::timestamptz is null or created_at < $8) and ($9::timestamptz is null or (created_at, id) < ($9, $10))
             order by created_at desc, id desc limit $11
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddText(filter.AgentId);
        command.Parameters.AddText(filter.InstanceId);
        command.Parameters.AddText(filter.Model);
        command.Parameters.AddText(filter.Server);
        command.Parameters.Add(new NpgsqlParameter { Value = filter.Outcome is { } outcome ? (int)outcome : DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Integer });
        command.Parameters.AddTime(filter.From);
        command.Parameters.AddTime(filter.Until);
        command.Parameters.AddTime(after?.Time);
        command.Parameters.AddText(after?.Id);
        command.Parameters.AddValue(limit);
        return await ReadAsync(command, tenant, cancellationToken);
    }

    /// <summary>A call; null when there is none, or its record has not been written yet.</summary>
    public async Task<CallRecord?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select {Columns} from conclave.inference_call where tenant = $1 and id = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        return (await ReadAsync(command, tenant, cancellationToken)).FirstOrDefault();
    }

    /// <summary>What calls came to, by server and model, the dearest and busiest first.</summary>
    public async Task<List<CallSums>> SumAsync(string tenant, DateTimeOffset from, DateTimeOffset until, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select server, model, is_local, count(*), count(*) filter (where outcome = 5), sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(cost)
              from conclave.inference_call where tenant = $1 and created_at >= $2 and created_at < $3 and cache = 0
             group by server, model, is_local order by 8 desc, 4 desc
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(from.UtcDateTime);
        command.Parameters.AddValue(until.UtcDateTime);
        var found = new List<CallSums>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add(new CallSums(
                Text(reader, 0), Text(reader, 1), reader.GetBoolean(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5), reader.GetInt64(6), reader.GetDecimal(7)));
        }

        return found;
    }

    private static async Task<List<CallRecord>> ReadAsync(NpgsqlCommand command, string tenant, CancellationToken cancellationToken)
    {
        var found = new List<CallRecord>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add(new CallRecord
            {
                Id = reader.GetString(0),
                CreatedAt = reader.GetFieldValue<DateTimeOffset>(1),
                EndedAt = reader.GetFieldValue<DateTimeOffset>(2),
                Operation = reader.GetString(3),
                Requested = reader.GetString(4),
                Model = Text(reader, 5),
                Server = Text(reader, 6),
                Provider = Text(reader, 7),
                IsLocal = reader.GetBoolean(8),
                Context = new CallContext
                {
                    Tenant = tenant,
                    AgentId = Text(reader, 9),
                    InstanceId = Text(reader, 10),
                    ApiKeyId = Text(reader, 11),
                    SessionId = Text(reader, 12),
                    ParentId = Text(reader, 13),
                    IdempotencyKey = Text(reader, 14),
                    Priority = (CallPriority)reader.GetInt16(15),
                },
                Outcome = (CallPhase)reader.GetInt16(16),
                Error = Text(reader, 17),
                Slices = CallSlices.Read(reader, 18),
                InputTokens = reader.GetInt64(23),
                OutputTokens = reader.GetInt64(24),
                CachedInputTokens = reader.GetInt64(25),
                Cost = reader.GetDecimal(26),
                Cache = (CacheOutcome)reader.GetInt16(27),
                TimeToFirstToken = reader.IsDBNull(28) ? null : TimeSpan.FromMilliseconds(reader.GetDouble(28)),
                Overhead = TimeSpan.FromMilliseconds(reader.GetDouble(29)),
                Decision = Text(reader, 30) is { } decision ? JsonSerializer.Deserialize(decision, GatewayJson.Default.RouteDecision) : null,
            });
        }

        return found;
    }

    private static string? Text(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
}
