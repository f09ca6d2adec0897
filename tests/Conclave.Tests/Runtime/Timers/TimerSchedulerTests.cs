using System.Globalization;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Timers;

namespace Conclave.Tests.Runtime.Timers;

public sealed class TimerSchedulerTests : TimerTests
{
    /// <summary>What a process leaves that is killed while it fires.</summary>
    private const string Dead = """
        insert into conclave.qrtz_fired_triggers
            (sched_name, entry_id, trigger_name, trigger_group, instance_name, fired_time, sched_time, priority, state, job_name, job_group, is_nonconcurrent, requests_recovery)
        select sched_name, 'dead-1', trigger_name, trigger_group, 'dead', start_time - 36000000000, start_time - 36000000000, priority, 'EXECUTING', job_name, job_group, false, true
          from conclave.qrtz_triggers;
        insert into conclave.qrtz_scheduler_state (sched_name, instance_name, last_checkin_time, checkin_interval) values ('conclave', 'dead', 1, 7500);
        """;

    [Fact]
    public async Task Timer_EachSecond_StartsAnInstanceForEachPointOfItsGrid()
    {
        var host = await StartAsync();
        var version = await host.PublishAsync(Timer("tick", "00:00:01"));

        await UntilAsync(host, found => found.Count >= 3);

        await AssertGridAsync(host, version, TimeSpan.FromSeconds(1));
        var state = "?";
        await TestRuntime.UntilAsync(async () => (state = (await ListAsync(host))[^1].SubStatus.ToString()) == nameof(WorkflowSubStatus.Finished), state: () => state);
    }

