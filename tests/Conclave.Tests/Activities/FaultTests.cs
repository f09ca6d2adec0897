using System.Text.Json.Nodes;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Activities;

public sealed class FaultTests
{
    private static readonly JsonObject GoesOn = new() { ["incidentStrategyType"] = "Elsa.Workflows.IncidentStrategies.ContinueWithIncidentsStrategy, Elsa.Workflows.Core" };

    [Fact]
    public async Task Fault_MessageAndType_BecomeTheIncident()
    {
        var run = await TestRun.RunAsync(Json.Sequence("s", Json.Activity("Fault", "f", ("message", "no stock"), ("faultType", "Business")), Json.Write("never")));

        var incident = run.Faulted("no stock");
        Assert.Equal(("f", "Workflow1:s:f", "Elsa.Fault", "Business"), (incident.ActivityId, incident.ActivityNodeId, incident.ActivityType, incident.Exception!.Type));
        Assert.Empty(run.Lines);
        Assert.NotNull(run.Instance.FinishedAt);
    }

    [Fact]
    public async Task Fault_OfAPluginException_KeepsInnerExceptionsWhenStored()
    {
        var run = await TestRun.Engine(types: ActivityType.From<Flaky>()).RunAsync(Json.Workflow(Json.Activity("x", "a").With(("type", "Test.Flaky"), ("failures", 9))));

        run.Faulted("attempt 0");
        var restored = Assert.Single(TestRun.Restore(run.Instance).Incidents);
        Assert.Equal(run.Instance.Incidents[0], restored);
        Assert.Equal("the reason", restored.Exception!.Inner!.Message);
    }

    [Theory]
    [InlineData(FlowchartMode.Counter)]
    [InlineData(FlowchartMode.Token)]
    public async Task ContinueWithIncidents_OtherBranches_GoOnAndTheFlowchartStaysOpen(FlowchartMode mode)
    {
        var workflow = Json.Workflow(Json.Flowchart(
            "f", [Json.Activity("Start", "s"), Json.Activity("Fault", "bad"), Json.Event("e"), Json.Write("after")], "s->bad", "s->e", "e->after")).With(("options", GoesOn.DeepClone()));

        var run = await TestRun.Engine().RunAsync(workflow, new WorkflowStart { FlowchartMode = mode });
        Assert.Equal(["e"], run.Waiting());
        await run.ResumeAsync("e");

        Assert.Equal(["after"], run.Lines);
        Assert.Equal(WorkflowSubStatus.Suspended, run.Instance.SubStatus);
        Assert.Single(run.Instance.Incidents);
    }

    [Fact]
    public async Task FaultStrategy_OtherBranches_StopAtOnce()
    {
        var run = await TestRun.RunAsync(Json.Activity("Parallel", "p", ("activities", new JsonArray(Json.Activity("Fault", "bad"), Json.Write("never")))));

        run.Faulted("faulted by its author");
        Assert.Empty(run.Lines);
    }

    [Fact]
    public async Task UnknownActivityType_IsAProblemAndFaultsWithItsName()
    {
        var workflow = Json.Workflow(Json.Activity("x", "a").With(("type", "Acme.Fly"), ("version", 7)));

        Assert.Contains(TestRun.Engine().Compile(workflow.Read()).Problems, p => p.Code == "definition.unknown_activity_type" && p.Message.Contains("Acme.Fly", StringComparison.Ordinal));
        (await TestRun.Engine().RunAsync(workflow)).Faulted("'Acme.Fly'");
    }

    [Fact]
    public async Task UnknownActivityType_NeverReached_DoesNotMatter() => (await TestRun.RunAsync(Json.Activity(
        "If", "if", ("condition", false), ("then", Json.Activity("x", "a").With(("type", "Acme.Fly")))))).Finished();

    [Theory]
    [InlineData(2, 2, true)]
    [InlineData(3, 2, false)]
    [InlineData(1, 0, false)]
    public async Task Retry_ActivityThatFails_IsTriedAgainAsOftenAsSaid(int failures, int retries, bool succeeds)
    {
        var policy = new JsonObject { ["retry"] = new JsonObject { ["maxRetryAttempts"] = retries, ["delay"] = "00:00:00.010", ["backoffType"] = "Constant", ["useJitter"] = false } };
        var workflow = Json.Workflow(Json.Activity("x", "a").With(("type", "Test.Flaky"), ("failures", failures), ("customProperties", policy), ("result", Json.To("n"))), Json.Variable("n", "Int32"));

        var run = await TestRun.Engine(types: ActivityType.From<Flaky>()).RunAsync(workflow);

        if (succeeds)
            run.Finished();
        else
            run.Faulted($"attempt {retries + 1}");
        Assert.Equal(succeeds ? failures + 1 : 0, run.Variable("n"));
        Assert.Equal(Math.Min(failures, retries), run.Instance.Ids(ExecutionEvent.Retried).Count());
        Assert.Single(run.Instance.Ids(ExecutionEvent.Started), "a");
    }

