using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Activities;

public sealed class LoopTests
{
    [Theory]
    [InlineData(1, 3, 1, true, "1 2 3")]
    [InlineData(1, 3, 1, false, "1 2")]
    [InlineData(1, 6, 2, true, "1 3 5")]
    [InlineData(3, 1, -1, true, "3 2 1")]
    [InlineData(3, 1, -1, false, "3 2")]
    [InlineData(3, 1, 1, true, "")]
    [InlineData(1, 3, -1, true, "")]
    [InlineData(2, 2, 1, true, "2")]
    [InlineData(2, 2, 1, false, "")]
    [InlineData(int.MaxValue - 1, int.MaxValue, 1, true, "2147483646 2147483647")]
    [InlineData(int.MinValue + 1, int.MinValue, -1, true, "-2147483647 -2147483648")]
    [InlineData(0, int.MaxValue, int.MaxValue, true, "0 2147483647")]
    public async Task For_BoundsAndStep_CountsThrough(int start, int end, int step, bool inclusive, string values)
    {
        var run = await TestRun.RunAsync(Json.Activity(
            "For", "for", ("start", start), ("end", end), ("step", step), ("outerBoundInclusive", inclusive), ("body", Json.Write("w", Json.Test("$CurrentValue")))));

        run.Finished(values.Split(' ', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task For_StepOfZero_FaultsAndSaysWhatToDo() =>
        (await TestRun.RunAsync(Json.Activity("For", "for", ("step", 0), ("end", 3), ("body", Json.Write("w"))))).Faulted("a step of 0 never reaches the end");

    [Fact]
    public async Task For_CapturedCurrentValue_HoldsTheLastOne()
    {
        var run = await TestRun.RunAsync(Json.Activity("For", "for", ("end", 4), ("currentValue", Json.To("n")), ("body", Json.Write("w", "x"))), Json.Variable("n", "Int32"));

        Assert.Equal(4, run.Variable("n"));
    }

    [Theory]
    [InlineData("While")]
    [InlineData("For")]
    [InlineData("ForEach")]
    [InlineData("ParallelForEach")]
    public async Task Loop_WithoutBody_CompletesAtOnce(string type) => (await TestRun.RunAsync(Json.Activity(
        type, "loop", ("condition", true), ("end", 5), ("items", Json.Expression("Object", "[1,2]"))))).Finished();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public async Task While_Condition_IsEvaluatedBeforeEachRound(int rounds)
    {
        var run = await TestRun.RunAsync(
            Json.Activity("While", "while", ("condition", Json.Test($"i<{rounds}")), ("body", Json.Set("set", "i", Json.Test("i+1")))), Json.Variable("i", "Int32", 0));

        run.Finished();
        Assert.Equal(rounds, run.Variable("i"));
    }

    [Fact]
    public async Task While_ConditionThatIsNull_CountsAsFalse() =>
        (await TestRun.RunAsync(Json.Activity("While", "while", ("condition", Json.Test("$nothing")), ("body", Json.Write("w"))))).Finished();

    [Fact]
    public async Task While_ConditionThatThrows_FaultsTheWorkflow() =>
        (await TestRun.RunAsync(Json.Activity("While", "while", ("condition", Json.Test("throw broken")), ("body", Json.Write("w"))))).Faulted("broken");

    [Theory]
    [InlineData("[]", "")]
    [InlineData("[1,\"a\",null,{\"b\":1},[2]]", "0:1 1:a 2: 3:{\"b\":1} 4:[2]")]
    [InlineData("\"alone\"", "0:alone")]
    public async Task ForEach_Items_ComeInOrderWithTheirIndex(string items, string lines)
    {
        var run = await TestRun.RunAsync(Json.Activity(
            "ForEach", "each", ("items", Json.Expression("Object", items)), ("body", Json.Sequence("s", Json.Write("i", Json.Test("$CurrentIndex")), Json.Write("v", Json.Test("$CurrentValue"))))));

        run.Finished([.. lines.Split(' ', StringSplitOptions.RemoveEmptyEntries).SelectMany(l => l.Split(':', 2))]);
    }

    [Fact]
    public async Task ForEach_ItemsUnset_CompletesAtOnce() =>
        (await TestRun.RunAsync(Json.Activity("ForEach", "each", ("items", Json.Literal(null)), ("body", Json.Write("w"))))).Finished();

    [Fact]
    public async Task ForEach_ScopesNested_InnerValueHidesOuter()
    {
        var inner = Json.Activity("ForEach", "inner", ("items", Json.Expression("Object", "[\"x\"]")), ("body", Json.Write("w", Json.Test("$CurrentValue"))));
        var outer = Json.Activity("ForEach", "outer", ("items", Json.Expression("Object", "[\"a\"]")), ("body", Json.Sequence("s", inner, Json.Write("v", Json.Test("$CurrentValue")))));

        (await TestRun.RunAsync(outer)).Finished("x", "a");
    }

    [Fact]
    public async Task ParallelForEach_BodiesThatWait_AllWaitAtOnceWithTheirOwnValues()
    {
        var run = await TestRun.RunAsync(Json.Activity(
            "ParallelForEach", "each", ("items", Json.Expression("Object", "[\"a\",\"b\",\"c\"]")), ("body", Json.Sequence("s", Json.Event("e"), Json.Write("w", Json.Test("$CurrentValue"))))));

        Assert.Equal(3, run.Instance.Bookmarks.Count);
        await run.ResumeAsync(run.Instance.Bookmarks[1], null, CancellationToken.None);
        Assert.Equal(["b"], run.Lines);
        await run.ResumeAllAsync(CancellationToken.None);
        run.Finished("b", "a", "c");
    }

    [Theory]
    [InlineData("While")]
    [InlineData("For")]
    [InlineData("ForEach")]
    public async Task Break_InLoop_EndsItAtOnce(string type)
    {
        var body = Json.Sequence(
            "s",
            Json.Set("set", "i", Json.Test("i+1")),
            Json.Activity("If", "if", ("condition", Json.Test("i=2")), ("then", Json.Activity("Break", "break"))),
            Json.Write("w", Json.Variable("i")));

        (await TestRun.RunAsync(Json.Sequence("root", Loop(type, body), Json.Write("after")), Json.Variable("i", "Int32", 0))).Finished("1", "after");
    }

    [Fact]
    public async Task Break_InParallelForEach_CancelsTheOthers()
    {
        var body = Json.Activity("If", "if", ("condition", Json.Test("CurrentValue=2")), ("then", Json.Activity("Break", "break")), ("else", Json.Event("e")));

        var run = await TestRun.RunAsync(Json.Sequence("root", Loop("ParallelForEach", body), Json.Write("after")));

        run.Finished("after");
        Assert.Equal(["e", "if", "if"], run.Instance.Ids(ExecutionEvent.Canceled));
    }

    [Theory]
    [InlineData("Sequence")]
    [InlineData("Parallel")]
    [InlineData("Flowchart")]
    [InlineData("If")]
    [InlineData("Switch")]
    [InlineData("FlowNode")]
    [InlineData("StateMachine")]
    public async Task Break_DeepInsideTheBody_EndsTheLoopWhateverElseWaits(string type)
    {
        JsonNode Break() => Json.Activity("Break", "break");
        JsonNode body = type switch
        {
            "Sequence" => Json.Sequence("c", Break(), Json.Write("never")),
            "Parallel" => Json.Activity("Parallel", "c", ("activities", new JsonArray(Json.Event("e"), Break()))),
            "Flowchart" => Json.Flowchart("c", [Json.Activity("Start", "start"), Json.Event("e"), Break()], "start->e", "start->break"),
            "If" => Json.Activity("If", "c", ("condition", true), ("then", Break())),
            "Switch" => Json.Activity(
                "Switch", "c", ("mode", Json.Literal("MatchAny")), ("cases", new JsonArray(Json.Case("A", "true", Json.Event("e")), Json.Case("B", "true", Break())))),
            "StateMachine" => Json.Activity(
                "StateMachine",
                "c",
                ("states", new JsonArray(new JsonObject { ["name"] = "a", ["entry"] = Break() }, new JsonObject { ["name"] = "b" })),
                ("transitions", new JsonArray(new JsonObject { ["from"] = "a", ["to"] = "b", ["trigger"] = Json.Event("e") }))),
            _ => Json.Activity("FlowNode", "c", ("body", Break())),
        };

        var run = await TestRun.RunAsync(Json.Sequence("root", Loop("ForEach", body), Json.Write("after")));

        run.Finished("after");
    }

    [Fact]
    public async Task Break_InInnerLoop_LeavesTheOuterOneAlone()
    {
        var inner = Loop("ForEach", Json.Sequence("s", Json.Write("in"), Json.Activity("Break", "break")), "inner");

        (await TestRun.RunAsync(Loop("For", inner, "outer"))).Finished("in", "in", "in");
    }

    [Fact]
    public async Task Break_InFork_EndsTheForkOnly()
    {
        var fork = Json.Activity("Fork", "fork", ("branches", new JsonArray(Json.Event("e"), Json.Activity("Break", "break"))));

        var run = await TestRun.RunAsync(Json.Sequence("root", fork, Json.Write("after")));

        run.Finished("after");
    }

    [Fact]
    public async Task EndlessLoop_FaultsAtTheCapAndShowsThePath()
    {
        var engine = TestRun.Engine(new WorkflowEngineOptions { MaxActivitiesPerBurst = 1_000 });
        var workflow = Json.Workflow(Json.Flowchart("f", [Json.Write("a", "x"), Json.Write("b", "x"), Json.Write("c", "x")], "a->b", "b->c", "c->b"));

        var run = await engine.RunAsync(workflow);

        var incident = run.Faulted("executed more than 1,000 activities without waiting for anything");
        Assert.Contains("WriteLine 'b'", incident.Message, StringComparison.Ordinal);
        Assert.Contains(" → ", incident.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("'a'", incident.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EndlessLoop_ThatWaits_GoesOn()
    {
        var engine = TestRun.Engine(new WorkflowEngineOptions { MaxActivitiesPerBurst = 10 });
        var run = await engine.RunAsync(Json.Workflow(Json.Activity("While", "w", ("condition", true), ("body", Json.Event("e")))));

        for (var i = 0; i < 50; i++)
            await run.ResumeAsync("e");

        Assert.Equal(WorkflowSubStatus.Suspended, run.Instance.SubStatus);
    }

    [Fact]
    public async Task ParallelForEach_MoreItemsThanMayBeScheduled_Faults()
    {
        var engine = TestRun.Engine(new WorkflowEngineOptions { MaxScheduledActivities = 2 });

        var run = await engine.RunAsync(Json.Workflow(Loop("ParallelForEach", Json.Write("w"))));

        run.Faulted("schedules more than 2 activities at once");
    }

    private static JsonObject Loop(string type, JsonNode body, string id = "loop") => Json.Activity(
        type, id, ("condition", true), ("start", 1), ("end", 3), ("items", Json.Expression("Object", "[1,2,3]")), ("body", body));
}
