using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using Npgsql;

namespace Conclave.Workflows.Runtime.Instances;

/// <content>Lists in any order.</content>
public sealed partial class InstanceStore
{
    /// <summary>Counts instances.</summary>
    public async Task<long> CountAsync(string tenant, InstanceFilter filter, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand();
        var sql = new StringBuilder("select count(*) from conclave.workflow_instance where ");
        filter.Write(sql, command.Parameters, tenant);
        SetText(command, sql);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Counts the instances that a process runs at this moment, of all tenants.</summary>
    public async Task<long> CountHeldAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select count(*) from conclave.workflow_instance where lease_until > now()");
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Reads a page of a list.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="filter">Which.</param>
    /// <param name="order">In which order.</param>
    /// <param name="descending">Whether the order is reversed.</param>
    /// <param name="offset">How many come before the page.</param>
    /// <param name="limit">Most instances.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The page, and how many there are on all pages.</returns>
    public async Task<(IReadOnlyList<InstanceSummary> Page, long Total)> ReadPageAsync(
        string tenant, InstanceFilter filter, InstanceOrder order, bool descending, long offset, int limit, CancellationToken cancellationToken)
    {
        // In the order of creation an index gives the page, and another look the count. What has to read every row anyway is read once for both.
        var readsAll = order != InstanceOrder.Created || filter.Search is not null;
        var page = new List<InstanceSummary>();
        var total = -1L;
        await using (var batch = database.CreateBatch())
        {
            // What is found must not go to the disk: 100,000 instances are 7 MB. Holds for this batch, which is a transaction.
            if (readsAll)
                batch.BatchCommands.Add(new NpgsqlBatchCommand("select set_config('work_mem', '32MB', true)"));
            var command = new NpgsqlBatchCommand();
            batch.BatchCommands.Add(command);
            // The page is found by narrow columns, and only its rows are read whole: they hold the states.
            var sql = new StringBuilder($"with found as {(readsAll ? "materialized" : "not materialized")} (select tenant as of_tenant, id as of_id, {ColumnOf(order)} as place from conclave.workflow_instance where ");
            filter.Write(sql, command.Parameters, tenant);
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = offset });
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
            var direction = descending ? "desc" : "asc";
            sql.Append(CultureInfo.InvariantCulture, $"""
                ), page as materialized (select * from found order by place {direction} {NullsOf(order)}, of_id {direction} offset ${command.Parameters.Count - 1} limit ${command.Parameters.Count})
                select {SummaryColumns}, {(readsAll ? "(select count(*) from found)" : "-1::bigint")}
                  from page join conclave.workflow_instance i on i.tenant = page.of_tenant and i.id = page.of_id
                 order by place {direction} {NullsOf(order)}, of_id {direction}
                """);
#pragma warning disable CA2100    // Only names of columns and numbers of parameters were put together.
            command.CommandText = sql.ToString();
#pragma warning restore CA2100
            await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
            if (readsAll)
                await reader.NextResultAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                page.Add(ReadSummary(reader));
                total = reader.GetInt64(13);
            }
        }

        // The first page is empty when there are none; one after the last says nothing of how many there are.
        if (readsAll && page.Count == 0 && offset == 0)
            total = 0;
        return (page, total >= 0 ? total : await CountAsync(tenant, filter, cancellationToken));
    }

    /// <summary>Reads a whole list, without holding it in memory.</summary>
    public async IAsyncEnumerable<InstanceSummary> ReadAllAsync(
        string tenant, InstanceFilter filter, InstanceOrder order, bool descending, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand();
        var sql = new StringBuilder($"select {SummaryColumns} from conclave.workflow_instance where ");
        filter.Write(sql, command.Parameters, tenant);
        var direction = descending ? "desc" : "asc";
        sql.Append(CultureInfo.InvariantCulture, $" order by {ColumnOf(order)} {direction} {NullsOf(order)}, id {direction}");
        SetText(command, sql);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            yield return ReadSummary(reader);
    }

    /// <summary>Finds the ids of instances, those created last first.</summary>
    public async Task<List<string>> FindIdsAsync(string tenant, InstanceFilter filter, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand();
        var sql = new StringBuilder("select id from conclave.workflow_instance where ");
        filter.Write(sql, command.Parameters, tenant);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        sql.Append(CultureInfo.InvariantCulture, $" order by created_at desc, id desc limit ${command.Parameters.Count}");
        SetText(command, sql);
        var ids = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            ids.Add(reader.GetString(0));
        return ids;
    }

    private static string ColumnOf(InstanceOrder order) => order switch
    {
        InstanceOrder.Created => "created_at",
        InstanceOrder.Updated => "updated_at",
        InstanceOrder.Finished => "finished_at",
        _ => "name",
    };

    // Where nothing can be null it must not be said, or no index would fit.
    private static string NullsOf(InstanceOrder order) => order is InstanceOrder.Created or InstanceOrder.Updated ? "" : "nulls last";

    private static void SetText(NpgsqlCommand command, StringBuilder sql)
    {
#pragma warning disable CA2100    // Only names of columns and numbers of parameters were put together.
        command.CommandText = sql.ToString();
#pragma warning restore CA2100
    }
}

/// <summary>Orders of a list of instances.</summary>
public enum InstanceOrder
{
    /// <summary>By the time of their creation.</summary>
    Created,

    /// <summary>By the time of their last change.</summary>
    Updated,

    /// <summary>By the time of their end; those that run come last.</summary>
    Finished,

    /// <summary>By name; those without come last.</summary>
    Name,
}
