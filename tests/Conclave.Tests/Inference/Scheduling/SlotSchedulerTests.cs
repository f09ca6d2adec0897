using Conclave.Inference;
using Conclave.Inference.Scheduling;

namespace Conclave.Tests.Inference.Scheduling;

public sealed class SlotSchedulerTests : IDisposable
{
    private readonly SchedulerClock _clock = new();
    private readonly SlotScheduler _scheduler;

    public SlotSchedulerTests() => _scheduler = new SlotScheduler(new SchedulerOptions(), _clock);

    public void Dispose() => _scheduler.Dispose();

    [Fact]
    public async Task Acquire_FreeSlot_TakesTheFirstPreferredServer()
    {
        _scheduler.SetServer("a", 1, accepts: true);
        _scheduler.SetServer("b", 1, accepts: true);

        using var first = await Acquire(Call("1") with { Servers = ["b", "a"] });
        using var second = await Acquire(Call("2") with { Servers = ["b", "a"] });
        var third = Acquire(Call("3") with { Servers = ["b", "a"] });

        Assert.Equal(("b", "a"), (first.ServerId, second.ServerId));
        Assert.False(third.IsCompleted);
        first.Dispose();
        Assert.Equal("b", (await third).ServerId);
    }

    [Fact]
    public async Task Acquire_ServerThatDoesNotAcceptOrIsUnknown_WaitsUntilItDoes()
    {
        _scheduler.SetServer("a", 2, accepts: false);
        var drained = Acquire(Call("1"));
        var unknown = Acquire(Call("2") with { Servers = ["later"] });
        Assert.False(drained.IsCompleted || unknown.IsCompleted);

        _scheduler.SetServer("a", 2, accepts: true);
        _scheduler.SetServer("later", 1, accepts: true);

        Assert.Equal("a", (await drained).ServerId);
        Assert.Equal("later", (await unknown).ServerId);
    }

    [Fact]
    public async Task Acquire_SeveralClasses_ServesTheMostUrgentFirst()
    {
        _scheduler.SetServer("a", 1, accepts: true);
        var running = await Acquire(Call("0"));
        var waiting = Enum.GetValues<CallPriority>().Reverse().Select(p => Acquire(Call(p.ToString()) with { Priority = p })).ToList();

        var order = await ServeAllAsync(running, waiting);

        Assert.Equal(["P0", "P1", "P2", "P3"], order);
    }

    [Fact]
    public async Task Acquire_Cancelled_LeavesTheQueueAtOnce()
    {
        _scheduler.SetServer("a", 1, accepts: true);
        var running = await Acquire(Call("0"));
        using var cancel = new CancellationTokenSource();
        var cancelled = _scheduler.AcquireAsync(Call("1"), null, cancel.Token);
        var next = Acquire(Call("2"));

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        Assert.Single(_scheduler.Snapshot().Waiting);
        running.Dispose();
        (await next).Dispose();
        Assert.Empty(_scheduler.Snapshot().Running);
    }

    [Fact]
    public async Task Acquire_DeadlinePasses_IsRefusedWhileItWaits()
    {
        _scheduler.SetServer("a", 1, accepts: true);
        using var running = await Acquire(Call("0"));
        var waiting = Acquire(Call("1") with { Deadline = _clock.GetUtcNow() + TimeSpan.FromSeconds(5) });

        _clock.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(waiting.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(0.1));

        Assert.Equal(InferenceFailure.DeadlineExceeded, (await Assert.ThrowsAsync<InferenceException>(() => waiting)).Failure);
        var late = await Assert.ThrowsAsync<InferenceException>(() => Acquire(Call("2") with { Deadline = _clock.GetUtcNow() }));
        Assert.Equal("inference.deadline_exceeded", late.Code);
        Assert.Empty(_scheduler.Snapshot().Waiting);
    }