    [Fact]
    public async Task Retry_FaultActivity_IsNotTriedAgain()
    {
        var policy = new JsonObject { ["retry"] = new JsonObject { ["maxRetryAttempts"] = 3, ["delay"] = "00:00:00.010" } };

        var run = await TestRun.RunAsync(Json.Activity("Fault", "f", ("message", "final")).With(("customProperties", policy)));

        run.Faulted("final");
        Assert.Empty(run.Instance.Ids(ExecutionEvent.Retried));
    }

    [Fact]
    public async Task Timeout_ActivityThatHangs_FaultsWithTheTime()
    {
        var workflow = Json.Workflow(Json.Activity("x", "a").With(("type", "Test.Stuck"), ("customProperties", new JsonObject { ["timeout"] = "00:00:00.020" })));

        (await TestRun.Engine(types: ActivityType.From<Stuck>()).RunAsync(workflow)).Faulted("did not finish within 00:00:00.0200000");
    }

    [Theory]
    [InlineData("timeout", "\"soon\"", "activity.bad_time")]
    [InlineData("timeout", "\"-00:00:01\"", "activity.bad_time")]
    [InlineData("timeout", "\"2.00:00:00\"", "activity.bad_time")]
    [InlineData("retry", "{\"delay\":\"x\"}", "activity.bad_time")]
    [InlineData("resilienceStrategy", "{\"mode\":\"Identifier\",\"strategyId\":\"nope\"}", "activity.unknown_resilience_strategy")]
    public void Compile_BadPolicy_IsAProblem(string property, string value, string code)
    {
        var workflow = Json.Workflow(Json.Write("w").With(("customProperties", new JsonObject { [property] = JsonNode.Parse(value) })));

        Assert.Contains(TestRun.Engine().Compile(workflow.Read()).Problems, p => p.Code == code);
    }

    [Theory]
    [InlineData("{}", "{}", true, true, true)]
    [InlineData("""{"logPersistenceMode":{"default":"Exclude"}}""", "{}", false, false, false)]
    [InlineData("""{"logPersistenceMode":{"default":"Exclude"}}""", """{"logPersistenceMode":{"default":"Include"}}""", true, true, true)]
    [InlineData("""{"logPersistenceMode":{"default":"Exclude"}}""", """{"logPersistenceMode":{"default":"Inherit","inputs":{"text":"Include"}}}""", false, true, false)]
    [InlineData("{}", """{"logPersistenceConfig":{"default":{"evaluationMode":"Strategy","strategyType":"Elsa.X.Exclude, Elsa"},"outputs":{"Result":{"strategyType":"Elsa.X.Include"}}}}""", false, false, true)]
    [InlineData("{}", """{"logPersistenceConfig":{"inputs":{"Text":{"strategyType":"Elsa.X.Exclude, Elsa"}}}}""", true, false, true)]
    public void LogPersistence_WorkflowAndActivity_DecideWhatIsKept(string workflow, string activity, bool other, bool text, bool result)
    {
        var keeps = LogPersistence.Read(Json.Element(activity), Json.Element(workflow));

        Assert.Equal((other, text, result), (keeps.IncludesInput("Other"), keeps.IncludesInput("Text"), keeps.IncludesOutput("Result")));
    }

    [Theory]
    [InlineData("Exclude", false)]
    [InlineData("Include", true)]
    public async Task LogPersistence_Journal_HoldsInputsOnlyWhenIncluded(string mode, bool isKept)
    {
        var settings = new JsonObject { ["logPersistenceMode"] = new JsonObject { ["default"] = mode } };
        var run = await TestRun.RunAsync(Json.Write("w", Json.Test("$v")).With(("customProperties", settings)), Json.Variable("v", "String", "secret"));

        var completed = run.Instance.Log.Entries.Single(e => e.Event == ExecutionEvent.Completed && run.Instance.Graph.Nodes[e.NodeIndex].Id == "w");

        Assert.Equal(isKept, (completed.Details as ActivityDetails)?.Inputs?.Contains("secret") == true);
    }

    /// <summary>Fails as often as it is told to.</summary>
    [Activity("Test", "Test", "Fails a few times.")]
    public sealed class Flaky : Activity
    {
        [Input]
        public Input<int> Failures { get; set; } = new();

        [Output]
        public Output<int>? Result { get; set; }

        public override ValueTask ExecuteAsync(ActivityContext context)
        {
            if (Math.Max(1, context.Attempt) <= context.Get(Failures))
                throw new InvalidOperationException($"attempt {context.Attempt}", new IOException("the reason"));
            context.Set(Result, context.Attempt);
            context.Complete();
            return ValueTask.CompletedTask;
        }
    }

    /// <summary>Never ends by itself.</summary>
    [Activity("Test", "Test", "Hangs.")]
    public sealed class Stuck : Activity
    {
        public override async ValueTask ExecuteAsync(ActivityContext context) => await Task.Delay(Timeout.Infinite, context.CancellationToken);
    }
}
