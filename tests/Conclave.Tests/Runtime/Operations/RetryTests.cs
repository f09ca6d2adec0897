using Conclave.Workflows.Execution;

namespace Conclave.Tests.Runtime.Operations;

public sealed class RetryTests : OperationsTest
{
    public static TheoryData<string, string, string> Shapes => new()
    {
        { "sequence", Sequence("root", Write("a"), Fails(), Write("b")), "" },
        { "counters", Flowchart("root", [Write("a"), Fails(), Write("b")], "a->flaky", "flaky->b"), "" },
        { "tokens", Flowchart("root", [Write("a"), Fails(), Write("b")], "a->flaky", "flaky->b"), """ "customProperties": { "Flowchart:ExecutionMode": "TokenBased" }, """ },
        { "parallel", Sequence("root", Parallel("all", Write("a"), Fails(), Write("c")), Write("b")), "" },
        { "if", Sequence("root", Write("a"), $$"""{ "id": "if", "type": "Elsa.If", "version": 1, "condition": true, "then": {{Fails()}} }""", Write("b")), "" },
        { "switch", Sequence("root", Write("a"), $$"""{ "id": "switch", "type": "Elsa.Switch", "version": 1, "cases": [], "default": {{Fails()}} }""", Write("b")), "" },
        { "nested", Sequence("root", Write("a"), Sequence("inner", Fails()), Write("b")), "" },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task Retry_PassesTheSecondTime_GoesOnAndRepeatsNothing(string name, string root, string more)
    {
        await Host.PublishAsync(Workflow(name, root, more));
        var id = (await Host.StartAsync(name)).Instance.Id;
        Assert.Equal(WorkflowSubStatus.Faulted, (await Host.FindAsync(id))!.SubStatus);

        await Operations.RetryAsync(Tenant, id, null, "ann", "still broken", default);
        Assert.Equal((WorkflowSubStatus.Faulted, 1), ((await Host.FindAsync(id))!.SubStatus, (await Host.FindAsync(id))!.IncidentCount));
        Flaky.Healed[id] = true;
        var instance = await Operations.RetryAsync(Tenant, id, null, "ann", "mended", default);

        Assert.Equal(WorkflowSubStatus.Finished, instance.SubStatus);
        Assert.Empty(instance.Incidents);
        Assert.NotNull((await Host.FindAsync(id))!.FinishedAt);
        Assert.All((await CompletedAsync(id)).Values, times => Assert.Equal(1, times));
        Assert.Contains("b", (await CompletedAsync(id)).Keys);
        Assert.Equal(["retry", "retry"], (await DoneAsync(id)).Select(o => o.Operation));
        Assert.Contains("flaky", (await DoneAsync(id))[1].Details, StringComparison.Ordinal);
        await RefusedAsync("instance.ended", id, () => Operations.RetryAsync(Tenant, id, null, "ann", null, default));
    }

    [Fact]
    public async Task Retry_InALoop_GoesOnWithTheSameItem()
    {
        await Host.PublishAsync(Workflow("loop", $$"""
            { "id": "each", "type": "Elsa.ForEach", "version": 1, "items": { "typeName": "Object", "expression": { "type": "Object", "value": "[1,2,3]" } },
              "currentValue": { "memoryReference": { "id": "last" } },
              "body": {{Sequence("body", Write("a"), Fails(), Write("b"))}} }
            """, """ "variables": [ { "id": "last", "name": "Last", "typeName": "Int32" } ], """));
        var id = (await Host.StartAsync("loop")).Instance.Id;

        Flaky.Healed[id] = true;
        var instance = await Operations.RetryAsync(Tenant, id, null, "ann", null, default);

        Assert.Equal(WorkflowSubStatus.Finished, instance.SubStatus);
        Assert.Equal(3, instance.GetVariable(instance.Graph.Root.Variables[0]));
        Assert.Equal((3, 3, 3), ((await CompletedAsync(id))["a"], (await CompletedAsync(id))["flaky"], (await CompletedAsync(id))["b"]));
    }

    [Fact]
    public async Task Retry_InsideAWorkflowUsedAsAnActivity_GoesOn()
    {
        await Host.PublishAsync("""{ "definitionId": "part", "name": "Part", "options": { "usableAsActivity": true }, "root": """ + Sequence("root", Write("a"), Fails()) + " }");
        await Host.PublishAsync(Workflow("whole", Sequence("root", """{ "id": "part", "type": "Part", "version": 1, "workflowDefinitionId": "part" }""", Write("b"))));
        var id = (await Host.StartAsync("whole")).Instance.Id;
        Assert.Equal("not today", (await Host.ReadAsync(id)).Incidents[0].Message);

        Flaky.Healed[id] = true;
        Assert.Equal(WorkflowSubStatus.Finished, (await Operations.RetryAsync(Tenant, id, null, "ann", null, default)).SubStatus);

        Assert.Equal(1, (await CompletedAsync(id))["a"]);
    }

    [Fact]
    public async Task Retry_ContinuesWithIncidents_OneOfTwoAndThenTheOther()
    {
        await Host.PublishAsync(Workflow("two", Parallel("all", Fails("one"), Fails("two"), Event("go")), ContinuesWithIncidents));
        var id = (await Host.StartAsync("two")).Instance.Id;
        var incidents = (await Host.ReadAsync(id)).Incidents;
        Assert.Equal((WorkflowSubStatus.Suspended, 2), ((await Host.FindAsync(id))!.SubStatus, incidents.Count));
        await RefusedAsync("instance.nothing_to_retry", id, () => Operations.RetryAsync(Tenant, id, 1, "ann", null, default));

        Flaky.Healed[id] = true;
        await Operations.RetryAsync(Tenant, id, incidents[1].ActivityInstance, "ann", null, default);
        Assert.Equal(["one"], (await Host.ReadAsync(id)).Incidents.Select(i => i.ActivityId));
        await Operations.RetryAsync(Tenant, id, null, "ann", null, default);
        await Host.PublishEventAsync("go");

        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
        Assert.All((await CompletedAsync(id)).Values, times => Assert.Equal(1, times));
    }

    [Fact]
    public async Task Retry_NothingFaulted_IsRefused()
    {
        await Host.PublishAsync(Workflow("waits", Event("go")));
        var id = (await Host.StartAsync("waits")).Instance.Id;

        await RefusedAsync("instance.nothing_to_retry", id, () => Operations.RetryAsync(Tenant, id, null, "ann", null, default));
    }

    [Fact]
    public async Task Retry_WhatIsAroundCouldNotGoOn_IsRefused()
    {
        // The condition is read again when the body has completed, and is no boolean by then.
        await Host.PublishAsync(Workflow("callback", """
            { "id": "while", "type": "Elsa.While", "version": 1,
              "condition": { "typeName": "Boolean", "expression": { "type": "Variable", "value": { "id": "on" } } },
              "body": { "id": "set", "type": "Elsa.SetVariable", "version": 1, "variable": { "id": "on", "name": "on" }, "value": "nonsense" } }
            """, """ "variables": [ { "id": "on", "name": "on", "typeName": "Object", "value": true } ], """));
        var id = (await Host.StartAsync("callback")).Instance.Id;
        Assert.Equal(WorkflowSubStatus.Faulted, (await Host.FindAsync(id))!.SubStatus);

        var refused = await RefusedAsync("instance.cannot_retry", id, () => Operations.RetryAsync(Tenant, id, null, "ann", null, default));
        Assert.Contains("'set'", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Retry_EventAndChildEndedWhileItWasFaulted_StillWaitsAndHearsOfTheChild()
    {
        await Host.PublishAsync(Workflow("child", Event("child-go")));
        await Host.PublishAsync(Workflow("parent", Parallel(
            "all",
            """{ "id": "call", "type": "Elsa.DispatchWorkflow", "version": 1, "workflowDefinitionId": "child", "waitForCompletion": true }""",
            Event("go"),
            """{ "id": "nap", "type": "Elsa.Delay", "version": 1, "timeSpan": "00:00:00.1" }""",
            Sequence("bad", Write("a"), Fails()))));
        var id = (await Host.StartAsync("parent")).Instance.Id;
        Assert.Equal(WorkflowSubStatus.Faulted, (await Host.FindAsync(id))!.SubStatus);
        await Host.WaitAsync($"{id}-{(await Host.ReadAsync(id)).Bookmarks.First(b => b.Context.Node.Id == "call").Context.Number}", WorkflowSubStatus.Suspended);
        await Host.PublishEventAsync("child-go");
        await Host.PublishEventAsync("go");
        await Task.Delay(300);
        await TestRuntime.UntilAsync(async () => await Host.Database.QueryAsync<long>("select count(*) from conclave.work_item") == 0);

        Flaky.Healed[id] = true;
        await Operations.RetryAsync(Tenant, id, null, "ann", null, default);
        await TestRuntime.UntilAsync(async () => (await Host.ReadAsync(id)).Bookmarks.Count == 1);
        await Host.PublishEventAsync("go");

        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
    }

    [Fact]
    public async Task Retry_ChildOfABulkDispatch_TellsItsParentOnce()
    {
        await Host.PublishAsync(Workflow("child", Sequence("root", Fails(), Event("later"))));
        await Host.PublishAsync(Workflow("parent", """
            { "id": "bulk", "type": "Elsa.BulkDispatchWorkflows", "version": 1, "workflowDefinitionId": "child", "waitForCompletion": true,
              "items": { "typeName": "Object", "expression": { "type": "Object", "value": "[1,2]" } } }
            """));
        var parent = Guid.NewGuid().ToString("N");
        Flaky.Healed[$"{parent}-2-2"] = true;
        await Host.EnqueueAsync("parent", new WorkflowStart { InstanceId = parent });
        await Host.WaitAsync($"{parent}-2-1", WorkflowSubStatus.Faulted);
        await TestRuntime.UntilAsync(async () => (await Host.ReadAsync(parent)).Bookmarks is [{ Context.Counter: 1 }]);

        Flaky.Healed[$"{parent}-2-1"] = true;
        await Operations.RetryAsync(Tenant, $"{parent}-2-1", null, "ann", null, default);
        await Host.PublishEventAsync("later", instanceId: $"{parent}-2-1");
        await Host.WaitAsync($"{parent}-2-1", WorkflowSubStatus.Finished);
        await TestRuntime.UntilAsync(async () => await Host.Database.QueryAsync<long>("select count(*) from conclave.work_item") == 0);
        Assert.Equal(WorkflowSubStatus.Suspended, (await Host.FindAsync(parent))!.SubStatus);

        await Host.PublishEventAsync("later", instanceId: $"{parent}-2-2");
        await Host.WaitAsync(parent, WorkflowSubStatus.Finished);
    }
}
