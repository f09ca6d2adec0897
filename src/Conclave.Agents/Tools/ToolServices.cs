using System.Text.Json;
using Conclave.Agents.Sandbox;
using Conclave.Agents.Tools.BuiltIn;
using Conclave.Agents.Tools.Catalogue;
using Conclave.Agents.Tools.Command;
using Conclave.Agents.Tools.Logic;
using Conclave.Agents.Tools.Mcp;
using Conclave.Agents.Tools.Web;
using Conclave.Agents.Tools.Workflows;
using Conclave.Agents.Tools.Workspace;
using Conclave.Inference;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Expressions.Scripting;
using Conclave.Workflows.Http;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Queue;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Agents.Tools;

/// <summary>What tools are made of in one process, put together.</summary>
public sealed partial class ToolServices : IAsyncDisposable
{
    private static readonly TimeSpan TidyInterval = TimeSpan.FromHours(1);

    private readonly ToolOptions _options;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _tasks = [];
    private readonly ScriptRunnerPool _toolScripts;
    private readonly OutboundHttp _http;
    private readonly HomeAssistant? _home;
    private readonly SqlQuery _sql;
    private readonly LogicServices _logic;
    private int _isDisposed;

    /// <summary>Puts the services together; <see cref="StartAsync"/> begins.</summary>
    /// <param name="setup">Settings and what is shared with the rest of the server.</param>
    /// <exception cref="ArgumentException">Settings are not valid; the message lists every problem.</exception>
    public ToolServices(ToolSetup setup)
    {
        if (setup.Options.Validate() is { Count: > 0 } problems)
            throw new ArgumentException(string.Join(" ", problems), nameof(setup));
        _options = setup.Options;
        _loggers = setup.Loggers;
        _logger = setup.Loggers.CreateLogger<ToolServices>();
        _time = setup.Time;
        Sandbox = new SandboxHost(setup.Sandbox, setup.DataFolder, _loggers.CreateLogger<SandboxHost>(), _time);
        Workspaces = new Workspaces(Path.Combine(Path.GetFullPath(setup.DataFolder), "workspaces"), Sandbox);
        // Redirects lead away from what a tool's list allows: they are answers.
        _http = new OutboundHttp(setup.Http with { MaxRedirects = 0 }, _time);
        _home = _options.HomeAssistant is { Url: { Length: > 0 } url, Token: { Length: > 0 } token } ? new HomeAssistant(url, token, _time) : null;
        _toolScripts = new ScriptRunnerPool(
            new ScriptRunnerOptions
            {
                Runners = _options.ScriptRunners,
                NodePath = setup.Scripting.NodePath,
                RunnerPath = setup.Scripting.RunnerPath,
                MemoryLimitMegabytes = setup.Scripting.MemoryLimitMegabytes,
                TimeLimit = setup.Scripting.TimeLimit,
            },
            _loggers.CreateLogger<ScriptRunnerPool>(), _time);
        Store = new ToolStore(setup.Database, _time);
        Runs = new ToolRuns(setup.Database, _time);
        Registry = new ToolRegistry(setup.Database, Store, Sandbox, setup.Settings, _loggers.CreateLogger<ToolRegistry>(), _time) { Inference = setup.Inference };
        Permissions = new ToolPermissions(Store, Registry, setup.Scripts);
        Executor = new ToolExecutor(Registry, Permissions, Runs, new OutputValidators(Secrets), setup.Scripts, _loggers.CreateLogger<ToolExecutor>(), _time);
        _sql = new SqlQuery(_options.Sql);
        _logic = new LogicServices(new ToolMemory(setup.Database, _time, _options.MemoryKilobytes << 10), Workspaces, _http, _home);
        Servers = new McpServerStore(setup.Database, setup.Cipher, _time);
        Sessions = new McpSessions(Sandbox, Workspaces, _http, _time);
        Mcp = new McpTools(Sessions, Servers, Store, _loggers.CreateLogger<McpTools>());
        var builtIns = new BuiltInTools([.. PlainTools.All(_time), SystemStatus.Create(setup.DataFolder, _time), .. WorkspaceTools.All(Workspaces), WebFetch.Create(_http, _options.WebHosts), _sql.Tool]);
        Registry.AddKind(builtIns);
        Registry.AddKind(new CommandTools(Sandbox, Workspaces, _http, Path.Combine(Path.GetFullPath(setup.DataFolder), "tool-files")));
        Registry.AddKind(new LogicTools(_toolScripts, _logic, _loggers.CreateLogger<LogicTools>()));
        Registry.AddKind(new HttpTools(_http, _options.Keys));
        Registry.AddKind(Mcp);
        Registry.AddSource(builtIns.Source);
    }

    /// <summary>Where commands run.</summary>
    public SandboxHost Sandbox { get; }

    /// <summary>The agents' folders.</summary>
    public Workspaces Workspaces { get; }

    /// <summary>What is stored of tools.</summary>
    public ToolStore Store { get; }

    /// <summary>The tools.</summary>
    public ToolRegistry Registry { get; }

    /// <summary>Who may use them.</summary>
    public ToolPermissions Permissions { get; }

