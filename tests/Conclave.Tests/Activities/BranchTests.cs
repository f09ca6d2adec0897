using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Activities;

public sealed class BranchTests
{
    [Theory]
    [InlineData("true", "then")]
    [InlineData("false", "else")]
    [InlineData("$nothing", "else")]
    public async Task If_Condition_RunsOneBranchAndKeepsTheResult(string condition, string branch)
    {
        var run = await TestRun.RunAsync(
            Json.Activity("If", "if", ("condition", Json.Test(condition)), ("then", Json.Write("then")), ("else", Json.Write("else")), ("result", Json.To("r"))),
            Json.Variable("r", "Boolean"));

        run.Finished(branch);
        Assert.Equal(branch == "then", run.Variable("r"));
    }

    [Fact]
    public async Task If_WithoutTheBranch_Completes() => (await TestRun.RunAsync(Json.Activity("If", "if", ("condition", true)))).Finished();

    [Theory]
    [InlineData("MatchFirst", "true", "true", "A")]
    [InlineData("MatchAny", "true", "true", "A B")]
    [InlineData("MatchFirst", "false", "true", "B")]
    [InlineData("MatchAny", "false", "true", "B")]
    [InlineData("MatchFirst", "false", "false", "default")]
    [InlineData("MatchAny", "false", "false", "default")]
    public async Task Switch_ModeAndConditions_ChooseWhatRuns(string mode, string a, string b, string lines)
    {
        var run = await TestRun.RunAsync(Json.Activity(
            "Switch", "s", ("mode", Json.Literal(mode)), ("cases", new JsonArray(Json.Case("A", a, Json.Write("A")), Json.Case("B", b, Json.Write("B")))), ("default", Json.Write("default"))));

        run.Finished(lines.Split(' '));
    }

    [Theory]
    [InlineData("MatchFirst", "true", "true", "a")]
    [InlineData("MatchAny", "true", "true", "a b")]
    [InlineData("MatchFirst", "false", "false", "d")]
    public async Task FlowSwitch_ModeAndConditions_ChooseTheWays(string mode, string a, string b, string lines)
    {
        var run = await TestRun.RunAsync(Json.Flowchart(
            "f",
            [
                Json.Activity("FlowSwitch", "s", ("mode", Json.Literal(mode)), ("cases", new JsonArray(Json.Case("A", a), Json.Case("B", b)))),
                Json.Write("a"), Json.Write("b"), Json.Write("d"),
            ],
            "s:A->a", "s:B->b", "s:Default->d"));

        run.Finished(lines.Split(' '));
    }

    [Theory]
    [InlineData("WaitAny", "after", "e")]
    [InlineData("WaitAll", "", "")]
    public async Task Fork_OneBranchDone_GoesOnByItsMode(string mode, string lines, string canceled)
    {
        var run = await TestRun.RunAsync(Json.Sequence(
            "root",
            Json.Activity("Fork", "fork", ("joinMode", mode), ("branches", new JsonArray(Json.Event("e"), Json.Activity("Start", "quick")))),
            Json.Write("after")));

        Assert.Equal(lines.Split(' ', StringSplitOptions.RemoveEmptyEntries), run.Lines);
        Assert.Equal(canceled.Split(' ', StringSplitOptions.RemoveEmptyEntries), run.Instance.Ids(ExecutionEvent.Canceled));
        await run.ResumeAllAsync(CancellationToken.None);
        run.Finished("after");
    }

    [Theory]
    [InlineData(FlowchartMode.Counter)]
    [InlineData(FlowchartMode.Token)]
    public async Task FlowJoin_WaitAny_CancelsADelayThatStillWaits(FlowchartMode mode)
    {
        var run = await TestRun.Engine().RunAsync(
            Json.Workflow(Json.Flowchart(
                "f",
                [Json.Activity("Start", "start"), Json.Delay("slow"), Json.Write("quick"), Json.Activity("FlowJoin", "join", ("mode", Json.Literal("WaitAny"))), Json.Write("after")],
                "start->slow", "start->quick", "slow->join", "quick->join", "join->after")),
            new WorkflowStart { FlowchartMode = mode });

        run.Finished("quick", "after");
        Assert.Equal(["slow"], run.Instance.Ids(ExecutionEvent.Canceled));
        Assert.Empty(run.Instance.Bookmarks);
    }

