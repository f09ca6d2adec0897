using System.Text.Json.Nodes;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Tests.Activities;

public sealed class CompositionTests
{
    [Fact]
    public async Task SetOutput_InNestedComposites_GoesToTheNearestThatDeclaresIt()
    {
        var inner = Child("inner", Json.Sequence("s", Output("x", 1), Output("y", 2), Output("z", 3)), outputs: ["x"]);
        var outer = Child("outer", Json.Sequence("s", Use("inner", "i").With(("x", Json.To("vx"))), Json.Write("w", Json.Variable("vx"))), outputs: ["y"])
            .With(("variables", new JsonArray(Json.Variable("vx", "Int32"))));
        var workflow = Json.Workflow(Json.Sequence("s", Use("outer", "o").With(("y", Json.To("vy")))), Json.Variable("vy", "Int32"));

        var run = await TestRun.Knowing(inner, outer).RunAsync(workflow);

        run.Finished("1");
        Assert.Equal(2, run.Variable("vy"));
        Assert.Equal(["z"], run.Instance.Output.Keys);
    }

    [Fact]
    public async Task OutputBinding_VariableNamedLikeTheWorkflowOutput_GoesToTheOutput()
    {
        var variable = Json.Variable("v", "Int32").With(("name", "total"));
        var workflow = Json.Workflow(Json.Activity("For", "for", ("end", 3), ("currentValue", Json.To("total")), ("body", Json.Write("b"))), variable)
            .With(("outputs", new JsonArray(new JsonObject { ["name"] = "total", ["type"] = "Int32" })));

        var run = await TestRun.Engine().RunAsync(workflow);

        Assert.Equal(3, run.Instance.Output["total"]);
        Assert.Equal(0, run.Variable("v"));
    }

    [Fact]
    public async Task WorkflowAsActivity_InputsAndVariables_AreItsOwn()
    {
        var child = Child("child", Json.Sequence("s", Json.Write("a", Json.Expression("Input", "Name")), Json.Write("b", Json.Test("$Name")), Json.Write("c", Json.Test("$v"))))
            .With(("inputs", new JsonArray(new JsonObject { ["name"] = "Name", ["type"] = "String" }, new JsonObject { ["name"] = "Other", ["defaultValue"] = "d" })));
        var workflow = Json.Workflow(Json.Sequence("s", Use("child", "use").With(("name", Json.Variable("v")))), Json.Variable("v", "String", "outer"));

        (await TestRun.Knowing(child).RunAsync(workflow)).Finished("outer", "outer", "");
    }

    [Theory]
    [InlineData("\"Yes\"", "yes")]
    [InlineData("[\"Yes\",\"No\"]", "yes no")]
    [InlineData("\"[\\\"No\\\"]\"", "no")]
    [InlineData("null", "done")]
    public async Task Complete_InComposite_CompletesItWithTheOutcomes(string outcomes, string lines)
    {
        var child = Child("child", Json.Sequence("s", Json.Activity("Complete", "c", ("outcomes", Json.Literal(JsonNode.Parse(outcomes)))), Json.Write("never")));
        var workflow = Json.Workflow(Json.Flowchart(
            "f", [Use("child", "use"), Json.Write("yes"), Json.Write("no"), Json.Write("done")], "use:Yes->yes", "use:No->no", "use:Done->done"));

        (await TestRun.Knowing(child).RunAsync(workflow)).Finished(lines.Split(' '));
    }

    [Theory]
    [InlineData("ForEach")]
    [InlineData("While")]
    [InlineData("ParallelForEach")]
    public async Task Complete_InALoopOfAComposite_EndsTheCompositeOnly(string type)
    {
        var loop = Json.Activity(type, "loop", ("condition", true), ("items", Json.Expression("Object", "[1,2]")), ("body", Json.Activity("Complete", "c", ("outcomes", "Out"))));
        var child = Child("child", Json.Sequence("s", loop, Json.Write("never")));
        var workflow = Json.Workflow(Json.Flowchart("f", [Use("child", "use"), Json.Write("after")], "use:Out->after"));

        (await TestRun.Knowing(child).RunAsync(workflow)).Finished("after");
    }

    [Fact]
    public async Task Complete_AtTheTop_FinishesTheWorkflow() =>
        (await TestRun.RunAsync(Json.Sequence("s", Json.Activity("If", "if", ("condition", true), ("then", Json.Activity("Complete", "c"))), Json.Write("never"))))
        .Finished();

    [Fact]
    public async Task Finish_InsideAComposite_FinishesTheWholeInstance()
    {
        var child = Child("child", Json.Sequence("s", Json.Activity("Finish", "finish"), Json.Write("never")));
        var workflow = Json.Workflow(Json.Activity("Parallel", "p", ("activities", new JsonArray(Json.Event("e"), Use("child", "use"), Json.Write("neither")))));

        var run = await TestRun.Knowing(child).RunAsync(workflow);

        // The third branch had its turn before the workflow inside the second.
        run.Finished("neither");
        Assert.Empty(run.Instance.Bookmarks);
    }

    [Theory]
    [InlineData(false, "parent child")]
    [InlineData(true, "child parent")]
    public async Task DispatchWorkflow_WaitOrNot_GoesOnBeforeOrAfterTheChild(bool waits, string lines)
    {
        var child = Child("child", Json.Sequence("s", Json.Write("w", "child"), Output("total", 5)));
        var workflow = Json.Workflow(
            Json.Sequence("s", Json.Activity("DispatchWorkflow", "d", ("workflowDefinitionId", "child"), ("waitForCompletion", waits), ("result", Json.To("r"))), Json.Write("w", "parent")),
            Json.Variable("r", "Object"));

        var run = await TestRun.Knowing(child).RunAsync(workflow);

        run.Finished(lines.Split(' '));
        Assert.Equal(waits ? "{\"total\":5}" : null, ValueConverter.ToText(run.Variable("r")));
        Assert.Equal(run.Instance.Id, Assert.Single(run.Children).ParentInstanceId);
    }

