using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Replay;

namespace Conclave.Server.Api;

/// <summary>An RFC 9457 problem.</summary>
/// <param name="Type">Always about:blank; the code tells problems apart.</param>
/// <param name="Title">The status in words.</param>
/// <param name="Status">The HTTP status.</param>
/// <param name="Detail">What is wrong, and what to do.</param>
/// <param name="Code">Stable code; docs/errors.md lists them.</param>
internal sealed record ProblemShape(string Type, string Title, int Status, string Detail, string Code)
{
    /// <summary>Path of the request.</summary>
    public string? Instance { get; init; }

    /// <summary>Finds the request in logs and traces.</summary>
    public string TraceId { get; init; } = "";

    /// <summary>What is wrong with a definition, all of it.</summary>
    public IReadOnlyList<DefinitionErrorShape> Errors { get; init; } = [];

    /// <summary>What became of each file, when nothing was imported.</summary>
    public IReadOnlyList<ImportedFileShape> Items { get; init; } = [];
}

/// <summary>A page of a list.</summary>
/// <param name="Items">The items.</param>
/// <param name="Next">Give it back as cursor for the next page; null on the last one.</param>
internal sealed record PageShape<T>(IReadOnlyList<T> Items, string? Next);

/// <summary>Something wrong with a definition.</summary>
/// <param name="Code">Stable code.</param>
/// <param name="Message">What is wrong, and what to do.</param>
/// <param name="Severity">error keeps it from being published, warning does not.</param>
/// <param name="ActivityId">The activity; null for the workflow.</param>
/// <param name="Property">The input; null for the whole activity.</param>
internal sealed record DefinitionErrorShape(string Code, string Message, string Severity, string? ActivityId, string? Property);

/// <summary>The newest version of a workflow.</summary>
internal sealed record WorkflowShape(
    string DefinitionId, string Id, string? Name, string? Description, int Version, bool IsPublished, int? PublishedVersion, DateTimeOffset UpdatedAt);

/// <summary>A version of a workflow.</summary>
internal sealed record WorkflowVersionShape(
    string Id, string DefinitionId, int Version, string? Name, string? Description, bool IsLatest, bool IsPublished, DateTimeOffset CreatedAt);

/// <summary>What was saved, published, retracted or made.</summary>
internal sealed record SavedWorkflowShape(
    string DefinitionId, string Id, int Version, bool IsLatest, bool IsPublished, string Hash, IReadOnlyList<DefinitionErrorShape> Errors);

/// <summary>What is wrong with a definition.</summary>
internal sealed record ValidationShape(IReadOnlyList<DefinitionErrorShape> Errors);

/// <summary>What became of each file.</summary>
internal sealed record ImportShape(IReadOnlyList<ImportedFileShape> Items);

/// <summary>What became of a file.</summary>
/// <param name="File">Its name.</param>
/// <param name="DefinitionId">The workflow in it; null when it holds none.</param>
/// <param name="Version">The version that it became; null when it was refused.</param>
/// <param name="Outcome">created, updated, unchanged or refused.</param>
/// <param name="Errors">Why.</param>
internal sealed record ImportedFileShape(string File, string? DefinitionId, int? Version, string Outcome, IReadOnlyList<DefinitionErrorShape> Errors);

/// <summary>A workflow that uses another.</summary>
internal sealed record ConsumerShape(string DefinitionId, string Id, int Version, string? Name, bool IsPublished);

/// <summary>A workflow that was moved to the newest version of another.</summary>
internal sealed record UpdatedConsumerShape(string DefinitionId, string Id, int Version, bool IsPublished);

/// <summary>A start of a workflow.</summary>
internal sealed record StartRequest
{
    /// <summary>Inputs by name.</summary>
    public JsonObject? Input { get; init; }

    /// <summary>Ties instances, events and requests together.</summary>
    public string? CorrelationId { get; init; }

    /// <summary>Name of the instance, for people.</summary>
    public string? Name { get; init; }

