using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Which instances, in which order. Empty lists ask for nothing.</summary>
internal sealed record InstanceListRequest
{
    /// <summary>From 0; everything without page and pageSize.</summary>
    public int? Page { get; init; }

    public int? PageSize { get; init; }

    /// <summary>Part of the name or of an id.</summary>
    public string? SearchTerm { get; init; }

    public IReadOnlyList<string>? Ids { get; init; }

    public string? DefinitionId { get; init; }

    public IReadOnlyList<string>? DefinitionIds { get; init; }

    public string? CorrelationId { get; init; }

    public string? Name { get; init; }

    public int? Version { get; init; }

    public bool? HasIncidents { get; init; }

    public bool? IsSystem { get; init; }

    public WorkflowStatus? Status { get; init; }

    public IReadOnlyList<WorkflowStatus>? Statuses { get; init; }

    public InstanceSubStatus? SubStatus { get; init; }

    public IReadOnlyList<InstanceSubStatus>? SubStatuses { get; init; }

    public InstanceOrderBy? OrderBy { get; init; }

    public OrderDirection? OrderDirection { get; init; }

    public IReadOnlyList<TimestampFilterRequest>? TimestampFilters { get; init; }
}

/// <summary>Instances by a time; midnight stands for the whole day.</summary>
/// <param name="Column">CreatedAt, UpdatedAt or FinishedAt.</param>
/// <param name="Operator">Is, IsNot, LessThan, GreaterThan, LessThanOrEqual or GreaterThanOrEqual.</param>
/// <param name="Timestamp">The time.</param>
internal sealed record TimestampFilterRequest(string Column, string Operator, DateTimeOffset Timestamp);

/// <summary>An instance in a list.</summary>
internal sealed record InstanceSummaryShape(
    string Id,
    string DefinitionId,
    string DefinitionVersionId,
    int Version,
    WorkflowStatus Status,
    WorkflowSubStatus SubStatus,
    bool IsExecuting,
    string? CorrelationId,
    string? Name,
    int IncidentCount,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    DateTimeOffset? FinishedAt);

/// <summary>An instance with its state.</summary>
internal sealed record InstanceShape(
    string Id,
    string DefinitionId,
    string DefinitionVersionId,
    int Version,
    WorkflowStatus Status,
    WorkflowSubStatus SubStatus,
    bool IsExecuting,
    string? CorrelationId,
    string? Name,
    int IncidentCount,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    DateTimeOffset? FinishedAt,
    string? ParentWorkflowInstanceId,
    bool IsSystem,
    StateShape WorkflowState);

/// <summary>The state of an instance.</summary>
internal sealed record StateShape(
    string Id,
    string DefinitionId,
    string DefinitionVersionId,
    int DefinitionVersion,
    string? ParentWorkflowInstanceId,
    string? CorrelationId,
    string? Name,
    WorkflowStatus Status,
    WorkflowSubStatus SubStatus,
    bool? IsExecuting,
    bool? IsSystem,
    IReadOnlyList<BookmarkShape> Bookmarks,
    IReadOnlyList<IncidentShape> Incidents,
    IReadOnlyList<JsonObject> CompletionCallbacks,
    IReadOnlyList<ContextShape> ActivityExecutionContexts,
    IReadOnlyList<ScheduledShape> ScheduledActivities,
    long? ExecutionLogSequence,
    JsonObject Input,
    JsonObject Output,
    JsonObject Properties,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    DateTimeOffset? FinishedAt);

/// <summary>What an instance waits for.</summary>
internal sealed record BookmarkShape(
    string Id,
    string Name,
    string Hash,
    JsonObject Payload,
    string ActivityId,
    string ActivityNodeId,
    string ActivityInstanceId,
    DateTimeOffset CreatedAt,
    bool AutoBurn,
    bool AutoComplete);

/// <summary>What went wrong.</summary>
internal sealed record IncidentShape(
    string ActivityId, string ActivityNodeId, string ActivityType, string ActivityInstanceId, string Message, ExceptionShape? Exception, DateTimeOffset Timestamp);

/// <summary>An exception with its inner ones.</summary>
internal sealed record ExceptionShape(string Type, string Message, string? StackTrace, ExceptionShape? InnerException);

/// <summary>An execution of an activity that goes on.</summary>
internal sealed record ContextShape(
    string Id,
    int CallStackDepth,
    string? ParentContextId,
    string ScheduledActivityNodeId,
    string? OwnerActivityNodeId,
    JsonObject Properties,
    JsonObject Metadata,
    JsonObject ActivityState,
    IReadOnlyList<Definitions.VariableShape> DynamicVariables,
    string Status,
    bool IsExecuting,
    int FaultCount,
    DateTimeOffset StartedAt);

