using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Npgsql;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>The statements of a commit. Each works on arrays, so that their number does not grow with the group.</summary>
internal static class CommitSql
{
    private const string GuardLockSql = """
        select pg_advisory_xact_lock(k.lock) from (
            select distinct hashtextextended(g.tenant || chr(31) || coalesce(g.definition_id, '') || chr(31) || coalesce(g.correlation_id, ''), 1) as lock
              from unnest($1, $2, $3) as g(tenant, definition_id, correlation_id) order by 1) k
        """;

    private const string GuardSql = """
        select conclave.refuse_unless(not exists (
            select from unnest($1, $2, $3, $4) as g(tenant, definition_id, correlation_id, instance_id)
              join conclave.workflow_instance i on i.tenant = g.tenant and i.status = 0 and i.id <> g.instance_id
               and (g.definition_id is null or i.definition_id = g.definition_id)
               and (g.correlation_id is null or i.correlation_id = g.correlation_id)))
        """;

    private const string InsertSql = """
        insert into conclave.workflow_instance
            (tenant, id, definition_id, definition_version_id, version, status, sub_status, correlation_id, name, parent_id,
             incident_count, state, owner, lease_until, created_at, updated_at, finished_at)
        select c.tenant, c.id, c.definition_id, c.definition_version_id, c.version, c.status, c.sub_status, c.correlation_id, c.name,
               c.parent_id, c.incident_count, c.state, case when c.keeps_hold then $17 end, case when c.keeps_hold then now() + $18 end,
               c.created_at, c.updated_at, c.finished_at
          from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
               as c(tenant, id, definition_id, definition_version_id, version, status, sub_status, correlation_id, name, parent_id,
                    incident_count, state, keeps_hold, created_at, updated_at, finished_at)
        """;

    private const string UpdateSql =
        "select conclave.update_instances($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

    private const string RemoveBookmarksSql = "select conclave.remove_bookmarks($1, $2, $3)";

    private const string AddBookmarksSql = "select conclave.add_bookmarks($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

    private const string AddTemplatesSql = """
        insert into conclave.http_template (tenant, template) select distinct * from unnest($1, $2) on conflict do nothing
        """;

    private const string JournalSql = """
        insert into conclave.journal (tenant, instance_id, first_sequence, count, entries, created_at)
        select * from unnest($1, $2, $3, $4, $5, $6)
        """;

    private const string BlobSql = """
        insert into conclave.blob (tenant, instance_id, hash, content) select * from unnest($1, $2, $3, $4) on conflict do nothing
        """;

    private const string RemoveBlobsSql = """
        delete from conclave.blob b using unnest($1, $2, $3) as r(tenant, instance_id, hash)
         where b.tenant = r.tenant and b.instance_id = r.instance_id and b.hash = r.hash
        """;

    private const string OperationSql = """
        insert into conclave.instance_operation (tenant, instance_id, sequence, operation, actor, reason, details, created_at)
        select * from unnest($1, $2, $3, $4, $5, $6, $7, $8)
        """;

    private const string ReplySql = """
        update conclave.http_reply h set instance_id = r.instance_id, reply = r.reply, expires_at = now() + r.keep
          from unnest($1, $2, $3, $4, $5, $6) as r(tenant, scope, key, instance_id, reply, keep)
         where h.tenant = r.tenant and h.scope = r.scope and h.key = r.key
        """;

