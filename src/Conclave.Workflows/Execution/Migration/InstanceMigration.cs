using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Execution;

/// <summary>Makes an instance of one version into one of another: what runs stays where it is, what is done is not done again.</summary>
/// <remarks>
/// Every activity that runs must be in the other version at the same path of ids and of the same type. Places are told by ids and never by
/// position: each activity translates what it keeps between callbacks (<see cref="Activity.Migrate"/>).
/// </remarks>
internal sealed class InstanceMigration
{
    private readonly WorkflowInstance _from;
    private readonly WorkflowGraph _graph;
    private readonly Dictionary<int, ActivityContext> _contexts = [];

    private InstanceMigration(WorkflowInstance from, WorkflowGraph graph)
    {
        _from = from;
        _graph = graph;
    }

    private MigrationProblems Problems { get; } = new();

    /// <summary>Makes the instance over.</summary>
    /// <param name="from">The instance, between bursts; it is not changed.</param>
    /// <param name="graph">The other version.</param>
    /// <returns>The instance in the other version, which is of no use when there are errors; and the problems.</returns>
    public static (WorkflowInstance Instance, MigrationProblems Problems) Run(WorkflowInstance from, WorkflowGraph graph)
    {
        var migration = new InstanceMigration(from, graph);
        return (migration.Migrate(), migration.Problems);
    }

    private WorkflowInstance Migrate()
    {
        var to = new WorkflowInstance(_from.Id, _graph, _from.Time)
        {
            ParentInstanceId = _from.ParentInstanceId,
            SubStatus = _from.SubStatus,
            FlowchartMode = _from.FlowchartMode,
            IsParentTold = _from.IsParentTold,
            CorrelationId = _from.CorrelationId,
            Name = _from.Name,
            TriggerActivityId = _from.TriggerActivityId,
            IsTriggerTaken = _from.IsTriggerTaken,
            TriggerInput = _from.TriggerInput,
            Input = WorkflowEngine.WithDefaults(_graph.Definition, _from.Input),
            CreatedAt = _from.CreatedAt,
            UpdatedAt = _from.Time.GetUtcNow(),
            FinishedAt = _from.FinishedAt,
            Bursts = _from.Bursts,
            LastActivityInstance = _from.LastActivityInstance,
            LastBookmark = _from.LastBookmark,
            LastResult = _from.LastResult,
        };
        to.Log.Sequence = _from.Log.Sequence;
        foreach (var (name, value) in _from.Output)
            to.SetOutput(name, value);
        to.IncidentList.AddRange(_from.Incidents);
        if (_from.RootContext is { } root)
            Copy(root, to, null, _graph.Root);
        CopyBookmarks(to);
        CopyScheduler(to);
        CopyOutputs(to);
        return to;
    }

    private void Copy(ActivityContext old, WorkflowInstance to, ActivityContext? parent, ActivityNode node)
    {
        var context = new ActivityContext(to);
        context.Begin(node, parent, old.Number);
        if (parent is null)
            to.RootContext = context;
        _contexts[old.Number] = context;
        context.Status = old.Status;
        if (old.Status == ActivityStatus.Faulted && parent is not null)
            parent.FaultedChildren++;
        context.Attempt = old.Attempt;
        context.IsBreaking = old.IsBreaking;
        context.Dynamic = old.Dynamic;
        context.Tag = old.Parent is { } owner ? node.Parent!.Activity.MigrateTag(owner.Node.Activity, old.Node, old.Tag, Problems) : old.Tag;
        ContextMigration.CopyVariables(old, context, Problems);
        ContextMigration.CopyInputs(old, context, Problems);
        context.RestoreOutputs(ContextMigration.MapOutputs(old.Outputs, old.Node, node));
        ContextMigration.CompareInputs(old, context, Problems);
        node.Activity.Migrate(old, context, Problems);
        for (var child = old.FirstChild; child is not null; child = child.NextSibling)
        {
            if (FindChild(node, child.Node, child.Status == ActivityStatus.Faulted ? "faulted" : "runs") is { } counterpart)
                Copy(child, to, context, counterpart);
        }
    }

    private ActivityNode? FindChild(ActivityNode parent, ActivityNode old, string state)
    {
        var version = _graph.Definition.Version;
        if (parent.FindChild(old.Id) is not { } node)
        {
            Problems.Error("migrate.activity_missing", old, $"it {state}, and version {version} does not have it in {parent}.");
            return null;
        }

        if (node.Type == old.Type)
            return node;
        Problems.Error("migrate.type_changed", old, $"it {state} as {old.Type}, and is a {node.Type} in version {version}.");
        return null;
    }

    private void CopyBookmarks(WorkflowInstance to)
    {
        foreach (var bookmark in _from.Bookmarks)
        {
            // An activity that is missing was reported.
            if (!_contexts.TryGetValue(bookmark.Context.Number, out var context))
                continue;
            to.BookmarkList.Add(bookmark with { Context = context });
            context.BookmarkCount++;
        }
    }

    private void CopyScheduler(WorkflowInstance to)
    {
        foreach (var item in _from.Scheduler)
        {
            if (item.Owner is not { } old)
            {
                to.Scheduler.Enqueue(item with { Node = _graph.Root });
                continue;
            }

            if (old.Number != item.OwnerNumber || old.Status != ActivityStatus.Running || !_contexts.TryGetValue(old.Number, out var owner)
                || FindChild(owner.Node, item.Node, "is about to run") is not { } node)
                continue;
            owner.ScheduledChildren++;
            var tag = owner.Node.Activity.MigrateTag(old.Node.Activity, item.Node, item.Tag, Problems);
            to.Scheduler.Enqueue(new WorkItem(node, owner, owner.Number, tag, item.Dynamic));
        }
    }

    /// <summary>Outputs that expressions read later; those of activities that are gone go with them.</summary>
    private void CopyOutputs(WorkflowInstance to)
    {
        if (!_graph.KeepsOutputs)
            return;
        to.ActivityOutputs = new object?[]?[_graph.Nodes.Count];
        if (_from.ActivityOutputs is not { } kept)
            return;
        for (var i = 0; i < kept.Length; i++)
        {
            var old = _from.Graph.Nodes[i];
            if (kept[i] is { } outputs && _graph.FindNode(old.NodeId) is { } node)
                to.ActivityOutputs[node.Index] = ContextMigration.MapOutputs(outputs, old, node);
        }
    }
}