    /// <summary>Makes calls.</summary>
    public ToolExecutor Executor { get; }

    /// <summary>The audit of calls.</summary>
    public ToolRuns Runs { get; }

    /// <summary>MCP servers.</summary>
    public McpServerStore Servers { get; }

    /// <summary>Tools of MCP servers.</summary>
    public McpTools Mcp { get; }

    /// <summary>The folder that is watched; null when there is none.</summary>
    public ToolFolder? Folder { get; private set; }

    internal McpSessions Sessions { get; }

    /// <summary>Reads the tools and begins to follow what changes.</summary>
    /// <param name="tenant">The tenant whose tools are read now.</param>
    /// <param name="runtime">Runs workflows that are tools, and hears of changes; it has not started yet. Null for none.</param>
    /// <param name="folder">Folder of definitions; null for none.</param>
    /// <param name="cancellationToken">Stops starting.</param>
    public async Task StartAsync(string tenant, WorkflowRuntime? runtime, string? folder, CancellationToken cancellationToken)
    {
        if (runtime is not null)
        {
            Registry.AddKind(new WorkflowTools(runtime, _time));
            Registry.AddSource(new WorkflowToolSource(runtime));
            runtime.Hear(ToolStore.Channel, (_, changed) => Registry.Hear(changed), Registry.ReloadAsync);
            _logic.Publish = async (owner, name, payload, id, token) => await runtime.Stimuli.PublishAsync(
                owner, new EventPublished(0, name, null, null, payload.ValueKind == JsonValueKind.Undefined ? null : ValueConverter.FromJson(payload)), id, WorkPriority.P1, token);
        }

        await Registry.LoadAsync(tenant, cancellationToken);
        if (folder is not null)
        {
            Folder = new ToolFolder(folder, tenant, Store, Registry, _loggers.CreateLogger<ToolFolder>(), _time);
            await Folder.ImportAsync(cancellationToken);
            _tasks.Add(Task.Run(() => Folder.WatchAsync(_stop.Token), CancellationToken.None));
        }

        _tasks.Add(Task.Run(() => Registry.FollowAsync(listens: runtime is null, _stop.Token), CancellationToken.None));
        _tasks.Add(Task.Run(() => Executor.RenewAsync(_stop.Token), CancellationToken.None));
        _tasks.Add(Task.Run(TidyAsync, CancellationToken.None));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        // By the server in its order, and by whoever made it.
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
            return;
        await _stop.CancelAsync();
        await Task.WhenAll(_tasks);
        await Sessions.DisposeAsync();
        await _toolScripts.DisposeAsync();
        await _sql.DisposeAsync();
        _home?.Dispose();
        _http.Dispose();
        Registry.Dispose();
        Sandbox.Dispose();
        _stop.Dispose();
    }

    private IEnumerable<string> Secrets() => _options.Keys.Values.Concat(_options.HomeAssistant.Token is { } token ? [token] : [])
        .Concat(_options.Sql.Values.Select(s => new NpgsqlConnectionStringBuilder(s).Password).OfType<string>());

    private async Task TidyAsync()
    {
        using var timer = new PeriodicTimer(TidyInterval, _time);
        try
        {
            do
            {
                try
                {
                    await Runs.TidyAsync(_time.GetUtcNow() - TimeSpan.FromDays(_options.KeepRunsDays), _stop.Token);
                }
                catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
                {
                    LogTidy(exception);
                }
            }
            while (await timer.WaitForNextTickAsync(_stop.Token));
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The process stops.
        }
    }

    [LoggerMessage(4415, LogLevel.Warning, "Old runs of tools could not be deleted; it is tried again.")]
    private partial void LogTidy(Exception exception);
}

/// <summary>What <see cref="ToolServices"/> are made of.</summary>
public sealed record ToolSetup
{
    /// <summary>Settings of tools.</summary>
    public required ToolOptions Options { get; init; }

    /// <summary>Settings of the sandbox.</summary>
    public required SandboxOptions Sandbox { get; init; }

    /// <summary>Folder of the server: workspaces and the sandbox's own files are in it.</summary>
    public required string DataFolder { get; init; }

    /// <summary>The database.</summary>
    public required NpgsqlDataSource Database { get; init; }

    /// <summary>Checks arguments against schemas.</summary>
    public required ScriptRunnerPool Scripts { get; init; }

    /// <summary>How scripts run; those of tools run in processes of their own.</summary>
    public ScriptRunnerOptions Scripting { get; init; } = new();

    /// <summary>What requests of tools may reach, their own lists apart.</summary>
    public OutboundHttpOptions Http { get; init; } = new();

    /// <summary>Embeds descriptions of tools; null where there are no model calls.</summary>
    public IInference? Inference { get; init; }

    /// <summary>Encrypts secrets of MCP servers; null where there is no key.</summary>
    public SecretCipher? Cipher { get; init; }

    /// <summary>Settings of the server, by name.</summary>
    public Func<string, string?> Settings { get; init; } = _ => null;

    /// <summary>Makes logs.</summary>
    public required ILoggerFactory Loggers { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider Time { get; init; }
}
