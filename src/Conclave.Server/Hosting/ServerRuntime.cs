using Conclave.Agents;
using Conclave.Agents.Packages;
using Conclave.Agents.Tools;
using Conclave.Agents.Turns;
using Conclave.Inference.Activities;
using Conclave.Inference.Budgets;
using Conclave.Inference.Streaming;
using Conclave.Inference.Syscalls;
using Conclave.Server.Accounts;
using Conclave.Server.Agents;
using Conclave.Server.ElsaApi.Instances;
using Conclave.Server.Health;
using Conclave.Server.Inference;
using Conclave.Server.Tools;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Expressions.Scripting;
using Conclave.Workflows.Http;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Telemetry;
using Conclave.Workflows.Runtime.Watching;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Npgsql;

namespace Conclave.Server.Hosting;

/// <summary>Starts the database and the runtime behind the server, and stops them in the reverse order.</summary>
/// <remarks>Starts beside the web server, which answers 503 until it is done.</remarks>
public sealed partial class ServerRuntime(
    ServerOptions options,
    IConfiguration configuration,
    IServer server,
    StartupState startup,
    HealthChecks checks,
    IHostApplicationLifetime lifetime,
    IServiceProvider services,
    ILoggerFactory loggers,
    TimeProvider time) : IHostedLifecycleService, IAsyncDisposable
{
    private const int MostConnections = 20;
    private const int MostPrepared = 100;

    private readonly ILogger _logger = loggers.CreateLogger<ServerRuntime>();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<IDisposable> _gauges = [];
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private EmbeddedPostgres? _postgres;
    private NpgsqlDataSource? _database;
    private ScriptRunnerPool? _scripts;
    private WorkflowRuntime? _runtime;
    private WorkflowFolder? _folder;
    private InferenceRole? _inference;
    private PackageRole? _packages;
    private Task _starting = Task.CompletedTask;
    private Task _watching = Task.CompletedTask;

    /// <summary>The runtime.</summary>
    /// <exception cref="InvalidOperationException">The server has not started; requests do not come here before.</exception>
    public WorkflowRuntime Runtime => _runtime ?? throw new InvalidOperationException("The server has not started.");

    /// <summary>The database.</summary>
    public NpgsqlDataSource Database => _database ?? throw new InvalidOperationException("The server has not started.");

    /// <summary>Runs scripts, and checks JSON against schemas.</summary>
    public ScriptRunnerPool Scripts => _scripts ?? throw new InvalidOperationException("The server has not started.");

    /// <summary>Done once the server has started; never, if it could not.</summary>
    public Task Started => _started.Task;

    /// <summary>Questions that are answered whether or not somebody waits.</summary>
    public SyscallStore Syscalls { get; private set; } = null!;

    /// <summary>Tools of agents.</summary>
    public ToolServices Tools { get; private set; } = null!;

    /// <summary>Brings definitions in.</summary>
    public DefinitionImport Import { get; private set; } = null!;

    /// <summary>The key of the API.</summary>
    public ApiKeyFile ApiKey { get; } = ApiKeyFile.Open(options.DataFolder);

    /// <inheritdoc/>
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        _starting = Task.Run(StartSafelyAsync, CancellationToken.None);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        // Known once the web server listens: a port of 0 has become a real one.
        if (server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() is { } address)
            PrivateFile.Write(Path.Combine(options.DataFolder, "server-url"), address + "\n");
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Comes after the web server has closed its connections, so that requests end first.</summary>
    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        await _stop.CancelAsync();
        await _starting;
        await _watching;
        if (_packages is not null)
            await _packages.StopAsync();
        foreach (var gauge in _gauges)
            gauge.Dispose();
        _folder?.Dispose();
        if (_runtime is not null)
            await _runtime.DisposeAsync();
        if (_inference is not null)
            await _inference.StopSyscallsAsync();
        if (Tools is not null)
            await Tools.DisposeAsync();
        // After the workers, whose activities make calls.
        if (_inference is not null)
            await _inference.DisposeAsync();
        if (_scripts is not null)
            await _scripts.DisposeAsync();
        if (_database is not null)
            await _database.DisposeAsync();
        if (_postgres is not null)
            await _postgres.DisposeAsync();
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _stop.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task StartSafelyAsync()
    {
        try
        {
            await StartEverythingAsync(_stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Stopped while it started.
        }
        catch (Exception exception)
        {
            LogFailed(startup.Step, exception);
            Environment.ExitCode = 1;
            lifetime.StopApplication();
        }
    }

    private async Task StartEverythingAsync(CancellationToken cancellationToken)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        startup.Begin("database");
        var connectionString = options.ConnectionString ?? await StartPostgresAsync(cancellationToken);
        _database = Connect(connectionString);
        startup.Begin("schema");
        await new SchemaMigrator(_database, loggers.CreateLogger<SchemaMigrator>()).MigrateAsync(cancellationToken);
        startup.Begin("inference");
        _scripts = new ScriptRunnerPool(configuration.GetSection(ScriptRunnerOptions.Section).Get<ScriptRunnerOptions>() ?? new(), loggers.CreateLogger<ScriptRunnerPool>(), time);
        Syscalls = new SyscallStore(_database, time);
        _inference = services.GetRequiredService<InferenceRole>();
        await _inference.StartAsync(_database, _scripts, services.GetRequiredService<BudgetLedger>(), cancellationToken);
        startup.Begin("workflows");
        _runtime = new WorkflowRuntime(
            _database,
            options.Runtime,
            NewEngine,
            new WorkflowServices
            {
                WriteLine = LogLine,
                Configuration = name => configuration[$"Workflows:Configuration:{name}"],
                // Looked up late: its keys may be in the database, which starts here.
                EventTriggerUrl = (tenant, name, limit) => services.GetRequiredService<SignedLinks>().EventUrl(tenant, name, limit),
                RowsOf = TurnCommits.RowsOf,
                Stored = OnStored,
            },
            loggers,
            time);
        var tokens = services.GetRequiredService<TokenStreams>();
        _runtime.Hear(TokenStreams.WantChannel, tokens.Hear);
        _runtime.Hear(TokenStreams.PieceChannel, tokens.Hear);
        _runtime.Hear(AccountChanges.Channel, services.GetRequiredService<AccountChanges>().Hear);
        Import = new DefinitionImport(_runtime.Catalog.Store, (tenant, definition, token) => _runtime.Catalog.Of(tenant).CompileAsync(definition, token))
        {
            Saved = async (tenant, stored, token) => await _runtime.Catalog.RefreshAsync(tenant, stored.Definition.DefinitionId, token),
        };
        // Before the workers, which look for tools as soon as they have work.
        Tools = services.NewTools(options, configuration, _database, _scripts);
        await Tools.StartAsync(Tenants.Default, _runtime, options.ToolFolder(configuration), cancellationToken);
        _packages = services.GetRequiredService<PackageRole>();
        _packages.Prepare(_database, _scripts, _runtime, Import);
        Tools.Registry.AddSource(_packages.Tools);
        await _runtime.StartAsync(options.IsWorker, cancellationToken);
        if (options.WorkflowsFolder is { } folder && options.IsWeb)
            await ImportAsync(folder, cancellationToken);
        await _packages.StartAsync(_database, cancellationToken, _stop.Token);
        _inference.AnswerSyscalls(Syscalls, new ToolsOfSyscalls(Tools), _runtime.Stimuli);
        Observe(_runtime);
        checks.Add("database", CheckDatabaseAsync);
        startup.Finish();
        _started.SetResult();
        LogStarted(clock.Elapsed.TotalSeconds, options.Roles);
    }

    private void OnStored(InstanceWatch watch, string tenant, WorkflowInstance instance)
    {
        TurnCommits.Stored(watch, tenant, instance);
        // Another process than the gateway's lets it find them by itself, within two seconds.
        if (AskLater.IsWaiting(instance))
            Syscalls.TellSubmitted();
    }

    private async Task<string> StartPostgresAsync(CancellationToken cancellationToken)
    {
        var settings = configuration.GetSection(EmbeddedPostgresOptions.Section).Get<EmbeddedPostgresOptions>() ?? new EmbeddedPostgresOptions();
        settings.DataFolder ??= Path.Combine(options.DataFolder, "postgres");
        _postgres = await EmbeddedPostgres.StartAsync(settings, loggers.CreateLogger<EmbeddedPostgres>(), cancellationToken);
        return _postgres.ConnectionString;
    }

    private NpgsqlDataSource Connect(string connectionString)
    {
        var builder = new NpgsqlDataSourceBuilder(connectionString) { Name = "conclave" };
        var given = builder.ConnectionStringBuilder;
        // The builder says of every keyword that it contains it, so what nobody chose is known by its value.
        var defaults = new NpgsqlConnectionStringBuilder();
        if (given.MaxAutoPrepare == defaults.MaxAutoPrepare)
            given.MaxAutoPrepare = MostPrepared;
        // Each connection is a process of PostgreSQL that prepares and caches for itself: few that are warm do more than many.
        if (given.MaxPoolSize == defaults.MaxPoolSize)
            given.MaxPoolSize = MostConnections;
        // Nothing that we run leaves settings behind on a connection.
        given.NoResetOnClose = true;
        given.ApplicationName ??= "conclave";
        builder.UseLoggerFactory(loggers);
        return builder.Build();
    }

    private WorkflowEngine NewEngine(WorkflowLibrary library)
    {
        var allowCSharp = configuration.GetValue<bool>("Scripting:AllowCSharp");
        var expressions = ExpressionSyntaxes.BuiltIn.With(new JavaScriptSyntax(_scripts!), new LiquidSyntax(_scripts!));
        return new WorkflowEngine(
            new WorkflowEngineOptions { AllowCSharp = allowCSharp, FlowchartMode = configuration.GetValue("Workflows:FlowchartMode", FlowchartMode.Counter) },
            catalog: AgentActivities.Catalog,
            expressions: allowCSharp ? expressions.With(new CSharpSyntax()) : expressions,
            library: library,
            http: new OutboundHttp(configuration.GetSection(OutboundHttpOptions.Section).Get<OutboundHttpOptions>() ?? new()),
            time: time,
            services: services);
    }

    private async Task ImportAsync(string folder, CancellationToken cancellationToken)
    {
        _folder = new WorkflowFolder(
            new WorkflowFolderOptions { Folder = folder, Tenant = Tenants.Default, SkipFoldersWith = PackageContent.Manifest },
            Import,
            _runtime!.Catalog.Store,
            _database!,
            time,
            loggers.CreateLogger<WorkflowFolder>());
        await _folder.ImportAllAsync(cancellationToken);
        _watching = Task.Run(async () =>
        {
            try
            {
                await _folder.WatchAsync(_stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                // The server stops.
            }
        }, CancellationToken.None);
    }

    private void Observe(WorkflowRuntime runtime)
    {
        var depth = new QueueDepthSampler(runtime.Queue, time, loggers.CreateLogger<QueueDepthSampler>());
        _gauges.Add(depth);
        _gauges.Add(WorkflowTelemetry.ObserveQueue(() => depth.Current));
        _gauges.Add(WorkflowTelemetry.ObserveRunningBursts(() => runtime.Runner.RunningCount));
    }

    private async ValueTask<string?> CheckDatabaseAsync(CancellationToken cancellationToken)
    {
        await using var command = Database.CreateCommand("select 1");
        await command.ExecuteScalarAsync(cancellationToken);
        return null;
    }

    private void LogLine(string tenant, string instanceId, string line) => LogWritten(tenant, instanceId, line);

    [LoggerMessage(3001, LogLevel.Information, "Started in {Seconds:0.00} s with the roles {Roles:G}.")]
    private partial void LogStarted(double seconds, ServerRoles roles);

    [LoggerMessage(3002, LogLevel.Critical, "The server could not start; it failed at the step '{Step}'.")]
    private partial void LogFailed(string step, Exception exception);

    [LoggerMessage(3003, LogLevel.Information, "Workflow instance {InstanceId} of tenant {Tenant} wrote: {Line}")]
    private partial void LogWritten(string tenant, string instanceId, string line);
}
