using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Conclave.Tests.Runtime.Postgres;

public sealed class EmbeddedPostgresTests : IAsyncLifetime
{
    private readonly string _folder = NewFolder();
    private readonly List<EmbeddedPostgres> _servers = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var server in _servers) await server.DisposeAsync();
        foreach (var folder in _servers.Select(s => s.DataFolder).Append(_folder).Distinct())
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Start_AfterStop_KeepsData()
    {
        var server = await StartAsync();
        await ExecuteAsync(server, "create table note (text text); insert into note values ('grüße')");
        var password = await File.ReadAllTextAsync(Path.Combine(_folder, "password"));

        await server.DisposeAsync();
        Assert.Null(server.ProcessId);
        server = await StartAsync();

        Assert.Equal("grüße", await QueryAsync(server, "select text from note"));
        Assert.Equal(password, await File.ReadAllTextAsync(Path.Combine(_folder, "password")));
        Assert.Equal("UTF8 C.UTF-8 200", await QueryAsync(server,
            "select concat_ws(' ', pg_encoding_to_char(encoding), datlocale, current_setting('max_connections')) " +
            "from pg_database where datname = 'conclave'"));
        if (OperatingSystem.IsWindows()) return;
        Assert.Null(server.Port);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_folder, "password")));
    }

    [Fact]
    public async Task Start_ServerWasKilled_RecoversWhatWasCommitted()
    {
        var server = await StartAsync();
        await ExecuteAsync(server, "create table note (number int)");
        await using var open = new NpgsqlConnection(server.ConnectionString);
        await open.OpenAsync();
        await using var transaction = await open.BeginTransactionAsync();
        await using var lost = new NpgsqlCommand("insert into note values (2)", open);
        await lost.ExecuteNonQueryAsync();
        await ExecuteAsync(server, "insert into note values (1)");

        await KillAsync(server);
        await server.DisposeAsync();
        server = await StartAsync();

        Assert.Equal("1", await QueryAsync(server, "select string_agg(number::text, ',') from note"));
    }

    [Fact]
    public async Task Start_OwnerWasKilledAndItsServerStillRuns_TakesOver()
    {
        var orphan = await StartAsync();
        var process = orphan.ProcessId;
        await ExecuteAsync(orphan, "create table note (number int); insert into note values (1)");

        orphan.Abandon();
        var server = await StartAsync();

        Assert.NotEqual(process, server.ProcessId);
        Assert.Equal("1", await QueryAsync(server, "select number::text from note"));
    }

    [Fact]
    public async Task Start_KilledServersProcessIdIsAnotherServersNow_Starts()
    {
        var server = await StartAsync();
        var other = await StartAsync(o => o.DataFolder = NewFolder());
        await KillAsync(server);
        await server.DisposeAsync();
        var file = Path.Combine(_folder, "data", "postmaster.pid");
        var lines = await File.ReadAllLinesAsync(file);
        lines[0] = $"{other.ProcessId}";
        await File.WriteAllLinesAsync(file, lines);

        server = await StartAsync();

        Assert.Equal("1", await QueryAsync(server, "select '1'"));
        Assert.Equal("1", await QueryAsync(other, "select '1'"));
    }

    [Fact]
    public async Task Start_TwoAtOnceInOneFolder_OneIsRefused()
    {
        var starts = new[] { Task.Run(() => StartAsync()), Task.Run(() => StartAsync()) };
        await Task.WhenAny(Task.WhenAll(starts));

        var error = Assert.IsType<EmbeddedPostgresException>(
            Assert.Single(starts, s => s.IsFaulted).Exception!.InnerException);
        Assert.Equal("postgres.data_folder_in_use", error.Code);
        Assert.Contains(_folder, error.Message, StringComparison.Ordinal);
        Assert.Equal("1", await QueryAsync(await Assert.Single(starts, s => s.IsCompletedSuccessfully), "select '1'"));
        error = await Assert.ThrowsAsync<EmbeddedPostgresException>(() => StartAsync());
        Assert.Contains($"process {Environment.ProcessId}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_FolderOfAnotherMajorVersion_IsRefusedAndUntouched()
    {
        var version = await FakeClusterAsync("15\n");

        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(() => StartAsync());

        Assert.Equal("postgres.data_folder_version", error.Code);
        Assert.Contains("PostgreSQL 15", error.Message, StringComparison.Ordinal);
        Assert.Equal("15\n", await File.ReadAllTextAsync(version));
    }

    [Fact]
    public async Task Start_PortTaken_SaysSoAndAnyFreePortWorks()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;

        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(() => StartAsync(o => o.Port = port));
        var server = await StartAsync(o => o.Port = 0);

        Assert.True(error.Code == "postgres.port_taken", error.Message);
        Assert.Contains($"Port {port}", error.Message, StringComparison.Ordinal);
        var tcp = new NpgsqlConnectionStringBuilder(server.ConnectionString) { Host = "127.0.0.1", Port = server.Port!.Value };
        Assert.Equal($"{server.Port}", await QueryAsync(tcp.ConnectionString, "select inet_server_port()::text"));
    }

    [Fact]
    public async Task Start_PathTooLongForASocket_ListensOnAPort()
    {
        var server = await StartAsync(o => o.DataFolder = Path.Combine(_folder, new string('a', 100)));

        Assert.NotNull(server.Port);
        Assert.Equal("1", await QueryAsync(server, "select '1'"));
    }

    [Fact]
    public async Task Start_EarlierInitializationWasKilled_BeginsAnew()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "data.new", "base"));
        await File.WriteAllTextAsync(Path.Combine(_folder, "data.new", "PG_VERSION"), "18\n");
        await File.WriteAllTextAsync(Path.Combine(_folder, "password.initdb"), "old");
        if (PostgresAccount.ForThisProcess(null) is { } account) account.Own(_folder);

        var server = await StartAsync();

        Assert.Equal("1", await QueryAsync(server, "select '1'"));
        Assert.False(Directory.Exists(Path.Combine(_folder, "data.new")));
        Assert.False(File.Exists(Path.Combine(_folder, "password.initdb")));
    }

    [Fact]
    public async Task Start_Cancelled_LeavesTheFolderToTheNext()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => EmbeddedPostgres.StartAsync(
            Options(), NullLogger.Instance, new CancellationToken(canceled: true)));

        Assert.Equal("1", await QueryAsync(await StartAsync(), "select '1'"));
    }

    [Fact]
    public async Task Start_NoProgramsInTheFolder_SaysWhatToDo()
    {
        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(
            () => StartAsync(o => o.BinariesFolder = Path.GetTempPath()));

        Assert.Equal("postgres.binaries_missing", error.Code);
        Assert.Contains(Path.GetTempPath().TrimEnd('/'), error.Message, StringComparison.Ordinal);
        Assert.Contains("CONCLAVE_POSTGRES_BIN", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_PasswordGone_IsRefused()
    {
        await FakeClusterAsync("18\n");

        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(() => StartAsync());

        Assert.Equal("postgres.password_missing", error.Code);
    }

    [Fact]
    public async Task Start_SettingOutOfRange_NamesIt()
    {
        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(() => StartAsync(o => o.MaxConnections = 1));

        Assert.Equal("postgres.settings_invalid", error.Code);
        Assert.Contains("Postgres:MaxConnections must be 10 to 5000; it is 1.", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("initdb: error: could not write file: No space left on device", "postgres.disk_full")]
    [InlineData("initdb: error: could not access directory: Permission denied", "postgres.no_permission")]
    [InlineData("initdb: error: something else", "postgres.init_failed")]
    public void Failure_FromWhatInitdbSaid_HasItsCode(string said, string code)
    {
        using var folder = PostgresFolder.Open(_folder, account: null);

        Assert.Equal(code, PostgresFailure.NotInitialized(folder, null, new ToolResult(1, said)).Code);
    }

    private async Task<string> FakeClusterAsync(string version)
    {
        var data = Directory.CreateDirectory(Path.Combine(_folder, "data")).FullName;
        if (PostgresAccount.ForThisProcess(null) is { } account) account.Own(_folder);
        await File.WriteAllTextAsync(Path.Combine(data, "PG_VERSION"), version);
        return Path.Combine(data, "PG_VERSION");
    }

    private static string NewFolder()
    {
        var folder = Path.Combine(Path.GetTempPath(), $"conclave-tests-{Path.GetRandomFileName()}");
        TemporaryServer.RemoveWithThisProcess(folder);
        return folder;
    }

    private static async Task KillAsync(EmbeddedPostgres server)
    {
        using var process = Process.GetProcessById(server.ProcessId!.Value);
        process.Kill();
        while (server.ProcessId is not null) await Task.Yield();
    }

    private static Task<string?> ExecuteAsync(EmbeddedPostgres server, string sql) => QueryAsync(server, sql);

    private static Task<string?> QueryAsync(EmbeddedPostgres server, string sql) => QueryAsync(server.ConnectionString, sql);

    private static async Task<string?> QueryAsync(string connectionString, string sql)
    {
        await using var database = NpgsqlDataSource.Create(connectionString);
#pragma warning disable CA2100    // a test's own text
        await using var command = database.CreateCommand(sql);
#pragma warning restore CA2100
        return (string?)await command.ExecuteScalarAsync();
    }

    // Killing PostgreSQL loses nothing without fsync: what it wrote is in the system's memory.
    private EmbeddedPostgresOptions Options() => new()
    {
        DataFolder = _folder,
        DurableWrites = false,
        SharedBuffersMegabytes = 16,
    };

    private async Task<EmbeddedPostgres> StartAsync(Action<EmbeddedPostgresOptions>? change = null)
    {
        var options = Options();
        change?.Invoke(options);
        var server = await EmbeddedPostgres.StartAsync(options, NullLogger.Instance, default);
        lock (_servers) _servers.Add(server);
        return server;
    }
}
