using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Workflows.Runtime.Executions;

/// <summary>What the state of an instance says of executions that the journal has no end of.</summary>
public sealed class LiveExecutions
{
    private readonly Dictionary<int, ActivityContext> _contexts = [];
    private readonly HashSet<string> _blocked = new(StringComparer.Ordinal);
    private readonly HashSet<string> _faulted = new(StringComparer.Ordinal);

    /// <summary>Reads a state.</summary>
    /// <param name="instance">The instance; null when it is gone or cannot be read.</param>
    public LiveExecutions(WorkflowInstance? instance)
    {
        Instance = instance;
        if (instance is null)
            return;
        for (var left = new Stack<ActivityContext?>([instance.RootContext]); left.TryPop(out var context);)
        {
            if (context is null)
                continue;
            _contexts[context.Number] = context;
            if (context.HasBookmarks && instance.Status == WorkflowStatus.Running)
                _blocked.Add(context.Node.NodeId);
            left.Push(context.NextSibling);
            left.Push(context.FirstChild);
        }

        foreach (var incident in instance.Incidents)
            _faulted.Add(incident.ActivityNodeId);
    }

    /// <summary>The instance; null when it is gone or cannot be read.</summary>
    public WorkflowInstance? Instance { get; }

    /// <summary>Whether an execution of an activity waits for something from outside.</summary>
    public bool IsBlocked(string nodeId) => _blocked.Contains(nodeId);

    /// <summary>Whether an execution of an activity faulted and nobody ran it again.</summary>
    public bool IsFaulted(string nodeId) => _faulted.Contains(nodeId);

    /// <summary>Whether an execution that began will never end: its burst was cut off, and the activity ran again under another number.</summary>
    public bool IsGone(int number) => Instance is { } instance && number <= instance.LastActivityInstance && !_contexts.ContainsKey(number);

    /// <summary>Completes what the journal tells of an execution that has not ended.</summary>
    internal void Complete(ActivityExecution execution)
    {
        if (execution.CompletedAt is not null)
            return;
        if (!_contexts.TryGetValue(execution.Number, out var context))
        {
            if (execution.Status == ActivityStatus.Running && IsGone(execution.Number))
                (execution.Status, execution.CompletedAt) = (ActivityStatus.Canceled, execution.StartedAt);
            return;
        }

        execution.Node ??= context.Node;
        execution.HasBookmarks = context.HasBookmarks && Instance!.Status == WorkflowStatus.Running;
        if (!context.Node.LogPersistence.ExcludesAll)
            execution.Details ??= new ActivityDetails(Shorten(context.Inputs), Shorten(context.Outputs), null);
    }

    private static object?[]? Shorten(object?[]? values) => values is null ? null : Array.ConvertAll(values, LargeValues.Shorten);
}
