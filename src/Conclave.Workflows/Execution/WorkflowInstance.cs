using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Execution;

/// <summary>One run of a workflow: everything that changes while it runs.</summary>
/// <remarks>Used by one burst at a time; different instances run on different threads freely.</remarks>
public sealed class WorkflowInstance
{
    private readonly Stack<ActivityContext> _pool = new();

    internal WorkflowInstance(string id, WorkflowGraph graph, TimeProvider time)
    {
        Id = id;
        Graph = graph;
        Time = time;
        CreatedAt = UpdatedAt = time.GetUtcNow();
    }

    /// <summary>Id of the instance.</summary>
    public string Id { get; }

    /// <summary>What runs. An instance stays on the version it was started with.</summary>
    public WorkflowGraph Graph { get; }

    /// <summary>Whether the instance may still run.</summary>
    public WorkflowStatus Status => SubStatus is WorkflowSubStatus.Finished or WorkflowSubStatus.Cancelled or WorkflowSubStatus.Faulted
        ? WorkflowStatus.Finished
        : WorkflowStatus.Running;

    /// <summary>What the instance is doing, or how it ended.</summary>
    public WorkflowSubStatus SubStatus
    {
        get;
        internal set
        {
            // That one runs is told by the entry that comes, unless it had ended.
            if (Log.KeepsNotes && value != field && (value != WorkflowSubStatus.Executing || Status == WorkflowStatus.Finished))
                Log.Note(LogNoteKind.Status, value: (int)value);
            field = value;
        }
    }

    /// <summary>Id that ties the instance to something in the author's world.</summary>
    public string? CorrelationId { get; set; }

    /// <summary>Name that people know the instance by.</summary>
    public string? Name { get; set; }

    /// <summary>Instance that started this one.</summary>
    public string? ParentInstanceId { get; init; }

    /// <summary>Whether the parent was told that this instance ended, or need not be: it is told once, also when a retry makes the instance end again.</summary>
    internal bool IsParentTold { get; set; }

    /// <summary>Activity that started the workflow as a trigger.</summary>
    public string? TriggerActivityId { get; internal set; }

    /// <summary>What the trigger brought; null once it was taken.</summary>
    internal object? TriggerInput { get; set; }

    /// <summary>Whether the trigger activity has run as the trigger.</summary>
    internal bool IsTriggerTaken { get; set; }

    /// <summary>How flowcharts of this instance run.</summary>
    public FlowchartMode FlowchartMode { get; internal set; }

    /// <summary>Inputs by name; values are workflow values.</summary>
    public IReadOnlyDictionary<string, object?> Input { get; internal set; } = EmptyValues;

    /// <summary>Values that variables of the workflow begin with, by name.</summary>
    internal IReadOnlyDictionary<string, object?> InitialVariables { get; init; } = EmptyValues;

    /// <summary>Outputs by name; values are workflow values.</summary>
    public IReadOnlyDictionary<string, object?> Output => OutputValues ?? EmptyValues;

    /// <summary>What the instance waits for.</summary>
    public IReadOnlyList<Bookmark> Bookmarks => BookmarkList;

    /// <summary>What went wrong.</summary>
    public IReadOnlyList<Incident> Incidents => IncidentList;

    /// <summary>What happened since the log was last drained.</summary>
    public ExecutionLog Log { get; } = new();

    /// <summary>What the last burst asks the host to do once it is committed: events, dispatches, task requests.</summary>
    public IReadOnlyList<WorkflowEffect> Effects => EffectList;

    /// <summary>When the instance was created.</summary>
    public DateTimeOffset CreatedAt { get; internal set; }

    /// <summary>When the instance last changed.</summary>
    public DateTimeOffset UpdatedAt { get; internal set; }

    /// <summary>When the instance ended.</summary>
    public DateTimeOffset? FinishedAt { get; internal set; }

    /// <summary>Number of bursts so far.</summary>
    public int Bursts { get; internal set; }

    /// <summary>The context of the workflow itself; null before the start.</summary>
    public ActivityContext? RootContext { get; internal set; }

    /// <summary>Executions of activities that the instance holds, parents before children.</summary>
    public IEnumerable<ActivityContext> Contexts => RootContext is null ? [] : Within(RootContext);

    /// <summary>Activities that are due to run, in order, with the execution that scheduled each; null for the workflow itself.</summary>
    public IEnumerable<(ActivityNode Node, ActivityContext? Owner)> Scheduled => Scheduler.Select(item => (item.Node, item.Owner));

    internal static IReadOnlyDictionary<string, object?> EmptyValues { get; } = new Dictionary<string, object?>();

    internal TimeProvider Time { get; }

    internal Dictionary<string, object?>? OutputValues { get; private set; }

    internal List<Bookmark> BookmarkList { get; } = [];

    internal List<Incident> IncidentList { get; } = [];

    internal List<WorkflowEffect> EffectList { get; } = [];

    internal Queue<WorkItem> Scheduler { get; } = new();

    /// <summary>Outputs of the last execution of each activity, by node index; null unless the workflow reads them.</summary>
    internal object?[]?[]? ActivityOutputs { get; set; }

    /// <summary>The last value of an output named <c>Result</c>.</summary>
    internal object? LastResult { get; set; }

    /// <summary>The activity whose code is running.</summary>
    internal ActivityContext? Executing { get; set; }

    internal int LastActivityInstance { get; set; }

    internal int LastBookmark { get; set; }

    /// <summary>A workflow that <c>Complete</c> asked to complete, once the activities inside have been told.</summary>
    internal ActivityContext? CompletingComposite { get; set; }

    /// <summary>Loops that <c>Complete</c> ended and whose parents are still to be told.</summary>
    internal List<ActivityContext>? EndedLoops { get; set; }

