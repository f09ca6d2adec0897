using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Definitions;

/// <summary>One activity of a compiled workflow. Immutable once compiled and shared by all instances.</summary>
public sealed class ActivityNode
{
    private string? _nodeId;

    internal ActivityNode(string id, string type, int version, Activity activity, ActivityDescriptor descriptor, ActivityNode? parent)
    {
        Id = id;
        Type = type;
        Version = version;
        Activity = activity;
        Descriptor = descriptor;
        Parent = parent;
        Depth = parent is null ? 0 : parent.Depth + 1;
        activity.Node = this;
    }

    /// <summary>Id within the definition.</summary>
    public string Id { get; internal set; }

    /// <summary>Ids from the graph's root down to here, joined by colons.</summary>
    public string NodeId => _nodeId ??= Parent is null ? Id : $"{Parent.NodeId}:{Id}";

    /// <summary>Name that scripts and people use; null when the author gave none.</summary>
    public string? Name { get; internal set; }

    /// <summary>Type name as in the definition, also when it is unknown.</summary>
    public string Type { get; }

    /// <summary>Type name without its namespace.</summary>
    public string ShortType => Type[(Type.LastIndexOf('.') + 1)..];

    /// <summary>Version of the type as in the definition.</summary>
    public int Version { get; }

    /// <summary>What runs.</summary>
    public Activity Activity { get; }

    /// <summary>What authors see of the type.</summary>
    public ActivityDescriptor Descriptor { get; }

    /// <summary>The activity that contains this one; null for the synthetic workflow at the top.</summary>
    public ActivityNode? Parent { get; }

    /// <summary>The activities directly inside this one, in document order.</summary>
    public IReadOnlyList<ActivityNode> Children => ChildList;

    /// <summary>Place among the graph's nodes.</summary>
    public int Index { get; internal set; }

    /// <summary>Number of ancestors.</summary>
    public int Depth { get; }

    /// <summary>The property of the parent that holds this activity.</summary>
    public string? Port { get; internal set; }

    /// <summary>Variables that this activity's scope holds.</summary>
    public IReadOnlyList<ScopeVariable> Variables { get; internal set; } = [];

    /// <summary>The activity's JSON; undefined for synthetic nodes.</summary>
    public JsonElement Json { get; internal set; }

    /// <summary>Whether the activity may start the workflow.</summary>
    public bool CanStartWorkflow { get; internal set; }

    /// <summary>Whether the author wants the activity to run in the background.</summary>
    public bool RunAsynchronously { get; internal set; }

    /// <summary>How tokens that arrive here merge; null when the author did not say.</summary>
    public MergeMode? MergeMode { get; internal set; }

    /// <summary>When state is committed around this activity; null follows the workflow.</summary>
    public string? CommitStrategyName { get; internal set; }

    /// <summary>Retries and time-out; null when there are none.</summary>
    public ActivityPolicy? Policy { get; internal set; }

    /// <summary>Which of the activity's values go to the journal.</summary>
    public LogPersistence LogPersistence { get; internal set; } = LogPersistence.IncludeAll;

    /// <summary>The class behind the activity; null for synthetic nodes.</summary>
    internal ActivityType? Kind { get; set; }

    internal List<ActivityNode> ChildList { get; } = [];

    internal Output[] Outputs { get; set; } = [];

    /// <summary>Inputs that are expressions, by slot.</summary>
    internal EvaluatedInput[] EvaluatedInputs { get; set; } = [];

    /// <summary>Whether any of <see cref="EvaluatedInputs"/> is evaluated before the activity runs.</summary>
    internal bool EvaluatesBeforeRun { get; set; }

    /// <summary>Initial values of <see cref="Variables"/>, copied into each new context.</summary>
    internal object?[] VariableDefaults { get; set; } = [];

    /// <summary>The definition this node belongs to: that of the nearest workflow above it.</summary>
    public WorkflowDefinition Definition { get; internal set; } = null!;

    /// <summary>Finds a direct child by id.</summary>
    internal ActivityNode? FindChild(string id)
    {
        foreach (var child in ChildList)
        {
            if (child.Id == id)
                return child;
        }

        return null;
    }

    /// <summary>Finds a variable by its id, in this node's scope or around it within the same workflow.</summary>
    public ScopeVariable? FindVariable(string id)
    {
        for (var node = this; node is not null; node = node.Parent)
        {
            foreach (var variable in node.Variables)
            {
                if (variable.Definition.Id == id)
                    return variable;
            }

            if (node.Activity is Workflow)
                break;
        }

        return null;
    }

    /// <summary>The node and its place, for messages.</summary>
    public override string ToString() => $"{ShortType} '{Name ?? Id}'";
}

/// <summary>An input that is an expression.</summary>
/// <param name="Name">Descriptor name.</param>
/// <param name="Input">The input.</param>
/// <param name="BeforeRun">Whether it is evaluated before the activity runs.</param>
internal sealed record EvaluatedInput(string Name, Input Input, bool BeforeRun);

/// <summary>How tokens that arrive at an activity merge, in token mode.</summary>
public enum MergeMode
{
    /// <summary>Not said; as <see cref="Stream"/>.</summary>
    None = 0,

    /// <summary>Runs unless a source upstream still has a token on its way.</summary>
    Stream = 1,

    /// <summary>Waits for a token on every forward inbound connection.</summary>
    Merge = 2,

    /// <summary>Waits for a token on every inbound connection, loops included.</summary>
    Converge = 3,

    /// <summary>Runs once for each token that arrives.</summary>
    Cascade = 4,

    /// <summary>Runs for the first token and cancels the others.</summary>
    Race = 5,
}
