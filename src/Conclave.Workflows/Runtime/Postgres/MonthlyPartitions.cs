using System.Globalization;
using Npgsql;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>Tables whose months are partitions by <c>created_at</c>, so that old ones are dropped, not deleted.</summary>
internal static class MonthlyPartitions
{
    private const int LockKey = 7142;

    /// <summary>Makes the partitions of this month and the next, and drops those that ended before the retention. Any number of processes may call it.</summary>
    /// <param name="database">The database.</param>
    /// <param name="table">Name of the table; it has a default partition <c>…_default</c>.</param>
    /// <param name="now">The time.</param>
    /// <param name="retention">How long rows are kept; null keeps them.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>Names of the partitions that were dropped.</returns>
    public static async Task<IReadOnlyList<string>> MaintainAsync(
        NpgsqlDataSource database, string table, DateTimeOffset now, TimeSpan? retention, CancellationToken cancellationToken)
    {
        var month = new DateTime(now.Year, now.Month, 1, 0, 0, 0, DateTimeKind.Utc);
        var dropped = new List<string>();
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(connection, $"select pg_advisory_xact_lock({LockKey})", cancellationToken);
        foreach (var first in (DateTime[])[month, month.AddMonths(1)])
            await AddAsync(connection, table, first, cancellationToken);
        if (retention is { } kept)
        {
            foreach (var (name, end) in await ReadAsync(connection, table, cancellationToken))
            {
                if (end > now - kept)
                    continue;
                await ExecuteAsync(connection, $"drop table conclave.{name}", cancellationToken);
                dropped.Add(name);
            }
        }

        await transaction.CommitAsync(cancellationToken);
        return dropped;
    }

    private static async Task AddAsync(NpgsqlConnection connection, string table, DateTime first, CancellationToken cancellationToken)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"{table}_{first:yyyy_MM}");
        var (from, to) = (first.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), first.AddMonths(1).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
        await using var exists = new NpgsqlCommand("select to_regclass('conclave.' || $1) is not null", connection);
        exists.Parameters.AddValue(name);
        if ((bool)(await exists.ExecuteScalarAsync(cancellationToken))!)
            return;
        // What the default partition caught meanwhile moves into the new one.
        await ExecuteAsync(connection, $"""
            create table conclave.{name} (like conclave.{table} including defaults);
            with moved as (
                delete from conclave.{table}_default where created_at >= '{from}+00' and created_at < '{to}+00' returning *)
            insert into conclave.{name} select * from moved;
            alter table conclave.{table} attach partition conclave.{name} for values from ('{from}+00') to ('{to}+00');
            """, cancellationToken);
    }

    private static async Task<List<(string Name, DateTimeOffset End)>> ReadAsync(NpgsqlConnection connection, string table, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select inhrelid::regclass::text from pg_inherits where inhparent = ('conclave.' || $1)::regclass", connection);
        command.Parameters.AddValue(table);
        var partitions = new List<(string, DateTimeOffset)>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var name = reader.GetString(0).Split('.')[^1];
            if (DateTime.TryParseExact(name, $"'{table}_'yyyy_MM", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var first))
                partitions.Add((name, first.AddMonths(1)));
        }

        return partitions;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
#pragma warning disable CA2100    // Names and dates are ours.
        await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
