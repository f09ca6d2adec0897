using System.Buffers;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Queue;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Instances and their bookmarks. A burst is committed whole or not at all, and only by whoever holds the instance.</summary>
public sealed class InstanceStore(NpgsqlDataSource database)
{
    private const string InsertSql = """
        insert into conclave.workflow_instance
            (tenant, id, definition_id, definition_version_id, version, status, sub_status, correlation_id, name,
             parent_id, state, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
        on conflict (tenant, id) do nothing
        """;

    // Takes the instance when nobody holds it, or when whoever held it is late.
    private const string HoldSql = """
        update conclave.workflow_instance
           set fence = fence + 1, lease_until = now() + $3
         where tenant = $1 and id = $2 and (lease_until is null or lease_until <= now())
        returning definition_version_id, fence, sub_status, state
        """;

    private const string CommitSql = """
        update conclave.workflow_instance
           set status = $4, sub_status = $5, correlation_id = $6, name = $7, incident_count = $8, state = $9,
               updated_at = $10, finished_at = $11, lease_until = null
         where tenant = $1 and id = $2 and fence = $3
        """;

    /// <summary>Creates an instance together with the work that runs it. Does nothing when the id exists.</summary>
    public async Task CreateAsync(string tenant, WorkflowInstance instance, NewWork work, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var insert = new NpgsqlCommand(InsertSql, connection))
        {
            var definition = instance.Graph.Definition;
            Add(insert.Parameters, tenant, instance.Id, definition.DefinitionId, definition.Id);
            insert.Parameters.Add(new NpgsqlParameter<int> { TypedValue = definition.Version });
            insert.Parameters.Add(new NpgsqlParameter<short> { TypedValue = (short)instance.Status });
            insert.Parameters.Add(new NpgsqlParameter<short> { TypedValue = (short)instance.SubStatus });
            AddText(insert.Parameters, instance.CorrelationId);
            AddText(insert.Parameters, instance.Name);
            AddText(insert.Parameters, instance.ParentInstanceId);
            insert.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = Serialize(instance) });
            insert.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = instance.CreatedAt });
            if (await insert.ExecuteNonQueryAsync(cancellationToken) == 0)
                return;
        }

        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(WorkQueue.Enqueue(work));
        batch.BatchCommands.Add(WorkQueue.Notify());
        await batch.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Takes an instance for one burst.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="id">Id of the instance.</param>
    /// <param name="lease">How long the burst may take before somebody else may take the instance.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The instance, or null when somebody else holds it or it does not exist.</returns>
    public async Task<HeldInstance?> HoldAsync(string tenant, string id, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(HoldSql);
        Add(command.Parameters, tenant, id);
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return null;
        return new HeldInstance(
            tenant, id, reader.GetString(0), reader.GetInt64(1), (WorkflowSubStatus)reader.GetInt16(2), reader.GetFieldValue<byte[]>(3));
    }

    /// <summary>Gives an instance back without a change.</summary>
    public async Task ReleaseAsync(HeldInstance held, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "update conclave.workflow_instance set lease_until = null where tenant = $1 and id = $2 and fence = $3");
        Add(command.Parameters, held.Tenant, held.Id);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = held.Fence });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Commits a burst: state, bookmarks, follow-up work and the end of the work that caused it, in one transaction.</summary>
    /// <param name="held">The hold under which the burst ran.</param>
    /// <param name="instance">The instance after the burst.</param>
    /// <param name="done">Work that the burst did.</param>
    /// <param name="owner">The worker that claimed it.</param>
    /// <param name="followUp">Work that the burst asks for.</param>
    /// <param name="cancellationToken">Stops waiting; the commit then did or did not happen.</param>
    /// <returns>False when somebody else has taken the instance since: nothing was written.</returns>
    public async Task<bool> CommitAsync(
        HeldInstance held,
        WorkflowInstance instance,
        ClaimedWork done,
        Guid owner,
        IReadOnlyList<NewWork> followUp,
        CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection);
        var update = Update(held, instance);
        batch.BatchCommands.Add(update);
        batch.BatchCommands.Add(DeleteBookmarks(held));
        foreach (var bookmark in instance.Bookmarks)
            batch.BatchCommands.Add(InsertBookmark(held, bookmark));
        foreach (var work in followUp)
            batch.BatchCommands.Add(WorkQueue.Enqueue(work));
        batch.BatchCommands.Add(WorkQueue.Finish(done, owner));
        if (followUp.Count > 0)
            batch.BatchCommands.Add(WorkQueue.Notify());
        await batch.ExecuteNonQueryAsync(cancellationToken);
        if (update.RecordsAffected == 0)
        {
            await transaction.RollbackAsync(cancellationToken);
            return false;
        }

        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    /// <summary>Finds one instance; null when it does not exist.</summary>
    public async Task<InstanceSummary?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select id, definition_id, definition_version_id, version, status, sub_status, correlation_id, name,
                   incident_count, created_at, updated_at, finished_at
              from conclave.workflow_instance
             where tenant = $1 and id = $2
            """);
        Add(command.Parameters, tenant, id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? ReadSummary(reader) : null;
    }

    /// <summary>Finds the bookmarks that wait for a stimulus.</summary>
    /// <returns>Instance and number of each, oldest first.</returns>
    public async Task<List<(string InstanceId, int Number)>> FindWaitingAsync(
        string tenant, string name, byte[] key, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select instance_id, number from conclave.bookmark
             where tenant = $1 and name = $2 and hash = $3
             order by created_at, instance_id, number
             limit $4
            """);
        Add(command.Parameters, tenant, name);
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = key });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        var found = new List<(string, int)>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            found.Add((reader.GetString(0), reader.GetInt32(1)));
        return found;
    }

    private static NpgsqlBatchCommand Update(HeldInstance held, WorkflowInstance instance)
    {
        var command = new NpgsqlBatchCommand(CommitSql);
        Add(command.Parameters, held.Tenant, held.Id);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = held.Fence });
        command.Parameters.Add(new NpgsqlParameter<short> { TypedValue = (short)instance.Status });
        command.Parameters.Add(new NpgsqlParameter<short> { TypedValue = (short)instance.SubStatus });
        AddText(command.Parameters, instance.CorrelationId);
        AddText(command.Parameters, instance.Name);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = instance.Incidents.Count });
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = Serialize(instance) });
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = instance.UpdatedAt });
        command.Parameters.Add(new NpgsqlParameter
        {
            Value = (object?)instance.FinishedAt ?? DBNull.Value,
            NpgsqlDbType = NpgsqlDbType.TimestampTz,
        });
        return command;
    }

    private static NpgsqlBatchCommand DeleteBookmarks(HeldInstance held)
    {
        var command = new NpgsqlBatchCommand("delete from conclave.bookmark where tenant = $1 and instance_id = $2");
        Add(command.Parameters, held.Tenant, held.Id);
        return command;
    }

    private static NpgsqlBatchCommand InsertBookmark(HeldInstance held, Bookmark bookmark)
    {
        var command = new NpgsqlBatchCommand("""
            insert into conclave.bookmark (tenant, instance_id, number, name, hash, activity_id, payload, due_at, created_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """);
        Add(command.Parameters, held.Tenant, held.Id);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = bookmark.Number });
        Add(command.Parameters, bookmark.Name);
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = BookmarkKey.Of(bookmark.Name, bookmark.Payload) });
        Add(command.Parameters, bookmark.Context.Node.Id, bookmark.Payload.ToString());
        command.Parameters.Add(new NpgsqlParameter
        {
            Value = (object?)bookmark.DueAt?.ToUniversalTime() ?? DBNull.Value,
            NpgsqlDbType = NpgsqlDbType.TimestampTz,
        });
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = bookmark.CreatedAt.ToUniversalTime() });
        return command;
    }

    private static byte[] Serialize(WorkflowInstance instance)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        InstanceSerializer.Write(instance, buffer);
        return buffer.WrittenSpan.ToArray();
    }

    private static InstanceSummary ReadSummary(NpgsqlDataReader reader) => new(
        reader.GetString(0),
        reader.GetString(1),
        reader.GetString(2),
        reader.GetInt32(3),
        (WorkflowStatus)reader.GetInt16(4),
        (WorkflowSubStatus)reader.GetInt16(5),
        reader.IsDBNull(6) ? null : reader.GetString(6),
        reader.IsDBNull(7) ? null : reader.GetString(7),
        reader.GetInt32(8),
        reader.GetFieldValue<DateTimeOffset>(9),
        reader.GetFieldValue<DateTimeOffset>(10),
        reader.IsDBNull(11) ? null : reader.GetFieldValue<DateTimeOffset>(11));

    private static void Add(NpgsqlParameterCollection parameters, params ReadOnlySpan<string> values)
    {
        foreach (var value in values)
            parameters.Add(new NpgsqlParameter<string> { TypedValue = value });
    }

    private static void AddText(NpgsqlParameterCollection parameters, string? value) =>
        parameters.Add(new NpgsqlParameter { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
}
