using System.Collections.Concurrent;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Instances;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Runtime.Timers;

public sealed class LongWaitTests : TimerTests
{
    [Fact]
    public async Task Delay_Long_GoesThroughQuartzAndResumes()
    {
        var host = await StartAsync(Options with { LongDelay = TimeSpan.FromMilliseconds(1) });
        await host.PublishAsync(Nap("00:00:03"));

        var run = await host.StartAsync("nap");

        await TestRuntime.UntilAsync(async () => await WaitsAsync() == 1);
        var finished = await host.WaitAsync(run.Instance.Id, WorkflowSubStatus.Finished);
        Assert.True(finished.FinishedAt - finished.CreatedAt >= TimeSpan.FromSeconds(3));
        // Quartz forgets the trigger a moment after it fired.
        await TestRuntime.UntilAsync(async () => await WaitsAsync() == 0);
    }

    [Fact]
    public async Task Delay_LongAndDueWhileNothingRan_ResumesOnReturn()
    {
        var options = Options with { LongDelay = TimeSpan.FromMilliseconds(1) };
        var host = await StartAsync(options);
        await host.PublishAsync(Nap("00:00:03"));
        var run = await host.StartAsync("nap");
        await TestRuntime.UntilAsync(async () => await WaitsAsync() == 1);
        await StopAsync(host);
        await Task.Delay(3_100);

        var again = await StartAsync(options);

        await again.WaitAsync(run.Instance.Id, WorkflowSubStatus.Finished);
    }

    [Fact]
    public async Task Schedule_TwiceAndManyAtOnce_IsOneTriggerEach()
    {
        var timers = (await StartAsync()).Runtime.Timers!;
        var due = DateTimeOffset.UtcNow.AddYears(500);

        await Task.WhenAll(Enumerable.Range(0, 60).Select(i => timers.ScheduleAsync(TestRuntime.Tenant, "far", i % 30, due, default)));

        Assert.Equal(30, await WaitsAsync());
    }

    [Fact]
    public async Task Schedule_MoreAtOnceThanQuartzTakes_TheRestWaitsInTheQueue()
    {
        var host = await StartAsync();
        var due = DateTimeOffset.UtcNow.AddDays(1);

        await Task.WhenAll(Enumerable.Range(0, 500).Select(i => host.Runtime.Timers!.ScheduleAsync(TestRuntime.Tenant, "far", i, due, default)));

        Assert.Equal(500, await WaitsAsync() + (await host.Runtime.Queue.GetStatsAsync(null, default)).Delayed);
        Assert.True(await WaitsAsync() > 0);
    }

    [Fact]
    public async Task Schedule_TimersDoNotRun_WaitsInTheQueue()
    {
        var web = await StartAsync(isWorker: false);

        await web.Runtime.Timers!.ScheduleAsync(TestRuntime.Tenant, "somewhere", 1, DateTimeOffset.UtcNow.AddDays(1), default);

        Assert.Equal(1, (await web.Runtime.Queue.GetStatsAsync(null, default)).Delayed);
    }

    [Fact]
    public async Task Start_QuartzLogs_ThroughOurLoggers()
    {
        var loggers = new Categories();
        await using var runtime = new WorkflowRuntime(
            Database, Options with { Owner = Guid.CreateVersion7() }, library => new WorkflowEngine(library: library), new WorkflowServices(), loggers, TimeProvider.System);

        await runtime.StartAsync(isWorker: true, default);

        await TestRuntime.UntilAsync(() => Task.FromResult(loggers.Logged.Any(c => c.StartsWith("Quartz.", StringComparison.Ordinal))));
    }

    private Task<long> WaitsAsync() => Database.QueryAsync<long>("select count(*) from conclave.qrtz_triggers where trigger_group = 'wait:acme'");

    private static string Nap(string time) => $$"""
        { "definitionId": "nap", "root": { "id": "nap", "type": "Elsa.Delay", "version": 1, "timeSpan": "{{time}}" } }
        """;

    /// <summary>Which categories log.</summary>
    private sealed class Categories : ILoggerFactory
    {
        public ConcurrentBag<string> Logged { get; } = [];

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public ILogger CreateLogger(string categoryName)
        {
            Logged.Add(categoryName);
            return NullLogger.Instance;
        }

        public void Dispose()
        {
            // Nothing to free.
        }
    }
}