    [Theory]
    [InlineData(FlowchartMode.Counter)]
    [InlineData(FlowchartMode.Token)]
    public async Task FlowJoin_WaitAnyInALoop_TakesTheOtherBranchInTheNextRound(FlowchartMode mode)
    {
        var run = await TestRun.Engine().RunAsync(
            Json.Workflow(
                Json.Flowchart(
                    "f",
                    [
                        Json.Write("s", "round"), Json.Event("e"), Json.Activity("FlowDecision", "d", ("condition", Json.Test("n<1"))),
                        Json.Activity("FlowJoin", "join", ("mode", Json.Literal("WaitAny"))),
                        Json.Activity("FlowDecision", "again", ("condition", Json.Test("++n<2"))), Json.Write("after"),
                    ],
                    "s->e", "s->d", "e->join", "d:True->join", "join->again", "again:True->s", "again:False->after"),
                Json.Variable("n", "Int32", 0)),
            new WorkflowStart { FlowchartMode = mode });

        Assert.Equal(["round", "round"], run.Lines);
        Assert.Equal(["e"], run.Waiting());
        await run.ResumeAsync("e");
        run.Finished("round", "round", "after");
    }

    [Theory]
    [InlineData(FlowchartMode.Counter)]
    [InlineData(FlowchartMode.Token)]
    public async Task FlowJoin_WaitAll_WaitsForEveryBranch(FlowchartMode mode)
    {
        var run = await TestRun.Engine().RunAsync(
            Json.Workflow(Json.Flowchart(
                "f",
                [Json.Activity("Start", "start"), Json.Event("a"), Json.Event("b"), Json.Activity("FlowJoin", "join", ("mode", Json.Literal("WaitAll"))), Json.Write("after")],
                "start->a", "start->b", "a->join", "b->join", "join->after")),
            new WorkflowStart { FlowchartMode = mode });

        await run.ResumeAsync("b");
        Assert.Empty(run.Lines);
        await run.ResumeAsync("a");
        run.Finished("after");
    }

    [Fact]
    public async Task FlowFork_WithoutBranches_IsDone() => (await TestRun.RunAsync(
        Json.Flowchart("f", [Json.Activity("FlowFork", "fork"), Json.Write("w")], "fork->w"))).Finished("w");

    [Fact]
    public async Task Flowchart_UnconnectedOutcome_IsIgnored() => (await TestRun.RunAsync(
        Json.Flowchart("f", [Json.Activity("FlowDecision", "d", ("condition", true)), Json.Write("w")], "d:False->w"))).Finished();

    [Fact]
    public async Task Flowchart_End_CancelsWhatStillWaits()
    {
        var run = await TestRun.RunAsync(Json.Flowchart(
            "f", [Json.Activity("Start", "s"), Json.Event("e"), Json.Activity("End", "end")], "s->e", "s->end"));

        run.Finished();
        Assert.Equal(["e"], run.Instance.Ids(ExecutionEvent.Canceled));
    }

    [Theory]
    [InlineData("start", "Start")]
    [InlineData("flag", "WriteLine")]
    [InlineData("inbound", "WriteLine")]
    public async Task Flowchart_WithoutTrigger_BeginsWhereTheRulesSay(string rule, string type)
    {
        JsonNode second = type == "Start" ? Json.Activity("Start", "b") : Json.Write("b");
        if (rule == "flag")
            second["customProperties"] = new JsonObject { ["canStartWorkflow"] = true };
        string[] connections = rule == "inbound" ? ["b->a"] : ["a->b", "b->c"];

        var run = await TestRun.RunAsync(Json.Flowchart("f", [Json.Write("a"), second, Json.Write("c")], connections));

        Assert.Equal("b", run.Instance.Ids(ExecutionEvent.Started).ElementAt(2));
    }

    [Theory]
    [InlineData(FlowchartMode.Counter)]
    [InlineData(FlowchartMode.Token)]
    public async Task Flowchart_IrregularLoop_IsWarnedAboutAndFaultsInCounterModeOnly(FlowchartMode mode)
    {
        var workflow = Json.Workflow(
            Json.Flowchart(
                "f",
                [Json.Activity("FlowDecision", "s", ("condition", Json.Test("n<1"))), Json.Write("a"), Json.Write("b"), Json.Activity("FlowDecision", "again", ("condition", Json.Test("++n<2")))],
                "s:True->a", "s:False->b", "a->b", "b->again", "again:True->a"),
            Json.Variable("n", "Int32", 0));
        var engine = TestRun.Engine();
        Assert.Contains(engine.Compile(workflow.Read()).Problems, p => p.Code == "flowchart.irregular_loop");

        var run = await engine.RunAsync(workflow, new WorkflowStart { FlowchartMode = mode });

        if (mode == FlowchartMode.Counter)
            run.Faulted("Invalid backward connection");
        else
            run.Finished("a", "b", "a", "b");
    }

    [Fact]
    public async Task Parallel_Empty_CompletesAtOnce() => (await TestRun.RunAsync(Json.Activity("Parallel", "p"))).Finished();

    [Fact]
    public async Task Sequence_TerminalActivity_EndsIt() => (await TestRun.RunAsync(
        Json.Sequence("s", Json.Sequence("inner", Json.Activity("End", "end"), Json.Write("never")), Json.Write("after")))).Finished("after");
}
