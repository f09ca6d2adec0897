using System.Buffers;
using System.Collections.Concurrent;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Journal;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Telemetry;
using Microsoft.Extensions.Logging;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Runs bursts of stored instances, and keeps what it runs from being taken by others.</summary>
public sealed partial class InstanceRunner
{
    private readonly GroupCommit _commits;
    private readonly ILogger<InstanceRunner> _logger;
    private readonly ConcurrentDictionary<DurableBurst, bool> _running = new();

    /// <summary>Creates a runner.</summary>
    public InstanceRunner(
        DefinitionCatalog catalog, InstanceStore instances, WorkQueue queue, GroupCommit commits, RuntimeOptions options, ILogger<InstanceRunner> logger)
    {
        Catalog = catalog;
        Instances = instances;
        Queue = queue;
        _commits = commits;
        Options = options;
        _logger = logger;
    }

    /// <summary>The workflows.</summary>
    public DefinitionCatalog Catalog { get; }

    /// <summary>The instances.</summary>
    public InstanceStore Instances { get; }

    /// <summary>The queue.</summary>
    public WorkQueue Queue { get; }

    /// <summary>Settings.</summary>
    public RuntimeOptions Options { get; }

    /// <summary>Called when a burst of this process has ended and is stored: tenant and instance. The instance may be read during the call.</summary>
    public event Action<string, WorkflowInstance>? BurstStored;

    /// <summary>Called when an instance was stored by this process, also in the middle of a burst: tenant and instance.</summary>
    internal Action<string, WorkflowInstance>? Committed { get; set; }

    /// <summary>Number of bursts under way.</summary>
    public int RunningCount => _running.Count;

    /// <summary>What workflows may ask of this process.</summary>
    public WorkflowServices Services { get; init; } = new();

    /// <summary>Starts an instance and runs its first burst in this process, before anybody else can.</summary>
    /// <param name="tenant">Owner of the workflow.</param>
    /// <param name="graph">What to run.</param>
    /// <param name="start">How it starts.</param>
    /// <param name="request">The request that the burst answers; null for none.</param>
    /// <param name="cancellationToken">Stops the burst; what it did so far is stored and goes on in the queue.</param>
    public async Task<RequestRun> StartAsync(
        string tenant, WorkflowGraph graph, WorkflowStart start, RequestContext? request, CancellationToken cancellationToken)
    {
        var workflows = Catalog.Of(tenant);
        var instance = workflows.Engine.CreateInstance(graph, start);
        using var burst = new DurableBurst(this, workflows, instance, 0, isHeld: false, WorkPriority.P1, cancellationToken)
        {
            Exchange = request?.Exchange,
            Guard = Activation.GuardOf(tenant, instance),
        };
        burst.Reply = request?.ReplyOf is { } reply ? () => reply(instance) : null;
        try
        {
            // What may not start must not run first.
            if (burst.Guard is not null || CommitStrategy.IsAtStart(graph.Definition))
            {
                var stored = await burst.CommitAsync(keepsHold: true, cancellationToken);
                if (stored != CommitOutcome.Stored)
                    return new RequestRun(instance, stored);
            }

            await RunAsync(burst);
        }
        catch (HoldLostException)
        {
            return new RequestRun(instance, CommitOutcome.Refused);
        }

        if (request?.MayStore?.Invoke(instance) == false && !burst.IsStored)
            return new RequestRun(instance, CommitOutcome.Refused);
        return new RequestRun(instance, await burst.CommitAsync(keepsHold: false, CancellationToken.None));
    }

    /// <summary>Stores a pending instance; a worker runs it.</summary>
    /// <returns>Whether it was stored: not when one with its id exists, or its activation strategy refuses it.</returns>
    public Task<CommitOutcome> EnqueueAsync(string tenant, WorkflowInstance instance, WorkPriority priority)
    {
        var commit = new InstanceCommit();
        AddPending(commit, tenant, instance, priority, null);
        return StoreAsync(commit);
    }

    /// <summary>Stores pending instances together; workers run them.</summary>
    public Task<CommitOutcome> EnqueueAsync(string tenant, IReadOnlyList<(WorkflowInstance Instance, WorkPriority Priority)> instances)
    {
        var commit = new InstanceCommit();
        foreach (var (instance, priority) in instances)
            AddPending(commit, tenant, instance, priority, null);
        return StoreAsync(commit);
    }

