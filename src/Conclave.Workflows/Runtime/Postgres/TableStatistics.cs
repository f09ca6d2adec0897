using Npgsql;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>Has PostgreSQL look at tables that have grown, so that it does not go on with plans that it made when they were empty.</summary>
/// <remarks>
/// A plan of a prepared statement is kept until something about its tables changes. On an empty table all indexes cost the same, and one that begins with the tenant may be taken for a row that
/// is asked for by its key: it is then read through everything that the tenant has. PostgreSQL looks by itself, but a table of a busy new database waits minutes for it. A table is looked at
/// when it has four times the rows of the last time, thus a few times in its life. Tables that rows pass through, such as the queue, are left out: what they hold in one moment would be taken for
/// what they hold in the next.
/// </remarks>
/// <param name="database">The database.</param>
public sealed class TableStatistics(NpgsqlDataSource database)
{
    /// <summary>Below this many rows no plan is a bad one.</summary>
    private const int Fewest = 100;

    /// <summary>Looks at the tables that have grown. Any number of processes may call it.</summary>
    /// <returns>Names of the tables.</returns>
    public async Task<IReadOnlyList<string>> UpdateAsync(CancellationToken cancellationToken)
    {
        var grown = new List<string>();
        await using (var command = database.CreateCommand("""
            select format('%I.%I', s.schemaname, s.relname)
              from pg_stat_user_tables s join pg_class c on c.oid = s.relid
             where s.schemaname = 'conclave' and s.n_live_tup >= greatest($1, 4 * c.reltuples) and s.n_tup_del < s.n_tup_ins / 2
            """))
        {
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = Fewest });
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
                grown.Add(reader.GetString(0));
        }

        if (grown.Count > 0)
        {
#pragma warning disable CA2100    // The names are quoted, and those of our own tables.
            // What somebody else holds is looked at the next time.
            await using var analyze = database.CreateCommand($"analyze (skip_locked) {string.Join(", ", grown)}");
#pragma warning restore CA2100
            await analyze.ExecuteNonQueryAsync(cancellationToken);
        }

        return grown;
    }
}
