using System.Text;
using System.Text.Json;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Agents.Tools.Logic;

/// <summary>What tools keep for an agent between calls: values by key, each tool's or package's own, up to a size.</summary>
public sealed class ToolMemory(NpgsqlDataSource database, TimeProvider time, int mostBytes)
{
    private const int LongestKey = 255;

    /// <summary>A value; null when there is none.</summary>
    public async Task<JsonElement?> GetAsync(string tenant, string agentId, string scope, string key, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select value::text from conclave.tool_memory where tenant = $1 and agent_id = $2 and scope = $3 and key = $4");
        Add(command, tenant, agentId, scope, key);
        return await command.ExecuteScalarAsync(cancellationToken) is string json ? JsonElement.Parse(json) : null;
    }

    /// <summary>Keeps a value.</summary>
    /// <exception cref="ToolException">It is too much.</exception>
    public async Task SetAsync(string tenant, string agentId, string scope, string key, JsonElement value, CancellationToken cancellationToken)
    {
        if (key.Length is 0 or > LongestKey || key.Contains('\0', StringComparison.Ordinal))
            throw new ToolException("tool.memory_key", $"A key of the memory must have 1 to {LongestKey} characters.");
        var json = value.GetRawText();
        if (json.Contains("\\u0000", StringComparison.Ordinal))
            throw new ToolException("tool.memory_value", "A value of the memory must not have NUL characters.");
        var bytes = Encoding.UTF8.GetByteCount(json) + Encoding.UTF8.GetByteCount(key);
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        // One writer at a time for an agent's scope, so that two together do not keep more than each may.
        await using (var lockCommand = new NpgsqlCommand("select pg_advisory_xact_lock(hashtextextended($1, 24))", connection, transaction))
        {
            lockCommand.Parameters.AddValue($"{tenant}:{agentId}:{scope}");
            await lockCommand.ExecuteNonQueryAsync(cancellationToken);
        }

        await using var command = new NpgsqlCommand("""
            insert into conclave.tool_memory (tenant, agent_id, scope, key, value, bytes, updated_at)
            select $1, $2, $3, $4, $5, $6, $7
             where $6 + coalesce((select sum(bytes) from conclave.tool_memory where tenant = $1 and agent_id = $2 and scope = $3 and key <> $4), 0) <= $8
                on conflict (tenant, agent_id, scope, key) do update set value = excluded.value, bytes = excluded.bytes, updated_at = excluded.updated_at
            """, connection, transaction);
        Add(command, tenant, agentId, scope, key);
        command.Parameters.Add(new NpgsqlParameter { Value = json, NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Parameters.AddValue(bytes);
        command.Parameters.AddTime(time.GetUtcNow());
        command.Parameters.AddValue((long)mostBytes);
        var stored = await command.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        if (stored == 0)
            throw new ToolException("tool.memory_full", $"The memory of '{scope}' holds at most {mostBytes:N0} bytes for an agent. Delete keys first.");
    }

    /// <summary>Forgets a value.</summary>
    /// <returns>Whether it was there.</returns>
    public async Task<bool> DeleteAsync(string tenant, string agentId, string scope, string key, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("delete from conclave.tool_memory where tenant = $1 and agent_id = $2 and scope = $3 and key = $4");
        Add(command, tenant, agentId, scope, key);
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    /// <summary>The keys that begin with a text.</summary>
    public async Task<IReadOnlyList<string>> KeysAsync(string tenant, string agentId, string scope, string prefix, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "select key from conclave.tool_memory where tenant = $1 and agent_id = $2 and scope = $3 and starts_with(key, $4) order by key limit 1000");
        Add(command, tenant, agentId, scope, prefix);
        var keys = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            keys.Add(reader.GetString(0));
        return keys;
    }

    private static void Add(NpgsqlCommand command, string tenant, string agentId, string scope, string key)
    {
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(agentId);
        command.Parameters.AddValue(scope);
        command.Parameters.AddValue(key);
    }
}