    /// <summary>Stores an instance as it was written elsewhere, with its journal; what it waits for, it waits for here.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="saved">The instance.</param>
    /// <param name="cancellationToken">Stops waiting; once the instance is being stored it is waited for.</param>
    /// <exception cref="WorkflowException">Its version does not exist here.</exception>
    /// <exception cref="InvalidDataException">Its state or its journal is damaged.</exception>
    public async Task<CommitOutcome> RestoreAsync(string tenant, SavedInstance saved, CancellationToken cancellationToken)
    {
        var workflows = Catalog.Of(tenant);
        var graph = await workflows.GetGraphAsync(saved.DefinitionVersionId, cancellationToken);
        var instance = InstanceSerializer.Read(saved.Id, graph, saved.State, workflows.Engine.Time, saved.Large);
        using var burst = new DurableBurst(this, workflows, instance, 0, isHeld: false, WorkPriority.P2, cancellationToken);
        burst.Restore(saved.Journal);
        return await burst.CommitAsync(keepsHold: false, CancellationToken.None);
    }

    /// <summary>Reads an instance without taking it; null when it does not exist.</summary>
    public async Task<WorkflowInstance?> ReadAsync(string tenant, string id, CancellationToken cancellationToken) =>
        await Instances.ReadAsync(tenant, id, cancellationToken) is { } held ? (await ReadAsync(held, cancellationToken)).Instance : null;

    /// <summary>Runs all claimed work of one instance and stores the outcome.</summary>
    /// <exception cref="HoldLostException">Somebody else has taken the instance; its work is theirs.</exception>
    public async Task RunAsync(Claim claim, CancellationToken stopping)
    {
        var first = claim.Work[0];
        if (claim.Instance is not { } held)
        {
            // The instance is gone, and with it whatever it was to do.
            await Queue.FinishAsync([.. claim.Work.Select(w => w.Id)], CancellationToken.None);
            return;
        }

        using var burst = await LoadAsync(held, first.Priority, claim.Work.Any(w => w.Attempt > 1), null, stopping, claimed: [.. claim.Work.Select(w => w.Id)]);
        var before = burst.Instance.Bursts;
        var left = new List<ClaimedWork>();
        foreach (var work in claim.Work)
        {
            if (!burst.Token.IsCancellationRequested && await ApplyAsync(burst, work))
                burst.Done.Add(work.Id);
            else
                left.Add(work);
        }

        burst.ThrowIfLost();
        if (burst.Instance.Bursts == before && burst.Instance.Status == burst.LoadedStatus)
        {
            // Nothing was there to do: a bookmark that is gone, an instance that has ended.
            await Queue.FinishAsync(burst.Done, CancellationToken.None);
            await Instances.ReleaseAsync(held, CancellationToken.None);
        }
        else if (await burst.CommitAsync(keepsHold: false, CancellationToken.None) != CommitOutcome.Stored)
            throw new HoldLostException(held.Id);

        foreach (var work in left)
            await Queue.RetryAsync(work, Options.Owner, burst.Pause, counts: false, CancellationToken.None);
    }

    /// <summary>Takes an instance, changes it between bursts, runs on if there is something to run, and stores it.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="id">Id of the instance.</param>
    /// <param name="change">Changes it; what it throws leaves the instance as it was.</param>
    /// <param name="request">The request that the burst answers; null for none.</param>
    /// <param name="cancellationToken">Stops waiting for the instance, and the burst.</param>
    /// <param name="patience">How long to wait while somebody else runs the instance; null for a lease.</param>
    /// <returns>The instance; null when it does not exist.</returns>
    /// <exception cref="WorkflowException">The instance is busy for longer than that.</exception>
    internal async Task<RequestRun?> ChangeAsync(
        string tenant,
        string id,
        Func<DurableBurst, ValueTask> change,
        RequestContext? request,
        CancellationToken cancellationToken,
        TimeSpan? patience = null)
    {
        var held = await WaitForAsync(tenant, id, cancellationToken, patience);
        if (held is null)
            return null;
        DurableBurst? burst = null;
        try
        {
            burst = await LoadAsync(held, WorkPriority.P1, false, request?.Exchange, cancellationToken);
            burst.Reply = request?.ReplyOf is { } reply ? () => reply(burst.Instance) : null;
            await change(burst);
            if (burst.Instance.SubStatus == WorkflowSubStatus.Executing)
                await RunAsync(burst);
            return await burst.CommitAsync(keepsHold: false, CancellationToken.None) is var outcome and not CommitOutcome.Refused
                ? new RequestRun(burst.Instance, outcome)
                : throw new HoldLostException(id);
        }
        catch (HoldLostException)
        {
            throw Busy(id);
        }
        catch (Exception) when (burst is null or { IsLost: false })
        {
            await Instances.ReleaseAsync(held, CancellationToken.None);
            throw;
        }
        finally
        {
            burst?.Dispose();
        }
    }

