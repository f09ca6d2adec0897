using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Tests.Activities;

public sealed class WaitingTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 15, 9, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Event_Resumed_GivesItsPayload()
    {
        var run = await TestRun.RunAsync(Json.Event("Paid").With(("result", Json.To("r"))), Json.Variable("r", "Object"));
        Assert.Equal("EventStimulus { EventName = Paid }", Assert.Single(run.Instance.Bookmarks).Payload.ToString());

        await run.ResumeAsync("Paid", Json.Element("{\"total\":1}"));

        run.Finished();
        Assert.Equal("{\"total\":1}", ValueConverter.ToText(run.Variable("r")));
    }

    [Fact]
    public async Task Event_ResumedTwice_RunsOnce()
    {
        var run = await TestRun.RunAsync(Json.Sequence("s", Json.Event("a"), Json.Event("b")));
        var bookmark = run.Instance.Bookmarks[0];

        await run.ResumeAsync(bookmark, null, CancellationToken.None);
        await run.ResumeAsync(bookmark, null, CancellationToken.None);

        Assert.Equal(["b"], run.Waiting());
        Assert.Equal(2, run.Instance.Bursts);
    }

    [Fact]
    public async Task Event_WithoutName_IsAProblemAndFaults()
    {
        var workflow = Json.Workflow(Json.Activity("Event", "e"));

        Assert.Contains(TestRun.Engine().Compile(workflow.Read()).Problems, p => p.Code == "event.missing_name");
        (await TestRun.Engine().RunAsync(workflow)).Faulted("has no name to wait for");
    }

    [Theory]
    [InlineData("Event", "eventName", "\"Paid\"")]
    [InlineData("Timer", "interval", "\"00:01:00\"")]
    [InlineData("Cron", "cronExpression", "\"0 * * * * *\"")]
    [InlineData("StartAt", "dateTime", "\"2026-06-01T00:00:00Z\"")]
    public async Task Trigger_ThatStartsTheWorkflow_DoesNotWait(string type, string input, string value)
    {
        JsonNode Trigger(string id) => Json.Activity(type, id, (input, Json.Literal(JsonNode.Parse(value)))).With(("result", Json.To("r")));
        var workflow = Json.Workflow(
            Json.Flowchart("f", [Json.Write("other"), Trigger("t"), Trigger("again"), Json.Write("after")], "other->t", "t->again", "again->after"), Json.Variable("r", "String"));

        var run = await TestRun.Engine(time: new ManualTime()).RunAsync(workflow, new WorkflowStart { TriggerActivityId = "t", TriggerInput = "payload" });

        Assert.Equal(["again"], run.Waiting());
        Assert.Equal(type == "Event" ? "payload" : null, run.Variable("r"));
        await run.ResumeAsync("again");
        run.Finished("after");
    }

    [Fact]
    public async Task Trigger_InALoop_WaitsTheSecondTime()
    {
        var workflow = Json.Workflow(Json.Activity("While", "w", ("condition", true), ("body", Json.Event("e"))));

        var run = await TestRun.Engine().RunAsync(workflow, new WorkflowStart { TriggerActivityId = "e" });

        Assert.Equal(["e"], run.Waiting());
        Assert.Equal(2, run.Instance.Ids(ExecutionEvent.Started).Count(id => id == "e"));
    }

    [Theory]
    [InlineData("Delay", "timeSpan", "01:30:00", "2026-01-15T10:30:00Z")]
    [InlineData("Timer", "interval", "1.00:00:00", "2026-01-16T09:00:00Z")]
    [InlineData("Cron", "cronExpression", "0 30 9 * * *", "2026-01-15T09:30:00Z")]
    [InlineData("Cron", "cronExpression", "0 0 9 * * *", "2026-01-16T09:00:00Z")]
    [InlineData("StartAt", "dateTime", "2026-02-01T00:00:00+01:00", "2026-01-31T23:00:00Z")]
    public async Task Schedule_Waits_UntilItsTime(string type, string input, string value, string due)
    {
        var run = await TestRun.Engine(time: new ManualTime(Now)).RunAsync(Json.Workflow(Json.Activity(type, "a", (input, Json.Literal(value)))));

        Assert.Equal(DateTimeOffset.Parse(due, System.Globalization.CultureInfo.InvariantCulture), Assert.Single(run.Instance.Bookmarks).DueAt);
        await run.ResumeAsync("a");
        run.Finished();
    }

    [Fact]
    public async Task StartAt_InThePast_CompletesAtOnce() =>
        (await TestRun.Engine(time: new ManualTime(Now)).RunAsync(Json.Workflow(Json.Activity("StartAt", "a", ("dateTime", Json.Literal("2026-01-15T08:59:59Z")))))).Finished();

    [Theory]
    [InlineData("-00:00:01", "negative time")]
    [InlineData("10675199.02:48:05", "beyond the year 9999")]
    public async Task Delay_ImpossibleSpan_Faults(string span, string message) => (await TestRun.RunAsync(Json.Delay("d", span))).Faulted(message);

    [Fact]
    public async Task ResumeAll_DelaysThatWait_ComeInOrderOfTime()
    {
        var run = await TestRun.RunAsync(Json.Activity("Parallel", "p", ("activities", new JsonArray(
            Json.Sequence("s1", Json.Delay("a", "02:00:00"), Json.Write("second")), Json.Sequence("s2", Json.Delay("b", "01:00:00"), Json.Write("first"))))));

        await run.ResumeAllAsync(CancellationToken.None);

        run.Finished("first", "second");
    }

    [Fact]
    public async Task RunTask_Completed_GivesIdAndResult()
    {
        var engine = TestRun.Engine();
        var graph = engine.Compile(Json.Workflow(
            Json.Activity("RunTask", "task", ("taskName", "pack"), ("payload", Json.Expression("Object", "{\"box\":2}")), ("taskId", Json.To("id")), ("result", Json.To("r"))),
            Json.Variable("id", "String"), Json.Variable("r", "Int32")).Read());
        var instance = engine.CreateInstance(graph);
        await engine.RunAsync(instance, new WorkflowHost(), CancellationToken.None);

        var task = Assert.IsType<TaskRequested>(Assert.Single(instance.TakeEffects()));
        Assert.Equal(("pack", 2), (task.TaskName, ((IReadOnlyDictionary<string, object?>)task.Payload!)["box"]));
        Assert.Equal(task.TaskId, instance.Bookmarks[0].Payload["TaskId"]);
        Assert.True(await engine.ResumeAsync(instance, instance.Bookmarks[0], "7", new WorkflowHost(), CancellationToken.None));
        Assert.Equal((WorkflowSubStatus.Finished, 7, task.TaskId), (instance.SubStatus, instance.GetVariable(graph.Root.FindVariable("r")!), instance.GetVariable(graph.Root.FindVariable("id")!)));
    }

    [Theory]
    [InlineData(true, null, "local")]
    [InlineData(false, null, "local child")]
    [InlineData(false, "c2", "child")]
    [InlineData(false, "nobody", "")]
    public async Task PublishEvent_Reaches_WhomItNames(bool isLocal, string? correlationId, string lines)
    {
        var child = Json.Workflow(Json.Sequence("s", Json.Event("go"), Json.Write("w", "child"))).With(("id", "c:1"), ("definitionId", "child"));
        var publish = Json.Activity("PublishEvent", "p", ("eventName", "go"), ("isLocalEvent", isLocal), ("correlationId", correlationId), ("payload", "data"));
        var parent = Json.Workflow(Json.Sequence(
            "root",
            Json.Activity("DispatchWorkflow", "d", ("workflowDefinitionId", "child"), ("correlationId", "c2")),
            Json.Activity("Parallel", "p", ("activities", new JsonArray(Json.Sequence("s1", Json.Event("go"), Json.Write("w", "local")), Json.Sequence("s2", Json.Event("later"), publish))))));

        var run = await TestRun.Knowing(child).RunAsync(parent, new WorkflowStart { CorrelationId = "c1" });
        await run.ResumeAsync("later");

        Assert.Equal(lines.Split(' ', StringSplitOptions.RemoveEmptyEntries), run.Lines);
    }

    [Fact]
    public async Task Cancel_WaitingInstance_CancelsEverythingInside()
    {
        var run = await TestRun.RunAsync(Json.Activity("Parallel", "p", ("activities", new JsonArray(Json.Event("a"), Json.Sequence("s", Json.Event("b"))))));

        WorkflowEngine.Cancel(run.Instance);
        WorkflowEngine.Cancel(run.Instance);

        Assert.Equal((WorkflowStatus.Finished, WorkflowSubStatus.Cancelled), (run.Instance.Status, run.Instance.SubStatus));
        Assert.Empty(run.Instance.Bookmarks);
        Assert.NotNull(run.Instance.FinishedAt);
        Assert.Equal(["a", "b", "s", "p", "Workflow1"], run.Instance.Ids(ExecutionEvent.Canceled));
        Assert.True(await run.ResumeAllAsync(CancellationToken.None));
        Assert.Equal(WorkflowSubStatus.Cancelled, TestRun.Restore(run.Instance).SubStatus);
    }

    [Fact]
    public void Cancel_InstanceThatNeverRan_IsCancelled()
    {
        var engine = TestRun.Engine();
        var instance = engine.CreateInstance(engine.Compile(Json.Workflow(Json.Write("w")).Read()));

        WorkflowEngine.Cancel(instance);

        Assert.Equal(WorkflowSubStatus.Cancelled, instance.SubStatus);
    }
}
