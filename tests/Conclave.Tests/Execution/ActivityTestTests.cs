using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;
using static Conclave.Tests.Json;

namespace Conclave.Tests.Execution;

public sealed class ActivityTestTests
{
    [Fact]
    public async Task Run_Activity_SeesTestValuesAndSaysWhatItDid()
    {
        var host = new LinesHost();
        var result = await RunAsync(Sequence("s", Write("w", Variable("v"))), "w", """{"v": "42"}""", host, Variable("v", "Int32", 1));

        Assert.Equal((ActivityStatus.Completed, null), (result.Status, result.Exception));
        Assert.Equal("42", result.Inputs["Text"]);
        Assert.Equal(["Done"], result.Outcomes);
        Assert.Equal(["42"], host.Lines);
    }

    [Theory]
    [InlineData("{}", 1)]
    [InlineData("""{"v": ""}""", 1)]
    [InlineData("""{"v": null}""", 1)]
    [InlineData("""{"v": 3}""", 3)]
    public async Task Run_WithoutTestValue_UsesTheDefault(string values, int expected)
    {
        var result = await RunAsync(Sequence("s", Set("set", "out", Variable("v"))), "set", values, new(), Variable("v", "Int32", 1), Variable("out", "Int32"));

        Assert.Equal(expected, Assert.Single(result.Variables, v => v.Key == "out").Value);
    }

    [Fact]
    public async Task Run_TestValueOfAnotherType_IsRefused()
    {
        var exception = await Assert.ThrowsAsync<WorkflowException>(() => RunAsync(Sequence("s", Write("w")), "w", """{"v": "many"}""", new(), Variable("v", "Int32")));

        Assert.Equal("variable.bad_test_value", exception.Code);
        Assert.Contains("'v'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_VariableOfAContainer_IsInReach()
    {
        var inner = Sequence("inner", Write("w", Variable("c"))).With(("variables", new JsonArray(Variable("c", "String", "default"))));

        var result = await RunAsync(Sequence("s", inner), "w", """{"c": "given"}""", new());

        Assert.Equal("given", result.Inputs["Text"]);
    }

    [Fact]
    public async Task Run_ActivityThatFails_IsFaultedWithItsException()
    {
        var result = await RunAsync(Activity("Fault", "f", ("message", Literal("no luck"))), "f", "{}", new());

        Assert.Equal(ActivityStatus.Faulted, result.Status);
        Assert.Equal("no luck", result.Exception!.Message);
        Assert.Empty(result.Outcomes);
    }

    [Fact]
    public async Task Run_If_DecidesAndRunsNothingInside()
    {
        var host = new LinesHost();
        var result = await RunAsync(Activity("If", "if", ("condition", Literal(true)), ("then", Write("inside"))), "if", "{}", host);

        Assert.Equal((ActivityStatus.Running, true), (result.Status, result.Outputs["Result"]));
        Assert.Empty(host.Lines);
    }

    [Fact]
    public async Task Run_WhatAnActivityAsksFor_IsToldAndNotDone()
    {
        var published = await RunAsync(Activity("PublishEvent", "p", ("eventName", Literal("Paid"))), "p", "{}", new());
        var waiting = await RunAsync(Event("e"), "e", "{}", new());

        Assert.Equal("Paid", Assert.IsType<EventPublished>(Assert.Single(published.Effects)).EventName);
        Assert.Equal(ActivityStatus.Running, waiting.Status);
        Assert.Equal("Elsa.Event", Assert.Single(waiting.Bookmarks).Name);
    }

    [Fact]
    public async Task Run_SensitiveInput_IsNotShown()
    {
        var result = await RunAsync(Activity("SendHttpRequest", "h", ("url", Literal("http://127.0.0.1:1/")), ("authorization", Literal("Bearer hidden"))), "h", "{}", new());

        Assert.Equal(ActivityStatus.Faulted, result.Status);
        Assert.Contains("Url", result.Inputs.Keys);
        Assert.DoesNotContain("Authorization", result.Inputs.Keys);
    }

    private static Task<ActivityTestResult> RunAsync(JsonNode root, string activity, string values, LinesHost host, params JsonObject[] variables)
    {
        var engine = TestRun.Engine();
        var graph = engine.Compile(Workflow(root, variables).Read());
        return ActivityTest.RunAsync(engine, graph, graph.FindActivity(activity)!, JsonElement.Parse(values), host, CancellationToken.None);
    }

    private sealed class LinesHost : WorkflowHost
    {
        public List<string> Lines { get; } = [];

        public override void WriteLine(string? text) => Lines.Add(text ?? "");
    }
}
