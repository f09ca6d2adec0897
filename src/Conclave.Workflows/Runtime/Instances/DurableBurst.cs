using System.Buffers;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Journal;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Telemetry;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>One instance while this process runs it: what of it is stored, and what its next commit writes.</summary>
internal sealed class DurableBurst : ICommitPoints, IExecutionLogSink, IDisposable
{
    // Log entries that a commit of a long burst must not exceed.
    private const int LongestJournal = 64 * 1024;

    private readonly InstanceRunner _runner;
    private readonly HashSet<int> _storedBookmarks = [];
    private readonly List<JournalWrite> _journal = [];
    private readonly List<DurableBurst> _children = [];
    private readonly List<OperationWrite> _operations = [];
    private readonly CancellationTokenSource _stop;
    private readonly ActivityTelemetry _telemetry;
    private readonly System.Diagnostics.Activity? _span;
    private readonly long _began = WorkflowTelemetry.Now();
    private List<string> _cancelledChildren = [];
    private HashSet<string> _storedBlobs = [];
    private HashSet<string> _newBlobs = [];
    private long _nextSequence;
    private readonly WorkflowSubStatus _loadedSubStatus;
    private long _fence;
    private int _journalCount;
    private long _sinceCommit;
    private bool _isWaitingAgain;

    /// <summary>Begins to run an instance.</summary>
    /// <param name="runner">Who runs it.</param>
    /// <param name="workflows">The tenant's workflows.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="fence">Number of the hold; 0 for an instance that is not stored.</param>
    /// <param name="isHeld">Whether it is held.</param>
    /// <param name="priority">How urgent the work is; what follows is as urgent.</param>
    /// <param name="stopping">Cancelled when the process stops.</param>
    public DurableBurst(
        InstanceRunner runner, TenantWorkflows workflows, WorkflowInstance instance, long fence, bool isHeld, WorkPriority priority, CancellationToken stopping)
    {
        IsHeld = isHeld;
        _runner = runner;
        Workflows = workflows;
        Instance = instance;
        Priority = priority;
        LoadedStatus = instance.Status;
        _loadedSubStatus = instance.SubStatus;
        _span = WorkflowTelemetry.StartBurst(instance, workflows.Tenant);
        _telemetry = new ActivityTelemetry(_span, workflows.Tenant);
        if (instance.SubStatus == WorkflowSubStatus.Pending)
            WorkflowTelemetry.WorkflowStarted();
        _fence = fence;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _nextSequence = instance.Log.Sequence - instance.Log.Count;
        instance.Log.KeepsNotes = true;
        if (fence > 0)
            _storedBookmarks.UnionWith(instance.Bookmarks.Select(b => b.Number));
        _sinceCommit = instance.Time.GetTimestamp();
        runner.Begin(this);
    }

    public TenantWorkflows Workflows { get; }

    public string Tenant => Workflows.Tenant;

    public WorkflowInstance Instance { get; private set; }

    public WorkPriority Priority { get; }

    /// <summary>Ids of the work of the queue that causes the burst.</summary>
    public IReadOnlyList<long> Claimed { get; init; } = [];

    /// <summary>Id of the work that stands for a burst which no work of the queue caused, so that a crash is noticed; 0 for none.</summary>
    public long OwnWork { get; set; }

    /// <summary>Work that is done once the next commit is stored.</summary>
    public List<long> Done { get; } = [];

    /// <summary>Whether this instance runs inside another one's activity, which is told its result directly.</summary>
    public bool IsNested { get; init; }

    /// <summary>Whether another process may have run this burst before.</summary>
    public bool IsRepeated { get; init; }

    /// <summary>Hashes of the large values that are stored.</summary>
    public IEnumerable<string> StoredBlobs { init => _storedBlobs = [.. value]; }

    /// <summary>Nesting of workflows that execute each other.</summary>
    public int Depth { get; init; }

    /// <summary>The request that the burst answers; null for none.</summary>
    public IHttpExchange? Exchange { get; init; }

    /// <summary>Gives the answer to store with the last commit; null for none.</summary>
    public Func<ReplyWrite?>? Reply { get; set; }

    /// <summary>Work that the next commit puts in the queue.</summary>
    public List<NewWork> FollowUp { get; } = [];

    /// <summary>Who cancelled the instance; the instances that it started are cancelled in the same name.</summary>
    public CancelOrder? CancelledBy { get; set; }

    /// <summary>What must hold for the first commit.</summary>
    public ActivationGuard? Guard { get; set; }

    /// <summary>Whether the instance is stored.</summary>
    public bool IsStored => _fence > 0;

    /// <summary>
    /// Whether nobody else may run the instance. A burst may begin without: then its first commit, which comes before anything that
    /// it does to the world, tells whether somebody else was faster.
    /// </summary>
    public bool IsHeld { get; private set; }

