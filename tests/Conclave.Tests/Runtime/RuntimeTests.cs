using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Tests.Runtime;

public sealed class RuntimeTests : IAsyncLifetime
{
    private const string WaitsForPaid = """
        { "id": "orders-1", "definitionId": "orders", "name": "Orders",
          "root": { "id": "seq", "type": "Elsa.Sequence", "version": 1, "activities": [
            { "id": "before", "type": "Elsa.WriteLine", "version": 1, "text": "before" },
            { "id": "paid", "type": "Elsa.Event", "version": 1, "eventName": "Paid", "result": { "memoryReference": { "id": "what" } } },
            { "id": "after", "type": "Elsa.WriteLine", "version": 1, "text": "after" } ] },
          "variables": [ { "id": "what", "name": "What", "typeName": "Object" } ] }
        """;

    private TestRuntime _host = null!;

    public async Task InitializeAsync() => _host = await TestRuntime.StartAsync();

    public Task DisposeAsync() => _host.DisposeAsync().AsTask();

    [Fact]
    public async Task Enqueue_WorkflowThatEnds_IsFinishedWithItsJournal()
    {
        await _host.PublishAsync("""{ "definitionId": "line", "root": { "id": "say", "type": "Elsa.WriteLine", "version": 1, "text": "hello" } }""");

        var id = await _host.EnqueueAsync("line");

        var finished = await _host.WaitAsync(id, WorkflowSubStatus.Finished);
        Assert.NotNull(finished.FinishedAt);
        Assert.Equal(["Workflow:Workflow1:Started", "WriteLine:say:Started", "WriteLine:say:Completed", "Workflow:Workflow1:Completed"], await _host.TraceAsync(id));
        Assert.Equal(0, (await _host.Runtime.Queue.GetStatsAsync(null, default)).Claimed);
    }

    [Fact]
    public async Task Event_InstanceWaits_ResumesItWithThePayload()
    {
        await _host.PublishAsync(WaitsForPaid);
        var run = await _host.StartAsync("orders");
        Assert.Equal((CommitOutcome.Stored, WorkflowSubStatus.Suspended), (run.Outcome, run.Instance.SubStatus));

        await _host.PublishEventAsync("Paid", 42);

        await _host.WaitAsync(run.Instance.Id, WorkflowSubStatus.Finished);
        var instance = await _host.ReadAsync(run.Instance.Id);
        Assert.Equal(42, instance.GetVariable(instance.Graph.Root.Variables[0]));
        Assert.Equal(2, instance.Bursts);
    }

    [Fact]
    public async Task Event_ForAnInstanceThatDoesNotWaitYet_WaitsForIt()
    {
        await _host.PublishAsync(WaitsForPaid);

        await _host.PublishEventAsync("Paid", 1, instanceId: "early");
        await _host.EnqueueAsync("orders", new WorkflowStart { InstanceId = "early" });

        await _host.WaitAsync("early", WorkflowSubStatus.Finished);
    }

    [Fact]
    public async Task Event_ForACorrelationIdThatNobodyHasYet_WaitsForIt()
    {
        await _host.PublishAsync(WaitsForPaid);

        await _host.PublishEventAsync("Paid", 1, correlationId: "order-7");
        var other = await _host.EnqueueAsync("orders", new WorkflowStart { CorrelationId = "order-8" });
        var id = await _host.EnqueueAsync("orders", new WorkflowStart { CorrelationId = "order-7" });

        await _host.WaitAsync(id, WorkflowSubStatus.Finished);
        await _host.WaitAsync(other, WorkflowSubStatus.Suspended);
    }

