using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>
/// A PostgreSQL server that this program runs for itself: made on first start, stopped with the program, and recovered by
/// the next start when the program or the server was killed.
/// </summary>
/// <remarks>
/// One program at a time owns a data folder; a second one is refused with <c>postgres.data_folder_in_use</c>. A server whose
/// owner was killed keeps running; the next owner stops it cleanly and starts it again with its own settings.
/// </remarks>
public sealed partial class EmbeddedPostgres : IAsyncDisposable
{
    /// <summary>The superuser, and the database that <see cref="ConnectionString"/> names.</summary>
    public const string DefaultName = "conclave";

    private const int SocketPort = 5432;
    // sun_path holds 104 bytes on macOS and 108 on Linux, a final zero included.
    private const int LongestSocketPath = 103;
    private const int PortAttempts = 5;

    private readonly EmbeddedPostgresOptions _options;
    private readonly ILogger _logger;
    private readonly PostgresAccount? _account;
    private readonly PostgresFolder _folder;
    private readonly PostgresBinaries _binaries;
    private readonly PostgresTools _tools;
    private bool _disposed;

    private EmbeddedPostgres(EmbeddedPostgresOptions options, ILogger logger, PostgresAccount? account, PostgresFolder folder)
    {
        (_options, _logger, _account, _folder) = (options, logger, account, folder);
        _tools = new PostgresTools(account, folder.Root);
        _binaries = PostgresBinaries.Find(options.BinariesFolder);
    }

    /// <summary>Connects to the database <c>conclave</c> as its superuser, password included: do not log it.</summary>
    public string ConnectionString { get; private set; } = "";

    /// <summary>The TCP port on 127.0.0.1; null when the server listens on its Unix socket only.</summary>
    public int? Port { get; private set; }

    /// <summary>The folder that holds everything of this server, as a full path.</summary>
    public string DataFolder => _folder.Root;

    /// <summary>The process id of the server while it runs; null once it has stopped.</summary>
    public int? ProcessId => _folder.RunningServer();

    /// <summary>Makes the cluster if there is none, starts the server and waits until it accepts connections.</summary>
    /// <param name="options">Where and how it runs.</param>
    /// <param name="logger">Told of life-cycle steps.</param>
    /// <param name="cancellationToken">Stops the start; a server that was already started is stopped again.</param>
    /// <exception cref="EmbeddedPostgresException">
    /// It cannot start. The code says why: <c>postgres.settings_invalid</c>, <c>binaries_missing</c>,
    /// <c>binaries_unusable</c>, <c>account_missing</c>, <c>data_folder_in_use</c>, <c>data_folder_version</c>,
    /// <c>no_permission</c>, <c>password_missing</c>, <c>init_failed</c>, <c>port_taken</c>, <c>disk_full</c>, <c>start_timeout</c> or <c>start_failed</c>.
    /// </exception>
    public static async Task<EmbeddedPostgres> StartAsync(
        EmbeddedPostgresOptions options, ILogger logger, CancellationToken cancellationToken)
    {
        if (options.Validate() is { Count: > 0 } problems)
            throw new EmbeddedPostgresException("postgres.settings_invalid", string.Join(' ', problems));
        var account = PostgresAccount.ForThisProcess(options.Account);
        var folder = PostgresFolder.Open(options.DataFolder ?? PostgresFolder.DefaultRoot(), account);
        try
        {
            var server = new EmbeddedPostgres(options, logger, account, folder);
            await server.StartAsync(cancellationToken);
            return server;
        }
        catch (Exception exception)
        {
            folder.Dispose();
            if (exception is UnauthorizedAccessException or IOException) throw folder.Unusable(exception);
            throw;
        }
    }

