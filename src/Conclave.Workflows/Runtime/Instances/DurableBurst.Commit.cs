using System.Buffers;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Journal;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Telemetry;

namespace Conclave.Workflows.Runtime.Instances;

// When a burst is stored, and what its commits write.
internal sealed partial class DurableBurst
{
    // Log entries that a commit of a long burst must not exceed.
    private const int LongestJournal = 64 * 1024;

    bool ICommitPoints.IsBefore(ActivityNode node) => CommitStrategy.IsBefore(
        Instance.Graph.Definition, node, IsStored, IsHeld, hasChanged: _journalCount + Instance.Log.Count > 0);

    bool ICommitPoints.IsAfter(ActivityNode node, bool isOpen)
    {
        if (CommitStrategy.IsAfter(Instance.Graph.Definition, node, isOpen))
            return true;
        return (_journalCount > LongestJournal || Instance.Time.GetElapsedTime(_sinceCommit) > _runner.Options.CommitInterval)
            && !CommitStrategy.IsNever(node);
    }

    /// <summary>Stores the instance in the middle of its burst.</summary>
    /// <exception cref="HoldLostException">Somebody else has taken the instance.</exception>
    async ValueTask ICommitPoints.CommitAsync(WorkflowInstance instance, CancellationToken cancellationToken)
    {
        if (await CommitAsync(keepsHold: true, cancellationToken) is var outcome and not CommitOutcome.Stored)
            throw new HoldLostException(Instance.Id) { Outcome = outcome };
    }

    void IExecutionLogSink.Write(WorkflowInstance instance, ReadOnlySpan<LogEntry> entries)
    {
        _telemetry.Observe(instance, entries);
        _journalCount += entries.Length;
        var notes = instance.Log.TakeNotes(_nextSequence + entries.Length);
        var chunk = JournalChunk.Write(instance.Graph, _nextSequence, entries, notes);
        _journal.Add(new JournalWrite(Tenant, instance.Id, _nextSequence, entries.Length, chunk, new DateTimeOffset(entries[0].Timestamp, TimeSpan.Zero)));
        _nextSequence += entries.Length;
    }

    /// <summary>Stores everything since the last commit.</summary>
    /// <param name="keepsHold">Whether the burst goes on.</param>
    /// <param name="cancellationToken">Stops preparing; once the commit is under way it is waited for.</param>
    public async Task<CommitOutcome> CommitAsync(bool keepsHold, CancellationToken cancellationToken)
    {
        if (IsLost)
            return CommitOutcome.Refused;
        // From here on a crash must find the instance: work that belongs to it is there for whoever takes it up.
        var commit = new InstanceCommit();
        if (keepsHold && !IsHeld && Claimed.Count == 0 && !IsNested)
        {
            OwnWork = await _runner.Queue.NextIdAsync(cancellationToken);
            commit.Claimed = new ClaimedNewWork(OwnWork, new NewWork(Tenant, Instance.Id, WorkKind.Run, Priority));
        }

        await AddToAsync(commit, keepsHold, cancellationToken);
        var outcome = await _runner.StoreAsync(commit);
        if (outcome == CommitOutcome.Stored)
        {
            Committed(keepsHold);
            if (_cancelledChildren.Count > 0)
                await _runner.Instances.InterruptAsync(Tenant, _cancelledChildren, CancellationToken.None);
        }
        else if (outcome == CommitOutcome.Refused && IsStored)
            IsLost = true;
        return outcome;
    }

    private async ValueTask AddToAsync(InstanceCommit commit, bool keepsHold, CancellationToken cancellationToken)
    {
        foreach (var child in _children)
            await child.AddToAsync(commit, keepsHold: false, cancellationToken);
        var effects = Instance.TakeEffects();
        if (effects.Count > 0)
            await Effects.AddAsync(commit, this, effects, cancellationToken);
        foreach (var rows in _runner.Services.RowsOf?.Invoke(Instance, _loadedSubStatus, keepsHold) ?? [])
            commit.Rows.Add(new RowWrite(rows, Tenant, Instance.Id));
        if (keepsHold)
            Instance.UpdatedAt = Instance.Time.GetUtcNow();
        var bookmark = AddBookmarks(commit);
        Instance.Log.Drain(Instance, this);
        // Without an event of an activity they are somebody's work.
        if (Instance.Log.TakeNotes() is { Count: > 0 } notes && _operations.Count > 0)
            _operations[^1] = _operations[^1] with { Notes = JournalChunk.Write(Instance.Graph, notes[0].Sequence, [], notes) };
        var buffer = new ArrayBufferWriter<byte>(512);
        var blobs = new LargeStateValues();
        InstanceSerializer.Write(Instance, buffer, blobs);
        AddBlobs(commit, blobs);
        commit.Instances.Add(InstanceWrite.Of(Tenant, Instance, buffer.WrittenSpan.ToArray(), _fence, keepsHold) with
        {
            TakenBookmark = TakenBookmark == 0 ? null : TakenBookmark,
            Bookmark = bookmark,
            Journal = _journal.FirstOrDefault(),
        });
        commit.Journal.AddRange(_journal.Skip(1));
        commit.Operations.AddRange(_operations);
        commit.Done.AddRange(Done);
        commit.Work.AddRange(FollowUp);
        if (!keepsHold && OwnWork != 0)
            commit.Done.Add(OwnWork);
        if (Guard is not null && !IsStored)
            commit.Guards.Add(Guard);
        if (keepsHold)
            return;
        if (Reply?.Invoke() is { } reply)
            commit.Replies.Add(reply);
        if (Instance.SubStatus == WorkflowSubStatus.Cancelled && LoadedStatus == WorkflowStatus.Running && IsStored)
            await AddCancelledChildrenAsync(commit, cancellationToken);
        var tellsParent = LoadedStatus == WorkflowStatus.Running && !Instance.IsParentTold;
        if (Instance.Status == WorkflowStatus.Finished && !IsNested && tellsParent && Instance.ParentInstanceId is { } parent)
            commit.Work.Add(NewWork.ChildEnded(Tenant, parent, Priority, InstanceRunner.Result(Instance)));
        // A burst that was stopped before its end, and that no work of the queue caused, is put there.
        else if (Instance.SubStatus == WorkflowSubStatus.Executing && Claimed.Count == 0)
            commit.Work.Add(new NewWork(Tenant, Instance.Id, WorkKind.Run, Priority, IsInterrupted ? Instance.Time.GetUtcNow() + Pause : null));
    }

