using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Npgsql;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>The statements of a commit: one an instance for what nearly every burst writes, one a row or arrays for the rest.</summary>
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

    // In the order of the arrays.
    private const string LockBookmarksSql = """
        select conclave.lock_bookmark(b.tenant, b.instance_id, b.name, b.hash, b.correlation_id)
          from unnest($1, $2, $3, $4, $5) as b(tenant, instance_id, name, hash, correlation_id)
        """;

    private const string StoreSql = """
        select conclave.store_burst(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)
        """;

    private const string RemoveBookmarkSql = "delete from conclave.bookmark where tenant = $1 and instance_id = $2 and number = $3";

    private const string AddBookmarkSql = "select conclave.add_bookmark($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

    private const string AddTemplateSql = "insert into conclave.http_template (tenant, template) values ($1, $2) on conflict do nothing";

    private const string JournalSql = """
        insert into conclave.journal (tenant, instance_id, first_sequence, count, entries, created_at) values ($1, $2, $3, $4, $5, $6)
        """;

    private const string BlobSql = """
        insert into conclave.blob (tenant, instance_id, hash, content) values ($1, $2, $3, $4) on conflict do nothing
        """;

    private const string RemoveBlobSql = "delete from conclave.blob where tenant = $1 and instance_id = $2 and hash = $3";

    private const string OperationSql = """
        insert into conclave.instance_operation (tenant, instance_id, sequence, operation, actor, reason, details, created_at, notes)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """;

    private const string ReplySql = """
        update conclave.http_reply set instance_id = $4, reply = $5, expires_at = now() + $6 where tenant = $1 and scope = $2 and key = $3
        """;

    private static readonly Comparer<(string Tenant, string Template)> TemplateOrder = Comparer<(string Tenant, string Template)>.Create((left, right) =>
        string.CompareOrdinal(left.Tenant, right.Tenant) is not 0 and var order ? order : string.CompareOrdinal(left.Template, right.Template));

    /// <summary>Adds the statements that store a group.</summary>
    /// <param name="batch">Receives them.</param>
    /// <param name="group">The commits.</param>
    /// <param name="owner">Who keeps instances whose burst goes on.</param>
    /// <param name="lease">For how long.</param>
    public static void Add(NpgsqlBatch batch, IReadOnlyList<InstanceCommit> group, Guid owner, TimeSpan lease)
    {
        var guards = All(group, c => c.Guards);
        AddAll(batch, guards, (b, rows) => AddGuards(b, GuardLockSql, rows));
        AddLocks(batch, group);
        AddInstances(batch, group, owner, lease);
        // After the inserts, so that two of one group see each other.
        AddAll(batch, guards, (b, rows) => AddGuards(b, GuardSql, rows).AddArray(rows, g => g.InstanceId));
        foreach (var commit in group)
        {
            foreach (var bookmark in commit.Bookmarks)
                AddBookmark(batch, bookmark);
        }

        AddTemplates(batch, group);
        AddAll(batch, All(group, c => c.Work), (b, rows) => WorkQueue.AddColumns(New(b, WorkQueue.EnqueueSql), rows));
        foreach (var commit in group)
        {
            if (commit.Claimed is { } claimed)
                WorkQueue.AddClaimed(New(batch, WorkQueue.AddClaimedSql), claimed, owner, lease);
        }

        AddAll(batch, All(group, c => c.Done), (b, rows) => New(b, WorkQueue.FinishSql).AddArray(rows, id => id));
        foreach (var commit in group)
            AddRest(batch, commit);
        AddRows(batch, All(group, c => c.Rows));
    }

    /// <summary>Last, and in one order in every commit, since others may lock the same rows.</summary>
    private static void AddRows(NpgsqlBatch batch, List<RowWrite> rows)
    {
        if (rows.Count == 0)
            return;
        // Rows of one instance stay in the order in which they were asked for: a turn begins before it asks people.
        foreach (var row in rows.GroupBy(r => (r.Tenant, r.InstanceId)).OrderBy(g => g.Select(r => r.Effect.LockKey).Max(StringComparer.Ordinal), StringComparer.Ordinal).SelectMany(g => g))
            row.Effect.AddTo(batch, row.Tenant, row.InstanceId);
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

    private static void AddAll<T>(NpgsqlBatch batch, List<T> rows, Action<NpgsqlBatch, List<T>> add)
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

    /// <summary>Locks come before rows, as in the delivery of a stimulus, and in one order in every commit.</summary>
    private static void AddLocks(NpgsqlBatch batch, IReadOnlyList<InstanceCommit> group)
    {
        var locked = new List<BookmarkWrite>();
        foreach (var commit in group)
        {
            foreach (var instance in commit.Instances)
            {
                if (instance.Bookmark is { } first)
                    locked.Add(first);
            }

            locked.AddRange(commit.Bookmarks);
        }

        // Timers wait for nobody.
        locked.RemoveAll(b => b.DueAt is not null);
        if (locked.Count == 0)
            return;
        locked.Sort(BookmarkWrite.CompareKeys);
        var parameters = New(batch, LockBookmarksSql);
        parameters.AddArray(locked, b => b.Id.Tenant);
        parameters.AddArray(locked, b => b.Id.InstanceId);
        parameters.AddArray(locked, b => b.Name);
        parameters.AddArray(locked, b => b.Hash);
        parameters.AddArray(locked, b => b.CorrelationId);
    }

    /// <summary>
    /// In the order of their ids in every transaction, with the bookmarks that each gives up, as a stimulus for many takes them:
    /// transactions with the same instances wait for each other, and never each for the other.
    /// </summary>
    private static void AddInstances(NpgsqlBatch batch, IReadOnlyList<InstanceCommit> group, Guid owner, TimeSpan lease)
    {
        IEnumerable<InstanceWrite> instances = All(group, c => c.Instances);
        if (instances.Skip(1).Any())
            instances = instances.OrderBy(i => i.Tenant, StringComparer.Ordinal).ThenBy(i => i.Id, StringComparer.Ordinal);
        var removed = All(group, c => c.RemovedBookmarks).ToLookup(b => (b.Tenant, b.InstanceId));
        foreach (var instance in instances)
        {
            AddInstance(batch, instance, owner, lease);
            foreach (var bookmark in removed[(instance.Tenant, instance.Id)])
                AddKey(batch, RemoveBookmarkSql, bookmark);
        }
    }

    private static void AddInstance(NpgsqlBatch batch, InstanceWrite row, Guid owner, TimeSpan lease)
    {
        var parameters = New(batch, StoreSql);
        parameters.AddValue(row.Tenant);
        parameters.AddValue(row.Id);
        parameters.AddValue(row.DefinitionVersionId);
        parameters.AddValue(row.Version);
        parameters.AddValue((short)row.Status);
        parameters.AddValue((short)row.SubStatus);
        parameters.AddText(row.CorrelationId);
        parameters.AddText(row.Name);
        parameters.AddValue(row.IncidentCount);
        parameters.AddValue(row.State);
        parameters.AddUuid(row.KeepsHold ? owner : null);
        parameters.AddInterval(row.KeepsHold ? lease : null);
        parameters.AddTime(row.UpdatedAt);
        parameters.AddTime(row.FinishedAt);
        parameters.AddValue(row.DefinitionId);
        parameters.AddText(row.ParentId);
        parameters.AddTime(row.CreatedAt);
        parameters.AddValue(row.Fence);
        parameters.AddInteger(row.TakenBookmark);
        var bookmark = row.Bookmark;
        parameters.AddInteger(bookmark?.Id.Number);
        parameters.AddText(bookmark?.Name);
        parameters.AddBytes(bookmark?.Hash);
        parameters.AddText(bookmark?.ActivityId);
        parameters.AddText(bookmark?.Payload);
        parameters.AddTime(bookmark?.DueAt);
        parameters.AddTime(bookmark?.CreatedAt);
        parameters.AddValue(row.Journal?.FirstSequence ?? 0);
        parameters.AddValue(row.Journal?.Count ?? 0);
        parameters.AddBytes(row.Journal?.Entries);
        parameters.AddTime(row.Journal?.CreatedAt);
    }

    private static void AddKey(NpgsqlBatch batch, string sql, BookmarkId id)
    {
        var parameters = New(batch, sql);
        parameters.AddValue(id.Tenant);
        parameters.AddValue(id.InstanceId);
        parameters.AddValue(id.Number);
    }

    private static void AddBookmark(NpgsqlBatch batch, BookmarkWrite bookmark)
    {
        var parameters = New(batch, AddBookmarkSql);
        parameters.AddValue(bookmark.Id.Tenant);
        parameters.AddValue(bookmark.Id.InstanceId);
        parameters.AddValue(bookmark.Id.Number);
        parameters.AddValue(bookmark.Name);
        parameters.AddValue(bookmark.Hash);
        parameters.AddText(bookmark.CorrelationId);
        parameters.AddValue(bookmark.ActivityId);
        parameters.AddValue(bookmark.Payload);
        parameters.AddTime(bookmark.DueAt);
        parameters.AddTime(bookmark.CreatedAt);
    }

    /// <summary>In one order, too: a key that another transaction inserts is waited for.</summary>
    private static void AddTemplates(NpgsqlBatch batch, IReadOnlyList<InstanceCommit> group)
    {
        SortedSet<(string Tenant, string Template)>? templates = null;
        foreach (var commit in group)
        {
            foreach (var bookmark in commit.Bookmarks)
                Add(bookmark);
            foreach (var instance in commit.Instances)
                Add(instance.Bookmark);
        }

        foreach (var (tenant, template) in templates ?? [])
        {
            var parameters = New(batch, AddTemplateSql);
            parameters.AddValue(tenant);
            parameters.AddValue(template);
        }

        void Add(BookmarkWrite? bookmark)
        {
            if (bookmark?.HttpTemplate is { } template)
                (templates ??= new(TemplateOrder)).Add((bookmark.Id.Tenant, template));
        }
    }

    private static void AddRest(NpgsqlBatch batch, InstanceCommit commit)
    {
        foreach (var blob in commit.Blobs)
            AddBlob(batch, BlobSql, blob).AddValue(blob.Content);
        foreach (var blob in commit.RemovedBlobs)
            AddBlob(batch, RemoveBlobSql, blob);
        foreach (var entries in commit.Journal)
            AddJournal(batch, entries);
        foreach (var operation in commit.Operations)
            AddOperation(batch, operation);
        foreach (var reply in commit.Replies)
            AddReply(batch, reply);
    }

    private static NpgsqlParameterCollection AddBlob(NpgsqlBatch batch, string sql, BlobWrite blob)
    {
        var parameters = New(batch, sql);
        parameters.AddValue(blob.Tenant);
        parameters.AddValue(blob.InstanceId);
        parameters.AddValue(blob.Hash);
        return parameters;
    }

    private static void AddJournal(NpgsqlBatch batch, JournalWrite entries)
    {
        var parameters = New(batch, JournalSql);
        parameters.AddValue(entries.Tenant);
        parameters.AddValue(entries.InstanceId);
        parameters.AddValue(entries.FirstSequence);
        parameters.AddValue(entries.Count);
        parameters.AddValue(entries.Entries);
        parameters.AddTime(entries.CreatedAt);
    }

    private static void AddOperation(NpgsqlBatch batch, OperationWrite operation)
    {
        var parameters = New(batch, OperationSql);
        parameters.AddValue(operation.Tenant);
        parameters.AddValue(operation.InstanceId);
        parameters.AddValue(operation.Sequence);
        parameters.AddValue(operation.Operation);
        parameters.AddValue(operation.Actor);
        parameters.AddText(operation.Reason);
        parameters.AddText(operation.Details);
        parameters.AddTime(operation.CreatedAt);
        parameters.AddBytes(operation.Notes);
    }

    private static void AddReply(NpgsqlBatch batch, ReplyWrite reply)
    {
        var parameters = New(batch, ReplySql);
        parameters.AddValue(reply.Tenant);
        parameters.AddValue(reply.Scope);
        parameters.AddValue(reply.Key);
        parameters.AddValue(reply.InstanceId);
        parameters.AddValue(reply.Reply);
        parameters.AddValue(reply.Keep);
    }
}
