using Conclave.Tests.Activities.Http;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Queue;
using Npgsql;

namespace Conclave.Tests.Runtime.Stimuli;

/// <summary>What one event alone is for is resumed by the process that hears of it, without the queue.</summary>
public sealed class DirectResumeTests
{
    private const string WaitsTwice = """
        { "id": "twice-1", "definitionId": "twice", "root": { "id": "seq", "type": "Elsa.Sequence", "version": 1, "activities": [
            { "id": "first", "type": "Elsa.Event", "version": 1, "eventName": "Go" },
            { "id": "second", "type": "Elsa.Event", "version": 1, "eventName": "Go" } ] } }
        """;

    private const string Calls = """
        { "id": "calls-1", "definitionId": "calls", "root": { "id": "seq", "type": "Elsa.Sequence", "version": 1, "activities": [
            { "id": "go", "type": "Elsa.Event", "version": 1, "eventName": "Go" },
            { "id": "call", "type": "Elsa.SendHttpRequest", "version": 1, "url": "URL", "method": "POST" } ] } }
        """;

    [Fact]
    public async Task Event_InstanceIsFree_HasRunWhenPublishingReturns()
    {
        await using var host = await TestRuntime.StartAsync();
        await host.PublishAsync(WaitsTwice);
        var id = (await host.StartAsync("twice")).Instance.Id;

        await host.PublishEventAsync("Go", instanceId: id);
        Assert.Equal(2, (await host.ReadAsync(id)).Bursts);
        await host.PublishEventAsync("Go", instanceId: id);

        Assert.Equal(WorkflowSubStatus.Finished, (await host.FindAsync(id))!.SubStatus);
        Assert.Equal(
            ["Event:first:Started", "Event:first:Suspended", "Event:first:Resumed", "Event:first:Completed"],
            (await host.TraceAsync(id)).Where(line => line.Contains(":first:", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Event_InstanceIsHeld_IsLeftToTheQueue()
    {
        await using var host = await TestRuntime.StartAsync();
        await host.PublishAsync(WaitsTwice);
        var id = (await host.StartAsync("twice")).Instance.Id;
        var held = await host.Runtime.Instances.HoldAsync(TestRuntime.Tenant, id, Guid.NewGuid(), TimeSpan.FromMinutes(1), default);

        await host.PublishEventAsync("Go", instanceId: id);
        Assert.Equal(1, (await host.ReadAsync(id)).Bursts);
        await host.Runtime.Instances.ReleaseAsync(held!, default);

        await TestRuntime.UntilAsync(async () => (await host.ReadAsync(id)).Bursts == 2);
    }

    [Fact]
    public async Task Events_TwoAtOnce_EachEndsOneWait()
    {
        await using var host = await TestRuntime.StartAsync();
        await using var other = await TestRuntime.StartAsync(host.Database);
        await host.PublishAsync(WaitsTwice);
        await Parallel.ForEachAsync(Enumerable.Range(0, 50), async (_, _) =>
        {
            var id = (await host.StartAsync("twice")).Instance.Id;
            await Task.WhenAll(host.PublishEventAsync("Go", instanceId: id), other.PublishEventAsync("Go", instanceId: id));
            await host.WaitAsync(id, WorkflowSubStatus.Finished);
            Assert.Single(await host.TraceAsync(id), "Event:first:Resumed");
            Assert.Single(await host.TraceAsync(id), "Event:second:Resumed");
        });
        Assert.Equal(0, await StuckAsync(host));
    }

    [Fact]
    public async Task Events_ManyAtOnceAndOneThatTheDatabaseRefuses_TheOthersResume()
    {
        await using var host = await TestRuntime.StartAsync();
        await host.PublishAsync(WaitsTwice);
        var ids = new List<string>();
        for (var i = 0; i < 40; i++)
            ids.Add((await host.StartAsync("twice")).Instance.Id);

        var refused = ids.ConvertAll(_ => host.PublishEventAsync("Go", instanceId: "a\0b"));
        await Task.WhenAll(ids.Select(id => host.PublishEventAsync("Go", instanceId: id)));

        foreach (var bad in refused)
            await Assert.ThrowsAsync<PostgresException>(() => bad);
        foreach (var id in ids)
            Assert.Equal(["Event:first:Resumed"], (await host.TraceAsync(id)).Where(line => line.EndsWith(":Resumed", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Event_TwoProcessesHearOfIt_WhatFollowsIsDoneOnce()
    {
        await using var server = await HttpServer.StartAsync("ok");
        using var http = HttpTest.Loopback();
        await using var host = await TestRuntime.StartAsync(http: http);
        await using var other = await TestRuntime.StartAsync(host.Database, http: http);
        await host.PublishAsync(Calls.Replace("URL", server.Url(), StringComparison.Ordinal));
        for (var round = 0; round < 20; round++)
        {
            var id = (await host.StartAsync("calls")).Instance.Id;
            await Task.WhenAll(host.PublishEventAsync("Go", instanceId: id), other.PublishEventAsync("Go", instanceId: id));
            await host.WaitAsync(id, WorkflowSubStatus.Finished);
        }

        Assert.Equal(20, server.Requests.Count);
    }

    [Fact]
    public async Task Event_EffectTakesLong_PublishingReturnsOnceItCannotBeLost()
    {
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await HttpServer.StartAsync(async _ => await answer.Task);
        using var http = HttpTest.Loopback();
        await using var host = await TestRuntime.StartAsync(http: http);
        await host.PublishAsync(Calls.Replace("URL", server.Url(), StringComparison.Ordinal));
        var id = (await host.StartAsync("calls")).Instance.Id;

        await host.PublishEventAsync("Go", instanceId: id);

        Assert.Equal(WorkflowSubStatus.Executing, (await host.FindAsync(id))!.SubStatus);
        Assert.Equal(1, (await host.Runtime.Queue.GetStatsAsync(null, default)).Claimed);
        answer.SetResult();
        await host.WaitAsync(id, WorkflowSubStatus.Finished);
        Assert.Equal(0, await StuckAsync(host));
    }

    private static async Task<long> StuckAsync(TestRuntime host)
    {
        QueueStats stats = null!;
        await TestRuntime.UntilAsync(async () => (stats = await host.Runtime.Queue.GetStatsAsync(null, default)) is { Claimed: 0, Due: 0 });
        return stats.Delayed + stats.Dead;
    }
}