    /// <summary>Id of the instance; one is made without it.</summary>
    public string? InstanceId { get; init; }

    /// <summary>0 (at once) to 3 (bulk), or P0 to P3; 2 without it.</summary>
    public JsonElement Priority { get; init; }

    /// <summary>published, latest or the number of a version; published without it.</summary>
    public JsonElement Version { get; init; }

    /// <summary>Seconds to wait for the end, at most 60.</summary>
    public double? Wait { get; init; }
}

/// <summary>A started instance.</summary>
internal sealed record StartedShape(string InstanceId, WorkflowStatus Status, WorkflowSubStatus SubStatus, string StatusUrl);

/// <summary>Started instances.</summary>
internal sealed record StartedManyShape(int Started, IReadOnlyList<string> InstanceIds);

/// <summary>An instance in a list.</summary>
internal sealed record InstanceSummaryShape(
    string Id,
    string DefinitionId,
    string DefinitionVersionId,
    int Version,
    WorkflowStatus Status,
    WorkflowSubStatus SubStatus,
    string? CorrelationId,
    string? Name,
    string? ParentId,
    int IncidentCount,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    DateTimeOffset? FinishedAt);

/// <summary>An instance. Nothing is said of the state of one whose version was deleted.</summary>
internal sealed record InstanceShape(
    string Id,
    string DefinitionId,
    string DefinitionVersionId,
    int Version,
    WorkflowStatus Status,
    WorkflowSubStatus SubStatus,
    string? CorrelationId,
    string? Name,
    string? ParentId,
    int IncidentCount,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    DateTimeOffset? FinishedAt)
{
    /// <summary>How often it ran.</summary>
    public int Bursts { get; init; }

    /// <summary>Inputs by name.</summary>
    public JsonObject Input { get; init; } = [];

    /// <summary>Outputs by name.</summary>
    public JsonObject Output { get; init; } = [];

    /// <summary>Variables by name.</summary>
    public JsonObject Variables { get; init; } = [];

    /// <summary>What it waits for.</summary>
    public IReadOnlyList<BookmarkShape> Bookmarks { get; init; } = [];

    /// <summary>What went wrong.</summary>
    public IReadOnlyList<IncidentShape> Incidents { get; init; } = [];
}

/// <summary>What an instance waits for.</summary>
internal sealed record BookmarkShape(int Number, string Name, string ActivityId, string Payload, DateTimeOffset CreatedAt)
{
    /// <summary>When it goes on by itself.</summary>
    public DateTimeOffset DueAt { get; init; }
}

/// <summary>What went wrong in an instance.</summary>
internal sealed record IncidentShape(
    string ActivityId, string ActivityNodeId, string ActivityType, int ActivityInstance, string Message, string? Exception, DateTimeOffset Timestamp);

/// <summary>What an activity or a person did. Operations of people have operation, actor, reason and details; the others the rest.</summary>
internal record JournalEntryShape(long Sequence, DateTimeOffset Timestamp, string Event)
{
    public string ActivityId { get; init; } = "";

    public string NodeId { get; init; } = "";

    public string? ActivityType { get; init; }

    public string? ActivityName { get; init; }

    public int ActivityInstance { get; init; }

    public string DefinitionVersionId { get; init; } = "";

    public JsonObject Inputs { get; init; } = [];

    public JsonObject Outputs { get; init; } = [];

    public IReadOnlyList<string> Outcomes { get; init; } = [];

    public ThrownShape Exception { get; init; } = null!;

    public string Operation { get; init; } = "";

    public string Actor { get; init; } = "";

    public string? Reason { get; init; }

    public string? Details { get; init; }
}

