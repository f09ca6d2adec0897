using System.Security.Cryptography;
using System.Text;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Conclave.Tests.Runtime.Postgres;

/// <summary>
/// The PostgreSQL server of this test process, started when the first test asks: the one that <c>CONCLAVE_TEST_POSTGRES</c>
/// points at (a connection string of a role that may create databases), else the embedded one in a temporary folder.
/// </summary>
/// <remarks>
/// Nothing stays behind, even when the test process is killed, except on a server of your own: there the migrated template
/// stays for the next run, one for each state of the scripts.
/// </remarks>
internal static class PostgresServer
{
    private const string Variable = "CONCLAVE_TEST_POSTGRES";
    private static readonly Lazy<Task<Running>> Server = new(() => Task.Run(StartAsync));
    private static readonly Lazy<Task<string>> Template = new(() => Task.Run(MakeTemplateAsync));

    /// <summary>A database of the caller's own with all tables, dropped when disposed.</summary>
    /// <param name="configure">Changes the data source, such as its connection string or its type mappings.</param>
    public static async Task<TestDatabase> NewDatabaseAsync(Action<NpgsqlDataSourceBuilder>? configure = null) =>
        await CreateAsync(await Template.Value, configure);

    /// <summary>An empty database of the caller's own, dropped when disposed.</summary>
    /// <param name="configure">Changes the data source, such as its connection string or its type mappings.</param>
    public static async Task<TestDatabase> NewEmptyDatabaseAsync(Action<NpgsqlDataSourceBuilder>? configure = null) =>
        await CreateAsync("template0", configure);

    internal static async Task ExecuteAsync(NpgsqlDataSource database, string sql)
    {
#pragma warning disable CA2100    // names are ours
        await using var command = database.CreateCommand(sql);
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<TestDatabase> CreateAsync(string template, Action<NpgsqlDataSourceBuilder>? configure)
    {
        var server = await Server.Value;
        var name = $"conclave_test_{Guid.CreateVersion7():N}";
        // With a small cache that has little to write out first, copying files is quicker than logging every page.
        await ExecuteAsync(server.Admin, $"create database {name} template {template} strategy file_copy");
        return new TestDatabase(server.Admin, server.ConnectionString, name, configure);
    }

    private static async Task<string> MakeTemplateAsync()
    {
        var server = await Server.Value;
        var scripts = string.Concat(SchemaScript.LoadAll().Select(script => script.Checksum));
        var name = "conclave_template_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(scripts)))[..16];
        await using var turn = await server.Admin.OpenConnectionAsync();
        await using var wait = new NpgsqlCommand("select pg_advisory_lock(7023)", turn) { CommandTimeout = 0 };
        await wait.ExecuteNonQueryAsync();
        try
        {
            await using var exists = new NpgsqlCommand("select 1 from pg_database where datname = $1", turn);
            exists.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
            if (await exists.ExecuteScalarAsync() is not null) return name;
            await ExecuteAsync(server.Admin, $"drop database if exists {name}_new with (force)");
            await ExecuteAsync(server.Admin, $"create database {name}_new template template0");
            var draft = new NpgsqlConnectionStringBuilder(server.ConnectionString)
            {
                Database = name + "_new",
                Pooling = false,
            };
            await using (var database = NpgsqlDataSource.Create(draft))
                await new SchemaMigrator(database, NullLogger<SchemaMigrator>.Instance).MigrateAsync(default);
            await ExecuteAsync(server.Admin, $"alter database {name}_new rename to {name}");
            return name;
        }
        finally
        {
            await using var done = new NpgsqlCommand("select pg_advisory_unlock(7023)", turn);
            await done.ExecuteNonQueryAsync();
        }
    }

    private static async Task<Running> StartAsync()
    {
        var mine = Environment.GetEnvironmentVariable(Variable);
        if (string.IsNullOrWhiteSpace(mine)) return await StartEmbeddedAsync();
        try
        {
            var running = new Running(mine);
            await ExecuteAsync(running.Admin, "select 1");
            return running;
        }
        catch (Exception exception) when (exception is NpgsqlException or ArgumentException)
        {
            throw new InvalidOperationException(
                $"{Variable} does not lead to a PostgreSQL server: {exception.Message} Give it a connection string such as " +
                "'Host=127.0.0.1;Username=postgres;Password=…;Database=postgres' of a server whose data may be lost, or " +
                "leave it out: the tests then start a server of their own.", exception);
        }
    }

    private static async Task<Running> StartEmbeddedAsync()
    {
        var folder = Path.Combine(Path.GetTempPath(), $"conclave-tests-{Path.GetRandomFileName()}");
        try
        {
            TemporaryServer.RemoveWithThisProcess(folder);
            var server = await EmbeddedPostgres.StartAsync(
                new EmbeddedPostgresOptions { DataFolder = folder, DurableWrites = false, SharedBuffersMegabytes = 32 },
                NullLogger.Instance, default);
            if (OperatingSystem.IsWindows()) AppDomain.CurrentDomain.ProcessExit += (_, _) => Stop(server);
            return new Running(server.ConnectionString);
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException(
                $"These tests need PostgreSQL 18 and could not start it: {exception.Message} The build installs it with npm " +
                "(src/postgres-binaries, needs Node.js 20). Instead you may name the bin folder of another installation in " +
                $"CONCLAVE_POSTGRES_BIN, or the connection string of a disposable server in {Variable}.", exception);
        }
    }

    private static void Stop(EmbeddedPostgres server)
    {
        server.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Directory.Delete(server.DataFolder, recursive: true);
    }

    private sealed class Running
    {
        public Running(string connectionString)
        {
            ConnectionString = connectionString;
            // No preparing and few connections: these only create and drop databases.
            Admin = NpgsqlDataSource.Create(
                new NpgsqlConnectionStringBuilder(connectionString)
                {
                    MaxPoolSize = 8,
                    MaxAutoPrepare = 0,
                    CommandTimeout = 120,
                });
        }

        public string ConnectionString { get; }

        public NpgsqlDataSource Admin { get; }
    }
}
