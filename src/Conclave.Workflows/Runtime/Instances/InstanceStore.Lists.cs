using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using Npgsql;

namespace Conclave.Workflows.Runtime.Instances;

/// <content>Lists by page, in any order.</content>
public sealed partial class InstanceStore
{
    /// <summary>Counts instances.</summary>
    public async Task<long> CountAsync(string tenant, InstanceFilter filter, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand();
        var sql = new StringBuilder("select count(*) from conclave.workflow_instance where ");
        filter.Write(sql, command.Parameters, tenant);
#pragma warning disable CA2100    // Only names of columns and numbers of parameters were put together.
        command.CommandText = sql.ToString();
#pragma warning restore CA2100
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Counts the instances that a process runs at this moment, of all tenants.</summary>
    public async Task<long> CountHeldAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select count(*) from conclave.workflow_instance where lease_until > now()");
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Reads a page of a list, or all of it, without holding it in memory.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="filter">Which.</param>
    /// <param name="order">In which order.</param>
    /// <param name="descending">Whether the order is reversed.</param>
    /// <param name="offset">How many come before the page.</param>
    /// <param name="limit">Most instances; null for all.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async IAsyncEnumerable<InstanceSummary> ReadPageAsync(
        string tenant,
        InstanceFilter filter,
        InstanceOrder order,
        bool descending,
        long offset,
        int? limit,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand();
        var sql = new StringBuilder($"select {SummaryColumns} from conclave.workflow_instance where ");
        filter.Write(sql, command.Parameters, tenant);
        var direction = descending ? "desc" : "asc";
        sql.Append(order switch
        {
            InstanceOrder.Created => $" order by created_at {direction}",
            InstanceOrder.Updated => $" order by updated_at {direction}",
            InstanceOrder.Finished => $" order by finished_at {direction} nulls last",
            _ => $" order by name {direction} nulls last",
        });
        sql.Append(CultureInfo.InvariantCulture, $", id {direction}");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = offset });
        sql.Append(CultureInfo.InvariantCulture, $" offset ${command.Parameters.Count}");
        if (limit is { } most)
        {
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most });
            sql.Append(CultureInfo.InvariantCulture, $" limit ${command.Parameters.Count}");
        }

#pragma warning disable CA2100    // Only names of columns and numbers of parameters were put together.
        command.CommandText = sql.ToString();
#pragma warning restore CA2100
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            yield return ReadSummary(reader);
    }

    /// <summary>Finds the ids of instances, those created last first.</summary>
    public async Task<List<string>> FindIdsAsync(string tenant, InstanceFilter filter, int limit, CancellationToken cancellationToken)
    {
        var ids = new List<string>();
        await foreach (var instance in ReadPageAsync(tenant, filter, InstanceOrder.Created, descending: true, 0, limit, cancellationToken))
            ids.Add(instance.Id);
        return ids;
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