    /// <summary>Resumes a bookmark in this process, for a request that waits for the answer.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="id">Id of the instance.</param>
    /// <param name="bookmark">Number of the bookmark.</param>
    /// <param name="input">What arrived.</param>
    /// <param name="request">The request that the burst answers; null for none.</param>
    /// <param name="cancellationToken">Stops waiting for the instance, and the burst.</param>
    /// <returns>The run; null when the instance or its bookmark is gone.</returns>
    /// <exception cref="WorkflowException">The instance is busy for longer than a lease.</exception>
    public async Task<RequestRun?> ResumeAsync(
        string tenant, string id, int bookmark, object? input, RequestContext? request, CancellationToken cancellationToken)
    {
        var isThere = false;
        var run = await ChangeAsync(
            tenant,
            id,
            async burst =>
            {
                var found = burst.Instance.Bookmarks.FirstOrDefault(b => b.Number == bookmark);
                isThere = found is not null;
                await ResumeAsync(burst, found, input);
            },
            request,
            cancellationToken);
        return isThere ? run : null;
    }

    /// <summary>Resumes a bookmark of an instance that nobody holds, without taking it first: whoever commits first has it.</summary>
    /// <param name="found">The instance as it was read, and its bookmark.</param>
    /// <param name="input">What arrived.</param>
    /// <param name="priority">How urgent it is.</param>
    /// <param name="onStored">Called when a commit is stored; from the first one on nothing can be lost.</param>
    /// <param name="stopping">Stops the burst; what it did so far is stored and goes on in the queue.</param>
    /// <returns>Whether it was stored; else somebody else had the instance or its bookmark first, and nothing has happened.</returns>
    internal async Task<bool> TryResumeAsync(
        WaitingInstance found, object? input, WorkPriority priority, Action onStored, CancellationToken stopping)
    {
        using var burst = await LoadAsync(found.Instance, priority, false, null, stopping, isHeld: false, onStored: onStored);
        // What a burst that was cut off had still to run comes first: the queue knows.
        if (burst.Instance.SubStatus != WorkflowSubStatus.Suspended || burst.Instance.Bookmarks.FirstOrDefault(b => b.Number == found.Bookmark) is not { } bookmark)
            return false;
        burst.TakenBookmark = bookmark.Number;
        try
        {
            await ResumeAsync(burst, bookmark, input);
            return await burst.CommitAsync(keepsHold: false, CancellationToken.None) == CommitOutcome.Stored;
        }
        catch (HoldLostException) when (burst.TakenBookmark != 0)
        {
            return false;
        }
    }

    /// <summary>Stops the burst of an instance if it runs here; what it did so far is stored.</summary>
    public void Interrupt(string tenant, string id)
    {
        foreach (var burst in _running.Keys)
        {
            if (burst.Tenant == tenant && burst.Instance.Id == id)
                burst.Interrupt();
        }
    }

    /// <summary>Stops every burst that runs here; what they did so far is stored, and the rest is put back in the queue.</summary>
    internal void InterruptAll()
    {
        foreach (var burst in _running.Keys)
            burst.Interrupt();
    }

