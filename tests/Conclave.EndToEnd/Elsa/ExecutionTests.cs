using System.Text.Json;
using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class ExecutionTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Records_Finished_HaveElsasMembersAndValues()
    {
        await _server.PublishAsync(_id, Flows.Of("Steps", Sequence("s", Write("w", "hello"), Flows.SetOutput("1+1"))));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Finished");

        var record = Assert.Single(await _server.ItemsAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={id}&ActivityNodeId=Workflow1%3As%3Aw"));

        Assert.Equal(
            [
                "id", "workflowInstanceId", "activityId", "activityNodeId", "activityType", "activityTypeVersion", "activityState", "payload", "schedulingActivityExecutionId",
                "schedulingActivityId", "schedulingWorkflowInstanceId", "callStackDepth", "startedAt", "hasBookmarks", "status", "aggregateFaultCount", "completedAt",
            ],
            record.EnumerateObject().Select(p => p.Name));
        Assert.Equal("""{"Text":"hello"}""", record.GetProperty("activityState").GetRawText());
        Assert.Equal("""{"Outcomes":["Done"]}""", record.GetProperty("payload").GetRawText());
        Assert.Equal(("Completed", "w", "Elsa.WriteLine", "2"), (record.Text("status"), record.Text("activityId"), record.Text("activityType"), record.Text("callStackDepth")));
        Assert.Equal("s", record.Text("schedulingActivityId"));
        var summary = Assert.Single(await _server.ItemsAsync($"/elsa/api/activity-execution-summaries/list?WorkflowInstanceId={id}&ActivityNodeId=Workflow1%3As%3Aw"));
        Assert.Equal(
            ["id", "workflowInstanceId", "activityId", "activityNodeId", "activityType", "activityTypeVersion", "startedAt", "hasBookmarks", "status", "aggregateFaultCount", "completedAt"],
            summary.EnumerateObject().Select(p => p.Name));
        Assert.Equal(record.GetRawText(), (await _server.GetAsync($"/elsa/api/activity-executions/by-id?id={record.Text("id")}")).GetRawText());
        Assert.Equal(record.GetRawText(), (await _server.GetAsync($"/elsa/api/activity-executions/{record.Text("id")}")).GetRawText());
        var output = Assert.Single(await _server.ItemsAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={id}&ActivityNodeId=Workflow1:s:out"));
        Assert.Equal(2, output.GetProperty("activityState").GetProperty("OutputValue").GetInt32());

        (await _server.CallAsync("GET /elsa/api/activity-executions/by-id?id=nobody-1")).Is(404);
        (await _server.CallAsync("GET /elsa/api/activity-executions/by-id")).Is(400);
        (await _server.CallAsync("GET /elsa/api/activity-executions/list")).Is(400);
        Assert.Empty(await _server.ItemsAsync("/elsa/api/activity-executions/list?WorkflowInstanceId=nobody&ActivityNodeId=Workflow1"));
    }

    [Fact]
    public async Task Records_OfALoop_AreCountedAndFiltered()
    {
        var loop = Activity("For", "loop", ("start", Literal(1)), ("end", Literal(4)), ("body", Sequence("body", Write("in"), Event($"{_id}"))));
        await _server.PublishAsync(_id, Flows.Of("Loop", Sequence("s", loop)));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");
        await _server.PostAsync($"/api/events/{_id}", "{}");
        await ServerProcess.UntilAsync(async () => await CountAsync("in", "") == 2 && (await _server.GetAsync($"/api/instances/{id}")).Text("subStatus") == "Suspended", "the second round waits");
        var path = $"WorkflowInstanceId={id}&ActivityNodeId=Workflow1:s:loop:body:{_id}";

        var records = await _server.ItemsAsync($"/elsa/api/activity-executions/list?{path}");

        Assert.Equal(["Completed", "Running"], records.Select(r => r.Text("status")));
        Assert.Equal(["false", "true"], records.Select(r => r.Text("hasBookmarks").ToLowerInvariant()));
        Assert.All(records, r => Assert.True(r.TryGetProperty("activityState", out _), "Studio asks for a record without values for ever"));
        Assert.Equal(_id, records[1].GetProperty("activityState").Text("EventName"));
        Assert.Equal(records.Select(r => r.Text("startedAt")).Order(), records.Select(r => r.Text("startedAt")));
        Assert.Equal([records[0].Text("id")], (await _server.ItemsAsync($"/elsa/api/activity-execution-summaries/list?{path}&Completed=True")).Select(r => r.Text("id")));
        Assert.Equal([records[1].Text("id")], (await _server.ItemsAsync($"/elsa/api/activity-execution-summaries/list?{path}&Completed=False")).Select(r => r.Text("id")));
        Assert.Equal(2, await CountAsync(_id, ""));
        Assert.Equal(1, await CountAsync(_id, "&Completed=true"));
        var report = await _server.PostAsync("/elsa/api/activity-executions/report", $$"""{ "workflowInstanceId": "{{id}}", "activityNodeIds": ["Workflow1:s:loop:body:{{_id}}", "Workflow1:s:loop", "Workflow1:s:loop", "Workflow1:nothing"] }""");
        Assert.Equal(
            [
                $$"""{"activityId":"{{_id}}","activityNodeId":"Workflow1:s:loop:body:{{_id}}","startedCount":2,"completedCount":1,"uncompletedCount":1,"isBlocked":true,"isFaulted":false,"aggregateFaultCount":0}""",
                """{"activityId":"loop","activityNodeId":"Workflow1:s:loop","startedCount":1,"completedCount":0,"uncompletedCount":1,"isBlocked":false,"isFaulted":false,"aggregateFaultCount":0}""",
            ],
            report.GetProperty("stats").EnumerateArray().Select(s => s.GetRawText()));
        return;

        async Task<int> CountAsync(string activity, string more) =>
            (await _server.GetAsync($"/elsa/api/activity-executions/count?WorkflowInstanceId={id}&ActivityId={activity}{more}")).GetProperty("count").GetInt32();
    }

    [Fact]
    public async Task Records_FaultedAndRetried_TellBothExecutions()
    {
        var faulty = Activity("SetVariable", "f", ("variable", new JsonObject { ["id"] = "n", ["name"] = "n" }), ("value", Flows.JavaScript("if (getOk() === 'no') throw new Error('broken'); return 'done'")));
        await _server.PublishAsync(_id, Flows.Of("Faulty", Activity("Parallel", "p", ("activities", new JsonArray(Event(_id), faulty))), Variable("n", "String"), Variable("ok", "String", "no"))
            .With(("options", new JsonObject { ["incidentStrategyType"] = "ContinueWithIncidentsStrategy" })));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");

        var faulted = Assert.Single(await RecordsAsync());
        Assert.Equal(("Faulted", "1"), (faulted.Text("status"), faulted.Text("aggregateFaultCount")));
        Assert.Contains("broken", faulted.GetProperty("exception").Text("message"), StringComparison.Ordinal);
        Assert.False(faulted.TryGetProperty("completedAt", out _));
        Assert.Equal((true, 1), await StatsAsync("Workflow1:p:f"));
        // What is around it counts the fault, and did not fault.
        Assert.Equal((false, 1), await StatsAsync("Workflow1:p"));
        Assert.Equal("False", await RetryAsync("nothing"));
        Assert.Equal("True", await RetryAsync("f"));
        Assert.Equal((true, 2), await StatsAsync("Workflow1:p:f"));
        await _server.PostAsync($"/elsa/api/workflow-instances/{id}/variables", """{ "variables": [{ "id": "ok", "value": "yes" }] }""");
        Assert.Equal("True", await RetryAsync("f"));

        Assert.Equal(["Faulted", "Faulted", "Completed"], (await RecordsAsync()).Select(r => r.Text("status")));
        Assert.Equal((false, 2), await StatsAsync("Workflow1:p:f"));
        return;

        Task<List<JsonElement>> RecordsAsync() => _server.ItemsAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={id}&ActivityNodeId=Workflow1:p:f");

        async Task<string> RetryAsync(string activity) => Assert.Single((await _server.PostAsync(
            "/elsa/api/alterations/workflows/retry", $$"""{ "workflowInstanceIds": ["{{id}}"], "activityIds": ["{{activity}}"] }""")).GetProperty("results").EnumerateArray()).Text("isSuccessful");

        async Task<(bool, int)> StatsAsync(string nodeId)
        {
            var report = await _server.PostAsync("/elsa/api/activity-executions/report", $$"""{ "workflowInstanceId": "{{id}}", "activityNodeIds": ["{{nodeId}}"] }""");
            var stats = Assert.Single(report.GetProperty("stats").EnumerateArray());
            return (stats.GetProperty("isFaulted").GetBoolean(), stats.GetProperty("aggregateFaultCount").GetInt32());
        }
    }

    [Fact]
    public async Task Retries_OfAnActivity_AreListed()
    {
        var fault = Activity("SetVariable", "f", ("variable", new JsonObject { ["id"] = "n", ["name"] = "n" }), ("value", Flows.JavaScript("throw new Error('broken')")))
            .With(("customProperties", new JsonObject { ["retry"] = new JsonObject { ["maxRetryAttempts"] = 2, ["delay"] = "00:00:00.02", ["backoffType"] = "Constant", ["useJitter"] = false } }));
        await _server.PublishAsync(_id, Flows.Of("Retried", Sequence("s", fault), Variable("n", "String")));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Faulted");

        var record = Assert.Single(await _server.ItemsAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={id}&ActivityNodeId=Workflow1:s:f"));
        var retries = await _server.GetAsync($"/elsa/api/resilience/retries/{record.Text("id")}");

        Assert.True(record.GetProperty("metadata").GetProperty("HasRetryAttempts").GetBoolean());
        Assert.Equal(2, record.GetProperty("properties").GetProperty("ResilienceStrategy").GetProperty("maxRetryAttempts").GetInt32());
        Assert.Equal(2, retries.GetProperty("totalCount").GetInt32());
        Assert.Equal([1, 2], retries.GetProperty("items").EnumerateArray().Select(i => i.GetProperty("attemptNumber").GetInt32()));
        Assert.All(retries.GetProperty("items").EnumerateArray(), i =>
        {
            Assert.Contains("broken", i.GetProperty("details").Text("Message"), StringComparison.Ordinal);
            Assert.True(TimeSpan.Parse(i.Text("retryDelay"), System.Globalization.CultureInfo.InvariantCulture) >= TimeSpan.FromMilliseconds(10));
        });
        Assert.Equal(["id", "activityInstanceId", "activityId", "workflowInstanceId", "attemptNumber", "retryDelay", "details"], retries.GetProperty("items")[0].EnumerateObject().Select(p => p.Name));
        var strategies = await _server.GetAsync("/elsa/api/resilience/strategies?category=HTTP");
        Assert.Equal(strategies.GetProperty("count").GetInt32(), strategies.GetProperty("items").GetArrayLength());
        Assert.Equal(["$type", "id", "displayName", "maxRetryAttempts", "useJitter", "delay", "backoffType"], strategies.GetProperty("items")[0].EnumerateObject().Select(p => p.Name));
    }

    [Fact]
    public async Task CallStack_OfAChild_GoesUpToTheWorkflowThatStartedIt()
    {
        var parent = SharedServer.NewId();
        await _server.PublishAsync(_id, Flows.Of("Child", Sequence("s", Write("w"))));
        await _server.PublishAsync(parent, Flows.Of("Parent", Sequence("p", Activity("DispatchWorkflow", "call", ("workflowDefinitionId", Literal(_id)), ("waitForCompletion", Literal(true))))));
        var parentId = await _server.StartAsync(parent);
        await _server.UntilAsync(parentId, "Finished");
        var childId = Assert.Single(await _server.ItemsAsync($"/api/instances?parentId={parentId}")).Text("id");
        var write = Assert.Single(await _server.ItemsAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={childId}&ActivityNodeId=Workflow1:s:w"));
        var path = $"/elsa/api/activity-executions/{write.Text("id")}/call-stack";

        var whole = await _server.GetAsync($"{path}?includeCrossWorkflowChain=True");
        var own = await _server.GetAsync($"{path}?includeCrossWorkflowChain=False");
        var part = await _server.GetAsync($"{path}?skip=1&take=2");

        Assert.Equal(["Workflow1", "p", "call", "Workflow1", "s", "w"], Ids(whole));
        Assert.Equal(write.Text("id"), whole.Text("activityExecutionId"));
        Assert.Equal(6, whole.GetProperty("totalCount").GetInt32());
        var childRoot = whole.GetProperty("items")[3];
        Assert.Equal((parentId, "call"), (childRoot.Text("schedulingWorkflowInstanceId"), childRoot.Text("schedulingActivityId")));
        Assert.Equal(["Workflow1", "s", "w"], Ids(own));
        Assert.Equal(["p", "call"], Ids(part));
        (await _server.CallAsync($"GET {path}?take=1001")).Is(400);
        (await _server.CallAsync("GET /elsa/api/activity-executions/nobody-1/call-stack")).Is(404);

        static IEnumerable<string> Ids(JsonElement stack) => stack.GetProperty("items").EnumerateArray().Select(i => i.Text("activityId"));
    }

    [Fact]
    public async Task Cancelled_InParallel_RecordsAreNotRunning()
    {
        await _server.PublishAsync(_id, Flows.Of("Parallel", Activity("Parallel", "p", ("activities", new JsonArray(Event($"{_id}"), Delay("d"))))));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");

        (await _server.CallAsync($"POST /elsa/api/cancel/workflow-instances/{id}")).Is(200);

        await _server.UntilAsync(id, "Cancelled");
        var records = await _server.ItemsAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={id}");
        Assert.Equal(4, records.Count);
        Assert.All(records, r => Assert.Equal(("Canceled", "False"), (r.Text("status"), r.Text("hasBookmarks"))));
    }
}
