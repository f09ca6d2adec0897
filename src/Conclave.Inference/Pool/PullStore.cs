using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Inference.Pool;

/// <summary>The pulls in the database.</summary>
internal sealed class PullStore(NpgsqlDataSource database, string node, TimeSpan longestSilence, TimeProvider time)
{
    private const string Columns = "id, server_name, model, status, total_bytes, completed_bytes, error, started_at, started_by, ended_at";
    private static readonly TimeSpan Kept = TimeSpan.FromDays(7);

    /// <summary>Adds a pull unless one of the same model to the same server runs.</summary>
    public async Task<bool> AddAsync(ModelPull pull, string serverId, CancellationToken cancellationToken)
    {
        // First, in a statement of its own: what is inserted must see that those of processes that are gone have ended.
        await using (var tidy = database.CreateCommand("""
            with old as (delete from conclave.inference_pull where ended_at < $1)
            update conclave.inference_pull p
               set ended_at = $2, error = 'The process that pulled it is gone. Pull it again; what is there already is kept.'
             where p.ended_at is null
               and not exists (select from conclave.inference_node n where n.id = p.node and n.seen_at >= clock_timestamp() - $3)
            """))
        {
            tidy.Parameters.AddValue((time.GetUtcNow() - Kept).UtcDateTime);
            tidy.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
            tidy.Parameters.AddValue(longestSilence);
            await tidy.ExecuteNonQueryAsync(cancellationToken);
        }

        await using var command = database.CreateCommand("""
            insert into conclave.inference_pull (id, server_id, server_name, model, status, node, started_at, started_by)
            values ($1, $2, $3, $4, $5, $6, $7, $8)
            on conflict do nothing
            """);
        command.Parameters.AddValue(pull.Id);
        command.Parameters.AddValue(serverId);
        command.Parameters.AddValue(pull.Server);
        command.Parameters.AddValue(pull.Model);
        command.Parameters.AddValue(pull.Status);
        command.Parameters.AddValue(node);
        command.Parameters.AddValue(pull.StartedAt.UtcDateTime);
        command.Parameters.AddValue(pull.StartedBy);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>Writes how far a pull is.</summary>
    public async Task WriteAsync(ModelPull pull, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            update conclave.inference_pull set status = $2, total_bytes = $3, completed_bytes = $4, error = $5, ended_at = $6
             where id = $1 and ended_at is null
            """);
        command.Parameters.AddValue(pull.Id);
        command.Parameters.AddText(pull.Status);
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)pull.TotalBytes ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Bigint });
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)pull.CompletedBytes ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Bigint });
        command.Parameters.AddText(pull.Error);
        command.Parameters.AddTime(pull.EndedAt);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public async Task<bool> IsCancelledAsync(string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select is_cancelled from conclave.inference_pull where id = $1");
        command.Parameters.AddValue(id);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    public async Task<bool> CancelAsync(string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("update conclave.inference_pull set is_cancelled = true where id = $1 and ended_at is null");
        command.Parameters.AddValue(id);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    public async Task<ModelPull?> FindAsync(string id, CancellationToken cancellationToken) =>
        (await QueryAsync($"select {Columns} from conclave.inference_pull where id = $1", [id], cancellationToken)).FirstOrDefault();

    public async Task<ModelPull?> FindRunningAsync(string serverId, string model, CancellationToken cancellationToken) =>
        (await QueryAsync($"select {Columns} from conclave.inference_pull where server_id = $1 and lower(model) = lower($2) and ended_at is null", [serverId, model], cancellationToken)).FirstOrDefault();

    public Task<List<ModelPull>> ListAsync(CancellationToken cancellationToken) =>
        QueryAsync($"select {Columns} from conclave.inference_pull order by started_at desc, id desc limit 200", [], cancellationToken);

    private async Task<List<ModelPull>> QueryAsync(string sql, string[] values, CancellationToken cancellationToken)
    {
#pragma warning disable CA2100    // texts of this class
        await using var command = database.CreateCommand(sql);
#pragma warning restore CA2100
        foreach (var value in values)
            command.Parameters.AddValue(value);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var pulls = new List<ModelPull>();
        while (await row.ReadAsync(cancellationToken))
        {
            pulls.Add(new ModelPull
            {
                Id = row.GetString(0),
                Server = row.GetString(1),
                Model = row.GetString(2),
                Status = row.GetString(3),
                TotalBytes = row.IsDBNull(4) ? null : row.GetInt64(4),
                CompletedBytes = row.IsDBNull(5) ? null : row.GetInt64(5),
                Error = row.IsDBNull(6) ? null : row.GetString(6),
                StartedAt = new DateTimeOffset(row.GetDateTime(7), TimeSpan.Zero),
                StartedBy = row.GetString(8),
                EndedAt = row.IsDBNull(9) ? null : new DateTimeOffset(row.GetDateTime(9), TimeSpan.Zero),
            });
        }

        return pulls;
    }
}