/// <summary>An activity that runs next.</summary>
internal sealed record ScheduledShape(string ActivityNodeId, string? OwnerContextId, JsonObject Input);

/// <summary>How an instance stands.</summary>
internal sealed record ExecutionStateShape(WorkflowStatus Status, WorkflowSubStatus SubStatus, WorkflowSubStatus WorkflowSubStatus, DateTimeOffset UpdatedAt);

/// <summary>A variable with its value.</summary>
internal sealed record VariableValueShape(string Id, string Name, JsonElement? Value);

/// <summary>Values of variables; all or none are set.</summary>
internal sealed record SetVariablesRequest(IReadOnlyList<SetVariableRequest> Variables);

/// <summary>A value of a variable.</summary>
internal sealed record SetVariableRequest(string Id, JsonElement Value);

/// <summary>Which entries.</summary>
internal sealed record JournalRequest
{
    public JournalFilterRequest? Filter { get; init; }
}

/// <summary>Which entries; an empty list fits nothing.</summary>
internal sealed record JournalFilterRequest
{
    public IReadOnlyList<string>? ActivityIds { get; init; }

    public IReadOnlyList<string>? ActivityNodeIds { get; init; }

    public IReadOnlyList<string>? ExcludedActivityTypes { get; init; }

    public IReadOnlyList<string>? EventNames { get; init; }
}

/// <summary>An entry of the journal.</summary>
internal sealed record JournalRecordShape(
    string Id,
    string ActivityInstanceId,
    string? ParentActivityInstanceId,
    string ActivityId,
    string ActivityType,
    int ActivityTypeVersion,
    string? ActivityName,
    string NodeId,
    DateTimeOffset Timestamp,
    long Sequence,
    string EventName,
    string? Message,
    JsonObject? Payload);

/// <summary>An execution of an activity, in a list.</summary>
internal sealed record ExecutionSummaryShape(
    string Id,
    string WorkflowInstanceId,
    string ActivityId,
    string ActivityNodeId,
    string ActivityType,
    int ActivityTypeVersion,
    string? ActivityName,
    JsonObject? Metadata,
    DateTimeOffset StartedAt,
    bool HasBookmarks,
    string Status,
    int AggregateFaultCount,
    DateTimeOffset? CompletedAt);

/// <summary>An execution of an activity with its values.</summary>
internal sealed record ExecutionShape(
    string Id,
    string WorkflowInstanceId,
    string ActivityId,
    string ActivityNodeId,
    string ActivityType,
    int ActivityTypeVersion,
    string? ActivityName,
    JsonObject ActivityState,
    JsonObject? Payload,
    JsonObject? Outputs,
    ExceptionShape? Exception,
    JsonObject? Properties,
    string? SchedulingActivityExecutionId,
    string? SchedulingActivityId,
    string? SchedulingWorkflowInstanceId,
    int CallStackDepth,
    JsonObject? Metadata,
    DateTimeOffset StartedAt,
    bool HasBookmarks,
    string Status,
    int AggregateFaultCount,
    DateTimeOffset? CompletedAt);

/// <summary>Activities of an instance.</summary>
internal sealed record ReportRequest(string WorkflowInstanceId)
{
    /// <summary>All that ran without it.</summary>
    public IReadOnlyList<string>? ActivityNodeIds { get; init; }
}

/// <summary>How often activities ran; no node comes twice.</summary>
internal sealed record ReportShape(IReadOnlyList<StatsShape> Stats);

/// <summary>How often an activity ran.</summary>
internal sealed record StatsShape(
    string ActivityId,
    string ActivityNodeId,
    long StartedCount,
    long CompletedCount,
    long UncompletedCount,
    bool IsBlocked,
    bool IsFaulted,
    int AggregateFaultCount,
    JsonObject? Metadata);

/// <summary>Who started an execution, from the root down.</summary>
internal sealed record CallStackShape(string ActivityExecutionId, IReadOnlyList<ExecutionShape> Items, long TotalCount);

/// <summary>How failed calls are repeated; $type says which strategy it is.</summary>
internal sealed record StrategyShape(
    [property: System.Text.Json.Serialization.JsonPropertyName("$type")] string Type,
    string Id,
    string DisplayName,
    int MaxRetryAttempts,
    bool UseJitter,
    TimeSpan Delay,
    string BackoffType);

/// <summary>A repeated attempt.</summary>
internal sealed record RetryShape(
    string Id,
    string ActivityInstanceId,
    string ActivityId,
    string WorkflowInstanceId,
    int AttemptNumber,
    TimeSpan RetryDelay,
    IReadOnlyDictionary<string, string> Details);

