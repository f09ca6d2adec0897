using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Journal;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Telemetry;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>One instance while this process runs it: what of it is stored, and what its next commit writes.</summary>
internal sealed partial class DurableBurst : ICommitPoints, IExecutionLogSink, IDisposable
{
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

    /// <inheritdoc/>
    public void Dispose()
    {
        _runner.End(this);
        WorkflowTelemetry.EndBurst(_span, Instance);
        _stop.Dispose();
        foreach (var child in _children)
            child.Dispose();
    }
}