    [Fact]
    public async Task Event_SameIdFiftyTimesAtOnce_IsDeliveredOnce()
    {
        await _host.PublishAsync("""
            { "definitionId": "twice", "root": { "id": "seq", "type": "Elsa.Sequence", "version": 1, "activities": [
                { "id": "one", "type": "Elsa.Event", "version": 1, "eventName": "Go" },
                { "id": "two", "type": "Elsa.Event", "version": 1, "eventName": "Go" } ] } }
            """);
        var run = await _host.StartAsync("twice");

        await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => _host.PublishEventAsync("Go", id: "once", instanceId: run.Instance.Id)));

        await TestRuntime.UntilAsync(async () => (await _host.ReadAsync(run.Instance.Id)).Bursts == 2);
        Assert.Equal(WorkflowSubStatus.Suspended, (await _host.FindAsync(run.Instance.Id))!.SubStatus);
        await _host.PublishEventAsync("Go", id: "again", instanceId: run.Instance.Id);
        await _host.WaitAsync(run.Instance.Id, WorkflowSubStatus.Finished);
    }

    [Fact]
    public async Task Event_IsTheTriggerOfAWorkflow_StartsItOncePerId()
    {
        await _host.PublishAsync("""
            { "definitionId": "on-go", "root": { "id": "go", "type": "Elsa.Event", "version": 1, "eventName": "Go", "customProperties": { "canStartWorkflow": true } } }
            """);

        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => _host.PublishEventAsync("Go", id: "go-1")));
        await _host.PublishEventAsync("Go", id: "go-2");

        await TestRuntime.UntilAsync(async () =>
            (await _host.Runtime.Instances.ListAsync(TestRuntime.Tenant, new InstanceFilter { SubStatus = WorkflowSubStatus.Finished }, null, 10, default)).Count == 2);
    }

    [Fact]
    public async Task Delay_Short_ResumesByItself()
    {
        await _host.PublishAsync("""
            { "definitionId": "nap", "root": { "id": "nap", "type": "Elsa.Delay", "version": 1, "timeSpan": "00:00:00.2" } }
            """);

        var run = await _host.StartAsync("nap");
        Assert.Equal(WorkflowSubStatus.Suspended, run.Instance.SubStatus);

        var finished = await _host.WaitAsync(run.Instance.Id, WorkflowSubStatus.Finished);
        Assert.True(finished.FinishedAt - finished.CreatedAt >= TimeSpan.FromMilliseconds(200));
    }

    [Fact]
    public async Task Dispatch_ParentWaits_GetsTheOutputsOfItsChild()
    {
        await _host.PublishAsync("""
            { "definitionId": "child", "outputs": [ { "name": "Answer", "type": "Int32" } ],
              "root": { "id": "seq", "type": "Elsa.Sequence", "version": 1, "activities": [
                { "id": "nap", "type": "Elsa.Delay", "version": 1, "timeSpan": "00:00:00.05" },
                { "id": "set", "type": "Elsa.SetOutput", "version": 1, "outputName": "Answer", "outputValue": 42 } ] } }
            """);
        await _host.PublishAsync("""
            { "definitionId": "parent", "variables": [ { "id": "r", "name": "R", "typeName": "Object" } ],
              "root": { "id": "call", "type": "Elsa.DispatchWorkflow", "version": 1, "workflowDefinitionId": "child", "waitForCompletion": true, "result": { "memoryReference": { "id": "r" } } } }
            """);

        var id = await _host.EnqueueAsync("parent");

        await _host.WaitAsync(id, WorkflowSubStatus.Finished);
        var parent = await _host.ReadAsync(id);
        Assert.Equal("""{"Answer":42}""", ValueConverter.ToText(parent.GetVariable(parent.Graph.Root.Variables[0])));
    }

    [Fact]
    public async Task BulkDispatch_ManyChildren_AllEndAndTheParentOnce()
    {
        await _host.PublishAsync("""{ "definitionId": "child", "root": { "id": "say", "type": "Elsa.WriteLine", "version": 1, "text": "hi" } }""");
        var items = string.Join(",", Enumerable.Range(0, 300));
        await _host.PublishAsync($$"""
            { "definitionId": "parent", "root": { "id": "all", "type": "Elsa.BulkDispatchWorkflows", "version": 1, "workflowDefinitionId": "child",
                "items": { "typeName": "Object", "expression": { "type": "Object", "value": "[{{items}}]" } } } }
            """);

        var id = await _host.EnqueueAsync("parent");

        await _host.WaitAsync(id, WorkflowSubStatus.Finished);
        var children = await _host.Runtime.Instances.ListAsync(TestRuntime.Tenant, new InstanceFilter { ParentId = id }, null, 1_000, default);
        Assert.Equal(300, children.Count(c => c.SubStatus == WorkflowSubStatus.Finished));
        Assert.Single(await _host.TraceAsync(id), t => t == "Workflow:Workflow1:Completed");
    }

    [Fact]
    public async Task Singleton_OneRuns_TheSecondIsRefused()
    {
        await _host.PublishAsync("""
            { "definitionId": "only", "options": { "activationStrategyType": "Elsa.Workflows.Runtime.ActivationValidators.SingletonStrategy, Elsa.Workflows.Runtime" },
              "root": { "id": "go", "type": "Elsa.Event", "version": 1, "eventName": "Go" } }
            """);

        var runs = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _host.StartAsync("only")));
        var first = Assert.Single(runs, r => r.Outcome == CommitOutcome.Stored);
        Assert.All(runs.Where(r => r != first), r => Assert.Equal(CommitOutcome.Refused, r.Outcome));

        await _host.PublishEventAsync("Go");
        await _host.WaitAsync(first.Instance.Id, WorkflowSubStatus.Finished);
        Assert.Equal(CommitOutcome.Stored, (await _host.StartAsync("only")).Outcome);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Dispatch_SingletonThatRuns_IsNotStartedAndTheParentHearsIfItWaits(bool waits)
    {
        await PublishSingletonAsync();
        await _host.PublishAsync($$"""
            { "definitionId": "parent", "root": { "id": "call", "type": "Elsa.DispatchWorkflow", "version": 1, "workflowDefinitionId": "only", "waitForCompletion": {{(waits ? "true" : "false")}} } }
            """);
        var running = (await _host.StartAsync("only")).Instance.Id;

        var id = await _host.EnqueueAsync("parent");

        await _host.WaitAsync(id, waits ? WorkflowSubStatus.Faulted : WorkflowSubStatus.Finished);
        if (waits)
            Assert.Contains("activation strategy", Assert.Single((await _host.ReadAsync(id)).Incidents).Message, StringComparison.Ordinal);
        Assert.Equal([running], (await _host.Runtime.Instances.ListAsync(TestRuntime.Tenant, new InstanceFilter { DefinitionId = "only" }, null, 10, default)).Select(i => i.Id));
        Assert.Equal(0, (await _host.Runtime.Queue.GetStatsAsync(null, default)).Dead);
    }

    [Fact]
    public async Task BulkDispatch_Singleton_StartsOneAndTheParentEnds()
    {
        await PublishSingletonAsync();
        await _host.PublishAsync("""
            { "definitionId": "parent", "root": { "id": "all", "type": "Elsa.BulkDispatchWorkflows", "version": 1, "workflowDefinitionId": "only",
                "childFaulted": { "id": "missed", "type": "Elsa.WriteLine", "version": 1, "text": "missed" },
                "items": { "typeName": "Object", "expression": { "type": "Object", "value": "[1,2,3]" } } } }
            """);

        var id = await _host.EnqueueAsync("parent");

        await TestRuntime.UntilAsync(async () => (await _host.TraceAsync(id)).Count(t => t == "WriteLine:missed:Completed") == 2);
        await _host.PublishEventAsync("Go");
        await _host.WaitAsync(id, WorkflowSubStatus.Finished);
        Assert.Single(await _host.Runtime.Instances.ListAsync(TestRuntime.Tenant, new InstanceFilter { ParentId = id }, null, 10, default));
    }

    private Task<StoredDefinition> PublishSingletonAsync() => _host.PublishAsync("""
        { "definitionId": "only", "options": { "activationStrategyType": "Elsa.Workflows.Runtime.ActivationValidators.SingletonStrategy, Elsa.Workflows.Runtime" },
          "root": { "id": "go", "type": "Elsa.Event", "version": 1, "eventName": "Go" } }
        """);

    [Fact]
    public async Task LargeValue_IsKeptBesideTheInstanceAndGoneWithIt()
    {
        await _host.PublishAsync("""
            { "definitionId": "large", "inputs": [ { "name": "Text", "type": "String" } ],
              "root": { "id": "go", "type": "Elsa.Event", "version": 1, "eventName": "Go" } }
            """);
        var text = new string('x', 200_000);
        var run = await _host.StartAsync("large", new WorkflowStart { Input = new Dictionary<string, object?> { ["Text"] = text } });

        Assert.Equal(1, await _host.Database.QueryAsync<long>("select count(*) from conclave.blob"));
        Assert.True(await _host.Database.QueryAsync<int>("select length(state) from conclave.workflow_instance") < 1_000);
        await _host.PublishEventAsync("Go");
        await _host.WaitAsync(run.Instance.Id, WorkflowSubStatus.Finished);
        Assert.Equal(text, (await _host.ReadAsync(run.Instance.Id)).Input["Text"]);
        Assert.True(await _host.Runtime.Instances.DeleteAsync(TestRuntime.Tenant, run.Instance.Id, default));
        Assert.Equal(0, await _host.Database.QueryAsync<long>("select count(*) from conclave.blob"));
    }

    [Fact]
    public async Task Publish_RouteOfAnotherWorkflow_IsRefusedAndChangesNothing()
    {
        const string Endpoint = """
            { "definitionId": "ID", "root": { "id": "hook", "type": "Elsa.HttpEndpoint", "version": 1, "path": "PATH", "supportedMethods": ["POST"], "customProperties": { "canStartWorkflow": true } } }
            """;
        await _host.PublishAsync(Endpoint.Replace("ID", "one").Replace("PATH", "orders/{id}"));

        var refusal = await Assert.ThrowsAsync<Workflows.Definitions.WorkflowDefinitionException>(
            () => _host.PublishAsync(Endpoint.Replace("ID", "two").Replace("PATH", "/Orders/{number}/")));

        Assert.Equal("http_endpoint.route_taken", Assert.Single(refusal.Problems).Code);
        Assert.Null(await _host.Runtime.Catalog.Store.FindLatestAsync(TestRuntime.Tenant, "two", default));
        await _host.PublishAsync(Endpoint.Replace("ID", "two").Replace("PATH", "orders/new"));
        await _host.Runtime.Catalog.RetractAsync(TestRuntime.Tenant, "one", default);
        await _host.PublishAsync(Endpoint.Replace("ID", "three").Replace("PATH", "orders/{id}"));
    }
}
