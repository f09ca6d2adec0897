using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Tests.Runtime.Postgres;

public sealed class TableStatisticsTests : IAsyncLifetime
{
    private TestDatabase _database = null!;

    public async Task InitializeAsync() => _database = await PostgresServer.NewDatabaseAsync();

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task Update_TableThatWasPlannedForWhenItWasEmpty_IsReadByItsKeyAfterwards()
    {
        var statistics = new TableStatistics(_database.DataSource);
        await using var connection = await _database.DataSource.OpenConnectionAsync();
        // What a process of long standing has: a plan of a statement, made before there was a row.
        await ExecuteAsync("set plan_cache_mode = force_generic_plan; prepare find (text, text) as select state from conclave.agent where tenant = $1 and id = $2");
        await ExecuteAsync("execute find('t', 'a1')");
        await ExecuteAsync("""
            insert into conclave.agent (tenant, id, name, configuration, state_at, created_at, created_by, updated_at, updated_by)
            select 't', 'a' || n, 'agent ' || n, '{}', now(), now(), 'ann', now(), 'ann' from generate_series(1, 2000) n
            """);

        await UntilCountedAsync("agent", 2000);
        Assert.Contains("conclave.agent", await statistics.UpdateAsync(default));

        Assert.Contains("agent_pkey", await ExecuteAsync("explain execute find('t', 'a1')"), StringComparison.Ordinal);
        Assert.Equal(2000, await _database.QueryAsync<float>("select reltuples from pg_class where oid = 'conclave.agent'::regclass"));
        Assert.DoesNotContain("conclave.agent", await statistics.UpdateAsync(default));

        async Task<string> ExecuteAsync(string sql)
        {
#pragma warning disable CA2100    // A constant above.
            await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
            return await command.ExecuteScalarAsync() as string ?? "";
        }
    }

    [Fact]
    public async Task Update_TableThatRowsPassThrough_IsLeftOut()
    {
        await _database.ExecuteAsync("insert into conclave.work_item (tenant, instance_id, kind, priority, due_at) select 't', '', 1, 2, now() from generate_series(1, 2000)");
        await _database.ExecuteAsync("delete from conclave.work_item where id % 4 <> 0");
        await UntilCountedAsync("work_item", 1500, "n_tup_del");

        Assert.DoesNotContain("conclave.work_item", await new TableStatistics(_database.DataSource).UpdateAsync(default));
    }

    // A connection tells what it has changed when it is idle.
    private async Task UntilCountedAsync(string table, long rows, string count = "n_live_tup")
    {
        for (var look = 0; look < 300; look++)
        {
            if (await _database.QueryAsync<long>($"select {count} from pg_stat_user_tables where schemaname = 'conclave' and relname = '{table}'") >= rows)
                return;
            await Task.Delay(100);
        }

        Assert.Fail("PostgreSQL did not count the rows.");
    }
}
