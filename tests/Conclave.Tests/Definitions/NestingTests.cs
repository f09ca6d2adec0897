using System.Text;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Definitions;

public sealed class NestingTests
{
    [Fact]
    public void Compile_WorkflowsNestedInEachOtherAndDeepInside_IsRefusedBeforeTheStackEnds()
    {
        var library = new WorkflowLibrary();
        for (var level = 1; level <= 15; level++)
            library.Add(Deep($"w{level}", level < 15 ? $"w{level + 1}" : null));
        var engine = new WorkflowEngine(library: library);
        Exception? thrown = null;

        // A thread with a small stack, as workers have.
        var thread = new Thread(() => thrown = Record.Exception(() => engine.Compile(Deep("w0", "w1"))), 512 * 1024);
        thread.Start();
        thread.Join();

        var refusal = Assert.IsType<WorkflowDefinitionException>(thrown);
        Assert.Equal("definition.nested_too_deep", Assert.Single(refusal.Problems).Code);
    }

    /// <summary>A workflow whose only leaf, ninety levels down, is another workflow.</summary>
    private static WorkflowDefinition Deep(string id, string? leaf)
    {
        var json = new StringBuilder();
        json.Append($$"""{"id":"{{id}}","definitionId":"{{id}}","name":"{{id}}","options":{"usableAsActivity":true},"root":""");
        for (var level = 0; level < 90; level++)
            json.Append($$"""{"id":"n{{level}}","type":"Elsa.FlowNode","version":1,"body":""");
        json.Append(leaf is null
            ? """{"id":"leaf","type":"Elsa.Start","version":1}"""
            : $$"""{"id":"leaf","type":"{{WorkflowDefinition.Pascalize(leaf)}}","version":1,"workflowDefinitionId":"{{leaf}}"}""");
        json.Append('}', 91);
        return WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes(json.ToString()));
    }
}
