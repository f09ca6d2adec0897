using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Workflows.Runtime.Instances;

// Bursts that run in the process of whoever asks, and waits for the outcome.
public sealed partial class InstanceRunner
{
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
        return new RequestRun(instance, await RunNewAsync(burst, request?.MayStore));
    }

    /// <summary>Runs the first burst of a new instance in this process. It is stored when the burst comes to something that it does to the world, or ends.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="priority">How urgent it is.</param>
    /// <param name="onStored">Called when a commit is stored; from the first one on nothing can be lost.</param>
    /// <param name="stopping">Stops the burst; what it did so far is stored and goes on in the queue.</param>
    internal async Task<CommitOutcome> RunNewAsync(string tenant, WorkflowInstance instance, WorkPriority priority, Action onStored, CancellationToken stopping)
    {
        using var burst = new DurableBurst(this, Catalog.Of(tenant), instance, 0, isHeld: false, priority, stopping)
        {
            Guard = Activation.GuardOf(tenant, instance),
            OnStored = onStored,
        };
        return await RunNewAsync(burst, null);
    }

    private async Task<CommitOutcome> RunNewAsync(DurableBurst burst, Func<WorkflowInstance, bool>? mayStore)
    {
        try
        {
            // What may not start must not run first.
            if (burst.Guard is not null || CommitStrategy.IsAtStart(burst.Instance.Graph.Definition))
            {
                var stored = await burst.CommitAsync(keepsHold: true, burst.Token);
                if (stored != CommitOutcome.Stored)
                    return stored;
            }

            await RunAsync(burst);
        }
        catch (HoldLostException lost)
        {
            return burst.IsStored ? CommitOutcome.Refused : lost.Outcome;
        }

        if (mayStore?.Invoke(burst.Instance) == false && !burst.IsStored)
            return CommitOutcome.Refused;
        return await burst.CommitAsync(keepsHold: false, CancellationToken.None);
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

    private static WorkflowException Busy(string id) => new(
        "instance.busy", $"Instance '{id}' is running an activity right now. Try again when it has ended, or cancel the instance.");
}

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