/// <summary>An instance as it stood at a point of its journal.</summary>
/// <param name="InstanceId">The instance.</param>
/// <param name="Position">Number of the last event that is in; -1 before the first.</param>
/// <param name="Timestamp">When the last event or operation was.</param>
/// <param name="FirstPosition">Number of the first event that the journal still has.</param>
/// <param name="DefinitionVersionId">The version that it ran.</param>
/// <param name="Version">Number of that version; null when it was deleted.</param>
/// <param name="SubStatus">How it stood.</param>
/// <param name="Counts">Executions of activities.</param>
/// <param name="Activities">Activities that had begun.</param>
/// <param name="Open">Executions that were running, waiting or faulted, at most 1,000.</param>
/// <param name="OpenCount">How many there were.</param>
/// <param name="Variables">Variables, with the execution whose they are.</param>
/// <param name="Output">Outputs of the workflow.</param>
/// <param name="Operations">What people had done.</param>
internal sealed record ReplayShape(
    string InstanceId,
    long Position,
    DateTimeOffset? Timestamp,
    long FirstPosition,
    string? DefinitionVersionId,
    int? Version,
    WorkflowSubStatus SubStatus,
    ReplayCountsShape Counts,
    IReadOnlyList<ReplayActivityShape> Activities,
    IReadOnlyList<ReplayExecutionShape> Open,
    int OpenCount,
    IReadOnlyList<ReplayValueShape> Variables,
    IReadOnlyList<ReplayValueShape> Output,
    IReadOnlyList<JournalEntryShape> Operations);

/// <summary>How many executions stood so.</summary>
internal sealed record ReplayCountsShape(int Running, int Waiting, int Completed, int Faulted, int Canceled);

/// <summary>An activity with its newest execution.</summary>
internal sealed record ReplayActivityShape(
    string ActivityId,
    string NodeId,
    string? ActivityType,
    string? ActivityName,
    ReplayStatus Status,
    ReplayCountsShape Counts,
    int ActivityInstance,
    DateTimeOffset? StartedAt,
    DateTimeOffset? EndedAt,
    JsonObject Inputs,
    JsonObject Outputs,
    IReadOnlyList<string>? Outcomes)
{
    public ThrownShape Exception { get; init; } = null!;
}

/// <summary>An execution that had not ended.</summary>
internal sealed record ReplayExecutionShape(
    int ActivityInstance, int ParentInstance, string ActivityId, string NodeId, ReplayStatus Status, DateTimeOffset? StartedAt);

/// <summary>A variable, or without activityInstance an output of the workflow.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsKnown">Whether the journal has the value.</param>
/// <param name="Value">The value; null when it is not known.</param>
internal sealed record ReplayValueShape(string Name, bool IsKnown, JsonElement Value)
{
    public int ActivityInstance { get; init; }
}

/// <summary>What happened, and how the instance stood then.</summary>
internal sealed record ReplayStepShape(
    long Sequence, DateTimeOffset Timestamp, string Event, WorkflowSubStatus SubStatus, ReplayCountsShape Counts, IReadOnlyList<ReplayValueShape> Changes)
    : JournalEntryShape(Sequence, Timestamp, Event);

/// <summary>An exception.</summary>
internal sealed record ThrownShape(string Type, string Message);

/// <summary>Why something is done.</summary>
internal sealed record ReasonRequest
{
    /// <summary>For the journal.</summary>
    public string? Reason { get; init; }
}

/// <summary>What runs again.</summary>
internal sealed record RetryRequest
{
    /// <summary>Number of the execution; all that faulted without it.</summary>
    public int? ActivityInstance { get; init; }

    public string? Reason { get; init; }
}

/// <summary>What goes on.</summary>
internal sealed record ResumeRequest
{
    /// <summary>Number of the bookmark; may be left out when there is one.</summary>
    public int? Bookmark { get; init; }

    /// <summary>What the activity gets.</summary>
    public JsonElement Input { get; init; }

    public string? Reason { get; init; }
}

/// <summary>Values of variables.</summary>
/// <param name="Values">Values by the names of variables.</param>
internal sealed record VariablesRequest(JsonObject Values)
{
    public string? Reason { get; init; }
}

