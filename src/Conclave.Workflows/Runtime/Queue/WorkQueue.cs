using System.Collections.Concurrent;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Workflows.Runtime.Queue;

/// <summary>The durable work queue. Work is claimed for a time; what is not finished by then is due again.</summary>
/// <param name="database">The database.</param>
/// <param name="signal">Wakes idle workers.</param>
public sealed class WorkQueue(NpgsqlDataSource database, WorkSignal signal)
{
    private const int IdsAtOnce = 64;

    internal const string EnqueueSql = """
        insert into conclave.work_item (tenant, instance_id, kind, priority, due_at, bookmark, payload)
        select w.tenant, w.instance_id, w.kind, w.priority, coalesce(w.due_at, now()), nullif(w.bookmark, 0), w.payload
          from unnest($1, $2, $3, $4, $5, $6, $7) as w(tenant, instance_id, kind, priority, due_at, bookmark, payload)
        """;

    internal const string AddClaimedSql = """
        insert into conclave.work_item (id, tenant, instance_id, kind, priority, due_at, owner, attempt) overriding system value
        values ($1, $2, $3, $4, $5, now() + $6, $7, 1)
        """;

    private const string DeadColumns = "id, instance_id, kind, priority, attempt, error, created_at, died_at";

    internal const string FinishSql = "delete from conclave.work_item where id = any($1)";

    private readonly ConcurrentBag<long> _ids = [];

    /// <summary>Claims due work with the instances that it is for, the most urgent and then the oldest first.</summary>
    /// <param name="owner">The worker that claims.</param>
    /// <param name="lease">How long work and instances belong to it.</param>
    /// <param name="limit">Most items to claim.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IReadOnlyList<Claim>> ClaimAsync(Guid owner, TimeSpan lease, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select * from conclave.claim_work($1, $2, $3)");
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        var claims = new Dictionary<(string, string), (HeldInstance? Instance, List<ClaimedWork> Work)>();
        var order = new List<(string, string)>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var work = new ClaimedWork(
                reader.GetInt64(0),
                reader.GetString(1),
                reader.GetString(2),
                (WorkKind)reader.GetInt16(3),
                (WorkPriority)reader.GetInt16(4),
                reader.GetInt32(5),
                reader.IsDBNull(6) ? 0 : reader.GetInt32(6),
                reader.IsDBNull(7) ? null : reader.GetFieldValue<byte[]>(7),
                reader.GetDouble(8));
            // Work that belongs to no instance has nothing in common.
            var key = (work.Tenant, work.InstanceId.Length > 0 ? work.InstanceId : $"#{work.Id}");
            if (!claims.TryGetValue(key, out var claim))
            {
                claim = (null, []);
                order.Add(key);
            }