    [Fact]
    public async Task DispatchWorkflow_Unknown_Faults() =>
        (await TestRun.RunAsync(Json.Activity("DispatchWorkflow", "d", ("workflowDefinitionId", "gone")))).Faulted("no published workflow has the definition id 'gone'");

    [Fact]
    public async Task DispatchWorkflow_ChildThatWaits_IsWaitedFor()
    {
        var child = Child("child", Json.Event("e"));
        var run = await TestRun.Knowing(child).RunAsync(Json.Workflow(Json.Activity("DispatchWorkflow", "d", ("workflowDefinitionId", "child"), ("waitForCompletion", true))));
        Assert.Equal(WorkflowSubStatus.Suspended, run.Instance.SubStatus);

        await run.ResumeAsync(run.Children.Single().Bookmarks[0], null, CancellationToken.None);

        run.Finished();
    }

    [Theory]
    [InlineData("[]", "", "all done")]
    [InlineData("[1,2]", "1 2", "child child all done")]
    [InlineData("[{\"Item\":\"a\"},3]", "a 3", "child child all done")]
    public async Task BulkDispatch_Items_StartOneInstanceEach(string items, string values, string lines)
    {
        var child = Child("child", Json.Write("w", Json.Expression("Input", "Item")));
        var workflow = Json.Workflow(Json.Flowchart(
            "f",
            [
                Json.Activity("BulkDispatchWorkflows", "bulk", ("workflowDefinitionId", "child"), ("items", Json.Expression("Object", items)), ("childCompleted", Json.Write("child"))),
                Json.Write("all"), Json.Write("done"),
            ],
            "bulk:Completed->all", "bulk:Done->done"));

        var run = await TestRun.Knowing(child).RunAsync(workflow);

        Assert.Equal(WorkflowSubStatus.Finished, run.Instance.SubStatus);
        Assert.Equal(
            [.. values.Split(' ', StringSplitOptions.RemoveEmptyEntries), .. lines.Split(' ')],
            run.Lines);
    }

    [Fact]
    public async Task BulkDispatch_NotWaiting_IsDoneAtOnce()
    {
        var child = Child("child", Json.Event("e"));
        var workflow = Json.Workflow(Json.Flowchart(
            "f",
            [Json.Activity("BulkDispatchWorkflows", "bulk", ("workflowDefinitionId", "child"), ("items", Json.Expression("Object", "[1,2]")), ("waitForCompletion", false)), Json.Write("all"), Json.Write("done")],
            "bulk:Completed->all", "bulk:Done->done"));

        var run = await TestRun.Knowing(child).RunAsync(workflow);

        run.Finished("done");
        Assert.Equal(2, run.Children.Count());
    }

    [Fact]
    public async Task BulkDispatch_ChildThatFaults_RunsItsPort()
    {
        var child = Child("child", Json.Activity("If", "if", ("condition", Json.Expression("Input", "Item")), ("then", Json.Activity("Fault", "x"))));
        var run = await TestRun.Knowing(child).RunAsync(Json.Workflow(Json.Activity(
            "BulkDispatchWorkflows", "bulk", ("workflowDefinitionId", "child"), ("items", Json.Expression("Object", "[true,false]")), ("childFaulted", Json.Write("bad")), ("childCompleted", Json.Write("good")))));

        run.Finished("bad", "good");
    }

    [Fact]
    public async Task ExecuteWorkflow_GivesHowTheChildEnded()
    {
        var child = Child("child", Output("total", 5));
        var workflow = Json.Workflow(Json.Activity("ExecuteWorkflow", "x", ("workflowDefinitionId", "child"), ("correlationId", "c"), ("result", Json.To("r"))), Json.Variable("r", "Object"));

        var run = await TestRun.Knowing(child).RunAsync(workflow);

        var result = ValueConverter.ToJson(run.Variable("r"));
        Assert.Equal(("Finished", "c", 5), (result.GetProperty("subStatus").GetString(), result.GetProperty("correlationId").GetString(), result.GetProperty("output").GetProperty("total").GetInt32()));
    }

    [Fact]
    public async Task ExecuteWorkflow_ThatExecutesItself_StopsAtTheDepthLimit()
    {
        var workflow = Child("self", Json.Activity("ExecuteWorkflow", "x", ("workflowDefinitionId", "self")));
        var engine = TestRun.Engine(new WorkflowEngineOptions { MaxWorkflowDepth = 5 }, library: Library(workflow));

        var run = await engine.RunAsync(workflow);

        Assert.Equal(5, run.Children.Count());
        Assert.Contains("more than 5 levels deep", run.Children.Last().Incidents.Single().Message, StringComparison.Ordinal);
    }

    private static WorkflowLibrary Library(JsonNode workflow)
    {
        var library = new WorkflowLibrary();
        library.Add(workflow.Read());
        return library;
    }

    private static JsonObject Child(string id, JsonNode root, params string[] outputs) => Json.Workflow(root).With(
        ("id", $"{id}:1"), ("definitionId", id), ("name", id), ("options", new JsonObject { ["usableAsActivity"] = true }),
        ("outputs", new JsonArray([.. outputs.Select(o => new JsonObject { ["name"] = o, ["type"] = "Object" })])));

    private static JsonObject Use(string workflow, string id) => Json.Activity("x", id).With(("type", workflow), ("workflowDefinitionId", workflow));

    private static JsonObject Output(string name, int value) => Json.Activity("SetOutput", $"set-{name}", ("outputName", name), ("outputValue", Json.Literal(value)));
}