    /// <summary>Renews the leases of everything that runs here, and stops what is no longer ours.</summary>
    public async Task RenewAsync(CancellationToken cancellationToken)
    {
        var bursts = _running.Keys.Where(b => b.IsHeld && !b.IsLost).ToList();
        long[] work = [.. _running.Keys.Where(b => !b.IsLost).SelectMany(b => b.OwnWork == 0 ? b.Claimed : [b.OwnWork])];
        if (bursts.Count == 0 && work.Length == 0)
            return;
        var kept = await Queue.RenewAsync(Options.Owner, Options.Lease, work, bursts.ConvertAll(b => (b.Tenant, b.Instance.Id)), cancellationToken);
        foreach (var burst in bursts)
        {
            // One that has ended meanwhile gave its lease back itself.
            if (kept.Contains((burst.Tenant, burst.Instance.Id)) || !_running.ContainsKey(burst))
                continue;
            LogLost(burst.Instance.Id, burst.Tenant);
            WorkflowTelemetry.LeaseLost();
            burst.Lose();
        }
    }

    internal static ChildWorkflowResult Result(WorkflowInstance child) => new(
        child.Id, child.Graph.Definition.Id, child.CorrelationId, child.Status, child.SubStatus, child.Output);

    internal static WorkflowStart StartOf(ChildWorkflowRequest request, WorkflowInstance parent) => new()
    {
        InstanceId = request.InstanceId,
        CorrelationId = request.CorrelationId,
        Input = request.Input,
        ParentInstanceId = request.ParentInstanceId,
        FlowchartMode = parent.FlowchartMode,
    };

