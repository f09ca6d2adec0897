using System.Text;
using Conclave.Workflows.Definitions;

namespace Conclave.Benchmarks.Durable;

/// <summary>The workflows that the durable benches run.</summary>
internal static class DurableWorkflows
{
    public const string FiveSteps = """
        { "id": "five-1", "definitionId": "five", "options": { "commitStrategyName": "ActivityExecuted" },
          "variables": [ { "id": "v", "name": "V", "typeName": "Object" } ],
          "root": { "id": "seq", "type": "Elsa.Sequence", "version": 1, "activities": [STEPS] } }
        """;

    public const string Wait = """
        { "id": "wait-1", "definitionId": "wait",
          "root": { "id": "go", "type": "Elsa.Event", "version": 1, "eventName": "Go" } }
        """;

    public const string Line = """
        { "id": "line-1", "definitionId": "line",
          "root": { "id": "say", "type": "Elsa.WriteLine", "version": 1, "text": "" } }
        """;

    public const string Hook = """
        { "definitionId": "hook", "variables": [ { "id": "v", "name": "V", "typeName": "Object" } ],
          "root": { "id": "seq", "type": "Elsa.Sequence", "version": 1, "activities": [
            { "id": "in", "type": "Elsa.HttpEndpoint", "version": 1, "path": { "typeName": "String", "expression": { "type": "Literal", "value": "hook" } }, "customProperties": { "canStartWorkflow": true } },
            { "id": "set", "type": "Elsa.SetVariable", "version": 1, "variable": { "id": "v", "name": "V", "typeName": "Object" }, "value": { "typeName": "Object", "expression": { "type": "Literal", "value": "hello" } } },
            { "id": "out", "type": "Elsa.WriteHttpResponse", "version": 1, "content": { "typeName": "Object", "expression": { "type": "Variable", "value": { "id": "v", "name": "V" } } } } ] } }
        """;

    private const string Step = """
        { "id": "s#", "type": "Elsa.SetVariable", "version": 1, "variable": { "id": "v", "name": "V", "typeName": "Object" },
          "value": { "typeName": "Object", "expression": { "type": "Literal", "value": "#" } } }
        """;

    public static WorkflowDefinition Read(string json) => WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes(
        json.Replace("STEPS", string.Join(',', Enumerable.Range(1, 5).Select(i => Step.Replace("#", $"{i}", StringComparison.Ordinal))), StringComparison.Ordinal)));
}