    /// <summary>What the instance started and still runs ends with it. Nobody else can start more: the instance is ours.</summary>
    private async ValueTask AddCancelledChildrenAsync(InstanceCommit commit, CancellationToken cancellationToken)
    {
        _cancelledChildren = await _runner.Instances.FindRunningChildrenAsync(Tenant, Instance.Id, cancellationToken);
        var order = WorkPayload.Of(new CancelOrder(CancelledBy?.Actor ?? "", CancelledBy?.Reason, Instance.Id));
        foreach (var child in _cancelledChildren)
            commit.Work.Add(new NewWork(Tenant, child, WorkKind.Cancel, WorkPriority.P0, null, order));
    }

    /// <summary>A large value is written once, and deleted when the state no longer names it.</summary>
    private void AddBlobs(InstanceCommit commit, LargeStateValues blobs)
    {
        foreach (var (hash, content) in blobs.Values)
        {
            if (!_storedBlobs.Contains(hash))
                commit.Blobs.Add(new BlobWrite(Tenant, Instance.Id, Convert.FromHexString(hash), content));
        }

        foreach (var hash in _storedBlobs)
        {
            if (!blobs.Values.ContainsKey(hash))
                commit.RemovedBlobs.Add(new BlobWrite(Tenant, Instance.Id, Convert.FromHexString(hash), []));
        }

        _newBlobs = [.. blobs.Values.Keys];
    }

    /// <returns>The first one to store; it goes with the instance, unless rows of the same number have to go before.</returns>
    private BookmarkWrite? AddBookmarks(InstanceCommit commit)
    {
        BookmarkWrite? first = null;
        var now = Instance.Time.GetUtcNow();
        var waiting = new HashSet<int>();
        foreach (var bookmark in Instance.Bookmarks)
        {
            waiting.Add(bookmark.Number);
            var isStored = _storedBookmarks.Contains(bookmark.Number);
            if (isStored && !_isWaitingAgain)
                continue;
            if (isStored)
                commit.RemovedBookmarks.Add(new BookmarkId(Tenant, Instance.Id, bookmark.Number));
            var id = new BookmarkId(Tenant, Instance.Id, bookmark.Number);
            var template = bookmark.Payload.Type == Activities.HttpEndpoint.PayloadType ? bookmark.Payload["Path"] as string : null;
            var write = new BookmarkWrite(
                id,
                bookmark.Name,
                BookmarkKey.Of(bookmark.Name, bookmark.Payload),
                Instance.CorrelationId,
                bookmark.Context.Node.Id,
                bookmark.Payload.ToString(),
                bookmark.DueAt,
                bookmark.CreatedAt,
                template?.Contains('{', StringComparison.Ordinal) == true ? template : null);
            if (first is null && !_isWaitingAgain)
                first = write;
            else
                commit.Bookmarks.Add(write);
            if (bookmark.DueAt is { } due)
                commit.Work.Add(_runner.WorkFor(this, bookmark.Number, due, now));
        }

        foreach (var number in _storedBookmarks)
        {
            if (!waiting.Contains(number) && number != TakenBookmark)
                commit.RemovedBookmarks.Add(new BookmarkId(Tenant, Instance.Id, number));
        }

        return first;
    }

    private void Committed(bool keepsHold)
    {
        _fence = _fence == 0 ? 1 : _fence + 1;
        _sinceCommit = Instance.Time.GetTimestamp();
        _storedBookmarks.Clear();
        _storedBookmarks.UnionWith(Instance.Bookmarks.Select(b => b.Number));
        _storedBlobs = _newBlobs;
        _isWaitingAgain = false;
        IsHeld = keepsHold;
        TakenBookmark = 0;
        _journal.Clear();
        _operations.Clear();
        _journalCount = 0;
        Done.Clear();
        FollowUp.Clear();
        foreach (var child in _children)
        {
            child.Committed(keepsHold: false);
            child.Dispose();
        }

        _children.Clear();
        OnStored?.Invoke();
        _runner.Committed?.Invoke(Tenant, Instance);
        if (keepsHold)
            return;
        WorkflowTelemetry.BurstEnded(Instance.SubStatus, _began);
        if (LoadedStatus == WorkflowStatus.Running)
            WorkflowTelemetry.WorkflowEnded(Instance.SubStatus);
        _runner.End(this);
        _runner.Stored(this);
    }
}
