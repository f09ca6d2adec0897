using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Inference.Gateway;

/// <summary>Keeps the text so far of calls that gave their slot away, so that they survive a restart.</summary>
internal sealed class Snapshots(NpgsqlDataSource database)
{
    /// <summary>Stores what a call has.</summary>
    /// <param name="tenant">Its owner.</param>
    /// <param name="key">Its idempotency key, or its id.</param>
    /// <param name="snapshot">What it has.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task StoreAsync(string tenant, string key, CallSnapshot snapshot, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            insert into conclave.inference_snapshot
                (tenant, key, text, input_tokens, output_tokens, cost, queued_at, started_at, ended_at, servers, tokens, updated_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now())
            on conflict (tenant, key) do update set text = excluded.text, input_tokens = excluded.input_tokens,
                output_tokens = excluded.output_tokens, cost = excluded.cost, queued_at = excluded.queued_at, started_at = excluded.started_at,
                ended_at = excluded.ended_at, servers = excluded.servers, tokens = excluded.tokens, updated_at = now()
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(key);
        command.Parameters.AddValue(snapshot.Text);
        command.Parameters.AddValue(snapshot.InputTokens);
        command.Parameters.AddValue(snapshot.OutputTokens);
        command.Parameters.AddValue(snapshot.Cost);
        command.Parameters.AddArray(snapshot.Slices, s => s.QueuedAt);
        command.Parameters.AddArray(snapshot.Slices, s => s.StartedAt);
        command.Parameters.AddArray(snapshot.Slices, s => s.EndedAt);
        command.Parameters.AddArray(snapshot.Slices, s => s.Server);
        command.Parameters.AddArray(snapshot.Slices, s => s.Tokens);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>What a call has; null for nothing.</summary>
    public async Task<CallSnapshot?> FindAsync(string tenant, string key, CancellationToken cancellationToken)
    {
        return await SharedBatches.Of(database).QueryAsync(
            """
            select text, input_tokens, output_tokens, cost, queued_at, started_at, ended_at, servers, tokens
              from conclave.inference_snapshot where tenant = $1 and key = $2
            """,
            parameters =>
            {
                parameters.AddValue(tenant);
                parameters.AddValue(key);
            },
            static async reader => await reader.ReadAsync(CancellationToken.None)
                ? new CallSnapshot(reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetDecimal(3), CallSlices.Read(reader, 4)) : null,
            cancellationToken);
    }

    /// <summary>Forgets what a call had.</summary>
    public async Task DeleteAsync(string tenant, string key, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("delete from conclave.inference_snapshot where tenant = $1 and key = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(key);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
