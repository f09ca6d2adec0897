using Npgsql;
using NpgsqlTypes;

namespace Conclave.Workflows.Runtime.Queue;

/// <summary>The durable work queue. Work is claimed for a time; what is not finished by then is due again.</summary>
public sealed class WorkQueue(NpgsqlDataSource database)
{
    /// <summary>Channel on which idle workers are woken.</summary>
    public const string Channel = "conclave_work";

    // Reads work_item_due_ix (priority, due_at) in order and stops at the limit. MATERIALIZED keeps the planner from
    // running the locking subquery more than once, which would claim more rows than asked for.
    private const string ClaimSql = """
        with due as materialized (
            select id from conclave.work_item
             where due_at <= now()
             order by priority, due_at
             limit $3
               for update skip locked)
        update conclave.work_item w
           set owner = $1, due_at = now() + $2, attempt = w.attempt + 1
          from due
         where w.id = due.id
        returning w.id, w.tenant, w.instance_id, w.kind, w.priority, w.attempt, w.payload
        """;

    private const string EnqueueSql = """
        insert into conclave.work_item (tenant, instance_id, kind, priority, due_at, payload)
        values ($1, $2, $3, $4, $5, $6)
        """;

    /// <summary>Claims due work, the most urgent and then the oldest first.</summary>
    /// <param name="owner">The worker that claims.</param>
    /// <param name="lease">How long the work belongs to it.</param>
    /// <param name="limit">Most items to claim.</param>
    /// <param name="claimed">Receives the items.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>How many items were claimed.</returns>
    public async Task<int> ClaimAsync(
        Guid owner, TimeSpan lease, int limit, List<ClaimedWork> claimed, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(ClaimSql);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        var before = claimed.Count;
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            claimed.Add(new ClaimedWork(
                reader.GetInt64(0),
                reader.GetString(1),
                reader.GetString(2),
                (WorkKind)reader.GetInt16(3),
                (WorkPriority)reader.GetInt16(4),
                reader.GetInt32(5),
                reader.IsDBNull(6) ? null : reader.GetFieldValue<byte[]>(6)));
        }

        return claimed.Count - before;
    }

    /// <summary>Puts work in the queue and wakes a worker.</summary>
    public async Task EnqueueAsync(NewWork work, CancellationToken cancellationToken)
    {
        await using var batch = database.CreateBatch();
        batch.BatchCommands.Add(Enqueue(work));
        batch.BatchCommands.Add(Notify());
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Puts claimed work back, to be tried later. Does nothing when the lease is lost.</summary>
    public async Task<bool> RetryAsync(ClaimedWork work, Guid owner, TimeSpan delay, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "update conclave.work_item set owner = null, due_at = now() + $3 where id = $1 and owner = $2");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = work.Id });
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = delay });
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>Takes claimed work out of the queue for good, with the reason, until somebody puts it back.</summary>
    public async Task<bool> BuryAsync(ClaimedWork work, Guid owner, string error, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            with dead as (delete from conclave.work_item where id = $1 and owner = $2 returning *)
            insert into conclave.dead_work_item (id, tenant, instance_id, kind, priority, attempt, payload, error, created_at)
            select id, tenant, instance_id, kind, priority, attempt, payload, $3, created_at from dead
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = work.Id });
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = error });
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>Puts dead work back in the queue.</summary>
    /// <returns>Whether it was there.</returns>
    public async Task<bool> RequeueAsync(string tenant, long id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            with again as (delete from conclave.dead_work_item where tenant = $1 and id = $2 returning *)
            insert into conclave.work_item (tenant, instance_id, kind, priority, due_at, payload)
            select tenant, instance_id, kind, priority, now(), payload from again
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>The command that puts work in the queue, for a batch that commits more with it.</summary>
    internal static NpgsqlBatchCommand Enqueue(NewWork work)
    {
        var command = new NpgsqlBatchCommand(EnqueueSql);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = work.Tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = work.InstanceId });
        command.Parameters.Add(new NpgsqlParameter<short> { TypedValue = (short)work.Kind });
        command.Parameters.Add(new NpgsqlParameter<short> { TypedValue = (short)work.Priority });
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = work.DueAt });
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)work.Payload ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea });
        return command;
    }

    /// <summary>The command that deletes claimed work when what it asked for is committed.</summary>
    internal static NpgsqlBatchCommand Finish(ClaimedWork work, Guid owner)
    {
        var command = new NpgsqlBatchCommand("delete from conclave.work_item where id = $1 and owner = $2");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = work.Id });
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        return command;
    }

    /// <summary>The command that wakes idle workers.</summary>
    internal static NpgsqlBatchCommand Notify() => new($"notify {Channel}");
}