    internal static void AddPending(InstanceCommit commit, string tenant, WorkflowInstance instance, WorkPriority priority, DateTimeOffset? dueAt)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        var large = new LargeStateValues();
        InstanceSerializer.Write(instance, buffer, large);
        foreach (var (hash, content) in large.Values)
            commit.Blobs.Add(new BlobWrite(tenant, instance.Id, Convert.FromHexString(hash), content));
        commit.Instances.Add(InstanceWrite.Of(tenant, instance, buffer.WrittenSpan.ToArray(), fence: 0, keepsHold: false));
        commit.Work.Add(new NewWork(tenant, instance.Id, WorkKind.Run, priority, dueAt));
        if (Activation.GuardOf(tenant, instance) is { } guard)
            commit.Guards.Add(guard);
        foreach (var rows in instance.TakeEffects().OfType<RowEffect>())
            commit.Rows.Add(new RowWrite(rows, tenant, instance.Id));
    }

    internal void ChildNotStarted(string parentId, WorkflowInstance child) =>
        LogChildNotStarted(parentId, child.Id, child.Graph.Definition.DefinitionId);

    internal void Begin(DurableBurst burst) => _running[burst] = true;

    internal void End(DurableBurst burst) => _running.TryRemove(burst, out _);

    internal void Stored(DurableBurst burst) => BurstStored?.Invoke(burst.Tenant, burst.Instance);

    internal Task<CommitOutcome> StoreAsync(InstanceCommit commit) => _commits.CommitAsync(commit);

    /// <summary>The work that resumes a bookmark when it is due: in the queue when that is soon, else through the timers.</summary>
    internal NewWork WorkFor(DurableBurst burst, int bookmark, DateTimeOffset dueAt, DateTimeOffset now) =>
        dueAt - now <= Options.LongDelay
            ? new NewWork(burst.Tenant, burst.Instance.Id, WorkKind.Resume, burst.Priority, dueAt, null, bookmark)
            : new NewWork(burst.Tenant, "", WorkKind.Schedule, burst.Priority, null, WorkPayload.Of(burst.Instance.Id, bookmark, dueAt));

    /// <summary>Runs a workflow inside an activity of another one.</summary>
    internal async ValueTask<ChildWorkflowResult> ExecuteChildAsync(DurableBurst parent, ChildWorkflowRequest request, CancellationToken cancellationToken)
    {
        var engine = parent.Workflows.Engine;
        var graph = await parent.Workflows.FindPublishedAsync(request.DefinitionId, cancellationToken)
            ?? throw new WorkflowException("workflow.not_found", $"No published workflow has the definition id '{request.DefinitionId}'.");
        if (parent.Depth >= engine.Options.MaxWorkflowDepth)
            throw new WorkflowException("workflow.nested_too_deep", $"Workflows execute each other more than {engine.Options.MaxWorkflowDepth} levels deep: {graph.Definition.Name ?? graph.Definition.DefinitionId} is one too many.");
        var child = await FindUnfinishedAsync(parent, request, cancellationToken)
            ?? new DurableBurst(this, parent.Workflows, engine.CreateInstance(graph, StartOf(request, parent.Instance)), 0, isHeld: false, parent.Priority, parent.Token)
            {
                IsNested = true,
                Depth = parent.Depth + 1,
                Exchange = parent.Exchange,
            };
        parent.Add(child);
        await engine.RunAsync(child.Instance, new DurableHost(this, child), cancellationToken);
        return Result(child.Instance);
    }

    /// <summary>A child that an earlier attempt of the same activity had begun and stored before its process died.</summary>
    private async ValueTask<DurableBurst?> FindUnfinishedAsync(DurableBurst parent, ChildWorkflowRequest request, CancellationToken cancellationToken)
    {
        if (!parent.IsRepeated)
            return null;
        var held = await WaitForAsync(parent.Tenant, request.InstanceId, cancellationToken);
        return held is null ? null : await LoadAsync(held, parent.Priority, true, parent.Exchange, cancellationToken, isNested: true, depth: parent.Depth + 1);
    }

    private async Task<HeldInstance?> WaitForAsync(string tenant, string id, CancellationToken cancellationToken, TimeSpan? patience = null)
    {
        var time = Catalog.Of(tenant).Engine.Time;
        var began = time.GetTimestamp();
        for (var pause = 5; ; pause = Math.Min(pause * 2, 200))
        {
            if (await Instances.HoldAsync(tenant, id, Options.Owner, Options.Lease, cancellationToken) is { } held)
                return held;
            if (await Instances.FindAsync(tenant, id, cancellationToken) is null)
                return null;
            if (time.GetElapsedTime(began) > (patience ?? Options.Lease + TimeSpan.FromSeconds(2)))
                throw Busy(id);
            await Task.Delay(TimeSpan.FromMilliseconds(pause), time, cancellationToken);
        }
    }

    private async Task<DurableBurst> LoadAsync(
        HeldInstance held,
        WorkPriority priority,
        bool isRepeated,
        IHttpExchange? exchange,
        CancellationToken stopping,
        bool isNested = false,
        int depth = 0,
        IReadOnlyList<long>? claimed = null,
        bool isHeld = true,
        Action? onStored = null)
    {
        var (instance, large) = await ReadAsync(held, stopping);
        return new DurableBurst(this, Catalog.Of(held.Tenant), instance, held.Fence, isHeld, priority, stopping)
        {
            OnStored = onStored,
            Exchange = exchange,
            IsRepeated = isRepeated,
            IsNested = isNested,
            Depth = depth,
            StoredBlobs = large.Keys,
            Claimed = claimed ?? [],
        };
    }

    /// <summary>Reads the state of an instance, with its large values if it names any.</summary>
    internal async Task<(WorkflowInstance Instance, IReadOnlyDictionary<string, byte[]> Large)> ReadAsync(
        HeldInstance held, CancellationToken cancellationToken)
    {
        var workflows = Catalog.Of(held.Tenant);
        var graph = await workflows.GetGraphAsync(held.DefinitionVersionId, cancellationToken);
        try
        {
            return (InstanceSerializer.Read(held.Id, graph, held.State, workflows.Engine.Time), new Dictionary<string, byte[]>());
        }
        catch (LargeValuesNeededException)
        {
            var large = await Instances.ReadBlobsAsync(held.Tenant, held.Id, cancellationToken);
            return (InstanceSerializer.Read(held.Id, graph, held.State, workflows.Engine.Time, large), large);
        }
    }

    /// <summary>Does what one work item asks for.</summary>
    /// <returns>Whether it is done; false when the burst was stopped in the middle.</returns>
    private async Task<bool> ApplyAsync(DurableBurst burst, ClaimedWork work)
    {
        var instance = burst.Instance;
        if (instance.Status == WorkflowStatus.Finished)
            return true;
        if (work.Kind == WorkKind.Cancel)
        {
            burst.CancelledBy = WorkPayload.ReadCancel(work.Payload);
            // An order for the instance itself was noted when it was given.
            if (burst.CancelledBy is { ParentId: { } parent } order)
                burst.Operated("cancel", order.Actor, order.Reason, $"Its parent '{parent}' was cancelled.");
            WorkflowEngine.Cancel(instance);
            return true;
        }

        // What a burst that was cut off had still to run comes first.
        if (instance.SubStatus is WorkflowSubStatus.Pending or WorkflowSubStatus.Executing && !await RunAsync(burst))
            return false;
        return work.Kind switch
        {
            WorkKind.Run => true,
            WorkKind.Resume => await ResumeAsync(burst, instance.Bookmarks.FirstOrDefault(b => b.Number == work.Bookmark), WorkPayload.ReadInput(work.Payload)),
            WorkKind.ChildEnded when WorkPayload.ReadChild(work.Payload) is var child => await ResumeAsync(burst, FindWaiting(instance, child), child),
            _ => throw new InvalidDataException($"Work of kind {(int)work.Kind} is from a newer version of the program."),
        };
    }

    private async Task<bool> RunAsync(DurableBurst burst)
    {
        try
        {
            await burst.Workflows.Engine.RunAsync(burst.Instance, new DurableHost(this, burst), burst.Token);
            return true;
        }
        catch (OperationCanceledException) when (burst.Token.IsCancellationRequested)
        {
            return false;
        }
    }

    internal async Task<bool> ResumeAsync(DurableBurst burst, Bookmark? bookmark, object? input)
    {
        if (bookmark is null)
            return true;
        try
        {
            await burst.Workflows.Engine.ResumeAsync(burst.Instance, bookmark, input, new DurableHost(this, burst), burst.Token);
            return true;
        }
        catch (OperationCanceledException) when (burst.Token.IsCancellationRequested)
        {
            // The bookmark was taken in; what it led to goes on in another burst.
            return false;
        }
    }

    /// <summary>The bookmark of a parent that waits for a child to end.</summary>
    private static Bookmark? FindWaiting(WorkflowInstance parent, ChildWorkflowResult child) => parent.Bookmarks.FirstOrDefault(b =>
        b.Payload["ChildInstanceId"] as string == child.InstanceId
        || (b.Payload.Type == "BulkDispatchWorkflowsStimulus"
            && child.InstanceId.StartsWith($"{parent.Id}-{b.Context.Number}-", StringComparison.Ordinal)));

    private static WorkflowException Busy(string id) => new(
        "instance.busy", $"Instance '{id}' is running an activity right now. Try again when it has ended, or cancel the instance.");

    [LoggerMessage(2301, LogLevel.Warning, "The lease of instance {InstanceId} of tenant {Tenant} ran out and somebody else has taken it; its burst is stopped here.")]
    private partial void LogLost(string instanceId, string tenant);

    [LoggerMessage(2302, LogLevel.Information, "Instance {ParentId} did not start instance {InstanceId}: the activation strategy of workflow {DefinitionId} allows none beside one that runs.")]
    private partial void LogChildNotStarted(string parentId, string instanceId, string definitionId);
}