    [Theory]
    [InlineData(3, 99, 99)]
    [InlineData(99, 3, 99)]
    [InlineData(99, 99, 3)]
    public async Task Acquire_QueueFull_SaysWhenToTryAgain(int total, int perTenant, int perFlow)
    {
        _scheduler.ChangePolicy(new SchedulerOptions { MaxWaiting = total, MaxWaitingPerTenant = perTenant, MaxWaitingPerFlow = perFlow });
        _scheduler.SetServer("a", 2, accepts: true);
        var first = await Acquire(Call("0"));
        _clock.Advance(TimeSpan.FromSeconds(10));
        first.Dispose();
        using var one = await Acquire(Call("1"));
        using var other = await Acquire(Call("2"));
        var waiting = Enumerable.Range(3, 3).Select(i => Acquire(Call($"{i}"))).ToList();

        var refused = await Assert.ThrowsAsync<InferenceException>(() => Acquire(Call("6")));

        Assert.Equal((InferenceFailure.QueueFull, "inference.queue_full"), (refused.Failure, refused.Code));
        // Three wait; two slots of 10 s each serve a fourth after 4 × 10 ÷ 2 s.
        Assert.Equal(TimeSpan.FromSeconds(20), refused.RetryAfter);
        Assert.All(waiting, w => Assert.False(w.IsCompleted));
        Assert.False(Acquire(Call("7") with { Priority = CallPriority.P0 }).IsFaulted);
        Assert.False(Acquire(Call("8") with { FirstQueuedAt = _clock.GetUtcNow() }).IsFaulted);
    }

    [Fact]
    public async Task Moved_CallsBeforeItEnd_TellsPlaceAndExpectedWait()
    {
        _scheduler.SetServer("a", 1, accepts: true);
        var running = await Acquire(Call("0"));
        _clock.Advance(TimeSpan.FromSeconds(10));
        running.Dispose();
        running = await Acquire(Call("1"));
        var next = Acquire(Call("2"));
        List<QueuePlace> places = [];
        var last = _scheduler.AcquireAsync(Call("3"), places.Add, default);

        Assert.Equal([new QueuePlace(1, TimeSpan.FromSeconds(20))], places);
        running.Dispose();
        (await next).ReportTokens(1);
        _clock.Advance(_scheduler.Options.PlaceInterval);

        Assert.Equal(0, places[^1].Position);
        (await next).Dispose();
        (await last).Dispose();
    }

    [Fact]
    public async Task RemoveServer_CallsRunAndWaitThere_TheFirstEndAndTheOthersGoElsewhere()
    {
        _scheduler.SetServer("a", 1, accepts: true);
        _scheduler.SetServer("b", 0, accepts: true);
        var running = await Acquire(Call("0"));
        var waiting = Acquire(Call("1") with { Servers = ["a", "b"] });

        _scheduler.RemoveServer("a");
        running.Dispose();
        Assert.False(waiting.IsCompleted);
        _scheduler.SetServer("b", 1, accepts: true);

        Assert.Equal("b", (await waiting).ServerId);
        Assert.Equal(["b"], _scheduler.Snapshot().Servers.Select(s => s.Server));
    }

    [Fact]
    public async Task PreferredServer_Busy_IsHeldOutForAndThenGivenUp()
    {
        _scheduler.SetServer("a", 1, accepts: true);
        _scheduler.SetServer("b", 1, accepts: true);
        var onB = await Acquire(Call("0") with { Servers = ["b"] });
        var affine = Call("1") with { Servers = ["a", "b"], PreferredServer = "b", AffinityWait = TimeSpan.FromSeconds(2) };
        var patient = Acquire(affine);
        Assert.False(patient.IsCompleted);
        onB.Dispose();
        using var hit = await patient;
        Assert.Equal("b", hit.ServerId);

        var impatient = Acquire(affine);
        _clock.Advance(TimeSpan.FromSeconds(2));
        using var miss = await impatient;
        Assert.Equal("a", miss.ServerId);
    }

