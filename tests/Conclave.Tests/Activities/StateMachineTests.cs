using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Activities;

public sealed class StateMachineTests
{
    [Fact]
    public async Task Run_TriggersInTurn_RunExitActionEntryInOrder()
    {
        var run = await TestRun.RunAsync(Machine(
            null,
            [State("new", "in-new", "out-new"), State("paid", "in-paid", "out-paid"), State("done", "in-done")],
            [Move("new", "paid", Json.Event("pay"), action: "act"), Move("paid", "done", Json.Event("ship"))]));
        Assert.Equal(["in-new"], run.Lines);

        await run.ResumeAsync("pay");
        await run.ResumeAsync("ship");

        run.Finished("in-new", "out-new", "act", "in-paid", "out-paid", "in-done");
    }

    [Fact]
    public async Task Run_OneTriggerCompletes_TheOthersAreCancelled()
    {
        var run = await TestRun.RunAsync(Machine(
            null, [State("a"), State("b"), State("c")], [Move("a", "b", Json.Event("toB")), Move("a", "c", Json.Event("toC"))]));
        Assert.Equal(["toB", "toC"], run.Waiting());

        await run.ResumeAsync("toC");

        run.Finished();
        Assert.Equal(["toB"], run.Instance.Ids(ExecutionEvent.Canceled));
    }

    [Fact]
    public async Task Run_ConditionIsFalse_ListensAgain()
    {
        var run = await TestRun.RunAsync(
            Machine(null, [State("a"), State("b")], [Move("a", "b", Json.Event("try"), condition: "++n<2")]), Json.Variable("n", "Int32", 5));

        await run.ResumeAsync("try");
        Assert.Equal(["try"], run.Waiting());
        Assert.Equal(WorkflowSubStatus.Suspended, run.Instance.SubStatus);
    }

    [Fact]
    public async Task Run_TransitionsWithoutTriggers_TakesTheFirstWhoseConditionHolds() => (await TestRun.RunAsync(
        Machine(null, [State("a"), State("b", "in-b"), State("c", "in-c")], [Move("a", "b", condition: "false"), Move("a", "c", condition: "true")]))).Finished("in-c");

    [Theory]
    [InlineData("b", "in-b")]
    [InlineData(null, "in-a")]
    [InlineData(" ", "in-a")]
    [InlineData("nowhere", "")]
    public async Task Run_InitialState_BeginsThere(string? initial, string lines) =>
        (await TestRun.RunAsync(Machine(initial, [State("a", "in-a"), State("b", "in-b")], []))).Finished(lines.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    [Fact]
    public async Task Run_StateThatLeadsToItself_IsLeftAndEnteredAgain()
    {
        var run = await TestRun.RunAsync(Machine(null, [State("a", "in", "out")], [Move("a", "a", Json.Event("again"))]));

        await run.ResumeAsync("again");

        Assert.Equal(["in", "out", "in"], run.Lines);
        Assert.Equal(["again"], run.Waiting());
    }

    [Fact]
    public async Task Run_CircleWithoutWaiting_FaultsAtTheCap()
    {
        var engine = TestRun.Engine(new WorkflowEngineOptions { MaxActivitiesPerBurst = 100 });

        var run = await engine.RunAsync(Json.Workflow(Machine(null, [State("a", "in"), State("b")], [Move("a", "b"), Move("b", "a")])));

        run.Faulted("WriteLine 'in'");
    }

    [Fact]
    public void Compile_UnknownState_IsAProblem() => Assert.Contains(
        TestRun.Engine().Compile(Json.Workflow(Machine(null, [State("a")], [Move("a", "gone")])).Read()).Problems, p => p.Code == "state_machine.unknown_state");

    private static JsonObject Machine(string? initial, JsonNode[] states, JsonNode[] transitions) => Json.Activity(
        "StateMachine", "m", ("initialState", initial), ("states", new JsonArray(states)), ("transitions", new JsonArray(transitions)));

    private static JsonObject State(string name, string? entry = null, string? exit = null) => new()
    {
        ["name"] = name,
        ["entry"] = entry is null ? null : Json.Write(entry),
        ["exit"] = exit is null ? null : Json.Write(exit),
    };

    private static JsonObject Move(string from, string to, JsonNode? trigger = null, string? condition = null, string? action = null) => new()
    {
        ["from"] = from,
        ["to"] = to,
        ["trigger"] = trigger,
        ["condition"] = condition is null ? null : Json.Test(condition),
        ["action"] = action is null ? null : Json.Write(action),
    };
}
