using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Definitions;

/// <summary>A definition compiled into what runs: nodes in an array, literals converted, connections as adjacency lists.</summary>
/// <remarks>Immutable and safe to share between threads and instances.</remarks>
public sealed class WorkflowGraph
{
    private Dictionary<string, ActivityNode>? _byNodeId;

    internal WorkflowGraph(WorkflowDefinition definition, ActivityNode[] nodes, IReadOnlyList<DefinitionProblem> problems)
    {
        Definition = definition;
        Nodes = nodes;
        Problems = problems;
    }

    /// <summary>What the graph was compiled from.</summary>
    public WorkflowDefinition Definition { get; }

    /// <summary>All activities, parents before children; the first is the synthetic workflow.</summary>
    public IReadOnlyList<ActivityNode> Nodes { get; }

    /// <summary>The synthetic workflow activity at the top.</summary>
    public ActivityNode Root => Nodes[0];

    /// <summary>Problems that do not keep the workflow from loading; those with severity error forbid publishing.</summary>
    public IReadOnlyList<DefinitionProblem> Problems { get; }

    /// <summary>Whether some expression reads outputs of other activities, so that these are kept.</summary>
    internal bool KeepsOutputs { get; init; }

    /// <summary>Finds an activity by its node id.</summary>
    public ActivityNode? FindNode(string nodeId)
    {
        if (_byNodeId is not { } nodes)
        {
            // Ids may hold colons, so that two paths may read alike; the first counts.
            nodes = new Dictionary<string, ActivityNode>(Nodes.Count, StringComparer.Ordinal);
            foreach (var node in Nodes)
                nodes.TryAdd(node.NodeId, node);
            _byNodeId = nodes;
        }

        return nodes.GetValueOrDefault(nodeId);
    }

    /// <summary>Finds the first activity with an id, or with a name when no id matches.</summary>
    public ActivityNode? FindActivity(string idOrName) =>
        Nodes.FirstOrDefault(n => n.Id == idOrName) ?? Nodes.FirstOrDefault(n => n.Name == idOrName);

    /// <summary>Compiles a definition.</summary>
    /// <param name="definition">What to compile.</param>
    /// <param name="engine">The activity types, expression syntaxes and workflows it may use.</param>
    /// <exception cref="WorkflowDefinitionException">The definition cannot run at all; carries every problem.</exception>
    public static WorkflowGraph Compile(WorkflowDefinition definition, WorkflowEngine engine) =>
        new GraphCompiler(definition, engine).Compile();
}