    /// <summary>Adds the statements that store a group.</summary>
    /// <param name="batch">Receives them.</param>
    /// <param name="group">The commits.</param>
    /// <param name="owner">Who keeps instances whose burst goes on.</param>
    /// <param name="lease">For how long.</param>
    public static void Add(NpgsqlBatch batch, IReadOnlyList<InstanceCommit> group, Guid owner, TimeSpan lease)
    {
        var instances = All(group, c => c.Instances);
        var guards = All(group, c => c.Guards);
        Add(batch, guards, (b, rows) => AddGuards(b, GuardLockSql, rows));
        Add(batch, instances.FindAll(i => i.Fence == 0), (b, rows) => AddInserts(b, rows, owner, lease));
        // After the inserts, so that two of one group see each other.
        Add(batch, guards, (b, rows) => AddGuards(b, GuardSql, rows).AddArray(rows, g => g.InstanceId));
        Add(batch, instances.FindAll(i => i.Fence > 0), (b, rows) => AddUpdates(b, rows, owner, lease));
        Add(batch, All(group, c => c.RemovedBookmarks), AddRemovedBookmarks);
        Add(batch, All(group, c => c.Bookmarks), AddBookmarks);
        Add(batch, All(group, c => c.Work), (b, rows) => WorkQueue.AddColumns(New(b, WorkQueue.EnqueueSql), rows));
        Add(batch, All(group, c => c.Done), (b, rows) => New(b, WorkQueue.FinishSql).AddArray(rows, id => id));
        Add(batch, All(group, c => c.Blobs), (b, rows) => AddBlobs(b, BlobSql, rows).AddArray(rows, r => r.Content));
        Add(batch, All(group, c => c.RemovedBlobs), (b, rows) => AddBlobs(b, RemoveBlobsSql, rows));
        Add(batch, All(group, c => c.Journal), AddJournal);
        Add(batch, All(group, c => c.Operations), AddOperations);
        Add(batch, All(group, c => c.Replies), AddReplies);
    }

    private static List<T> All<T>(IReadOnlyList<InstanceCommit> group, Func<InstanceCommit, List<T>> rows)
    {
        if (group.Count == 1)
            return rows(group[0]);
        var all = new List<T>();
        foreach (var commit in group)
            all.AddRange(rows(commit));
        return all;
    }

    private static void Add<T>(NpgsqlBatch batch, List<T> rows, Action<NpgsqlBatch, List<T>> add)
    {
        if (rows.Count > 0)
            add(batch, rows);
    }

    private static NpgsqlParameterCollection New(NpgsqlBatch batch, string sql)
    {
        var command = new NpgsqlBatchCommand(sql);
        batch.BatchCommands.Add(command);
        return command.Parameters;
    }

    private static NpgsqlParameterCollection AddGuards(NpgsqlBatch batch, string sql, List<ActivationGuard> guards)
    {
        var parameters = New(batch, sql);
        parameters.AddArray(guards, g => g.Tenant);
        parameters.AddArray(guards, g => g.DefinitionId);
        parameters.AddArray(guards, g => g.CorrelationId);
        return parameters;
    }