    [Fact]
    public async Task Timer_TwoProcesses_EachPointOfTheGridOnce()
    {
        var first = await StartAsync();
        var second = await StartAsync();
        var version = await first.PublishAsync(Timer("tick", "00:00:01"));

        await UntilAsync(second, found => found.Count >= 4);
        await StopAsync(first);
        var before = (await ListAsync(second)).Count;

        // The other one goes on alone.
        await UntilAsync(second, found => found.Count >= before + 2);
        await AssertGridAsync(second, version, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Timer_PublishedByAProcessThatIsNoWorker_StartsInOneThatIs()
    {
        var worker = await StartAsync();
        var web = await StartAsync(isWorker: false);

        await web.PublishAsync(Timer("tick", "00:00:00.2"));

        await UntilAsync(worker, found => found.Count >= 2);
        Assert.False(web.Runtime.Timers!.IsRunning);
    }

    [Fact]
    public async Task Retract_Timer_StopsIt()
    {
        var host = await StartAsync();
        await host.PublishAsync(Timer("tick", "00:00:00.2"));
        await UntilAsync(host, found => found.Count >= 1);

        await host.Runtime.Catalog.RetractAsync(TestRuntime.Tenant, "tick", default);

        await TestRuntime.UntilAsync(async () => await JobsAsync() == 0);
        var count = (await ListAsync(host)).Count;
        await Task.Delay(600);
        Assert.Equal(count, (await ListAsync(host)).Count);
    }

    [Fact]
    public async Task Publish_AnotherInterval_ReplacesTheTimer()
    {
        var host = await StartAsync();
        await host.PublishAsync(Timer("tick", "01:00:00"));
        await TestRuntime.UntilAsync(async () => await JobsAsync() == 1);

        var version = await host.PublishAsync(Timer("tick", "00:00:00.5"));

        await UntilAsync(host, found => found.Count >= 2);
        await AssertGridAsync(host, version, TimeSpan.FromMilliseconds(500));
        Assert.Equal(1, await JobsAsync());
    }

    [Fact]
    public async Task Timer_NothingRanForAWhile_FiresOnceForAllMissedTimesAndStaysOnItsGrid()
    {
        var host = await StartAsync();
        var version = await host.PublishAsync(Timer("tick", "00:00:02"));
        await UntilAsync(host, found => found.Count >= 1);
        await StopAsync(host);
        await Task.Delay(4_500);

        var again = await StartAsync();

        await UntilAsync(again, found => found.Count >= 4);
        await AssertGridAsync(again, version, TimeSpan.FromSeconds(2));
        // Two points of the grid passed meanwhile, of which one was made up for.
        var points = await PointsAsync(again, version, TimeSpan.FromSeconds(2));
        Assert.True(points[^1] + 1 > points.Count, $"No point was left out of {string.Join(' ', points)}.");
    }

    [Fact]
    public async Task Timer_PublishedWhileNoWorkerRan_FiresOnceWhenOneComes()
    {
        var web = await StartAsync(isWorker: false);
        await web.PublishAsync(Timer("tick", "00:00:03"));
        await Task.Delay(3_100);

        var worker = await StartAsync();

        await UntilAsync(worker, found => found.Count == 1);
    }

    [Fact]
    public async Task Cron_EachSecond_StartsAtWholeSeconds()
    {
        var host = await StartAsync();
        var version = await host.PublishAsync("""
            { "definitionId": "cron", "root": { "id": "at", "type": "Elsa.Cron", "version": 1, "cronExpression": "* * * * * *", "customProperties": { "canStartWorkflow": true } } }
            """);

        await UntilAsync(host, found => found.Count >= 3);

        var start = version.UpdatedAt.AddTicks(-(version.UpdatedAt.UtcTicks % TimeSpan.TicksPerSecond));
        await AssertGridAsync(host, version, TimeSpan.FromSeconds(1), "at", start);
    }

    [Fact]
    public async Task StartAt_Future_StartsOnceAlsoAfterAFullSyncAndARestart()
    {
        var host = await StartAsync();
        await host.PublishAsync(StartAt("once", DateTimeOffset.UtcNow.AddSeconds(1)));
        await UntilAsync(host, found => found.Count == 1 && found[0].SubStatus == WorkflowSubStatus.Finished);
        Assert.True(await host.Runtime.Instances.DeleteAsync(TestRuntime.Tenant, (await ListAsync(host))[0].Id, default));

        host.Runtime.Timers!.SyncAll();
        await StopAsync(host);
        var again = await StartAsync();
        await again.PublishAsync(Timer("tick", "00:00:00.2"));
        await UntilAsync(again, found => found.Count >= 2);

        Assert.DoesNotContain(await ListAsync(again), i => i.DefinitionId == "once");
    }

    [Fact]
    public async Task StartAt_PassedWhileNothingRan_StartsOnReturn()
    {
        var host = await StartAsync();
        await host.PublishAsync(StartAt("once", DateTimeOffset.UtcNow.AddSeconds(2)));
        await TestRuntime.UntilAsync(async () => await JobsAsync() == 1);
        await StopAsync(host);
        await Task.Delay(2_100);

        await UntilAsync(await StartAsync(), found => found.Count == 1);
    }

    [Fact]
    public async Task StartAt_PastWhenPublished_StartsNothing()
    {
        var host = await StartAsync();
        await host.PublishAsync(StartAt("once", DateTimeOffset.UtcNow.AddSeconds(-5)));

        await host.Runtime.Timers!.SyncAsync(TestRuntime.Tenant, "once", default);

        Assert.Equal(0, await JobsAsync());
    }

    [Fact]
    public async Task Sync_AFiringWasLost_GoesOnWithTheNextTime()
    {
        var host = await StartAsync();
        var version = await host.PublishAsync(Timer("tick", "00:00:00.5"));
        await UntilAsync(host, found => found.Count >= 1);
        // What a crash leaves when Quartz recovers nothing.
        await StopAsync(host);
        await Database.ExecuteAsync("delete from conclave.qrtz_simple_triggers; delete from conclave.qrtz_triggers; delete from conclave.qrtz_fired_triggers");

        var again = await StartAsync();

        var before = (await ListAsync(again)).Count;
        await UntilAsync(again, found => found.Count >= before + 2);
        await AssertGridAsync(again, version, TimeSpan.FromMilliseconds(500));
    }

    [Fact]
    public async Task Timer_ProcessDiedBeforeItScheduledTheNextTime_AnotherOneDoes()
    {
        var host = await StartAsync();
        var version = await host.PublishAsync(Timer("tick", "00:00:02"));
        await UntilAsync(host, found => found.Count >= 1);
        await StopAsync(host);
        var before = await PointsAsync(host, version, TimeSpan.FromSeconds(2));
        await Database.ExecuteAsync($"update conclave.qrtz_triggers set trigger_state = 'COMPLETE', next_fire_time = null; {Dead}");

        var again = await StartAsync();

        await UntilAsync(again, found => found.Count >= before.Count + 2);
        await AssertGridAsync(again, version, TimeSpan.FromSeconds(2));
        Assert.Contains(before[^1] + 1, await PointsAsync(again, version, TimeSpan.FromSeconds(2)));
    }

    [Fact]
    public async Task Timer_ProcessDiedAfterItScheduledTheNextTime_DoesNotFireEarly()
    {
        var host = await StartAsync();
        await host.PublishAsync(Timer("tick", "01:00:00"));
        await TestRuntime.UntilAsync(async () => await JobsAsync() == 1);
        await StopAsync(host);
        await Database.ExecuteAsync(Dead);

        var again = await StartAsync();

        await TestRuntime.UntilAsync(async () => await Database.QueryAsync<long>("select count(*) from conclave.qrtz_fired_triggers") == 0);
        await TestRuntime.UntilAsync(async () => await Database.QueryAsync<long>("select count(*) from conclave.qrtz_triggers") == 1);
        Assert.Empty(await ListAsync(again));
    }

    /// <summary>Every instance belongs to a point of the grid; two cannot belong to one, as their ids follow from it.</summary>
    private static async Task AssertGridAsync(
        TestRuntime host, StoredDefinition version, TimeSpan interval, string activityId = "tick", DateTimeOffset? start = null)
    {
        var instances = await ListAsync(host);
        Assert.Equal(instances.Count, (await PointsAsync(host, version, interval, activityId, start, instances)).Count);
    }

    /// <summary>Which points of the grid, from 0, have an instance.</summary>
    private static async Task<List<int>> PointsAsync(
        TestRuntime host, StoredDefinition version, TimeSpan interval, string activityId = "tick", DateTimeOffset? start = null, IReadOnlyList<InstanceSummary>? instances = null)
    {
        var ids = (instances ?? await ListAsync(host)).Select(i => i.Id).ToHashSet(StringComparer.Ordinal);
        // The database keeps microseconds.
        var stored = (await host.Runtime.Catalog.Store.FindAsync(TestRuntime.Tenant, version.Definition.Id, default))!.UpdatedAt;
        var grid = Enumerable.Range(0, 10_000).Select(i => (start ?? stored) + ((i + 1) * interval)).ToList();
        return [.. Enumerable.Range(0, grid.Count).Where(i => ids.Contains(TimerKeys.InstanceId(TestRuntime.Tenant, version.Definition.Id, activityId, grid[i])))];
    }

    private Task<long> JobsAsync() => Database.QueryAsync<long>("select count(*) from conclave.qrtz_job_details where job_group like 'start:%'");

    private static string Timer(string definitionId, string interval) => $$"""
        { "definitionId": "{{definitionId}}", "root": { "id": "tick", "type": "Elsa.Timer", "version": 1, "interval": "{{interval}}", "customProperties": { "canStartWorkflow": true } } }
        """;

    private static string StartAt(string definitionId, DateTimeOffset time) => $$"""
        { "definitionId": "{{definitionId}}", "root": { "id": "at", "type": "Elsa.StartAt", "version": 1, "dateTime": "{{time.ToString("O", CultureInfo.InvariantCulture)}}", "customProperties": { "canStartWorkflow": true } } }
        """;
}