    [Fact]
    public async Task PreferredServer_StopsAccepting_IsGivenUpAtOnce()
    {
        _scheduler.SetServer("a", 1, accepts: true);
        _scheduler.SetServer("b", 1, accepts: true);
        using var onB = await Acquire(Call("0") with { Servers = ["b"] });
        var waiting = Acquire(Call("1") with { Servers = ["a", "b"], PreferredServer = "b", AffinityWait = TimeSpan.FromMinutes(1) });

        _scheduler.SetServer("b", 1, accepts: false);

        Assert.Equal("a", (await waiting).ServerId);
    }

    [Fact]
    public async Task BatchWindow_CallsOfOneModel_AreReleasedTogether()
    {
        _scheduler.ChangePolicy(new SchedulerOptions { BatchWindow = TimeSpan.FromSeconds(1) });
        _scheduler.SetServer("a", 9, accepts: true);
        var first = Acquire(Call("1") with { Model = "m" });
        _clock.Advance(TimeSpan.FromSeconds(0.6));
        var second = Acquire(Call("2") with { Model = "m" });
        var other = Acquire(Call("3") with { Model = "n" });
        var urgent = Acquire(Call("4") with { Model = "m", Priority = CallPriority.P0 });
        Assert.True(urgent.IsCompletedSuccessfully);
        Assert.Equal(3, _scheduler.Snapshot().Waiting.Count);

        _clock.Advance(TimeSpan.FromSeconds(0.4));

        await Task.WhenAll(first, second);
        Assert.False(other.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(0.6));
        await other;
    }

    [Fact]
    public async Task ChangePolicy_StrictArrivalOrder_ServesInTheOrderOfArrival()
    {
        _scheduler.SetServer("a", 1, accepts: true);
        var running = await Acquire(Call("0"));
        var waiting = "x1 x2 x3 y4 y5".Split(' ').Select(id => Acquire(Call(id) with { Flow = id[..1] })).ToList();

        _scheduler.ChangePolicy(new SchedulerOptions { StrictArrivalOrder = true });

        Assert.Equal(["x1", "x2", "x3", "y4", "y5"], await ServeAllAsync(running, waiting));
        Assert.Throws<ArgumentException>(() => _scheduler.ChangePolicy(new SchedulerOptions { MaxWaiting = 0 }));
        Assert.True(_scheduler.Options.StrictArrivalOrder);
    }

    [Fact]
    public async Task Snapshot_FairOrder_IsTheOrderOfService()
    {
        _scheduler.SetServer("a", 1, accepts: true);
        var running = await Acquire(Call("0"));
        var random = new Random(5);
        var waiting = Enumerable.Range(1, 40).Select(i => Acquire(Call($"{i}") with
        {
            Tenant = $"t{random.Next(3)}",
            Flow = $"f{random.Next(4)}",
            Priority = (CallPriority)random.Next(1, 4),
            Cost = random.Next(1, 50),
        })).ToList();
        var foreseen = _scheduler.Snapshot().Waiting;

        var order = await ServeAllAsync(running, waiting);

        Assert.Equal(foreseen.Select(w => w.CallId), order);
        Assert.Equal(Enumerable.Range(0, 40), foreseen.Select(w => w.Place.Position));
    }

    private static SlotRequest Call(string id) => new() { CallId = id, Tenant = "t", Flow = "f", Servers = ["a"] };

    private Task<SlotGrant> Acquire(SlotRequest request) => _scheduler.AcquireAsync(request, null, default);

    // Ends the running call and each that gets its slot; their ids in the order in which they got it.
    private static async Task<List<string>> ServeAllAsync(SlotGrant running, List<Task<SlotGrant>> waiting)
    {
        List<string> order = [];
        running.Dispose();
        while (waiting.Count > 0)
        {
            var next = Assert.Single(waiting, w => w.IsCompleted);
            waiting.Remove(next);
            order.Add((await next).Request.CallId);
            (await next).Dispose();
        }

        return order;
    }
}