    /// <summary>Ends all sessions, writes everything out and stops the server.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disposed) return;
        _disposed = true;
        await StopAsync();
        _folder.Dispose();
    }

    /// <summary>Lets go of the folder and leaves the server running, as when this program is killed. For tests.</summary>
    internal void Abandon()
    {
        _disposed = true;
        _folder.Dispose();
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var version = await _binaries.MajorVersionAsync(_tools, cancellationToken);
        var isNew = !_folder.IsInitialized;
        if (isNew) await InitializeAsync(cancellationToken);
        else if (_folder.MajorVersion() is var found && found != version.ToString(CultureInfo.InvariantCulture))
            throw PostgresFailure.OtherVersion(_folder, found, version);
        var password = _folder.FindPassword() ?? throw PostgresFailure.NoPassword(_folder);
        if (_folder.RunningServer() is { } orphan)
        {
            LogOrphan(orphan, DataFolder);
            await StopAsync();
        }
        try
        {
            await LaunchAsync(password, cancellationToken);
            await CreateDatabaseAsync(cancellationToken);
        }
        catch (Exception exception)
        {
            await StopAsync();
            if (exception is NpgsqlException) throw PostgresFailure.NotUsable(_folder, exception);
            throw;
        }
        var port = Port?.ToString(CultureInfo.InvariantCulture) ?? "none";
        LogStarted(version, DataFolder, port, isNew, clock.Elapsed.TotalSeconds);
    }

    private async Task InitializeAsync(CancellationToken cancellationToken)
    {
        var data = _folder.NewData();
        var passwordCopy = _folder.WritePasswordCopy(_folder.MakePassword());
        try
        {
            List<string> arguments =
            [
                "--pgdata", data, "--username", DefaultName, "--pwfile", passwordCopy, "--auth", "scram-sha-256",
                "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
                "--no-instructions",
            ];
            if (!_options.DurableWrites) arguments.Add("--no-sync");
            var result = await _tools.RunAsync(_binaries.InitDb, arguments, cancellationToken);
            if (result.ExitCode != 0) throw PostgresFailure.NotInitialized(_folder, _account, result);
            _folder.Adopt(data);
        }
        finally
        {
            File.Delete(passwordCopy);
        }
    }

    private async Task LaunchAsync(string password, CancellationToken cancellationToken)
    {
        var deadline = DateTime.UtcNow + _options.StartTimeout;
        var waited = false;
        for (var attempt = 1; ; attempt++)
        {
            if (_folder.ClearStaleFiles() && attempt == 1) LogRecovering(DataFolder);
            var socket = SocketFits();
            Port = _options.Port switch { null when socket => null, null or 0 => FreePort(), var port => port };
            _folder.WriteSettings(Settings(socket));
            ConnectionString = Connection(socket, password);
            var before = _folder.RecentLog().Text;
            var left = Math.Max(1, (int)Math.Ceiling((deadline - DateTime.UtcNow).TotalSeconds));
            var result = await _tools.RunAsync(_binaries.Control,
                ["start", "--wait", "--silent", "--timeout", left.ToString(CultureInfo.InvariantCulture),
                    "--pgdata", _folder.Data, "--log", _folder.StartLog], cancellationToken);
            if (result.ExitCode == 0) return;

            var said = result.Output + await ReadReasonAsync(before, cancellationToken);
            var otherPort = _options.Port is null or 0 && PostgresFailure.IsPortTaken(said, Port) && attempt < PortAttempts;
            var stillEnding = PostgresFailure.IsOldServerEnding(said) && DateTime.UtcNow < deadline;
            if (!otherPort && !stillEnding)
                throw PostgresFailure.NotStarted(_folder, _account, Port, result.Output, _options);
            if (!stillEnding) continue;
            if (!waited) LogOldSessions(DataFolder, left);
            waited = true;
            await Task.Delay(TimeSpan.FromMilliseconds(200), cancellationToken);
        }
    }

    /// <summary>What the server wrote before it ended. A process of its own writes the log, and may come to it later.</summary>
    private async Task<string> ReadReasonAsync(string before, CancellationToken cancellationToken)
    {
        for (var left = 20; left > 0 && _folder.RecentLog().Text == before; left--)
            await Task.Delay(TimeSpan.FromMilliseconds(100), cancellationToken);
        return _folder.RecentLog().Text;
    }

    private async Task StopAsync()
    {
        var seconds = ((int)Math.Ceiling(_options.StopTimeout.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        foreach (var mode in (string[])["fast", "immediate"])
        {
            if (_folder.RunningServer() is not { } id) return;
            var result = await _tools.RunAsync(_binaries.Control,
                ["stop", "--wait", "--silent", "--mode", mode, "--timeout", seconds, "--pgdata", _folder.Data],
                CancellationToken.None);
            if (result.ExitCode == 0)
            {
                LogStopped(DataFolder, mode);
                return;
            }
            if (_folder.RunningServer() is not null) LogNotStopping(id, DataFolder, seconds, mode, result.Output.Trim());
        }
    }

    private async Task CreateDatabaseAsync(CancellationToken cancellationToken)
    {
        var postgres = new NpgsqlConnectionStringBuilder(ConnectionString) { Database = "postgres", Pooling = false };
        await using var connection = new NpgsqlConnection(postgres.ConnectionString);
        await connection.OpenAsync(cancellationToken);
        await using var find = new NpgsqlCommand("select 1 from pg_database where datname = $1", connection);
        find.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DefaultName });
        if (await find.ExecuteScalarAsync(cancellationToken) is not null) return;
        await using var create = new NpgsqlCommand("create database " + DefaultName, connection);
        await create.ExecuteNonQueryAsync(cancellationToken);
    }

    private bool SocketFits() => !OperatingSystem.IsWindows() &&
        Encoding.UTF8.GetByteCount(Path.Combine(DataFolder, $".s.PGSQL.{_options.Port ?? SocketPort}")) <= LongestSocketPath;

    private string Connection(bool socket, string password) => new NpgsqlConnectionStringBuilder
    {
        Host = socket ? DataFolder : "127.0.0.1",
        Port = Port ?? SocketPort,
        Username = DefaultName,
        Password = password,
        Database = DefaultName,
        SslMode = SslMode.Disable,
        GssEncryptionMode = GssEncryptionMode.Disable,
        MaxAutoPrepare = 100,
    }.ConnectionString;

    private string Settings(bool socket)
    {
        var text = new StringBuilder("# Written by Conclave at every start; changes here are lost. Use 'alter system'.\n");
        Add("listen_addresses", Port is null ? "" : "127.0.0.1");
        Add("port", Port ?? SocketPort);
        Add("unix_socket_directories", socket ? DataFolder : "");
        Add("unix_socket_permissions", "0700");
        Add("max_connections", _options.MaxConnections);
        Add("shared_buffers", $"{_options.SharedBuffersMegabytes}MB");
        Add("max_wal_size", $"{_options.MaxWalSizeMegabytes}MB");
        Add("synchronous_commit", "on");
        Add("fsync", _options.DurableWrites ? "on" : "off");
        Add("full_page_writes", _options.DurableWrites ? "on" : "off");
        Add("timezone", "UTC");
        Add("lc_messages", "C");
        // A week of logs, each of at most one day, in data/log.
        Add("logging_collector", "on");
        Add("log_directory", "log");
        Add("log_filename", "postgres-%a.log");
        Add("log_truncate_on_rotation", "on");
        Add("log_rotation_age", "1d");
        Add("log_rotation_size", 0);
        Add("log_timezone", "UTC");
        return text.ToString();

        void Add(string name, object value)
        {
            var plain = string.Create(CultureInfo.InvariantCulture, $"{value}");
            text.Append(name).Append(" = '").Append(plain.Replace("'", "''", StringComparison.Ordinal)).Append("'\n");
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    [LoggerMessage(2101, LogLevel.Information,
        "PostgreSQL {Version} runs in {DataFolder}, TCP port {Port}, new {IsNew}, started in {StartSeconds:F2} s")]
    private partial void LogStarted(int version, string dataFolder, string port, bool isNew, double startSeconds);

    [LoggerMessage(2102, LogLevel.Information, "PostgreSQL in {DataFolder} stopped ({Mode} shutdown)")]
    private partial void LogStopped(string dataFolder, string mode);

    [LoggerMessage(2103, LogLevel.Warning,
        "PostgreSQL process {ServerProcess} in {DataFolder} outlived the program that started it; " +
        "it is stopped and started again")]
    private partial void LogOrphan(int serverProcess, string dataFolder);

    [LoggerMessage(2104, LogLevel.Warning,
        "PostgreSQL in {DataFolder} was not stopped properly; it recovers what was committed before it accepts connections")]
    private partial void LogRecovering(string dataFolder);

    [LoggerMessage(2105, LogLevel.Warning,
        "PostgreSQL process {ServerProcess} in {DataFolder} did not stop within {Seconds} s ({Mode} shutdown): {Said}")]
    private partial void LogNotStopping(int serverProcess, string dataFolder, string seconds, string mode, string said);

    [LoggerMessage(2106, LogLevel.Warning,
        "Sessions of the killed PostgreSQL in {DataFolder} still run; waiting up to {Seconds} s for them to end. " +
        "End its processes named postgres to start sooner")]
    private partial void LogOldSessions(string dataFolder, int seconds);
}
