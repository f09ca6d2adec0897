using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Conclave.Tests.Runtime.Postgres;

public sealed class SchemaMigratorTests : IAsyncLifetime
{
    private static readonly SchemaScript First = new(1, "first", "create table conclave.a (id int primary key)");
    private static readonly SchemaScript Second = new(
        2, "second", "create table conclave.b (id int); insert into conclave.b values (1)");
    private TestDatabase _db = null!;

    public async Task InitializeAsync() => _db = await PostgresServer.NewEmptyDatabaseAsync();

    public async Task DisposeAsync() => await _db.DisposeAsync();

    [Fact]
    public async Task Migrate_ShippedScripts_AllRunOnce()
    {
        var scripts = SchemaScript.LoadAll();
        Assert.Equal("schema", scripts[0].Name);

        Assert.Equal(scripts.Count, await Migrator(scripts).MigrateAsync(default));

        Assert.Equal(0, await Migrator(scripts).MigrateAsync(default));
        Assert.Equal(scripts.Count, await _db.QueryAsync<int>("select max(version) from conclave.schema_version"));
    }

    [Fact]
    public async Task Migrate_FourAtOnce_EachScriptRunsOnce()
    {
        // Two statements with a pause between them would both succeed in two migrators that did not take turns.
        SchemaScript slow = new(2, "slow",
            "create table if not exists conclave.b (id int); select pg_sleep(0.05); insert into conclave.b values (1)");
        var sources = Enumerable.Range(0, 4).Select(_ => NpgsqlDataSource.Create(_db.ConnectionString)).ToList();

        var ran = await Task.WhenAll(sources.Select(s => Task.Run(() => Migrator([First, slow], s).MigrateAsync(default))));

        Assert.Equal([0, 0, 0, 2], ran.Order());
        Assert.Equal(1, await _db.QueryAsync<long>("select count(*) from conclave.b"));
        foreach (var source in sources) await source.DisposeAsync();
    }

    [Fact]
    public async Task Migrate_AppliedScriptChanged_IsRefusedAndRunsNothing()
    {
        await Migrator([First]).MigrateAsync(default);
        var changed = First with { Sql = "create table conclave.a (id bigint primary key)" };

        var error = await Assert.ThrowsAsync<SchemaMigrationException>(
            () => Migrator([Changed(changed), Second]).MigrateAsync(default));

        Assert.Equal("schema.script_changed", error.Code);
        Assert.Contains("0001_first", error.Message, StringComparison.Ordinal);
        Assert.False(await TableExistsAsync("b"));
    }

    [Fact]
    public async Task Migrate_OtherLineEnds_AreTheSameScript()
    {
        SchemaScript unix = new(1, "first", "create table conclave.a\n(id int);\n");
        SchemaScript windows = new(1, "first", "create table conclave.a\r\n(id int);\r\n");
        await Migrator([unix]).MigrateAsync(default);

        Assert.Equal(0, await Migrator([windows]).MigrateAsync(default));
    }

    [Fact]
    public async Task Migrate_DatabaseNewer_IsRefused()
    {
        await Migrator([First, Second]).MigrateAsync(default);

        var error = await Assert.ThrowsAsync<SchemaMigrationException>(() => Migrator([First]).MigrateAsync(default));

        Assert.Equal("schema.database_newer", error.Code);
        Assert.Contains("version 2 ('second'", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, await _db.QueryAsync<long>("select count(*) from conclave.b"));
    }

    [Fact]
    public async Task Migrate_ScriptFails_LeavesNothingOfItAndContinuesOnceCorrected()
    {
        SchemaScript broken = new(2, "broken", "create table conclave.c (id int); insert into conclave.nowhere values (1)");

        var error = await Assert.ThrowsAsync<SchemaMigrationException>(() => Migrator([First, broken]).MigrateAsync(default));

        Assert.Equal("schema.script_failed", error.Code);
        Assert.Contains("0002_broken", error.Message, StringComparison.Ordinal);
        Assert.True(await TableExistsAsync("a"));
        Assert.False(await TableExistsAsync("c"));
        // Another connection gets its turn: the failure gave the lock back.
        await using var other = NpgsqlDataSource.Create(_db.ConnectionString);
        Assert.Equal(1, await Migrator([First, Second], other).MigrateAsync(default));
    }

    [Fact]
    public async Task Migrate_FirstScriptFails_LeavesTheDatabaseEmpty()
    {
        SchemaScript broken = new(1, "broken", "select 1 / 0");

        await Assert.ThrowsAsync<SchemaMigrationException>(() => Migrator([broken]).MigrateAsync(default));

        Assert.Equal(0, await _db.QueryAsync<long>("select count(*) from pg_namespace where nspname = 'conclave'"));
    }

    [Fact]
    public async Task Migrate_CancelledWhileItWaitsForItsTurn_GivesUp()
    {
        await using var other = await _db.OpenConnectionAsync();
        await using var hold = new NpgsqlCommand("select pg_advisory_lock(x'636f6e636c617665'::bigint)", other);
        await hold.ExecuteNonQueryAsync();
        using var cancel = new CancellationTokenSource();
        var migrating = Migrator([First]).MigrateAsync(cancel.Token);
        while (await _db.QueryAsync<long>("select count(*) from pg_locks where locktype = 'advisory' and not granted " +
            "and database = (select oid from pg_database where datname = current_database())") == 0 && !migrating.IsCompleted)
        {
            await Task.Yield();
        }

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => migrating);
        Assert.False(await TableExistsAsync("a"));
    }

    private static SchemaScript Changed(SchemaScript script) => new(script.Version, script.Name, script.Sql);

    private SchemaMigrator Migrator(IReadOnlyList<SchemaScript> scripts, NpgsqlDataSource? database = null) =>
        new(database ?? _db, NullLogger<SchemaMigrator>.Instance, scripts);

    private Task<bool> TableExistsAsync(string name) =>
        _db.QueryAsync<bool>($"select to_regclass('conclave.{name}') is not null");
}
