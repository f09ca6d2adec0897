using Conclave.Inference;
using Conclave.Inference.Budgets;
using Conclave.Inference.Gateway;
using Conclave.Inference.Pool;
using Conclave.Inference.Routing;
using Conclave.Inference.Scheduling;
using Conclave.Tests.Runtime.Postgres;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Inference.Gateway;

/// <summary>A gateway on a database, with fake model servers. Several may share a database, as after a restart.</summary>
internal sealed class TestGateway : IAsyncDisposable
{
    public const string Tenant = "t1";

    private TestDatabase? _own;

    public required TestDatabase Database { get; init; }

    public required FakeModels Models { get; init; }

    public required ServerPool Pool { get; init; }

    public required SlotScheduler Scheduler { get; init; }

    public required CallLog Log { get; init; }

    public required InferenceGateway Gateway { get; init; }

    public required BudgetLedger Budgets { get; init; }

    public static async Task<TestGateway> StartAsync(
        TestDatabase? on = null, FakeModels? models = null, SchedulerOptions? scheduling = null, InferenceOptions? options = null, TimeProvider? clock = null)
    {
        var database = on ?? await PostgresServer.NewDatabaseAsync();
        models ??= new FakeModels();
        var time = clock ?? TimeProvider.System;
        var pool = new ServerPool(database.DataSource, [models], null, new ServerPoolOptions { DiscoverOllama = false, BreakerCalls = 1_000 }, time, NullLogger<ServerPool>.Instance);
        await pool.StartAsync(default);
        var scheduler = new SlotScheduler(scheduling ?? new SchedulerOptions(), time);
        var ledger = new BudgetLedger(database.DataSource, time, NullLogger<BudgetLedger>.Instance);
        var log = new CallLog(database.DataSource, NullLogger<CallLog>.Instance);
        return new TestGateway
        {
            Database = database,
            Models = models,
            Pool = pool,
            Scheduler = scheduler,
            Log = log,
            Gateway = new InferenceGateway(pool, new ModelRouter(pool, new Aliases(database, pool, time), new RatedCalls(database, pool, time), new SessionAffinity(time)), scheduler, database.DataSource, log, options ?? new InferenceOptions(), time, NullLogger<InferenceGateway>.Instance, ledger),
            Budgets = ledger,
            _own = on is null ? database : null,
        };
    }

    /// <summary>Adds a server and waits until it takes calls. The first added is preferred.</summary>
    public async Task<FakeServer> AddAsync(string name, int slots = 4, TimeSpan? timeout = null)
    {
        var server = new ModelServer
        {
            Id = Guid.CreateVersion7().ToString("N"),
            Name = name,
            Provider = "fake",
            Address = new Uri($"http://{name}:1"),
            Slots = slots,
            Rank = Pool.Servers.Count,
            Timeout = timeout ?? TimeSpan.FromMinutes(1),
        };
        var added = await Pool.AddAsync(server, null, "test", default);
        var deadline = DateTime.UtcNow.AddSeconds(30);
        while (!added.Accepts)
        {
            await added.CheckAsync(default);
            Assert.True(DateTime.UtcNow < deadline, $"{name} takes no calls: {added.Health}");
        }

        return Models[name];
    }

    public static ChatCall Call(string text = "Say hello", CallContext? context = null, ChatOptions? options = null, string model = "m") =>
        new(context ?? new CallContext { Tenant = Tenant }, model, [new ChatMessage(ChatRole.User, text)], options ?? new ChatOptions());

    public Task<ChatResponse> AskAsync(ChatCall? call = null, CallReport? report = null, CancellationToken cancellationToken = default) =>
        ((IInference)Gateway).ChatAsync(call ?? Call(), report ?? new CallReport(), cancellationToken);

    /// <summary>Asks, expecting a refusal.</summary>
    public Task<InferenceException> FailAsync(ChatCall? call = null, CallReport? report = null) =>
        Assert.ThrowsAsync<InferenceException>(() => AskAsync(call, report));

    /// <summary>Nobody has a slot and nobody waits.</summary>
    public void AssertIdle()
    {
        var snapshot = Scheduler.Snapshot();
        Assert.Empty(snapshot.Running);
        Assert.Empty(snapshot.Waiting);
    }

    public async ValueTask DisposeAsync()
    {
        await Gateway.DisposeAsync();
        Scheduler.Dispose();
        await Log.DisposeAsync();
        await Budgets.DisposeAsync();
        await Pool.DisposeAsync();
        if (_own is not null)
            await _own.DisposeAsync();
    }
}