    /// <summary>The value of a variable of the workflow; its default before the start.</summary>
    public object? GetVariable(ScopeVariable variable) =>
        RootContext?.Variables is { } values && variable.Scope == Graph.Root ? values[variable.Slot] : variable.Default;

    /// <summary>Ties the instance to an id from a workflow; nothing unties it.</summary>
    /// <exception cref="WorkflowException">The id is too long or has control characters.</exception>
    internal void Correlate(string? id) => CorrelationId = InstanceText.Check("workflow.bad_correlation_id", "correlation id", id);

    /// <summary>Gives the instance a name from a workflow.</summary>
    /// <exception cref="WorkflowException">The name is too long or has control characters.</exception>
    internal void Rename(string? name) => Name = InstanceText.Check("workflow.bad_name", "name", name);

    /// <summary>Sets a workflow output.</summary>
    public void SetOutput(string name, object? value) => (OutputValues ??= new(StringComparer.Ordinal))[name] = value;

    /// <summary>Takes the effects of the last burst out, for the host to carry out.</summary>
    public IReadOnlyList<WorkflowEffect> TakeEffects()
    {
        if (EffectList.Count == 0)
            return [];
        var effects = EffectList.ToArray();
        EffectList.Clear();
        return effects;
    }

    /// <summary>The last output of an activity; null when it has not run or the workflow keeps no outputs.</summary>
    /// <param name="activity">Id or name of the activity.</param>
    /// <param name="output">Name of the output; null takes <c>Result</c>, or the only one.</param>
    internal object? FindOutput(string activity, string? output)
    {
        if (ActivityOutputs is not { } kept || Graph.FindActivity(activity) is not { } node || kept[node.Index] is not { } values)
            return null;
        var declared = node.Outputs;
        var found = output is null
            ? Array.Find(declared, o => o.Name == "Result") ?? declared.FirstOrDefault()
            : Array.Find(declared, o => o.Name.Equals(output, StringComparison.OrdinalIgnoreCase));
        return found is null ? null : values[found.Index];
    }

    /// <summary>Ends the instance as finished; whatever was scheduled or waits is dropped.</summary>
    internal void Finish()
    {
        Scheduler.Clear();
        foreach (var bookmark in BookmarkList)
            bookmark.Context.BookmarkCount = 0;
        BookmarkList.Clear();
        SubStatus = WorkflowSubStatus.Finished;
    }

    /// <summary>Puts an activity before all others: the order of activities must not depend on where one was interrupted.</summary>
    internal void ScheduleFirst(WorkItem item)
    {
        if (item.Owner is { } owner)
            owner.ScheduledChildren++;
        Scheduler.Enqueue(item);
        for (var others = Scheduler.Count - 1; others > 0; others--)
            Scheduler.Enqueue(Scheduler.Dequeue());
    }

    /// <summary>Forgets what an activity has scheduled and has not begun.</summary>
    internal void Unschedule(ActivityContext owner)
    {
        for (var count = Scheduler.Count; count > 0; count--)
        {
            var item = Scheduler.Dequeue();
            if (item.Owner != owner || item.OwnerNumber != owner.Number)
                Scheduler.Enqueue(item);
        }

        owner.ScheduledChildren = 0;
    }

    internal ActivityContext NewContext(ActivityNode node, ActivityContext? parent)
    {
        if (!_pool.TryPop(out var context))
            context = new ActivityContext(this);
        context.Begin(node, parent, ++LastActivityInstance);
        if (parent is null)
        {
            RootContext = context;
            SetInitialVariables(context);
        }

        return context;
    }

    private void SetInitialVariables(ActivityContext root)
    {
        if (InitialVariables.Count == 0)
            return;
        foreach (var variable in Graph.Root.Variables)
        {
            if (InitialVariables.TryGetValue(variable.Definition.Name, out var value))
                root.Variables![variable.Slot] = ValueConverter.Convert(value, variable.Type);
        }
    }

    /// <summary>Gives a context back once nobody can refer to it any more.</summary>
    internal void Release(ActivityContext context)
    {
        context.Reset();
        _pool.Push(context);
    }

    private static IEnumerable<ActivityContext> Within(ActivityContext context) => context.Children.SelectMany(Within).Prepend(context);

    internal void Record(ActivityContext context, ExecutionEvent executionEvent, object? details) =>
        Log.Add(Time.GetUtcNow().UtcTicks, context.Node.Index, context.Number, executionEvent, details, context.Parent?.Number ?? 0);
}

/// <summary>How flowcharts run.</summary>
public enum FlowchartMode
{
    /// <summary>Counts visits to connections; Elsa's default.</summary>
    Counter,

    /// <summary>Passes tokens along connections and merges them by merge mode.</summary>
    Token,
}

/// <summary>An activity that is due to run.</summary>
/// <param name="Node">The activity.</param>
/// <param name="Owner">The activity that scheduled it; null for the workflow itself.</param>
/// <param name="OwnerNumber">Number of the owner's execution; contexts are reused, so the reference alone says nothing.</param>
/// <param name="Tag">What the owner wants to know when it completes.</param>
/// <param name="Dynamic">Variables that only this execution has.</param>
internal readonly record struct WorkItem(ActivityNode Node, ActivityContext? Owner, int OwnerNumber, int Tag, DynamicVariable[]? Dynamic);

/// <summary>A variable that belongs to one execution, such as <c>CurrentValue</c> of a loop.</summary>
/// <param name="Name">Name in scripts.</param>
/// <param name="Value">Value.</param>
internal sealed record DynamicVariable(string Name, object? Value)
{
    public object? Value { get; set; } = Value;
}
