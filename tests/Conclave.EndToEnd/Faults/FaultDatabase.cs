using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Runtime.Journal;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Conclave.EndToEnd.Faults;

/// <summary>A database that outlives the servers of a test, on one PostgreSQL for all tests that leave PostgreSQL alone.</summary>
internal sealed class FaultDatabase : IAsyncDisposable
{
    private static readonly Lazy<Task<EmbeddedPostgres>> Shared = new(() => Task.Run(StartAsync));

    private readonly string? _server;
    private readonly string _name;

    private FaultDatabase(string? server, string name, string connectionString)
    {
        _server = server;
        _name = name;
        ConnectionString = connectionString;
        // The tests look on; they must not need many connections themselves.
        Source = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connectionString) { MaxPoolSize = 4, MaxAutoPrepare = 0, CommandTimeout = 120 });
    }

    /// <summary>What servers are given.</summary>
    public string ConnectionString { get; }

    /// <summary>The tests' own connections.</summary>
    public NpgsqlDataSource Source { get; }

    /// <summary>A new database on the shared PostgreSQL, dropped when disposed.</summary>
    public static async Task<FaultDatabase> NewAsync()
    {
        var server = (await Shared.Value).ConnectionString;
        var name = $"faults_{Guid.CreateVersion7():N}";
        await ExecuteAsync(server, $"create database {name} template template0 strategy file_copy");
        return new FaultDatabase(server, name, new NpgsqlConnectionStringBuilder(server) { Database = name }.ConnectionString);
    }

    /// <summary>The database of a PostgreSQL that the test may hurt.</summary>
    public static FaultDatabase Of(EmbeddedPostgres postgres) => new(null, EmbeddedPostgres.DefaultName, postgres.ConnectionString);

    /// <summary>A folder for a PostgreSQL of the test's own, removed with it even when the test process is killed.</summary>
    public static string NewPostgresFolder(string? parent = null)
    {
        var folder = Path.Combine(parent ?? Path.GetTempPath(), $"conclave-faults-{Path.GetRandomFileName()}");
        TemporaryServer.RemoveWithThisProcess(folder);
        return folder;
    }

    /// <summary>A number from the database.</summary>
    public async Task<long> CountAsync(string sql)
    {
#pragma warning disable CA2100    // The tests' own texts.
        await using var command = Source.CreateCommand(sql);
#pragma warning restore CA2100
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Whole instances of a workflow that have ended as asked.</summary>
    public Task<long> FinishedAsync(string definitionId) =>
        CountAsync($"select count(*) from conclave.workflow_instance where definition_id = '{definitionId}' and sub_status = 3");

    /// <summary>The journal of every instance of a workflow, straight from the table, the chunks as they are.</summary>
    public async Task<Dictionary<string, List<JournalEntry>>> ReadJournalsAsync(string definitionId)
    {
        await using var command = Source.CreateCommand("""
            select j.instance_id, j.first_sequence, j.entries from conclave.journal j
              join conclave.workflow_instance i on i.tenant = j.tenant and i.id = j.instance_id
             where i.definition_id = $1 order by j.instance_id, j.first_sequence
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = definitionId });
        var journals = new Dictionary<string, List<JournalEntry>>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            var id = reader.GetString(0);
            if (!journals.TryGetValue(id, out var entries))
                journals.Add(id, entries = []);
            JournalChunk.Read(reader.GetInt64(1), reader.GetFieldValue<byte[]>(2), entries);
        }

        return journals;
    }

    /// <summary>Checks the journal of every instance of a workflow.</summary>
    public async Task<Dictionary<string, List<JournalEntry>>> CheckJournalsAsync(string definitionId, int instances, params string[] order)
    {
        var journals = await ReadJournalsAsync(definitionId);
        Assert.Equal(instances, journals.Count);
        Assert.Empty(journals.SelectMany(j => JournalRules.Check(j.Key, j.Value, order)).Take(10));
        return journals;
    }

    public async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        if (_server is not null)
            await ExecuteAsync(_server, $"drop database {_name} with (force)");
    }

    private static async Task<EmbeddedPostgres> StartAsync() => await EmbeddedPostgres.StartAsync(
        new EmbeddedPostgresOptions { DataFolder = NewPostgresFolder(), DurableWrites = false, SharedBuffersMegabytes = 64 },
        NullLogger.Instance,
        default);

    private static async Task ExecuteAsync(string server, string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(server) { Pooling = false, CommandTimeout = 120 }.ConnectionString);
        await connection.OpenAsync();
#pragma warning disable CA2100    // Names are ours.
        await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync();
    }
}
