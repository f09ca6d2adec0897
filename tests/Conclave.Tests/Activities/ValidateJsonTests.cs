using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Tests.Conformance;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Activities;

public sealed class ValidateJsonTests(Runners runners) : IClassFixture<Runners>
{
    private const string Schema = """{ "type": "object", "required": ["total"], "properties": { "total": { "type": "number", "minimum": 0 } } }""";

    [Theory]
    [InlineData("""{ "total": 12.5 }""", "valid", 0)]
    [InlineData("""{ "total": -1 }""", "invalid", 1)]
    [InlineData("""{ }""", "invalid", 1)]
    [InlineData("""[1]""", "invalid", 1)]
    public async Task ValidateJson_Value_GoesOnThroughItsOutcome(string value, string line, int errors)
    {
        var run = await RunAsync(value, Schema);

        Assert.Equal([line], run.Lines);
        Assert.Equal(errors, ((JsonElement)run.Instance.GetVariable(run.Instance.Graph.Root.FindVariable("errors")!)!).GetArrayLength());
    }

    [Fact]
    public async Task ValidateJson_SchemaIsNone_Faults()
    {
        var run = await RunAsync("1", "[]");

        Assert.Equal(WorkflowSubStatus.Faulted, run.Instance.SubStatus);
    }

    private async Task<LocalRun> RunAsync(string value, string schema)
    {
        var check = Json.Activity("ValidateJson", "check", ("value", Json.Expression("Object", value)), ("schema", Json.Expression("Object", schema)), ("result", Json.To("errors")));
        check["type"] = "Conclave.ValidateJson";
        JsonNode[] activities = [check, Json.Write("valid"), Json.Write("invalid")];
        var workflow = Json.Workflow(Json.Flowchart("f", activities, "check:Valid->valid", "check:Invalid->invalid"), Json.Variable("errors", "Object"));
        return await runners.Engine(FlowchartMode.Counter, new WorkflowLibrary()).RunAsync(workflow);
    }
}
