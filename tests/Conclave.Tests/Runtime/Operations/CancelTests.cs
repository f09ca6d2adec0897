using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Operations;

namespace Conclave.Tests.Runtime.Operations;

public sealed class CancelTests : OperationsTest
{
    [Fact]
    public async Task Cancel_InstanceWaits_IsCancelledAtOnceAndSaysWhoAndWhy()
    {
        await Host.PublishAsync(Workflow("waits", Event("go")));
        var id = (await Host.StartAsync("waits")).Instance.Id;

        Assert.True(await Operations.CancelAsync(Tenant, id, "ann", "wrong order", default));

        Assert.Equal(WorkflowSubStatus.Cancelled, (await Host.FindAsync(id))!.SubStatus);
        Assert.Equal(0, await Host.Database.QueryAsync<long>("select count(*) from conclave.bookmark"));
        var done = Assert.Single(await DoneAsync(id));
        Assert.Equal(("cancel", "ann", "wrong order"), (done.Operation, done.Actor, done.Reason));
        Assert.Contains("Event:go:Canceled", await Host.TraceAsync(id));
        await RefusedAsync("instance.ended", id, () => Operations.CancelAsync(Tenant, id, "ann", null, default));
    }

    [Fact]
    public async Task Cancel_BurstRuns_IsStoppedAfterTheActivityThatRuns()
    {
        await Host.PublishAsync(Workflow("endless", """
            { "id": "loop", "type": "Elsa.While", "version": 1, "condition": true, "body": { "id": "slow", "type": "Test.Slow", "version": 1 } }
            """));
        var id = await Host.EnqueueAsync("endless");
        await TestRuntime.UntilAsync(() => Task.FromResult(Slow.Running.ContainsKey(id)));

        Assert.False(await Operations.CancelAsync(Tenant, id, "ann", "endless", default));

        await Host.WaitAsync(id, WorkflowSubStatus.Cancelled, 20);
        var done = Assert.Single(await DoneAsync(id));
        Assert.Equal(("cancel", "ann", "endless"), (done.Operation, done.Actor, done.Reason));
        await TestRuntime.UntilAsync(async () => await Host.Database.QueryAsync<long>("select count(*) from conclave.work_item") == 0);
    }

    [Fact]
    public async Task Cancel_InstanceWithChildren_CancelsTheirChildrenToo()
    {
        await Host.PublishAsync(Workflow("leaf", Event("never")));
        await Host.PublishAsync(Workflow("busy", """
            { "id": "loop", "type": "Elsa.While", "version": 1, "condition": true, "body": { "id": "slow", "type": "Test.Slow", "version": 1 } }
            """));
        await Host.PublishAsync(Workflow("middle", Sequence(
            "seq",
            """{ "id": "spawn", "type": "Elsa.DispatchWorkflow", "version": 1, "workflowDefinitionId": "busy", "waitForCompletion": false }""",
            """{ "id": "call", "type": "Elsa.ExecuteWorkflow", "version": 1, "workflowDefinitionId": "leaf", "waitForCompletion": true }""")));
        await Host.PublishAsync(Workflow("top", """
            { "id": "call", "type": "Elsa.DispatchWorkflow", "version": 1, "workflowDefinitionId": "middle", "waitForCompletion": true }
            """));
        var top = await Host.EnqueueAsync("top");
        await TestRuntime.UntilAsync(async () =>
            (await AllAsync()).Count == 4 && (await AllAsync()).Count(i => i.SubStatus == WorkflowSubStatus.Suspended) == 3 && !Slow.Running.IsEmpty);

        Assert.True(await Operations.CancelAsync(Tenant, top, "ann", "all of it", default));

        await TestRuntime.UntilAsync(async () => (await AllAsync()).All(i => i.SubStatus == WorkflowSubStatus.Cancelled), 20);
        foreach (var instance in await AllAsync())
        {
            var done = Assert.Single(await DoneAsync(instance.Id));
            Assert.Equal(("cancel", "ann", "all of it"), (done.Operation, done.Actor, done.Reason));
        }

        Task<List<InstanceSummary>> AllAsync() => Host.Runtime.Instances.ListAsync(Tenant, new InstanceFilter(), null, 100, default);
    }

    [Fact]
    public async Task Cancel_Unknown_IsRefused() =>
        await RefusedAsync("instance.not_found", "nobody", () => Operations.CancelAsync(Tenant, "nobody", "ann", null, default));

    [Fact]
    public async Task Bulk_HundredsByFilter_AreAllCancelledAndFailuresAreListed()
    {
        await Host.PublishAsync(Workflow("waits", Event("go")));
        for (var i = 0; i < 450; i++)
            await Host.StartAsync("waits", new WorkflowStart { InstanceId = $"i{i:000}" });
        await Operations.CancelAsync(Tenant, "i007", "ann", null, default);

        var some = await InstanceOperations.BulkAsync(
            ["i000", "i007", "none"], (id, token) => Operations.CancelAsync(Tenant, id, "ann", "bulk", token), default);
        var all = await Operations.BulkAsync(
            Tenant,
            new InstanceFilter { DefinitionId = "waits" },
            (id, token) => Operations.CancelAsync(Tenant, id, "ann", "bulk", token),
            default);

        Assert.Equal(1, some.Done);
        Assert.Equal([("i007", "instance.ended"), ("none", "instance.not_found")], some.Failed.Select(f => (f.Id, f.Code)));
        Assert.Equal(448, all.Done);
        Assert.Equal(["i000", "i007"], all.Failed.Select(f => f.Id));
        Assert.Equal(450, await Host.Database.QueryAsync<long>("select count(*) from conclave.workflow_instance where sub_status = 4"));
    }
}
