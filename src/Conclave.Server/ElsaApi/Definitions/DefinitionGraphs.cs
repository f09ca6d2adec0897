using System.Text.Json;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>Parts of workflows: what is inside a workflow used as an activity, and the way to an activity.</summary>
internal static class DefinitionGraphs
{
    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("/subgraph/{id}", SubgraphAsync)
            .Describe("ElsaGetSubgraph", "Look into an activity of a version", o => o.Query("parentNodeId", "Node id of the activity; the workflow itself without it.").Answers<NodeShape>());
        group.MapGet("/subgraph/segments/{id}", SegmentsAsync)
            .Describe("ElsaGetSegments", "Find the way to an activity of a version", o => o.Required("childNodeId", "Node id of the activity.").Answers<SegmentsShape>());
    }

    private static async Task SubgraphAsync(HttpContext context, string id)
    {
        var graph = await CompileAsync(context, id);
        var node = (context.Query("parentNodeId") is { } parent ? graph.FindNode(parent) : null) ?? graph.Root;
        await context.WriteJsonAsync(writer => WriteNode(writer, node));
    }

    private static async Task SegmentsAsync(HttpContext context, string id)
    {
        var graph = await CompileAsync(context, id);
        var nodeId = context.Query("childNodeId") ?? throw ApiException.Bad("'childNodeId' is missing.");
        var child = graph.FindNode(nodeId) ?? throw ApiException.Bad($"The workflow has no activity with the node id '{nodeId}'.");
        var path = new List<(ActivityNode Node, string Port)>();
        for (var node = child; node.Parent is { } above; node = above)
        {
            // Drawn in one canvas with what is around them: nobody has to go into them.
            if (above.Activity is not (Workflow or Flowchart))
                path.Add((above, PortOf(node)));
        }

        path.Reverse();
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WritePropertyName("childNode");
            WriteNode(writer, child);
            writer.WritePropertyName("container");
            WriteNode(writer, child.Parent ?? child);
            writer.WriteStartArray("pathSegments");
            foreach (var (node, port) in path)
            {
                writer.WriteStartObject();
                writer.WriteString("activityNodeId", node.NodeId);
                writer.WriteString("activityId", node.Id);
                writer.WriteString("activityType", node.Type);
                writer.WriteString("portName", port);
                if (node.Name is { } name)
                    writer.WriteString("activityName", name);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }

    private static async Task<WorkflowGraph> CompileAsync(HttpContext context, string id)
    {
        var catalog = context.Runtime().Catalog;
        var stored = await catalog.Store.FindAsync(context.Tenant(), id, context.RequestAborted) ?? throw ApiException.NoWorkflow(id);
        var workflows = catalog.Of(context.Tenant());
        // With placeholders, as the designer has it; their node ids are those of what they stand for.
        await workflows.LoadReferencesAsync(stored.Definition, context.RequestAborted);
        return await workflows.CompileAsync(stored.Definition with { Root = MissingActivities.Hide(stored.Definition.Root, workflows.Engine) }, context.RequestAborted);
    }

    private static void WriteNode(Utf8JsonWriter writer, ActivityNode node)
    {
        writer.WriteStartObject();
        writer.WriteString("nodeId", node.NodeId);
        writer.WriteString("port", PortOf(node));
        writer.WritePropertyName("activity");
        if (node.Activity is Workflow)
            WriteWorkflow(writer, node);
        else
        {
            WorkflowDefinitionWriter.WriteActivity(writer, node.Json, node.Parent!.NodeId, more =>
            {
                // The workflow inside a workflow used as an activity is nowhere but here.
                if (node.Children is not [{ Activity: Workflow } inner])
                    return;
                more.WritePropertyName("root");
                WriteWorkflow(more, inner);
            });
        }

        writer.WriteEndObject();
    }

    /// <summary>The synthetic activity at the top of a workflow, with the workflow's own root.</summary>
    private static void WriteWorkflow(Utf8JsonWriter writer, ActivityNode node)
    {
        writer.WriteStartObject();
        writer.WriteString("id", node.Id);
        writer.WriteString("nodeId", node.NodeId);
        if (node.Definition.Name is { } name)
            writer.WriteString("name", name);
        writer.WriteString("type", "Elsa.Workflow");
        writer.WriteNumber("version", 1);
        writer.WriteStartObject("customProperties");
        writer.WriteEndObject();
        writer.WriteStartObject("metadata");
        writer.WriteEndObject();
        writer.WritePropertyName("root");
        if (node.Children is [var root, ..])
            WorkflowDefinitionWriter.WriteActivity(writer, root.Json, node.NodeId);
        else
            writer.WriteNullValue();
        writer.WriteEndObject();
    }

    private static string PortOf(ActivityNode node) => node.Port is { Length: > 0 } port ? char.ToUpperInvariant(port[0]) + port[1..] : "";
}
