using System.Text.Json;
using Conclave.Agents.Sandbox;
using Conclave.Agents.Tools;
using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Expressions.Scripting;
using Conclave.Workflows.Http;
using Conclave.Workflows.Runtime;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Agents.Tools;

/// <summary>Tools on a database and in a folder of their own, and what tests need of them.</summary>
internal sealed class ToolHost : IAsyncDisposable
{
    public const string Tenant = "acme";
    public const string Agent = "a1";

    private readonly ScriptRunnerPool _scripts;
    private readonly List<ToolDefinition> _added = [];

    private ToolHost(TestDatabase database, string folder, ScriptRunnerPool scripts, ToolServices services)
    {
        Database = database;
        Folder = folder;
        _scripts = scripts;
        Services = services;
    }

    public TestDatabase Database { get; }

    /// <summary>The data folder; others may pass through it, as through a server's.</summary>
    public string Folder { get; }

    public ToolServices Services { get; }

    /// <param name="on">A database to share; null makes one.</param>
    /// <param name="options">Settings of tools.</param>
    /// <param name="sandbox">Settings of the sandbox.</param>
    /// <param name="http">What requests may reach.</param>
    /// <param name="scriptTime">How long scripts may run.</param>
    /// <param name="runtime">Runs workflows that are tools.</param>
    /// <param name="catalogue">Folder of definitions.</param>
    public static async Task<ToolHost> StartAsync(
        TestDatabase? on = null, ToolOptions? options = null, SandboxOptions? sandbox = null, OutboundHttpOptions? http = null, TimeSpan? scriptTime = null,
        WorkflowRuntime? runtime = null, string? catalogue = null)
    {
        var database = on ?? await PostgresServer.NewDatabaseAsync();
        var folder = Path.Combine(Path.GetTempPath(), $"conclave-tools-{Guid.NewGuid():n}");
        Directory.CreateDirectory(folder);
        var scripting = new ScriptRunnerOptions { Runners = 1, TimeLimit = scriptTime ?? TimeSpan.FromSeconds(30), MemoryLimitMegabytes = 16, MaxResultBytes = 1 << 20 };
        var scripts = new ScriptRunnerPool(new ScriptRunnerOptions { Runners = 1 }, NullLogger<ScriptRunnerPool>.Instance, TimeProvider.System);
        var services = new ToolServices(new ToolSetup
        {
            Options = options ?? new ToolOptions(),
            Sandbox = sandbox ?? new SandboxOptions(),
            DataFolder = folder,
            Database = database,
            Scripts = scripts,
            Scripting = scripting,
            Http = http ?? new OutboundHttpOptions(),
            Cipher = new SecretCipher(new string('k', 32), "test"),
            Loggers = NullLoggerFactory.Instance,
            Time = TimeProvider.System,
        });
        await services.StartAsync(Tenant, runtime, catalogue, default);
        return new ToolHost(database, folder, scripts, services);
    }

    /// <summary>Adds a tool, approved by being seen first.</summary>
    public async Task<ToolDefinition> AddAsync(string json)
    {
        var tool = ToolDefinitionReader.Read(JsonElement.Parse(json), out var problems);
        Assert.Empty(problems);
        Assert.Empty(Services.Registry.FindKind(tool!.Kind)!.Check(tool));
        _added.RemoveAll(t => t.Name == tool.Name);
        _added.Add(tool);
        Assert.Empty(await Services.Store.ReplaceSourceAsync(Tenant, "test", _added, "test", default));
        await Services.Registry.LoadAsync(Tenant, default);
        return tool;
    }

    public async Task<ToolResult> CallAsync(string tool, string arguments = "{}", string agent = Agent, string? key = null, string? approval = null, string? hash = null, CancellationToken token = default) =>
        await Services.Executor.RunAsync(new ToolCall(Tenant, agent, "i1", tool, hash, JsonElement.Parse(arguments), key ?? Guid.NewGuid().ToString("n")) { ApprovalId = approval }, token);

    /// <summary>Makes a call that must succeed.</summary>
    public async Task<JsonElement> OutputAsync(string tool, string arguments = "{}", string agent = Agent)
    {
        var result = await CallAsync(tool, arguments, agent);
        Assert.True(result.IsSuccess, $"{result.ErrorCode}: {result.Text}");
        return result.Output;
    }

    /// <summary>Makes a call that must not succeed.</summary>
    public async Task<ToolResult> FailAsync(string code, string tool, string arguments = "{}", string agent = Agent)
    {
        var result = await CallAsync(tool, arguments, agent);
        Assert.False(result.IsSuccess, result.Text);
        Assert.True(code == result.ErrorCode, $"{result.ErrorCode}: {result.Text}");
        return result;
    }

    public async ValueTask DisposeAsync()
    {
        await Services.DisposeAsync();
        await _scripts.DisposeAsync();
        await Database.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }
}
