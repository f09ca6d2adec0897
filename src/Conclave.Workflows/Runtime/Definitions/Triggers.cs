using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>Finds what a workflow starts on.</summary>
internal static class Triggers
{
    /// <summary>Evaluates the triggers of a version.</summary>
    /// <exception cref="WorkflowDefinitionException">A trigger cannot be evaluated.</exception>
    public static async ValueTask<IReadOnlyList<WorkflowTrigger>> FindAsync(
        string tenant, WorkflowEngine engine, WorkflowGraph graph, CancellationToken cancellationToken)
    {
        var triggers = new List<WorkflowTrigger>();
        var problems = new List<DefinitionProblem>();
        foreach (var node in graph.Nodes)
        {
            // Triggers inside workflows used as activities wait; they do not start the workflow around them.
            if (!node.CanStartWorkflow || node.Descriptor.Kind != ActivityKind.Trigger || node.Definition != graph.Definition)
                continue;
            try
            {
                foreach (var payload in await engine.EvaluateTriggerAsync(graph, node, cancellationToken))
                    triggers.Add(Describe(tenant, graph.Definition, node, payload));
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                problems.Add(new DefinitionProblem("trigger.cannot_evaluate", $"{node} can start the workflow, but its inputs cannot be evaluated without an instance: {exception.Message}", node.Id));
            }
        }

        return problems.Count == 0 ? triggers : throw new WorkflowDefinitionException(problems);
    }

    private static WorkflowTrigger Describe(string tenant, WorkflowDefinition definition, ActivityNode node, BookmarkPayload payload)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            foreach (var (name, value) in payload.Members)
            {
                writer.WritePropertyName(name);
                ValueConverter.WriteJson(writer, value);
            }

            writer.WriteEndObject();
        }

        return new WorkflowTrigger(
            tenant,
            definition.DefinitionId,
            definition.Id,
            node.Id,
            node.Type,
            BookmarkKey.Of(node.Type, payload),
            JsonElement.Parse(buffer.GetBuffer().AsSpan(0, (int)buffer.Length)),
            payload.Type == HttpEndpoint.PayloadType ? RouteKey(payload) : null);
    }

    private static string RouteKey(BookmarkPayload payload) =>
        $"{ValueConverter.ToText(payload["Method"])?.ToUpperInvariant()} {HttpEndpointPath.RouteKey(ValueConverter.ToText(payload["Path"]) ?? "")}";
}
