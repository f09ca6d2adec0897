using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Everything that one burst writes. It is stored as a whole or not at all.</summary>
public sealed class InstanceCommit
{
    /// <summary>Instances: the one that ran, those it executed in process and those it dispatched.</summary>
    internal List<InstanceWrite> Instances { get; } = [];

    /// <summary>What the instances wait for from now on besides <see cref="InstanceWrite.Bookmark"/>.</summary>
    internal List<BookmarkWrite> Bookmarks { get; } = [];

    /// <summary>What they no longer wait for.</summary>
    internal List<BookmarkId> RemovedBookmarks { get; } = [];

    /// <summary>Work that stands for the burst while it goes on; null for none.</summary>
    internal ClaimedNewWork? Claimed { get; set; }

    /// <summary>Work that follows.</summary>
    internal List<NewWork> Work { get; } = [];

    /// <summary>Ids of the work that is done.</summary>
    internal List<long> Done { get; } = [];

    /// <summary>What happened besides <see cref="InstanceWrite.Journal"/>.</summary>
    internal List<JournalWrite> Journal { get; } = [];

    /// <summary>Large values that are not stored yet.</summary>
    internal List<BlobWrite> Blobs { get; } = [];

    /// <summary>Large values that nothing names any more.</summary>
    internal List<BlobWrite> RemovedBlobs { get; } = [];

    /// <summary>What somebody did to the instance.</summary>
    internal List<OperationWrite> Operations { get; } = [];

    /// <summary>The answer to a request that must not be handled twice.</summary>
    internal List<ReplyWrite> Replies { get; } = [];

    /// <summary>What features beside the engine write.</summary>
    internal List<RowWrite> Rows { get; } = [];

    /// <summary>What must hold for a new instance to be stored.</summary>
    internal List<ActivationGuard> Guards { get; } = [];
}

/// <summary>The row of an instance.</summary>
/// <remarks>The fence is the number of the hold under which the burst ran; 0 inserts the instance. The hold is kept while the burst goes on.</remarks>
internal sealed record InstanceWrite(
    string Tenant,
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
    byte[] State,
    long Fence,
    bool KeepsHold,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    DateTimeOffset? FinishedAt)
{
    /// <summary>What a stimulus resumed that no work of the queue stands for: somebody else may have had the same idea. Null for nothing.</summary>
    public int? TakenBookmark { get; init; }

    /// <summary>The first thing that it waits for from now on; null for nothing new.</summary>
    public BookmarkWrite? Bookmark { get; init; }

    /// <summary>The first part of what happened; null for nothing.</summary>
    public JournalWrite? Journal { get; init; }

    /// <summary>Describes an instance as it stands.</summary>
    public static InstanceWrite Of(string tenant, WorkflowInstance instance, byte[] state, long fence, bool keepsHold)
    {
        var definition = instance.Graph.Definition;
        return new InstanceWrite(
            tenant,
            instance.Id,
            definition.DefinitionId,
            definition.Id,
            definition.Version,
            instance.Status,
            instance.SubStatus,
            instance.CorrelationId,
            instance.Name,
            instance.ParentInstanceId,
            instance.Incidents.Count,
            state,
            fence,
            keepsHold,
            instance.CreatedAt,
            instance.UpdatedAt,
            instance.FinishedAt);
    }
}

/// <summary>A bookmark to store.</summary>
internal sealed record BookmarkWrite(
    BookmarkId Id,
    string Name,
    byte[] Hash,
    string? CorrelationId,
    string ActivityId,
    string Payload,
    DateTimeOffset? DueAt,
    DateTimeOffset CreatedAt,
    string? HttpTemplate)
{
    /// <summary>Orders by what is locked.</summary>
    public static int CompareKeys(BookmarkWrite left, BookmarkWrite right)
    {
        var order = string.CompareOrdinal(left.Id.Tenant, right.Id.Tenant);
        if (order == 0)
            order = string.CompareOrdinal(left.Name, right.Name);
        if (order == 0)
            order = left.Hash.AsSpan().SequenceCompareTo(right.Hash);
        return order != 0 ? order : string.CompareOrdinal(left.CorrelationId, right.CorrelationId);
    }
}

/// <summary>Names a bookmark.</summary>
internal readonly record struct BookmarkId(string Tenant, string InstanceId, int Number);

/// <summary>Log entries to store.</summary>
internal sealed record JournalWrite(string Tenant, string InstanceId, long FirstSequence, int Count, byte[] Entries, DateTimeOffset CreatedAt);

/// <summary>A large value.</summary>
internal sealed record BlobWrite(string Tenant, string InstanceId, byte[] Hash, byte[] Content);

/// <summary>What somebody did to an instance.</summary>
internal sealed record OperationWrite(
    string Tenant, string InstanceId, long Sequence, string Operation, string Actor, string? Reason, string? Details, DateTimeOffset CreatedAt)
{
    /// <summary>What it changed, as a part of the journal without entries; null for nothing.</summary>
    public byte[]? Notes { get; init; }
}

/// <summary>The answer to a request with an idempotency key.</summary>
/// <param name="Tenant">Whose request.</param>
/// <param name="Scope">What the key belongs to.</param>
/// <param name="Key">The key.</param>
/// <param name="InstanceId">The instance that the request was about.</param>
/// <param name="Reply">The answer.</param>
/// <param name="Keep">How long it is remembered.</param>
public sealed record ReplyWrite(string Tenant, string Scope, string Key, string InstanceId, byte[] Reply, TimeSpan Keep);

/// <summary>Refuses a new instance while another one runs.</summary>
/// <remarks>A workflow or correlation id that is null stands for any.</remarks>
internal sealed record ActivationGuard(string Tenant, string InstanceId, string? DefinitionId, string? CorrelationId);

/// <summary>How a commit ended.</summary>
public enum CommitOutcome
{
    /// <summary>Everything is stored.</summary>
    Stored,

    /// <summary>Nothing is stored: somebody else has taken the instance since, or it may not start now.</summary>
    Refused,

    /// <summary>Nothing is stored: an instance with this id exists.</summary>
    Exists,
}