    private static void AddInserts(NpgsqlBatch batch, List<InstanceWrite> rows, Guid owner, TimeSpan lease)
    {
        var parameters = New(batch, InsertSql);
        parameters.AddArray(rows, i => i.Tenant);
        parameters.AddArray(rows, i => i.Id);
        parameters.AddArray(rows, i => i.DefinitionId);
        parameters.AddArray(rows, i => i.DefinitionVersionId);
        parameters.AddArray(rows, i => i.Version);
        parameters.AddArray(rows, i => (short)i.Status);
        parameters.AddArray(rows, i => (short)i.SubStatus);
        parameters.AddArray(rows, i => i.CorrelationId);
        parameters.AddArray(rows, i => i.Name);
        parameters.AddArray(rows, i => i.ParentId);
        parameters.AddArray(rows, i => i.IncidentCount);
        parameters.AddArray(rows, i => i.State);
        parameters.AddArray(rows, i => i.KeepsHold);
        parameters.AddTimes(rows, i => i.CreatedAt);
        parameters.AddTimes(rows, i => i.UpdatedAt);
        parameters.AddTimes(rows, i => i.FinishedAt);
        parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease });
    }

    private static void AddUpdates(NpgsqlBatch batch, List<InstanceWrite> rows, Guid owner, TimeSpan lease)
    {
        var parameters = New(batch, UpdateSql);
        parameters.AddArray(rows, i => i.Tenant);
        parameters.AddArray(rows, i => i.Id);
        parameters.AddArray(rows, i => i.DefinitionVersionId);
        parameters.AddArray(rows, i => i.Version);
        parameters.AddArray(rows, i => (short)i.Status);
        parameters.AddArray(rows, i => (short)i.SubStatus);
        parameters.AddArray(rows, i => i.CorrelationId);
        parameters.AddArray(rows, i => i.Name);
        parameters.AddArray(rows, i => i.IncidentCount);
        parameters.AddArray(rows, i => i.State);
        parameters.AddArray(rows, i => i.Fence);
        parameters.AddArray(rows, i => i.KeepsHold);
        parameters.AddTimes(rows, i => i.UpdatedAt);
        parameters.AddTimes(rows, i => i.FinishedAt);
        parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease });
    }

    private static void AddRemovedBookmarks(NpgsqlBatch batch, List<BookmarkId> rows)
    {
        var parameters = New(batch, RemoveBookmarksSql);
        parameters.AddArray(rows, b => b.Tenant);
        parameters.AddArray(rows, b => b.InstanceId);
        parameters.AddArray(rows, b => b.Number);
    }

    private static void AddBookmarks(NpgsqlBatch batch, List<BookmarkWrite> rows)
    {
        var parameters = New(batch, AddBookmarksSql);
        parameters.AddArray(rows, b => b.Id.Tenant);
        parameters.AddArray(rows, b => b.Id.InstanceId);
        parameters.AddArray(rows, b => b.Id.Number);
        parameters.AddArray(rows, b => b.Name);
        parameters.AddArray(rows, b => b.Hash);
        parameters.AddArray(rows, b => b.CorrelationId);
        parameters.AddArray(rows, b => b.ActivityId);
        parameters.AddArray(rows, b => b.Payload);
        parameters.AddTimes(rows, b => b.DueAt);
        parameters.AddTimes(rows, b => b.CreatedAt);
        var templates = rows.FindAll(b => b.HttpTemplate is not null);
        if (templates.Count == 0)
            return;
        parameters = New(batch, AddTemplatesSql);
        parameters.AddArray(templates, b => b.Id.Tenant);
        parameters.AddArray(templates, b => b.HttpTemplate!);
    }

    private static void AddJournal(NpgsqlBatch batch, List<JournalWrite> rows)
    {
        var parameters = New(batch, JournalSql);
        parameters.AddArray(rows, j => j.Tenant);
        parameters.AddArray(rows, j => j.InstanceId);
        parameters.AddArray(rows, j => j.FirstSequence);
        parameters.AddArray(rows, j => j.Count);
        parameters.AddArray(rows, j => j.Entries);
        parameters.AddTimes(rows, j => j.CreatedAt);
    }

    private static NpgsqlParameterCollection AddBlobs(NpgsqlBatch batch, string sql, List<BlobWrite> rows)
    {
        var parameters = New(batch, sql);
        parameters.AddArray(rows, b => b.Tenant);
        parameters.AddArray(rows, b => b.InstanceId);
        parameters.AddArray(rows, b => b.Hash);
        return parameters;
    }

    private static void AddOperations(NpgsqlBatch batch, List<OperationWrite> rows)
    {
        var parameters = New(batch, OperationSql);
        parameters.AddArray(rows, o => o.Tenant);
        parameters.AddArray(rows, o => o.InstanceId);
        parameters.AddArray(rows, o => o.Sequence);
        parameters.AddArray(rows, o => o.Operation);
        parameters.AddArray(rows, o => o.Actor);
        parameters.AddArray(rows, o => o.Reason);
        parameters.AddArray(rows, o => o.Details);
        parameters.AddTimes(rows, o => o.CreatedAt);
    }

    private static void AddReplies(NpgsqlBatch batch, List<ReplyWrite> rows)
    {
        var parameters = New(batch, ReplySql);
        parameters.AddArray(rows, r => r.Tenant);
        parameters.AddArray(rows, r => r.Scope);
        parameters.AddArray(rows, r => r.Key);
        parameters.AddArray(rows, r => r.InstanceId);
        parameters.AddArray(rows, r => r.Reply);
        parameters.AddArray(rows, r => r.Keep);
    }
}
