namespace Conclave.Workflows.Execution;

/// <summary>Something a burst asks for that happens outside it, once the burst is committed.</summary>
/// <param name="ActivityInstance">Number of the activity's execution that asked.</param>
public abstract record WorkflowEffect(int ActivityInstance);

/// <summary>An event is published.</summary>
/// <param name="ActivityInstance">Number of the activity's execution that asked.</param>
/// <param name="EventName">Name of the event.</param>
/// <param name="CorrelationId">Only instances with this correlation id hear it; null for all.</param>
/// <param name="WorkflowInstanceId">Only this instance hears it; null for all.</param>
/// <param name="Payload">Data of the event.</param>
public sealed record EventPublished(
    int ActivityInstance, string EventName, string? CorrelationId, string? WorkflowInstanceId, object? Payload)
    : WorkflowEffect(ActivityInstance)
{
    /// <summary>Tells events of one name that one execution publishes apart; null when there is one.</summary>
    public string? Occasion { get; init; }
}

/// <summary>Somebody outside is asked to do a task and to report its result.</summary>
/// <param name="ActivityInstance">Number of the activity's execution that asked.</param>
/// <param name="TaskId">Id to report the result under.</param>
/// <param name="TaskName">Name of the task.</param>
/// <param name="Payload">Data for the task.</param>
public sealed record TaskRequested(int ActivityInstance, string TaskId, string TaskName, object? Payload) : WorkflowEffect(ActivityInstance);

/// <summary>A workflow is started in an instance of its own.</summary>
/// <param name="ActivityInstance">Number of the activity's execution that asked.</param>
/// <param name="Request">What to start.</param>
/// <param name="BookmarkName">Name of the bookmark that waits for it to finish; null when nobody waits.</param>
/// <param name="Channel">Queue to put it in; null for the default one.</param>
public sealed record WorkflowDispatched(int ActivityInstance, ChildWorkflowRequest Request, string? BookmarkName, string? Channel)
    : WorkflowEffect(ActivityInstance);

/// <summary>A workflow to start from within another.</summary>
/// <param name="InstanceId">Id of the new instance.</param>
/// <param name="DefinitionId">Workflow whose published version is started.</param>
/// <param name="CorrelationId">Correlation id of the new instance.</param>
/// <param name="Input">Inputs by name.</param>
/// <param name="ParentInstanceId">The instance that asks.</param>
public sealed record ChildWorkflowRequest(
    string InstanceId,
    string DefinitionId,
    string? CorrelationId,
    IReadOnlyDictionary<string, object?> Input,
    string ParentInstanceId);