/// <summary>Instances to cancel. Nothing named is nothing cancelled; definitionId and versionOptions come both or neither.</summary>
internal sealed record CancelManyRequest
{
    public IReadOnlyList<string>? Ids { get; init; }

    public string? DefinitionVersionId { get; init; }

    public string? DefinitionId { get; init; }

    public string? VersionOptions { get; init; }
}

/// <summary>How many were cancelled.</summary>
internal sealed record CancelledShape(int Cancelled);

/// <summary>Instances to delete. Nothing named is nothing deleted.</summary>
internal sealed record DeleteManyRequest
{
    public IReadOnlyList<string>? Ids { get; init; }

    public string? WorkflowDefinitionId { get; init; }

    public IReadOnlyList<string>? WorkflowDefinitionIds { get; init; }
}

/// <summary>How many were deleted.</summary>
internal sealed record DeletedShape(long Deleted);

/// <summary>What a file holds beside the state.</summary>
internal sealed record ExportPartsRequest
{
    public bool? IncludeBookmarks { get; init; }

    public bool? IncludeActivityExecutionLog { get; init; }

    public bool? IncludeWorkflowExecutionLog { get; init; }
}

/// <summary>Instances to export.</summary>
internal sealed record ExportManyRequest(IReadOnlyList<string> Ids)
{
    public bool? IncludeBookmarks { get; init; }

    public bool? IncludeActivityExecutionLog { get; init; }

    public bool? IncludeWorkflowExecutionLog { get; init; }
}

/// <summary>A file with an instance; Conclave holds what it is restored from.</summary>
internal sealed record InstanceFileShape(
    [property: System.Text.Json.Serialization.JsonPropertyName("WorkflowState")] StateShape WorkflowState,
    [property: System.Text.Json.Serialization.JsonPropertyName("Bookmarks")] IReadOnlyList<BookmarkShape> Bookmarks,
    [property: System.Text.Json.Serialization.JsonPropertyName("ActivityExecutionRecords")] IReadOnlyList<ExecutionShape> ActivityExecutionRecords,
    [property: System.Text.Json.Serialization.JsonPropertyName("WorkflowExecutionLogRecords")] IReadOnlyList<JournalRecordShape> WorkflowExecutionLogRecords,
    [property: System.Text.Json.Serialization.JsonPropertyName("Conclave")] JsonObject Conclave);

/// <summary>How many were imported, under both names that clients read.</summary>
internal sealed record ImportedShape(int Imported, int Count);

/// <summary>What came of a task.</summary>
internal sealed record TaskRequest
{
    public JsonElement Result { get; init; }
}

/// <summary>An event.</summary>
internal sealed record EventRequest
{
    public string? WorkflowInstanceId { get; init; }

    public string? CorrelationId { get; init; }

    /// <summary>An execution of an activity that waits.</summary>
    public string? ActivityInstanceId { get; init; }

    public JsonElement Input { get; init; }

    public WorkflowExecutionMode? WorkflowExecutionMode { get; init; }
}

/// <summary>How long a link works.</summary>
internal sealed record LinkRequest
{
    /// <summary>A time span such as 1.12:00:00, or a time; for ever without it.</summary>
    public string? Lifetime { get; init; }
}

/// <summary>A link for people without an account.</summary>
internal sealed record SignedLinkShape(string Token, string Url);

/// <summary>What a bookmark gets.</summary>
internal sealed record ResumeRequest
{
    public JsonElement Input { get; init; }
}

/// <summary>Which dead letters.</summary>
internal sealed record DeadLetterRequest
{
    public int? Page { get; init; }

    public int? PageSize { get; init; }

    public string? WorkflowInstanceId { get; init; }
}

/// <summary>Work that failed too often.</summary>
internal sealed record DeadLetterShape(
    string Id, string? WorkflowInstanceId, string Kind, int Attempts, string Error, DateTimeOffset CreatedAt, DateTimeOffset DeadLetteredAt);

/// <summary>Whether workers take work.</summary>
internal sealed record WorkersShape(WorkersStateShape State, IReadOnlyList<WorkersSourceShape> Sources, long ActiveExecutionCycleCount);

/// <summary>Whether workers take work, and who stopped them.</summary>
internal sealed record WorkersStateShape(string Reason, bool IsAcceptingNewWork, DateTimeOffset? PausedAt, string? PauseRequestedBy, string? PauseReason);

/// <summary>Where work comes from.</summary>
internal sealed record WorkersSourceShape(string Name, string State);

/// <summary>Why workers are paused.</summary>
internal sealed record PauseRequest
{
    public string? Reason { get; init; }
}

/// <summary>The version of Elsa whose API this is.</summary>
internal sealed record PackageVersionShape(string PackageVersion);
