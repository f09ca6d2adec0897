using System.Text;
using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Runtime;

/// <summary>A runtime on a database of its own, and what tests need of it.</summary>
internal sealed class TestRuntime : IAsyncDisposable
{
    public const string Tenant = "acme";

    private readonly TestDatabase? _database;

    private TestRuntime(TestDatabase? database, WorkflowRuntime runtime)
    {
        _database = database;
        Runtime = runtime;
    }

    public WorkflowRuntime Runtime { get; }

    public TestDatabase Database => _database!;

    /// <summary>Starts a runtime; on a database of its own unless one is given.</summary>
    public static async Task<TestRuntime> StartAsync(
        TestDatabase? on = null, RuntimeOptions? options = null, bool isWorker = true, ExpressionSyntaxes? expressions = null, OutboundHttp? http = null,
        ActivityCatalog? catalog = null, bool useTimers = false, IServiceProvider? services = null)
    {
        var own = on is null ? await PostgresServer.NewDatabaseAsync() : null;
        var runtime = new WorkflowRuntime(
            (own ?? on)!.DataSource,
            (options ?? new RuntimeOptions { PollInterval = TimeSpan.FromMilliseconds(100) }) with { UseTimers = useTimers },
            library => new WorkflowEngine(catalog: catalog, library: library, expressions: expressions, http: http, services: services),
            new WorkflowServices(),
            NullLoggerFactory.Instance,
            TimeProvider.System);
        await runtime.StartAsync(isWorker, default);
        return new TestRuntime(own, runtime);
    }

    public Task<StoredDefinition> PublishAsync(string json) =>
        Runtime.Catalog.SaveAsync(Tenant, WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes(json)), publish: true, null, default);

    /// <summary>Starts a workflow in the queue.</summary>
    public async Task<string> EnqueueAsync(string definitionId, WorkflowStart? start = null)
    {
        var workflows = Runtime.Catalog.Of(Tenant);
        var graph = await workflows.FindPublishedAsync(definitionId, default);
        var instance = workflows.Engine.CreateInstance(graph!, start);
        Assert.Equal(CommitOutcome.Stored, await Runtime.Runner.EnqueueAsync(Tenant, instance, WorkPriority.P2));
        return instance.Id;
    }

    /// <summary>Starts a workflow and runs its first burst here.</summary>
    public async Task<RequestRun> StartAsync(string definitionId, WorkflowStart? start = null)
    {
        var graph = await Runtime.Catalog.Of(Tenant).FindPublishedAsync(definitionId, default);
        return await Runtime.Runner.StartAsync(Tenant, graph!, start ?? WorkflowStart.Default, null, default);
    }

    public Task PublishEventAsync(string name, object? payload = null, string? instanceId = null, string? correlationId = null, string? id = null) =>
        Runtime.Stimuli.PublishAsync(Tenant, new EventPublished(0, name, correlationId, instanceId, payload), id, WorkPriority.P1, default);

    public async Task<InstanceSummary?> FindAsync(string id) => await Runtime.Instances.FindAsync(Tenant, id, default);

    /// <summary>Waits until an instance stands as asked.</summary>
    public async Task<InstanceSummary> WaitAsync(string id, WorkflowSubStatus subStatus, int seconds = 60)
    {
        InstanceSummary? found = null;
        await UntilAsync(async () => (found = await FindAsync(id))?.SubStatus == subStatus, seconds, () => $"{id} is {found?.SubStatus}");
        return found!;
    }

    public static async Task UntilAsync(Func<Task<bool>> isReached, int seconds = 60, Func<string>? state = null)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        while (!await isReached())
        {
            Assert.False(timeout.IsCancellationRequested, $"Not reached within {seconds} s: {state?.Invoke()}");
            await Task.Delay(10);
        }
    }

    /// <summary>The whole instance as it is stored.</summary>
    public async Task<WorkflowInstance> ReadAsync(string id)
    {
        var held = await Runtime.Instances.ReadAsync(Tenant, id, default);
        var graph = await Runtime.Catalog.Of(Tenant).GetGraphAsync(held!.DefinitionVersionId, default);
        var large = await Runtime.Instances.ReadBlobsAsync(Tenant, id, default);
        return InstanceSerializer.Read(id, graph, held.State, TimeProvider.System, large);
    }

    /// <summary>The journal as <c>Type:activity:Event</c>.</summary>
    public async Task<List<string>> TraceAsync(string id)
    {
        var trace = new List<string>();
        foreach (var stored in await Runtime.Journal.ReadAsync(Tenant, id, -1, int.MaxValue, default))
        {
            var node = (await Runtime.Catalog.Of(Tenant).GetGraphAsync(stored.VersionId, default)).FindNode(stored.Entry.NodeId)!;
            trace.Add($"{node.ShortType}:{node.Id}:{stored.Entry.Event}");
        }

        return trace;
    }

    public async ValueTask DisposeAsync()
    {
        await Runtime.DisposeAsync();
        if (_database is not null)
            await _database.DisposeAsync();
    }
}