/// <summary>Where an instance goes on.</summary>
/// <param name="Version">Number or id of a version of the same workflow.</param>
internal sealed record MigrateRequest(JsonElement Version)
{
    /// <summary>Only says what would happen.</summary>
    public bool? DryRun { get; init; }

    public string? Reason { get; init; }
}

/// <summary>What a migration did, or would do.</summary>
internal sealed record MigrationShape(string From, string To, bool Applied, IReadOnlyList<MigrationProblemShape> Problems);

/// <summary>What keeps an instance from moving, or changes when it does.</summary>
internal sealed record MigrationProblemShape(string Code, string Message, string Severity, string? ActivityId);

/// <summary>An operation on many instances, with the members of that operation.</summary>
/// <param name="Operation">cancel, retry, resume, variables or migrate.</param>
internal sealed record BulkRequest(string Operation)
{
    /// <summary>Which instances; this or a filter.</summary>
    public IReadOnlyList<string>? Ids { get; init; }

    public InstanceFilterRequest? Filter { get; init; }

    public string? Reason { get; init; }

    public int? ActivityInstance { get; init; }

    public int? Bookmark { get; init; }

    public JsonElement Input { get; init; }

    public JsonObject? Values { get; init; }

    public JsonElement Version { get; init; }

    public bool? DryRun { get; init; }
}

/// <summary>Which instances are meant.</summary>
internal sealed record InstanceFilterRequest
{
    public string? DefinitionId { get; init; }

    public WorkflowStatus? Status { get; init; }

    public WorkflowSubStatus? SubStatus { get; init; }

    public string? CorrelationId { get; init; }

    public string? ParentId { get; init; }

    public bool? HasIncidents { get; init; }
}

/// <summary>What became of many.</summary>
internal sealed record BulkShape(int Done, IReadOnlyList<BulkFailureShape> Failed);

/// <summary>One that it was not done to.</summary>
internal sealed record BulkFailureShape(string Id, string Code, string Message);

/// <summary>An event.</summary>
internal sealed record EventRequest
{
    /// <summary>What workflows get.</summary>
    public JsonElement Payload { get; init; }

    /// <summary>Only for instances with this correlation id.</summary>
    public string? CorrelationId { get; init; }

    /// <summary>Only for this instance.</summary>
    public string? InstanceId { get; init; }

    /// <summary>An event with an id is delivered once.</summary>
    public string? Id { get; init; }
}

/// <summary>Who heard an event.</summary>
/// <param name="Started">Instances that it started.</param>
/// <param name="Resumed">How many went on.</param>
/// <param name="Waiting">Whether it is kept for the one that it is aimed at.</param>
/// <param name="Duplicate">Whether it was delivered before.</param>
internal sealed record DeliveryShape(IReadOnlyList<string> Started, int Resumed, bool Waiting, bool Duplicate);

/// <summary>A task that a workflow waits for.</summary>
internal sealed record TaskShape(string? TaskId, string? TaskName, string DefinitionId, string InstanceId, string ActivityId, DateTimeOffset CreatedAt);

/// <summary>What came of a task.</summary>
internal sealed record TaskResultRequest
{
    public JsonElement Result { get; init; }
}

/// <summary>The work queue.</summary>
internal sealed record QueueShape(long Due, long Claimed, long Delayed, long Dead, double OldestDueSeconds, IReadOnlyDictionary<string, long> ByPriority);

/// <summary>Work that failed too often.</summary>
internal sealed record DeadWorkShape(
    long Id, string InstanceId, string Kind, string Priority, int Attempt, string Error, DateTimeOffset CreatedAt, DateTimeOffset DiedAt);

/// <summary>How an instance stands that a request started.</summary>
internal sealed record StatusShape(string InstanceId, WorkflowStatus Status, WorkflowSubStatus SubStatus, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    /// <summary>Outputs by name, once it has ended.</summary>
    public JsonObject Output { get; init; } = [];
}
