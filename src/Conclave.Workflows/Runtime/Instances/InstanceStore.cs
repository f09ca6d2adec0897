using System.Globalization;
using System.Text;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Reads instances, and takes them for a burst. <see cref="GroupCommit"/> writes them.</summary>
public sealed partial class InstanceStore(NpgsqlDataSource database)
{
    private const string SummaryColumns = """
        id, definition_id, definition_version_id, version, status, sub_status, correlation_id, name, parent_id,
        incident_count, created_at, updated_at, finished_at
        """;

    /// <summary>Takes an instance for one burst.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="id">Id of the instance.</param>
    /// <param name="owner">Who takes it.</param>
    /// <param name="lease">How long the burst may take before somebody else may take the instance.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The instance, or null when somebody else holds it or it does not exist.</returns>
    public async Task<HeldInstance?> HoldAsync(string tenant, string id, Guid owner, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            update conclave.workflow_instance
               set fence = fence + 1, owner = $3, lease_until = now() + $4
             where tenant = $1 and id = $2 and (lease_until is null or lease_until <= now())
            returning definition_version_id, fence, state
            """);
        Add(command.Parameters, tenant, id);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = owner });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return null;
        return new HeldInstance(tenant, id, reader.GetString(0), reader.GetInt64(1), reader.GetFieldValue<byte[]>(2));
    }

    /// <summary>Gives an instance back without a change.</summary>
    public async Task ReleaseAsync(HeldInstance held, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "update conclave.workflow_instance set lease_until = null, owner = null where tenant = $1 and id = $2 and fence = $3");
        Add(command.Parameters, held.Tenant, held.Id);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = held.Fence });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Reads the state of an instance without taking it; null when it does not exist.</summary>
    public async Task<HeldInstance?> ReadAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "select definition_version_id, fence, state from conclave.workflow_instance where tenant = $1 and id = $2");
        Add(command.Parameters, tenant, id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new HeldInstance(tenant, id, reader.GetString(0), reader.GetInt64(1), reader.GetFieldValue<byte[]>(2))
            : null;
    }

    /// <summary>Reads the large values of an instance by their hash in lower-case hexadecimal.</summary>
    public async Task<Dictionary<string, byte[]>> ReadBlobsAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select hash, content from conclave.blob where tenant = $1 and instance_id = $2");
        Add(command.Parameters, tenant, id);
        var blobs = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            blobs[Convert.ToHexStringLower(reader.GetFieldValue<byte[]>(0))] = reader.GetFieldValue<byte[]>(1);
        return blobs;
    }

    /// <summary>Finds one instance; null when it does not exist.</summary>
    public async Task<InstanceSummary?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"select {SummaryColumns} from conclave.workflow_instance where tenant = $1 and id = $2");
        Add(command.Parameters, tenant, id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? ReadSummary(reader) : null;
    }

    /// <summary>Lists instances, newest first.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="filter">Which.</param>
    /// <param name="after">The last one that was shown; null begins with the newest.</param>
    /// <param name="limit">Most instances.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<List<InstanceSummary>> ListAsync(
        string tenant, InstanceFilter filter, InstanceCursor? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand();
        var sql = new StringBuilder($"select {SummaryColumns} from conclave.workflow_instance where ");
        filter.Write(sql, command.Parameters, tenant);
        if (after is { } cursor)
        {
            command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = cursor.CreatedAt.ToUniversalTime() });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = cursor.Id });
            sql.Append(CultureInfo.InvariantCulture, $" and (created_at, id) < (${command.Parameters.Count - 1}, ${command.Parameters.Count})");
        }

        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        sql.Append(CultureInfo.InvariantCulture, $" order by created_at desc, id desc limit ${command.Parameters.Count}");
        SetText(command, sql);
        var found = new List<InstanceSummary>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            found.Add(ReadSummary(reader));
        return found;
    }

    /// <summary>Finds the instances that an instance started and that have not ended.</summary>
    internal async Task<List<string>> FindRunningChildrenAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "select id from conclave.workflow_instance where tenant = $1 and parent_id = $2 and status = 0 order by id");
        Add(command.Parameters, tenant, id);
        var children = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            children.Add(reader.GetString(0));
        return children;
    }

    /// <summary>Asks whoever runs one of these instances to stop.</summary>
    internal async Task InterruptAsync(string tenant, IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select pg_notify('{WorkflowRuntime.InterruptChannel}', i.tenant || ':' || i.id)
              from conclave.workflow_instance i
             where i.tenant = $1 and i.id = any($2) and i.lease_until > now()
            """);
        Add(command.Parameters, tenant);
        command.Parameters.AddArray(ids, id => id);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Whether an instance waits at a bookmark.</summary>
    internal async Task<bool> IsWaitingAsync(string tenant, string id, int bookmark, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select exists (select from conclave.bookmark where tenant = $1 and instance_id = $2 and number = $3)");
        Add(command.Parameters, tenant, id);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = bookmark });
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Lists what waits for a stimulus of a name, oldest first.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="name">Name of the stimulus.</param>
    /// <param name="filter">Which.</param>
    /// <param name="after">The last one that was shown; null begins with the oldest.</param>
    /// <param name="limit">Most bookmarks.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<List<StoredBookmark>> FindWaitingAsync(
        string tenant, string name, BookmarkFilter filter, BookmarkCursor? after, int limit, CancellationToken cancellationToken)
    {
        // By key and for all: one statement for both would get one plan in the end, and read all that wait for one that does.
        var byKey = filter.Key is null ? "b.hash is not null and $3::bytea is null" : "b.hash = $3";
#pragma warning disable CA2100    // one of the two above
        await using var command = database.CreateCommand($"""
            select b.instance_id, b.number, b.name, b.activity_id, b.payload, b.due_at, b.created_at, i.definition_id
              from conclave.bookmark b
              join conclave.workflow_instance i on i.tenant = b.tenant and i.id = b.instance_id
             where b.tenant = $1 and b.name = $2
               and {byKey}
               and ($4::text is null or b.instance_id = $4)
               and ($5::text is null or i.correlation_id = $5)
               and ($6::timestamptz is null or (b.created_at, b.instance_id, b.number) > ($6, $7, $8))
             order by b.created_at, b.instance_id, b.number
             limit $9
            """);
#pragma warning restore CA2100
        Add(command.Parameters, tenant, name);
        command.Parameters.AddBytes(filter.Key);
        command.Parameters.AddText(filter.InstanceId);
        command.Parameters.AddText(filter.CorrelationId);
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.TimestampTz, Value = (object?)after?.CreatedAt.ToUniversalTime() ?? DBNull.Value });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = after?.InstanceId ?? "" });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = after?.Number ?? 0 });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        var found = new List<StoredBookmark>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add(new StoredBookmark(
                reader.GetString(0),
                reader.GetInt32(1),
                reader.GetString(2),
                reader.GetString(3),
                reader.GetString(4),
                reader.IsDBNull(5) ? null : reader.GetFieldValue<DateTimeOffset>(5),
                reader.GetFieldValue<DateTimeOffset>(6),
                reader.GetString(7)));
        }

        return found;
    }

    /// <summary>Deletes an instance with everything that belongs to it.</summary>
    /// <returns>Whether it existed.</returns>
    public async Task<bool> DeleteAsync(string tenant, string id, CancellationToken cancellationToken) =>
        await DeleteAsync(tenant, [id], cancellationToken) > 0;

    /// <summary>Deletes instances with everything that belongs to them, all or none.</summary>
    /// <returns>How many existed.</returns>
    public async Task<int> DeleteAsync(string tenant, IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        await using var batch = database.CreateBatch();
        foreach (var sql in (ReadOnlySpan<string>)[
            "delete from conclave.workflow_instance where tenant = $1 and id = any($2)",
            "delete from conclave.bookmark where tenant = $1 and instance_id = any($2)",
            "delete from conclave.work_item where tenant = $1 and instance_id = any($2)",
            "delete from conclave.journal where tenant = $1 and instance_id = any($2)",
            "delete from conclave.blob where tenant = $1 and instance_id = any($2)",
            "delete from conclave.instance_operation where tenant = $1 and instance_id = any($2)"])
        {
            var command = new NpgsqlBatchCommand(sql);
            Add(command.Parameters, tenant);
            command.Parameters.AddArray(ids, id => id);
            batch.BatchCommands.Add(command);
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
        return batch.BatchCommands[0].RecordsAffected;
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
        reader.IsDBNull(8) ? null : reader.GetString(8),
        reader.GetInt32(9),
        reader.GetFieldValue<DateTimeOffset>(10),
        reader.GetFieldValue<DateTimeOffset>(11),
        reader.IsDBNull(12) ? null : reader.GetFieldValue<DateTimeOffset>(12));

    private static void Add(NpgsqlParameterCollection parameters, params ReadOnlySpan<string> values)
    {
        foreach (var value in values)
            parameters.Add(new NpgsqlParameter<string> { TypedValue = value });
    }
}
