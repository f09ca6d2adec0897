using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Stimuli;
using Conclave.Workflows.Runtime.Telemetry;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Workflows.Runtime.Queue;

/// <summary>Takes work from the queue and does it, many bursts at once.</summary>
public sealed partial class Worker(
    WorkQueue queue, WorkSignal signal, InstanceRunner runner, StimulusDelivery delivery, WorkerPause pause, TimeProvider time, ILogger<Worker> logger)
{
    // All work that met the outage comes back, spread over this time.
    private const double OutageDelaySeconds = 5;

    private readonly RuntimeOptions _options = runner.Options;
    private int _running;
    private volatile bool _isTaking;
    private CancellationToken _aborting;

    /// <summary>Hands bookmarks that are due much later to the timers; null leaves them to the queue.</summary>
    public Func<string, string, int, DateTimeOffset, CancellationToken, Task>? Schedule { get; set; }

    /// <summary>Resumes an instance at once, without the queue, if this process works and has room for it.</summary>
    /// <param name="found">The instance as it was read, and its bookmark.</param>
    /// <param name="input">What arrived.</param>
    /// <param name="priority">How urgent it is.</param>
    /// <returns>Whether it was resumed and nothing of it can be lost any more; the burst may go on. Else nothing has happened.</returns>
    internal async Task<bool> TryResumeAsync(WaitingInstance found, object? input, WorkPriority priority)
    {
        if (!TryTakePlace())
            return false;
        var stored = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = DoNowAsync(found.Instance.Tenant, found.Instance.Id, () => runner.TryResumeAsync(found, input, priority, () => stored.TrySetResult(true), _aborting), stored);
        return await stored.Task;
    }

    /// <summary>Runs a new instance at once, without the queue, if this process works and has room for it.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="priority">How urgent it is.</param>
    /// <returns>Whether it was stored, so that nothing of it can be lost any more; the burst may go on. Null when there is no room: nothing has happened.</returns>
    internal async Task<CommitOutcome?> TryStartAsync(string tenant, WorkflowInstance instance, WorkPriority priority)
    {
        if (!TryTakePlace())
            return null;
        var stored = new TaskCompletionSource<CommitOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = DoNowAsync(tenant, instance.Id, () => runner.RunNewAsync(tenant, instance, priority, () => stored.TrySetResult(CommitOutcome.Stored), _aborting), stored);
        return await stored.Task;
    }

    /// <summary>Carries out a part of a plan to change many instances: tenant and plan.</summary>
    public Func<string, string, CancellationToken, Task>? Alter { get; init; }

    /// <summary>Number of claims that are being worked on.</summary>
    public int RunningCount => _running;

    /// <summary>Works until it is stopped; then takes nothing more, and waits for what runs.</summary>
    /// <param name="stopping">Stops taking work.</param>
    /// <param name="aborting">Stops what runs; it is put back and goes on elsewhere.</param>
    public async Task RunAsync(CancellationToken stopping, CancellationToken aborting)
    {
        _aborting = aborting;
        _isTaking = true;
        var failures = 0;
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                var free = _options.Concurrency - Volatile.Read(ref _running);
                if (free > 0 && !pause.IsPaused && await TakeAsync(Math.Min(free, _options.ClaimSize), aborting, stopping) > 0)
                    continue;
                await signal.WaitAsync(free > 0 && !pause.IsPaused ? await NextPauseAsync(stopping) : _options.PollInterval, time, stopping);
                failures = 0;
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                break;
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
            {
                failures++;
                LogClaimFailed(failures, exception);
                await Task.Delay(RetryDelay.After(failures, _options.FirstRetryDelay, TimeSpan.FromSeconds(5), Random.Shared), time, stopping)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        _isTaking = false;
        while (Volatile.Read(ref _running) > 0)
            await Task.Delay(TimeSpan.FromMilliseconds(5), time, CancellationToken.None);
    }

    private async Task<int> TakeAsync(int limit, CancellationToken aborting, CancellationToken cancellationToken)
    {
        var claims = await queue.ClaimAsync(_options.Owner, _options.Lease, limit, cancellationToken);
        foreach (var claim in claims)
        {
            Interlocked.Increment(ref _running);
            foreach (var work in claim.Work)
                WorkflowTelemetry.WorkClaimed(work.Kind, work.Priority, TimeSpan.FromSeconds(work.LateSeconds));
            _ = Task.Run(() => WorkAsync(claim, aborting), CancellationToken.None);
        }

        return claims.Count;
    }

    /// <summary>Until the next work is due, at most until the next look.</summary>
    private async Task<TimeSpan> NextPauseAsync(CancellationToken cancellationToken)
    {
        if (await queue.FindNextDueAsync(cancellationToken) is not { } due)
            return _options.PollInterval;
        var pause = due - time.GetUtcNow();
        return pause < _options.PollInterval ? pause > TimeSpan.FromMilliseconds(1) ? pause : TimeSpan.FromMilliseconds(1) : _options.PollInterval;
    }

    private async Task WorkAsync(Claim claim, CancellationToken aborting)
    {
        try
        {
            var exhausted = claim.Work.Where(w => w.Attempt > _options.MaxAttempts).ToList();
            foreach (var work in exhausted)
                await queue.BuryAsync(work, _options.Owner, "The process that worked on it died each time.", CancellationToken.None);
            var left = exhausted.Count == 0 ? claim : claim with { Work = [.. claim.Work.Except(exhausted)] };
            if (left.Work.Count == 0)
            {
                if (left.Instance is not null)
                    await runner.Instances.ReleaseAsync(left.Instance, CancellationToken.None);
            }
            else if (left.Work[0].InstanceId.Length > 0)
                await runner.RunAsync(left, aborting);
            else
                await DoAsync(left.Work[0], aborting);
        }
        catch (HoldLostException)
        {
            LogLost(claim.Work[0].InstanceId, claim.Work[0].Tenant);
        }
        catch (Exception exception)
        {
            await FailAsync(claim, exception);
        }
        finally
        {
            Release();
        }
    }

    /// <summary>Does what came without the queue. Stopping waits for it as for what came from there.</summary>
    private async Task DoNowAsync<T>(string tenant, string instanceId, Func<Task<T>> run, TaskCompletionSource<T> stored)
    {
        try
        {
            stored.TrySetResult(await run());
        }
        catch (HoldLostException exception)
        {
            if (!stored.TrySetException(exception))
                LogLost(instanceId, tenant);
        }
        catch (Exception exception)
        {
            // Once something is stored, so is the work that goes on with it when its lease runs out.
            if (!stored.TrySetException(exception))
                LogCutOff(instanceId, tenant, exception);
        }
        finally
        {
            Release();
        }
    }

    private bool TryTakePlace()
    {
        if (Interlocked.Increment(ref _running) <= _options.Concurrency && _isTaking && !pause.IsPaused)
            return true;
        Release();
        return false;
    }

    /// <summary>Makes room. Only a worker that was full has left work behind.</summary>
    private void Release()
    {
        if (Interlocked.Decrement(ref _running) == _options.Concurrency - 1)
            signal.WakeLocal();
    }

    /// <summary>Does work that belongs to no instance.</summary>
    private async Task DoAsync(ClaimedWork work, CancellationToken cancellationToken)
    {
        switch (work.Kind)
        {
            case WorkKind.Publish:
                var (published, id) = WorkPayload.ReadEvent(work.Payload);
                await delivery.PublishAsync(work.Tenant, published, id, work.Priority, cancellationToken);
                break;
            case WorkKind.Schedule:
                var (instanceId, bookmark, dueAt) = WorkPayload.ReadSchedule(work.Payload);
                if (Schedule is { } schedule)
                    await schedule(work.Tenant, instanceId, bookmark, dueAt, cancellationToken);
                else
                    await queue.EnqueueAsync([new NewWork(work.Tenant, instanceId, WorkKind.Resume, work.Priority, dueAt, null, bookmark)], cancellationToken);
                break;
            case WorkKind.Alter when Alter is { } alter:
                await alter(work.Tenant, (string)WorkPayload.ReadInput(work.Payload)!, cancellationToken);
                break;
            default:
                throw new InvalidDataException($"Work of kind {(int)work.Kind} is from a newer version of the program.");
        }

        await queue.FinishAsync([work.Id], CancellationToken.None);
    }

    /// <summary>Puts work back that failed for a reason outside the workflow, or gives it up.</summary>
    private async Task FailAsync(Claim claim, Exception exception)
    {
        // That the database is down or full says nothing about the work, however long it takes.
        var isOutage = DatabaseOutage.Is(exception);
        foreach (var work in claim.Work)
        {
            // A definition that does not exist will not come back by itself.
            var isDead = !isOutage && (work.Attempt >= _options.MaxAttempts || exception is WorkflowDefinitionException or WorkflowException { IsPermanent: true });
            LogFailed(work.Id, work.Kind, work.InstanceId, work.Tenant, work.Attempt, isDead, exception);
            try
            {
                if (isDead)
                    WorkflowTelemetry.WorkDied(work.Kind, work.Priority);
                else
                    WorkflowTelemetry.WorkRetried(work.Kind, work.Priority);
                if (isDead)
                    await queue.BuryAsync(work, _options.Owner, $"{exception.GetType().Name}: {exception.Message}", CancellationToken.None);
                else
                    await queue.RetryAsync(work, _options.Owner, DelayAfter(work, isOutage), counts: !isOutage, CancellationToken.None);
            }
            catch (NpgsqlException inner)
            {
                // The lease runs out, and somebody takes the work again.
                LogNotPutBack(work.Id, inner);
            }
        }

        if (claim.Instance is not { } held)
            return;
        try
        {
            await runner.Instances.ReleaseAsync(held, CancellationToken.None);
        }
        catch (NpgsqlException inner)
        {
            LogNotPutBack(claim.Work[0].Id, inner);
        }
    }

    private TimeSpan DelayAfter(ClaimedWork work, bool isOutage) => isOutage
        ? TimeSpan.FromSeconds(OutageDelaySeconds * Random.Shared.NextDouble())
        : RetryDelay.After(work.Attempt, _options.FirstRetryDelay, _options.LongestRetryDelay, Random.Shared);

    [LoggerMessage(2401, LogLevel.Warning, "Work could not be claimed ({Failures} times in a row).")]
    private partial void LogClaimFailed(int failures, Exception exception);

    [LoggerMessage(2402, LogLevel.Warning, "Instance {InstanceId} of tenant {Tenant} was taken by somebody else; nothing of this burst is stored.")]
    private partial void LogLost(string instanceId, string tenant);

    [LoggerMessage(2403, LogLevel.Error, "Work {WorkId} ({Kind:G}) for instance {InstanceId} of tenant {Tenant} failed at attempt {Attempt}; given up: {IsDead}.")]
    private partial void LogFailed(long workId, WorkKind kind, string instanceId, string tenant, int attempt, bool isDead, Exception exception);

    [LoggerMessage(2405, LogLevel.Error, "The burst of instance {InstanceId} of tenant {Tenant} broke off; it goes on from its last commit when its lease runs out.")]
    private partial void LogCutOff(string instanceId, string tenant, Exception exception);

    [LoggerMessage(2404, LogLevel.Warning, "Work {WorkId} could not be put back; it is due again when its lease runs out.")]
    private partial void LogNotPutBack(long workId, Exception exception);
}
