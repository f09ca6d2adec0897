using Conclave.Agents.Packages;
using Conclave.Workflows.Expressions.Scripting;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Definitions;
using Npgsql;

namespace Conclave.Server.Agents;

/// <summary>Packages of agents in this process: known everywhere, watched where the folder of workflows is. Started and stopped by <see cref="Hosting.ServerRuntime"/>.</summary>
internal sealed class PackageRole(ServerOptions options, ILoggerFactory loggers, TimeProvider time)
{
    private const string NotStarted = "The packages have not been read yet.";
    private const string Folder = "agents";
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    private AgentPackages? _packages;
    private PackageInstall? _install;
    private PackageTools? _tools;
    private WorkflowRuntime? _runtime;
    private AgentMoods? _moods;
    private List<Task> _following = [];

    /// <summary>The packages.</summary>
    public AgentPackages Packages => _packages ?? throw new InvalidOperationException(NotStarted);

    /// <summary>Brings packages in.</summary>
    public PackageInstall Install => _install ?? throw new InvalidOperationException(NotStarted);

    /// <summary>The tools of their logic.</summary>
    public PackageTools Tools => _tools ?? throw new InvalidOperationException(NotStarted);

    /// <summary>How their agents feel.</summary>
    public AgentMoods Moods => _moods ?? throw new InvalidOperationException(NotStarted);

    /// <summary>Makes everything, and has the runtime tell of changes. Before the runtime starts.</summary>
    public void Prepare(NpgsqlDataSource database, ScriptRunnerPool scripts, WorkflowRuntime runtime, DefinitionImport import)
    {
        _runtime = runtime;
        _packages = new AgentPackages(database, time, loggers.CreateLogger<AgentPackages>());
        _moods = new AgentMoods(database, _packages);
        _tools = new PackageTools(_packages, time, loggers.CreateLogger<PackageTools>());
        var gatekeeper = new Gatekeeper(scripts, (tenant, definition, token) => runtime.Catalog.Of(tenant).CompileAsync(definition, token));
        _install = new PackageInstall(gatekeeper, _packages, import, runtime.Catalog.Store, database, time, loggers.CreateLogger<PackageInstall>());
        runtime.Hear(AgentPackages.Channel, (_, payload) => _packages.Hear(payload), _packages.LoadAsync);
    }

    /// <summary>Reads the packages, and brings in those of the folder. After the runtime has started, and the workflows were imported.</summary>
    /// <param name="database">The database.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <param name="stopping">Ends what goes on from here.</param>
    public async Task StartAsync(NpgsqlDataSource database, CancellationToken cancellationToken, CancellationToken stopping)
    {
        await Packages.LoadAsync(cancellationToken);
        await Tools.LoadAsync(Tenants.Default, cancellationToken);
        _following = [UntilStoppedAsync(Packages.FollowAsync, stopping), UntilStoppedAsync(Tools.FollowAsync, stopping)];
        if (options.WorkflowsFolder is not { } workflows || !options.IsWeb)
            return;
        var folder = new PackageFolder(
            new PackageFolderOptions { Folder = Path.Combine(workflows, Folder), Tenant = Tenants.Default }, Install, Packages, database, time, loggers.CreateLogger<PackageFolder>());
        var looked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _following.Add(UntilStoppedAsync(
            async token =>
            {
                await folder.TryLookAsync(token);
                looked.TrySetResult();
                await folder.WatchAsync(token);
            },
            stopping));
        // Whoever makes agents as soon as the server is ready finds their packages. A server that has read them before goes to work without the newest when the machine is too busy.
        var patience = Packages.List(Tenants.Default).Count > 0 ? LongestWait : Timeout.InfiniteTimeSpan;
        await Task.WhenAny(looked.Task, Task.Delay(patience, time, cancellationToken));
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>Waits until everything has ended; <c>stopping</c> was cancelled before.</summary>
    public Task StopAsync() => Task.WhenAll(_following);

    /// <summary>What there is for packages of a tenant to use.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="hasTool">Whether there is a tool of that name.</param>
    public KnownParts Known(string tenant, Func<string, bool> hasTool) => new(
        hasTool,
        agent => Packages.Find(tenant, agent) is { IsUsable: true },
        behaviour => _runtime!.Catalog.Of(tenant).Engine.Library.FindPublished(behaviour) is not null);

    private static Task UntilStoppedAsync(Func<CancellationToken, Task> follow, CancellationToken stopping) => Task.Run(async () =>
    {
        try
        {
            await follow(stopping);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The server stops.
        }
    }, CancellationToken.None);
}
