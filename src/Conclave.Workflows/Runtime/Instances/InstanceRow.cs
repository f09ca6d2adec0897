using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>An instance that a worker holds: its state, and the number that its commit must show.</summary>
/// <param name="Tenant">Owner of the instance.</param>
/// <param name="Id">Id of the instance.</param>
/// <param name="DefinitionVersionId">Version that it runs.</param>
/// <param name="Fence">Number of this hold; a commit with an older one is refused.</param>
/// <param name="State">State as <see cref="InstanceSerializer"/> wrote it.</param>
public sealed record HeldInstance(string Tenant, string Id, string DefinitionVersionId, long Fence, byte[] State);

/// <summary>An instance that nobody holds, and the bookmark that a stimulus resumes.</summary>
/// <param name="Instance">The instance as it was read.</param>
/// <param name="Bookmark">Number of the bookmark.</param>
internal sealed record WaitingInstance(HeldInstance Instance, int Bookmark);

/// <summary>What a list shows of an instance.</summary>
/// <param name="Id">Id of the instance.</param>
/// <param name="DefinitionId">Workflow that it runs.</param>
/// <param name="DefinitionVersionId">Version that it runs.</param>
/// <param name="Version">Number of that version.</param>
/// <param name="Status">Whether it may still run.</param>
/// <param name="SubStatus">How it stands.</param>
/// <param name="CorrelationId">Correlation id.</param>
/// <param name="Name">Name.</param>
/// <param name="ParentId">The instance that started it.</param>
/// <param name="IncidentCount">Number of incidents.</param>
/// <param name="CreatedAt">When it was created.</param>
/// <param name="UpdatedAt">When it last changed.</param>
/// <param name="FinishedAt">When it ended.</param>
public sealed record InstanceSummary(
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

/// <summary>Place in a list of instances: the last one shown.</summary>
/// <param name="CreatedAt">When it was created.</param>
/// <param name="Id">Its id.</param>
public readonly record struct InstanceCursor(DateTimeOffset CreatedAt, string Id);

/// <summary>A bookmark as it is stored.</summary>
/// <param name="InstanceId">The instance that waits.</param>
/// <param name="Number">Number within the instance.</param>
/// <param name="Name">Name of the stimulus.</param>
/// <param name="ActivityId">The activity that waits.</param>
/// <param name="Payload">Payload as text.</param>
/// <param name="DueAt">When it is due by itself; null when it waits for somebody.</param>
/// <param name="CreatedAt">Since when it waits.</param>
/// <param name="DefinitionId">Workflow of the instance.</param>
public sealed record StoredBookmark(
    string InstanceId, int Number, string Name, string ActivityId, string Payload, DateTimeOffset? DueAt, DateTimeOffset CreatedAt, string DefinitionId);

/// <summary>Which bookmarks of a name are meant; null for all.</summary>
/// <param name="Key">Key of the stimulus.</param>
/// <param name="InstanceId">Instance that waits.</param>
/// <param name="CorrelationId">Correlation id that the instance has now.</param>
public sealed record BookmarkFilter(byte[]? Key = null, string? InstanceId = null, string? CorrelationId = null);

/// <summary>A place in a list of bookmarks.</summary>
/// <param name="CreatedAt">Since when the last one waits that was shown.</param>
/// <param name="InstanceId">Its instance.</param>
/// <param name="Number">Its number.</param>
public sealed record BookmarkCursor(DateTimeOffset CreatedAt, string InstanceId, int Number);
