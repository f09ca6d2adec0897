using Conclave.Inference;
using Conclave.Inference.Scheduling;

namespace Conclave.Tests.Inference.Scheduling;

/// <summary>What holds whatever happens.</summary>
public sealed class SchedulerPropertyTests
{
    private static readonly string[] Names = ["s0", "s1", "s2", "s3", "s4"];

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 40)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void AnyTraffic_SlotsAreNeverExceededLeakedOrIdleAndEveryCallIsServed(int seed)
    {
        var random = new Random(seed);
        var options = new SchedulerOptions
        {
            Policy = random.Next(2) == 0 ? SchedulingPolicy.Fifo : SchedulingPolicy.RoundRobin,
            QuantumTime = TimeSpan.FromSeconds(random.Next(1, 5)),
            StrictArrivalOrder = random.Next(4) == 0,
            AgeAfter = TimeSpan.FromSeconds(random.Next(0, 3) * 10),
            TenantWeights = new Dictionary<string, double> { ["t0"] = 3 },
        };
        using var run = new SchedulerRun(options);
        var set = new Dictionary<string, (int Slots, bool Accepts, DateTimeOffset At)>();
        foreach (var name in Names) Set(name, random.Next(1, 4), true);
        var crossings = 0;
        run.AfterEach = Check;

        for (var i = 0; i < 250; i++)
        {
            var request = NewRequest(i);
            var work = TimeSpan.FromMilliseconds(random.Next(10, 8_000));
            var patience = random.Next(10) == 0 ? TimeSpan.FromMilliseconds(random.Next(1, 20_000)) : (TimeSpan?)null;
            run.In(TimeSpan.FromMilliseconds(random.Next(0, 60_000)), () =>
            {
                var call = run.Arrive(request.Deadline is null ? request : request with { Deadline = run.Now + TimeSpan.FromSeconds(5) }, work);
                if (patience is { } time) run.In(time, call.Cancellation.Cancel);
            });
        }

        for (var i = 0; i < 30; i++)
        {
            var (name, slots, accepts, removes) = (Names[random.Next(Names.Length)], random.Next(0, 4), random.Next(3) > 0, random.Next(4) == 0);
            run.In(TimeSpan.FromMilliseconds(random.Next(0, 60_000)), () =>
            {
                if (removes) Remove(name);
                else Set(name, slots, accepts);
            });
        }

        // In the end every server is there again, and takes what still waits.
        foreach (var name in Names) run.In(TimeSpan.FromSeconds(61), () => Set(name, 2, true));
        run.ToEnd();

        Assert.All(run.Calls, c => Assert.True(c.Ended is not null || c.Failure is not null, $"{c.Request.CallId} was lost."));
        Assert.All(run.Calls.Where(c => c.Failure is not null), c => Assert.True(
            c.Failure is OperationCanceledException ? c.Cancellation.IsCancellationRequested : c.Request.Deadline is not null, c.Failure!.Message));
        var end = run.Scheduler.Snapshot();
        Assert.Empty(end.Running);
        Assert.Empty(end.Waiting);
        Assert.All(end.Servers, s => Assert.Equal((0, 0), (s.Running, s.Waiting)));
        Assert.Equal(Names, end.Servers.Select(s => s.Server));
        Assert.True(crossings > 100, "Hardly anything ever waited.");

        void Set(string name, int slots, bool accepts)
        {
            set[name] = (slots, accepts, run.Now);
            run.Scheduler.SetServer(name, slots, accepts);
        }

        void Remove(string name)
        {
            set[name] = (0, false, run.Now);
            run.Scheduler.RemoveServer(name);
        }

        SlotRequest NewRequest(int i)
        {
            var servers = Names.OrderBy(_ => random.Next()).Take(random.Next(1, 4)).ToArray();
            return new SlotRequest
            {
                CallId = $"c{i}",
                Tenant = $"t{random.Next(3)}",
                Flow = $"f{random.Next(4)}",
                Priority = (CallPriority)random.Next(4),
                Servers = servers,
                Cost = random.Next(1, 1_000),
                IsPreemptible = random.Next(2) == 0,
                Deadline = random.Next(10) == 0 ? DateTimeOffset.MaxValue : null,
                PreferredServer = random.Next(5) == 0 ? servers[^1] : null,
                AffinityWait = TimeSpan.FromSeconds(random.Next(3)),
            };
        }

        void Check()
        {
            var snapshot = run.Scheduler.Snapshot();
            Assert.Equal(run.Running.Count, snapshot.Running.Count);
            Assert.Equal(run.Calls.Count(c => c.IsQueued), snapshot.Waiting.Count);
            if (snapshot.Waiting.Count > 0) crossings++;
            foreach (var server in snapshot.Servers)
            {
                var (slots, accepts, at) = set[server.Server];
                // Never exceeded: what was taken on before slots were taken away may end.
                var since = run.Running.Count(c => c.Grant!.ServerId == server.Server && c.Grant.StartedAt > at);
                Assert.True(server.Running <= slots || since == 0, $"{server.Server} runs {server.Running} of {slots}.");
                if (!accepts || server.Running >= slots) continue;
                // Work conserving, but for calls that hold out for another server.
                foreach (var call in run.Calls.Where(c => c.IsQueued && c.Request.Servers.Contains(server.Server)))
                {
                    Assert.True(
                        call.Request.PreferredServer is { } preferred && preferred != server.Server && set[preferred].Accepts && call.QueuedAt + call.Request.AffinityWait > run.Now,
                        $"{call.Request.CallId} waits while {server.Server} has room.");
                }
            }
        }
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(1, false)]
    [InlineData(4, true)]
    [InlineData(4, false)]
    public void Flood_OfAThousandCalls_TenOthersWaitNoLongerThanTwiceTheirFairTime(int slots, bool sameTenant)
    {
        using var run = new SchedulerRun(new SchedulerOptions());
        run.Scheduler.SetServer("s", slots, accepts: true);
        var work = TimeSpan.FromSeconds(2);
        for (var i = 0; i < 1_000; i++) run.Arrive(Request($"flood{i}", "t", "flood"), work);
        List<RunCall> others = [];
        run.In(TimeSpan.FromSeconds(31), () =>
        {
            for (var i = 0; i < 10; i++) others.Add(run.Arrive(Request($"other{i}", sameTenant ? "t" : "u", "other"), work));
        });

        run.ToEnd();

        Assert.All(run.Calls, c => Assert.NotNull(c.Ended));
        foreach (var (call, i) in others.Select((c, i) => (c, i)))
        {
            // Half of the slots are theirs.
            var fair = work * Math.Ceiling((i + 1) / (slots / 2.0));
            Assert.True(call.Ended - call.Arrived <= fair * 2, $"{call.Request.CallId} took {call.Ended - call.Arrived}, fair is {fair}.");
        }
    }

    [Fact]
    public void Flows_OfUnequalCallsAndWeights_ShareByTokensAndWeight()
    {
        using var run = new SchedulerRun(new SchedulerOptions { FlowWeights = new Dictionary<string, double> { ["t/heavy"] = 2 } });
        run.Scheduler.SetServer("s", 2, accepts: true);
        // The estimates of one flow are wrong by a factor of ten; what was really used counts.
        foreach (var (flow, tokens, estimate) in new[] { ("short", 100, 100), ("long", 1_000, 1_000), ("heavy", 300, 3_000) })
        {
            for (var i = 0; i < 900; i++)
                run.Arrive(Request($"{flow}{i}", "t", flow) with { Cost = estimate }, TimeSpan.FromMilliseconds(tokens), tokens);
        }

        Dictionary<string, double> taken = [];
        run.In(TimeSpan.FromSeconds(150), () => taken = run.Calls.Where(c => c.Ended is not null).GroupBy(c => c.Request.Flow).ToDictionary(g => g.Key, g => g.Sum(c => c.Actual!.Value)));
        run.ToEnd();

        Assert.InRange(taken["long"], 0.95 * taken["short"], 1.05 * taken["short"]);
        Assert.InRange(taken["heavy"], 1.9 * taken["short"], 2.1 * taken["short"]);
    }

    [Theory]
    [InlineData(SchedulingPolicy.Fifo)]
    [InlineData(SchedulingPolicy.RoundRobin)]
    public void P0_AllSlotsTaken_OvertakesAtOnceByTheLeastUrgentThatCanYield(SchedulingPolicy policy)
    {
        using var run = new SchedulerRun(new SchedulerOptions { Policy = policy });
        run.Scheduler.SetServer("s", 3, accepts: true);
        var firm = run.Arrive(Request("firm", "t", "f") with { Priority = CallPriority.P3, IsPreemptible = false }, TimeSpan.FromHours(1));
        var urgent = run.Arrive(Request("urgent", "t", "f") with { Priority = CallPriority.P1 }, TimeSpan.FromHours(1));
        var bulk = run.Arrive(Request("bulk", "t", "f") with { Priority = CallPriority.P3 }, TimeSpan.FromHours(1));
        for (var i = 0; i < 50; i++) run.Arrive(Request($"w{i}", "t", "f") with { Priority = CallPriority.P1 }, TimeSpan.FromSeconds(1));
        RunCall[] alarms = [];
        run.In(TimeSpan.FromMinutes(1), () => alarms =
            [.. Enumerable.Range(0, 3).Select(i => run.Arrive(Request($"p0-{i}", "t", "alarm") with { Priority = CallPriority.P0 }, TimeSpan.FromSeconds(10)))]);

        run.ToEnd();

        Assert.Equal(TimeSpan.Zero, alarms[0].LongestWait);
        Assert.Equal(TimeSpan.Zero, alarms[1].LongestWait);
        Assert.Equal(TimeSpan.FromSeconds(10), alarms[2].LongestWait);
        Assert.Equal((0, 1, 1), (firm.Yields, urgent.Yields, bulk.Yields));
        Assert.All(run.Calls, c => Assert.NotNull(c.Ended));
    }

    [Fact]
    public void P0_PreemptionOff_WaitsForASlotBeforeAllOthers()
    {
        using var run = new SchedulerRun(new SchedulerOptions { Preemption = false });
        run.Scheduler.SetServer("s", 1, accepts: true);
        run.Arrive(Request("running", "t", "f"), TimeSpan.FromSeconds(5));
        run.Arrive(Request("waiting", "t", "f") with { Priority = CallPriority.P1 }, TimeSpan.FromSeconds(5));
        var alarm = run.Arrive(Request("p0", "t", "f") with { Priority = CallPriority.P0 }, TimeSpan.FromSeconds(1));

        run.ToEnd();

        Assert.Equal(TimeSpan.FromSeconds(5), alarm.LongestWait);
        Assert.All(run.Calls, c => Assert.Equal(0, c.Yields));
    }

    [Fact]
    public void RoundRobin_LongAndShortCalls_TakeTurnsAndKeepTheirSlotWhenNobodyWaits()
    {
        using var run = new SchedulerRun(new SchedulerOptions { Policy = SchedulingPolicy.RoundRobin, QuantumTokens = null, QuantumTime = TimeSpan.FromSeconds(1) });
        run.Scheduler.SetServer("s", 1, accepts: true);
        var alone = run.Arrive(Request("alone", "t", "f"), TimeSpan.FromSeconds(9.9));
        List<RunCall> others = [];
        run.In(TimeSpan.FromSeconds(8), () =>
        {
            others.Add(run.Arrive(Request("long", "t", "f"), TimeSpan.FromSeconds(10)));
            others.Add(run.Arrive(Request("short", "t", "f"), TimeSpan.FromSeconds(0.9)));
            others.Add(run.Arrive(Request("bulk", "t", "f") with { Priority = CallPriority.P3 }, TimeSpan.FromSeconds(1)));
        });

        run.ToEnd();

        // It had used its quantum long before: it yields when the first one comes.
        Assert.Equal(2, alone.Yields);
        Assert.Equal(TimeSpan.FromSeconds(1.9), others[1].Ended - others[1].Arrived);
        Assert.Equal(TimeSpan.FromSeconds(12.8), others[0].Ended - others[0].Arrived);
        Assert.Equal(TimeSpan.FromSeconds(13.8), others[2].Ended - others[2].Arrived);
    }

    [Fact]
    public async Task RoundRobin_ByTokens_AsksAtTheEndOfTheQuantumAndNotBefore()
    {
        using var run = new SchedulerRun(new SchedulerOptions { Policy = SchedulingPolicy.RoundRobin, QuantumTokens = 10 });
        run.Scheduler.SetServer("s", 1, accepts: true);
        var grant = await run.Scheduler.AcquireAsync(Request("1", "t", "f"), null, default);
        var next = run.Scheduler.AcquireAsync(Request("2", "t", "f"), null, default);

        for (var i = 0; i < 9; i++) grant.ReportTokens(1);
        Assert.False(grant.YieldRequested);
        grant.ReportTokens(1);

        Assert.True(grant.YieldRequested);
        Assert.Equal(10, run.Scheduler.Snapshot().Running.Single().Tokens);
        grant.Dispose();
        Assert.True(next.IsCompletedSuccessfully);
        (await next).Dispose();
    }

    [Theory]
    [InlineData(SchedulingPolicy.Fifo)]
    [InlineData(SchedulingPolicy.RoundRobin)]
    public void Ageing_MoreUrgentCallsNeverStop_EveryCallIsServedInBoundedTime(SchedulingPolicy policy)
    {
        var age = TimeSpan.FromSeconds(20);
        using var run = new SchedulerRun(new SchedulerOptions { Policy = policy, QuantumTime = TimeSpan.FromSeconds(3), AgeAfter = age });
        run.Scheduler.SetServer("s", 2, accepts: true);
        // Twice what the server can do, of class P1, from ever new flows, for half an hour.
        for (var i = 0; i < 1_800; i++)
        {
            var number = i;
            run.In(TimeSpan.FromSeconds(i), () => run.Arrive(Request($"p1-{number}", "t", $"new{number}") with { Priority = CallPriority.P1 }, TimeSpan.FromSeconds(4)));
        }

        List<RunCall> poor = [];
        run.In(TimeSpan.FromSeconds(60), () =>
        {
            for (var i = 0; i < 4; i++) poor.Add(run.Arrive(Request($"p3-{i}", "u", "poor") with { Priority = CallPriority.P3 }, TimeSpan.FromSeconds(4)));
        });
        run.ToEnd();

        // The nth of its flow is at its head when those before it have started: it rises twice in 2 × age, and is then served by its tenant's fair share.
        foreach (var (call, i) in poor.Select((c, i) => (c, i)))
            Assert.True(call.FirstStarted - call.Arrived <= (i + 1) * ((2 * age) + TimeSpan.FromSeconds(12)), $"{call.Request.CallId} waited {call.FirstStarted - call.Arrived}.");
        Assert.All(run.Calls.Where(c => c.Request.Priority == CallPriority.P1), c => Assert.NotNull(c.Ended));
    }

    [Fact]
    public void Ageing_OfAFlood_DoesNotOvertakeOthers()
    {
        using var run = new SchedulerRun(new SchedulerOptions { AgeAfter = TimeSpan.FromSeconds(10) });
        run.Scheduler.SetServer("s", 1, accepts: true);
        for (var i = 0; i < 200; i++) run.Arrive(Request($"flood{i}", "t", "flood"), TimeSpan.FromSeconds(1));
        RunCall? late = null;
        run.In(TimeSpan.FromSeconds(100.5), () => late = run.Arrive(Request("late", "t", "other"), TimeSpan.FromSeconds(1)));

        run.ToEnd();

        Assert.True(late!.LongestWait <= TimeSpan.FromSeconds(1.5), $"It waited {late.LongestWait}.");
    }

    [Fact]
    public async Task Acquire_FromManyThreads_LosesNothing()
    {
        using var scheduler = new SlotScheduler(new SchedulerOptions { Policy = SchedulingPolicy.RoundRobin, QuantumTokens = 2 }, TimeProvider.System);
        foreach (var name in Names) scheduler.SetServer(name, 3, accepts: true);
        var inUse = Names.ToDictionary(n => n, _ => new StrongBox());
        var served = 0;

        await Task.WhenAll(Enumerable.Range(0, 16).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 2_000; i++)
            {
                using var cancel = new CancellationTokenSource();
                var request = Request($"{worker}-{i}", $"t{worker % 3}", $"f{worker}") with { Servers = [Names[random.Next(5)], Names[random.Next(5)]], Priority = (CallPriority)random.Next(4) };
                var waiting = scheduler.AcquireAsync(request, _ => { }, cancel.Token);
                if (random.Next(8) == 0) await cancel.CancelAsync();
                try
                {
                    using var grant = await waiting;
                    Assert.InRange(Interlocked.Increment(ref inUse[grant.ServerId].Value), 1, 3);
                    grant.ReportTokens(3);
                    await Task.Yield();
                    Interlocked.Decrement(ref inUse[grant.ServerId].Value);
                    Interlocked.Increment(ref served);
                }
                catch (OperationCanceledException)
                {
                    Assert.True(cancel.IsCancellationRequested);
                }
            }
        })));

        Assert.InRange(served, 16 * 2_000 * 3 / 4, 16 * 2_000);
        var end = scheduler.Snapshot();
        Assert.Equal((0, 0), (end.Running.Count, end.Waiting.Count));
    }

    private static SlotRequest Request(string id, string tenant, string flow) =>
        new() { CallId = id, Tenant = tenant, Flow = flow, Servers = ["s"], IsPreemptible = true };

    private sealed class StrongBox
    {
        public int Value;
    }
}