/// <summary>An instance with everything that belongs to it, to be stored elsewhere.</summary>
/// <param name="Id">Id of the instance.</param>
/// <param name="DefinitionVersionId">Version that it runs.</param>
/// <param name="State">State as <see cref="InstanceSerializer"/> wrote it.</param>
/// <param name="Large">Large values that the state names, by their hash.</param>
/// <param name="Journal">Its log.</param>
public sealed record SavedInstance(
    string Id, string DefinitionVersionId, byte[] State, IReadOnlyDictionary<string, byte[]> Large, IReadOnlyList<StoredJournalChunk> Journal);

/// <summary>How a burst in a request ended.</summary>
/// <param name="Instance">The instance after the burst.</param>
/// <param name="Outcome">Whether it is stored.</param>
public sealed record RequestRun(WorkflowInstance Instance, CommitOutcome Outcome);

/// <summary>The request that a burst answers.</summary>
/// <param name="Exchange">The request and its answer.</param>
public sealed record RequestContext(IHttpExchange? Exchange)
{
    /// <summary>Gives the answer to store under the request's idempotency key; null for none.</summary>
    public Func<WorkflowInstance, ReplyWrite?>? ReplyOf { get; init; }

    /// <summary>Whether an instance that started may be stored; null stores all.</summary>
    public Func<WorkflowInstance, bool>? MayStore { get; init; }
}
