using System.Buffers;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Workflows.Runtime.Instances;

// Bursts that work of the queue asks for, and what is put there.
public sealed partial class InstanceRunner
{
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

    /// <summary>The work that resumes a bookmark when it is due: in the queue when that is soon, else through the timers.</summary>
    internal NewWork WorkFor(DurableBurst burst, int bookmark, DateTimeOffset dueAt, DateTimeOffset now) =>
        dueAt - now <= Options.LongDelay
            ? new NewWork(burst.Tenant, burst.Instance.Id, WorkKind.Resume, burst.Priority, dueAt, null, bookmark)
            : new NewWork(burst.Tenant, "", WorkKind.Schedule, burst.Priority, null, WorkPayload.Of(burst.Instance.Id, bookmark, dueAt));

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
}