            if (reader.GetBoolean(9) && !reader.IsDBNull(12))
                claim.Instance = new HeldInstance(work.Tenant, work.InstanceId, reader.GetString(10), reader.GetInt64(11), reader.GetFieldValue<byte[]>(12));
            claim.Work.Add(work);
            claims[key] = claim;
        }

        return order.ConvertAll(key => new Claim(claims[key].Instance, claims[key].Work));
    }

    /// <summary>Puts work in the queue and wakes a worker.</summary>
    public async Task EnqueueAsync(IReadOnlyList<NewWork> work, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(EnqueueSql);
        AddColumns(command.Parameters, work);
        await command.ExecuteNonQueryAsync(cancellationToken);
        signal.Wake();
    }

    /// <summary>Wakes a worker for work that somebody else put in the queue.</summary>
    internal void Wake() => signal.Wake();

    /// <summary>Gives an id to work that is put in the queue later.</summary>
    public async ValueTask<long> NextIdAsync(CancellationToken cancellationToken)
    {
        long id;
        while (!_ids.TryTake(out id))
        {
            await using var command = database.CreateCommand($"select nextval('conclave.work_item_id_seq') from generate_series(1, {IdsAtOnce})");
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
                _ids.Add(reader.GetInt64(0));
        }

        return id;
    }

    /// <summary>Takes work that is done out of the queue.</summary>
    public async Task FinishAsync(IReadOnlyList<long> ids, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(FinishSql);
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. ids] });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Extends the leases of work and of the instances that it is for.</summary>
    /// <param name="owner">The worker.</param>
    /// <param name="lease">How long they belong to it from now on.</param>
    /// <param name="work">Ids of the work.</param>
    /// <param name="instances">Instances, by tenant and id.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The instances that are still the worker's.</returns>
    public async Task<HashSet<(string Tenant, string Id)>> RenewAsync(
        Guid owner, TimeSpan lease, IReadOnlyList<long> work, IReadOnlyList<(string Tenant, string Id)> instances, CancellationToken cancellationToken)
    {
        await using var batch = database.CreateBatch();
        // A row that is locked is being stored or taken this moment. To wait for it would be to wait in another order than commits do.
        var items = new NpgsqlBatchCommand("""
            update conclave.work_item w set due_at = now() + $1
             where w.id in (select i.id from conclave.work_item i where i.id = any($2) and i.owner = $3 for update skip locked)
            """);
        items.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease });
        items.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. work] });
        items.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        batch.BatchCommands.Add(items);
        var held = new NpgsqlBatchCommand("""
            with mine as materialized (
                select i.tenant, i.id from conclave.workflow_instance i
                  join unnest($2, $3) as h(tenant, id) on i.tenant = h.tenant and i.id = h.id
                 where i.owner = $4 and i.lease_until is not null
                   for update of i skip locked),
            renewed as (
                update conclave.workflow_instance i
                   set lease_until = now() + $1
                  from mine m
                 where i.tenant = m.tenant and i.id = m.id)
            select i.tenant, i.id from conclave.workflow_instance i
              join unnest($2, $3) as h(tenant, id) on i.tenant = h.tenant and i.id = h.id
             where i.owner = $4 and i.lease_until is not null
            """);
        held.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease });
        held.Parameters.AddArray(instances, i => i.Tenant);
        held.Parameters.AddArray(instances, i => i.Id);
        held.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        batch.BatchCommands.Add(held);
        var kept = new HashSet<(string, string)>();
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            kept.Add((reader.GetString(0), reader.GetString(1)));
        return kept;
    }

    /// <summary>Puts claimed work back, to be tried later. Does nothing when the lease is lost.</summary>
    /// <param name="work">The work.</param>
    /// <param name="owner">The worker that gives it back.</param>
    /// <param name="delay">How long to wait.</param>
    /// <param name="counts">Whether the attempt counts towards giving up.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<bool> RetryAsync(ClaimedWork work, Guid owner, TimeSpan delay, bool counts, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            update conclave.work_item set owner = null, due_at = now() + $3, attempt = attempt - $4 where id = $1 and owner = $2
            """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = work.Id });
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = delay });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = counts ? 0 : 1 });
        var isOurs = await command.ExecuteNonQueryAsync(cancellationToken) == 1;
        if (delay <= TimeSpan.Zero)
            signal.Wake();
        return isOurs;
    }

    /// <summary>Takes claimed work out of the queue for good, with the reason, until somebody puts it back.</summary>
    public async Task<bool> BuryAsync(ClaimedWork work, Guid owner, string error, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            with dead as (delete from conclave.work_item where id = $1 and owner = $2 returning *)
            insert into conclave.dead_work_item (id, tenant, instance_id, kind, priority, attempt, bookmark, payload, error, created_at)
            select id, tenant, instance_id, kind, priority, attempt, bookmark, payload, $3, created_at from dead
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
            insert into conclave.work_item (tenant, instance_id, kind, priority, due_at, bookmark, payload)
            select tenant, instance_id, kind, priority, now(), bookmark, payload from again
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        var isThere = await command.ExecuteNonQueryAsync(cancellationToken) == 1;
        signal.Wake();
        return isThere;
    }

    /// <summary>Deletes dead work.</summary>
    /// <returns>Whether it was there.</returns>
    public async Task<bool> DeleteDeadAsync(string tenant, long id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("delete from conclave.dead_work_item where tenant = $1 and id = $2");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>Lists dead work, newest first.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="before">Only items with a smaller id; null for all.</param>
    /// <param name="limit">Most items.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<List<DeadWork>> ListDeadAsync(string tenant, long? before, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select {DeadColumns}
              from conclave.dead_work_item
             where tenant = $1 and id < $2
             order by id desc
             limit $3
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = before ?? long.MaxValue });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        var dead = new List<DeadWork>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            dead.Add(ReadDead(reader));
        return dead;
    }

    /// <summary>Reads a page of dead work, newest first.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="instanceId">Only that of one instance; null for all.</param>
    /// <param name="offset">How many come before the page.</param>
    /// <param name="limit">Most items.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The page, and how many there are on all pages.</returns>
    public async Task<(List<DeadWork> Page, long Total)> ReadDeadPageAsync(
        string tenant, string? instanceId, long offset, int limit, CancellationToken cancellationToken)
    {
        await using var batch = database.CreateBatch();
        var count = new NpgsqlBatchCommand("select count(*) from conclave.dead_work_item where tenant = $1 and ($2::text is null or instance_id = $2)");
        count.Parameters.AddText(tenant);
        count.Parameters.AddText(instanceId);
        batch.BatchCommands.Add(count);
        var page = new NpgsqlBatchCommand($"""
            select {DeadColumns} from conclave.dead_work_item
             where tenant = $1 and ($2::text is null or instance_id = $2)
             order by id desc offset $3 limit $4
            """);
        page.Parameters.AddText(tenant);
        page.Parameters.AddText(instanceId);
        page.Parameters.Add(new NpgsqlParameter<long> { TypedValue = offset });
        page.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        batch.BatchCommands.Add(page);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var total = reader.GetInt64(0);
        await reader.NextResultAsync(cancellationToken);
        var dead = new List<DeadWork>();
        while (await reader.ReadAsync(cancellationToken))
            dead.Add(ReadDead(reader));
        return (dead, total);
    }

    /// <summary>Finds dead work; null when it is not there.</summary>
    public async Task<DeadWork?> FindDeadAsync(string tenant, long id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select {DeadColumns} from conclave.dead_work_item where tenant = $1 and id = $2");
        command.Parameters.AddText(tenant);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? ReadDead(reader) : null;
    }

    /// <summary>Counts the work of a tenant; of all tenants when it is null.</summary>
    public async Task<QueueStats> GetStatsAsync(string? tenant, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select count(*) filter (where due_at <= now()),
                   count(*) filter (where due_at > now() and owner is not null),
                   count(*) filter (where due_at > now() and owner is null),
                   (select count(*) from conclave.dead_work_item where $1::text is null or tenant = $1),
                   coalesce(extract(epoch from now() - min(due_at) filter (where due_at <= now())), 0)::double precision,
                   count(*) filter (where due_at <= now() and priority = 0), count(*) filter (where due_at <= now() and priority = 1),
                   count(*) filter (where due_at <= now() and priority = 2), count(*) filter (where due_at <= now() and priority = 3)
              from conclave.work_item where $1::text is null or tenant = $1
            """);
        command.Parameters.AddText(tenant);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new QueueStats(
            reader.GetInt64(0),
            reader.GetInt64(1),
            reader.GetInt64(2),
            reader.GetInt64(3),
            reader.GetDouble(4),
            [reader.GetInt64(5), reader.GetInt64(6), reader.GetInt64(7), reader.GetInt64(8)]);
    }

    /// <summary>When the next work is due, of all tenants; null when there is none.</summary>
    public async Task<DateTimeOffset?> FindNextDueAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select conclave.next_due()");
        return await command.ExecuteScalarAsync(cancellationToken) is DateTime due ? new DateTimeOffset(due) : null;
    }

    /// <summary>Adds the parameters of <see cref="AddClaimedSql"/>.</summary>
    internal static void AddClaimed(NpgsqlParameterCollection parameters, ClaimedNewWork claimed, Guid owner, TimeSpan lease)
    {
        parameters.AddValue(claimed.Id);
        parameters.AddValue(claimed.Work.Tenant);
        parameters.AddValue(claimed.Work.InstanceId);
        parameters.AddValue((short)claimed.Work.Kind);
        parameters.AddValue((short)claimed.Work.Priority);
        parameters.AddValue(lease);
        parameters.AddValue(owner);
    }

    /// <summary>Adds the columns of <see cref="EnqueueSql"/>.</summary>
    internal static void AddColumns(NpgsqlParameterCollection parameters, IReadOnlyList<NewWork> work)
    {
        parameters.AddArray(work, w => w.Tenant);
        parameters.AddArray(work, w => w.InstanceId);
        parameters.AddArray(work, w => (short)w.Kind);
        parameters.AddArray(work, w => (short)w.Priority);
        parameters.AddTimes(work, w => w.DueAt);
        parameters.AddArray(work, w => w.Bookmark);
        parameters.AddArray(work, w => w.Payload);
    }

    private static DeadWork ReadDead(NpgsqlDataReader reader) => new(
        reader.GetInt64(0),
        reader.GetString(1),
        (WorkKind)reader.GetInt16(2),
        (WorkPriority)reader.GetInt16(3),
        reader.GetInt32(4),
        reader.GetString(5),
        reader.GetFieldValue<DateTimeOffset>(6),
        reader.GetFieldValue<DateTimeOffset>(7));
}
