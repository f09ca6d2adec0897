using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Execution;

public sealed class JournalValuesTests
{
    [Fact]
    public async Task Inputs_LiteralAndEvaluated_AreBothThere()
    {
        var (node, details) = await CompletedAsync(For());

        Assert.Equal(2, JournalValues.Inputs(node, details)["End"]);
        Assert.Equal(1, JournalValues.Inputs(node, details)["Start"]);
        Assert.Equal(true, JournalValues.Inputs(node, details)["OuterBoundInclusive"]);
        Assert.Equal(2, JournalValues.Outputs(node, details)["CurrentValue"]);
    }

    [Theory]
    [InlineData("""{ "logPersistenceMode": { "default": "Exclude" } }""", "", "")]
    [InlineData("""{ "logPersistenceMode": { "default": "Exclude", "inputs": { "end": "Include" } } }""", "End", "")]
    [InlineData("""{ "logPersistenceMode": { "default": "Include", "inputs": { "start": "Exclude", "step": "Exclude", "outerBoundInclusive": "Exclude" }, "outputs": { "currentValue": "Exclude" } } }""", "End", "")]
    [InlineData("""{ "logPersistenceConfig": { "default": { "evaluationMode": "Strategy", "strategyType": "Elsa.Workflows.LogPersistence.Strategies.Exclude, Elsa.Workflows.Core" }, "outputs": { "currentValue": { "evaluationMode": "Strategy", "strategyType": "Elsa.Workflows.LogPersistence.Strategies.Include, Elsa.Workflows.Core" } } } }""", "", "CurrentValue")]
    public async Task Values_ActivitySettings_DecideWhatIsKept(string customProperties, string inputs, string outputs)
    {
        var (node, details) = await CompletedAsync(For().With(("customProperties", JsonNode.Parse(customProperties))));

        Assert.Equal(inputs, string.Join(' ', JournalValues.Inputs(node, details).Keys));
        Assert.Equal(outputs, string.Join(' ', JournalValues.Outputs(node, details).Keys));
    }

    [Fact]
    public async Task Values_WorkflowExcludesAndActivityInherits_AreLeftOut()
    {
        var activity = For().With(("customProperties", JsonNode.Parse("""{ "logPersistenceMode": { "default": "Inherit" } }""")));

        var (node, details) = await CompletedAsync(activity, """{ "logPersistenceMode": { "default": "Exclude" } }""");

        Assert.Empty(JournalValues.Inputs(node, details));
        Assert.Empty(JournalValues.Outputs(node, details));
    }

    [Fact]
    public async Task Values_WorkflowExcludesAndActivitySaysNothing_AreLeftOut()
    {
        var (node, details) = await CompletedAsync(For(), """{ "logPersistenceMode": { "default": "Exclude" } }""");

        Assert.Empty(JournalValues.Inputs(node, details));
        Assert.Empty(JournalValues.Outputs(node, details));
    }

    [Fact]
    public void Inputs_Sensitive_AreNeverKept()
    {
        var graph = TestRun.Engine().Compile(Json.Workflow(Json.Activity(
            "FlowSendHttpRequest", "send", ("url", Json.Literal("https://example.org")), ("authorization", Json.Literal("Bearer secret")))).Read());

        var inputs = JournalValues.Inputs(graph.FindActivity("send")!, null);

        Assert.Contains("Url", inputs.Keys);
        Assert.DoesNotContain("Authorization", inputs.Keys);
    }

    private static JsonObject For() => Json.Activity(
        "For", "for", ("start", Json.Literal(1)), ("end", Json.Variable("end")), ("body", Json.Write("body")));

    private static async Task<(Conclave.Workflows.Definitions.ActivityNode Node, ActivityDetails? Details)> CompletedAsync(
        JsonNode activity, string? workflowProperties = null)
    {
        var workflow = Json.Workflow(activity, Json.Variable("end", "Int32", "2"));
        if (workflowProperties is not null)
            workflow["customProperties"] = JsonNode.Parse(workflowProperties);
        var run = await TestRun.Engine().RunAsync(workflow);
        var node = run.Instance.Graph.FindActivity("for")!;
        var entry = run.Instance.Log.Entries.Single(e => e.NodeIndex == node.Index && e.Event == ExecutionEvent.Completed);
        return (node, (ActivityDetails?)entry.Details);
    }
}