    /// <summary>Called when a commit is stored.</summary>
    public Action? OnStored { get; init; }

    /// <summary>The bookmark that the burst took without the queue; 0 for none.</summary>
    public int TakenBookmark { get; set; }

    /// <summary>Whether somebody else took the instance, so that nothing more may be stored.</summary>
    public bool IsLost { get; private set; }

    /// <summary>Cancelled when the burst must stop.</summary>
    public CancellationToken Token => _stop.Token;

    /// <summary>How the instance stood when it was loaded.</summary>
    public WorkflowStatus LoadedStatus { get; }

    /// <summary>Fails when somebody else took the instance.</summary>
    /// <exception cref="HoldLostException">Somebody else took it.</exception>
    public void ThrowIfLost()
    {
        if (IsLost)
            throw new HoldLostException(Instance.Id);
    }

    /// <summary>Whether the burst was asked to stop because the instance is to be cancelled.</summary>
    public bool IsInterrupted { get; private set; }

    /// <summary>When what is left of the burst may go on: not before the cancellation for which it was stopped, which is in the queue.</summary>
    public TimeSpan Pause => IsInterrupted ? TimeSpan.FromSeconds(1) : TimeSpan.Zero;

    /// <summary>Stops the burst, so that the instance can be cancelled; what it did so far is stored.</summary>
    public void Interrupt()
    {
        IsInterrupted = true;
        _stop.Cancel();
    }

    /// <summary>Stops the burst because somebody else took the instance.</summary>
    public void Lose()
    {
        IsLost = true;
        _stop.Cancel();
    }

    /// <summary>
    /// Waits again for everything that the instance waits for: stimuli and timers that came while it had ended found nobody,
    /// and their bookmarks' rows are gone.
    /// </summary>
    public void WaitAgain() => _isWaitingAgain = true;

    /// <summary>Takes over the log of an instance that comes from elsewhere, and what it has still to do.</summary>
    public void Restore(IReadOnlyList<StoredJournalChunk> journal)
    {
        foreach (var chunk in journal)
        {
            var entries = new List<JournalEntry>();
            JournalChunk.Read(chunk.FirstSequence, chunk.Entries, entries);
            if (entries.Count > 0)
                _journal.Add(new JournalWrite(Tenant, Instance.Id, chunk.FirstSequence, entries.Count, chunk.Entries, entries[0].Timestamp));
        }

        // One that was executing is put into the queue by its commit.
        if (Instance.SubStatus == WorkflowSubStatus.Pending)
            FollowUp.Add(new NewWork(Tenant, Instance.Id, WorkKind.Run, Priority));
    }

    /// <summary>Notes what somebody did to the instance.</summary>
    public void Operated(string operation, string actor, string? reason, string? details) => _operations.Add(new OperationWrite(
        Tenant, Instance.Id, Instance.Log.Sequence, operation, actor, reason, details, Instance.Time.GetUtcNow()));

    /// <summary>Whether an instance may start beside those that run and those that the commit starts.</summary>
    public async ValueTask<bool> MayStartAsync(InstanceCommit commit, WorkflowInstance child, CancellationToken cancellationToken)
    {
        if (Activation.GuardOf(Tenant, child) is not { } guard)
            return true;
        var isTaken = commit.Guards.Exists(g => g with { InstanceId = guard.InstanceId } == guard)
            || await _runner.Instances.IsTakenAsync(guard, cancellationToken);
        if (isTaken)
            _runner.ChildNotStarted(Instance.Id, child);
        return !isTaken;
    }

    /// <summary>The news that an instance which this one started has ended, or never began.</summary>
    public NewWork ChildEnded(WorkflowInstance child) => NewWork.ChildEnded(Tenant, Instance.Id, Priority, InstanceRunner.Result(child));

    /// <summary>Replaces the instance by itself in another version.</summary>
    public void Replace(WorkflowInstance instance)
    {
        Instance = instance;
        instance.Log.KeepsNotes = true;
        instance.Log.Note(LogNoteKind.Version, name: instance.Graph.Definition.Id);
    }

    /// <summary>Adds an instance that ran inside an activity of this one and is stored with it.</summary>
    public void Add(DurableBurst child) => _children.Add(child);

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
        if (await CommitAsync(keepsHold: true, cancellationToken) != CommitOutcome.Stored)
            throw new HoldLostException(Instance.Id);
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

    /// <inheritdoc/>
    public void Dispose()
    {
        _runner.End(this);
        WorkflowTelemetry.EndBurst(_span, Instance);
        _stop.Dispose();
        foreach (var child in _children)
            child.Dispose();
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

/// <summary>Somebody else has taken the instance; what this burst did is not stored.</summary>
internal sealed class HoldLostException(string instanceId) : Exception($"Somebody else has taken instance {instanceId}.");
