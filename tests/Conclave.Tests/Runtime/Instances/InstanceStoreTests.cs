using System.Text;
using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Tests.Runtime.Instances;

public sealed class InstanceStoreTests : IAsyncLifetime
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan AlreadyOver = TimeSpan.FromSeconds(-1);

    private readonly WorkflowEngine _engine = new();
    private readonly Guid _worker = Guid.NewGuid();
    private TestDatabase _database = null!;
    private InstanceStore _store = null!;
    private WorkQueue _queue = null!;

    public async Task InitializeAsync()
    {
        _database = await PostgresServer.NewDatabaseAsync();
        _store = new InstanceStore(_database.DataSource);
        _queue = new WorkQueue(_database.DataSource);
    }

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task Commit_Burst_WritesStateAndBookmarksAndEndsTheWork()
    {
        var instance = await CreateAsync();
        var (work, held) = await TakeAsync(instance, Minute);
        var loaded = Load(held);
        await _engine.RunAsync(loaded, new WorkflowHost(), default);

        Assert.True(await _store.CommitAsync(held, loaded, work, _worker, [], default));

        var summary = await _store.FindAsync(Tenant, instance.Id, default);
        Assert.Equal((WorkflowStatus.Running, WorkflowSubStatus.Suspended), (summary!.Status, summary.SubStatus));
        var waiting = await _store.FindWaitingAsync(Tenant, "Elsa.Event", BookmarkKey.Of("Elsa.Event", "Paid"), 10, default);
        Assert.Equal([(instance.Id, 1)], waiting);
        Assert.Empty(await _store.FindWaitingAsync(Tenant, "Elsa.Event", BookmarkKey.Of("Elsa.Event", "Shipped"), 10, default));
        Assert.Equal(0, await _queue.ClaimAsync(_worker, Minute, 10, [], default));
    }

    [Fact]
    public async Task Resume_FromStoredState_FinishesAndRemovesTheBookmark()
    {
        var instance = await CreateAsync();
        var (work, held) = await TakeAsync(instance, Minute);
        var loaded = Load(held);
        await _engine.RunAsync(loaded, new WorkflowHost(), default);
        await _store.CommitAsync(held, loaded, work, _worker, [Work(instance.Id, WorkKind.Resume)], default);

        var (resume, again) = await TakeAsync(instance, Minute);
        var restored = Load(again);
        await _engine.ResumeAsync(restored, restored.Bookmarks[0], null, new WorkflowHost(), default);
        Assert.True(await _store.CommitAsync(again, restored, resume, _worker, [], default));

        Assert.Equal(WorkflowSubStatus.Finished, (await _store.FindAsync(Tenant, instance.Id, default))!.SubStatus);
        Assert.Empty(await _store.FindWaitingAsync(Tenant, "Elsa.Event", BookmarkKey.Of("Elsa.Event", "Paid"), 10, default));
    }

    [Fact]
    public async Task Hold_SomebodyElseHoldsIt_GivesNothing()
    {
        var instance = await CreateAsync();

        Assert.NotNull(await _store.HoldAsync(Tenant, instance.Id, Minute, default));
        Assert.Null(await _store.HoldAsync(Tenant, instance.Id, Minute, default));
        Assert.Null(await _store.HoldAsync("globex", instance.Id, Minute, default));
    }

    [Fact]
    public async Task Commit_LeaseRanOutAndAnotherTookOver_IsRefusedAndWritesNothing()
    {
        var instance = await CreateAsync();
        var (work, late) = await TakeAsync(instance, AlreadyOver);
        var frozen = Load(late);
        await _engine.RunAsync(frozen, new WorkflowHost(), default);
        var current = await _store.HoldAsync(Tenant, instance.Id, Minute, default);
        Assert.Equal(late.Fence + 1, current!.Fence);

        Assert.False(await _store.CommitAsync(late, frozen, work, _worker, [Work(instance.Id, WorkKind.Run)], default));

        Assert.Equal(WorkflowSubStatus.Pending, (await _store.FindAsync(Tenant, instance.Id, default))!.SubStatus);
        Assert.Empty(await _store.FindWaitingAsync(Tenant, "Elsa.Event", BookmarkKey.Of("Elsa.Event", "Paid"), 10, default));
    }

    [Fact]
    public async Task Create_SameIdAgain_AddsNeitherInstanceNorWork()
    {
        var instance = await CreateAsync();
        await _store.CreateAsync(Tenant, instance, Work(instance.Id, WorkKind.Run), default);

        Assert.Equal(1, await _queue.ClaimAsync(_worker, Minute, 10, [], default));
    }

    [Fact]
    public async Task Release_Held_LetsTheNextTakeIt()
    {
        var instance = await CreateAsync();
        var held = await _store.HoldAsync(Tenant, instance.Id, Minute, default);
        await _store.ReleaseAsync(held!, default);

        Assert.NotNull(await _store.HoldAsync(Tenant, instance.Id, Minute, default));
    }

    private async Task<WorkflowInstance> CreateAsync()
    {
        var instance = _engine.CreateInstance(Graph());
        await _store.CreateAsync(Tenant, instance, Work(instance.Id, WorkKind.Run), default);
        return instance;
    }

    private async Task<(ClaimedWork Work, HeldInstance Held)> TakeAsync(WorkflowInstance instance, TimeSpan lease)
    {
        List<ClaimedWork> claimed = [];
        Assert.Equal(1, await _queue.ClaimAsync(_worker, Minute, 1, claimed, default));
        return (claimed[0], (await _store.HoldAsync(Tenant, instance.Id, lease, default))!);
    }

    private WorkflowInstance Load(HeldInstance held) => InstanceSerializer.Read(held.Id, Graph(), held.State, _engine.Time);

    private WorkflowGraph Graph() => _engine.Compile(WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes("""
        {
          "id": "v1", "definitionId": "orders", "name": "Orders",
          "root": { "id": "root", "type": "Elsa.Event", "version": 1, "eventName": "Paid" }
        }
        """)));

    private static NewWork Work(string instanceId, WorkKind kind) =>
        new(Tenant, instanceId, kind, WorkPriority.P2, DateTimeOffset.UtcNow.AddSeconds(-1), null);
}
