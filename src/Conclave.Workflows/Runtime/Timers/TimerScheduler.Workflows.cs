using System.Globalization;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Queue;
using Microsoft.Extensions.Logging;
using Npgsql;
using Quartz;

namespace Conclave.Workflows.Runtime.Timers;

// Published workflows that start by the clock.
//
// Each trigger is one durable job with at most one trigger of its own. The job says that the first time was scheduled already; it goes
// when the version is no longer published. A firing starts the instance, then schedules the next time. A crash in between:
//   - the job asks for recovery, so that another process repeats the firing with the same time. The id of the instance follows from
//     that time: nothing starts twice;
//   - should that be lost as well, the next full sync, at the latest after ten minutes, finds a job without a trigger and goes on.
// The other order, next time first, would lose the instance in the second case.
public sealed partial class TimerScheduler
{
    /// <summary>Brings all workflows in line with what is published, in the background.</summary>
    public void SyncAll() => _changes.Writer.TryWrite(new Change("", ""));

    /// <summary>Brings the timers of a workflow in line with its published version.</summary>
    public async Task SyncAsync(string tenant, string definitionId, CancellationToken cancellationToken)
    {
        if (_scheduler is not { } scheduler)
            return;
        var wanted = await _runner.Catalog.Store.ReadTriggersAsync(tenant, definitionId, cancellationToken);
        await SyncAsync(scheduler, wanted, GroupMatcher<JobKey>.GroupEquals(TimerKeys.Group(tenant, definitionId)), cancellationToken);
    }

    private void OnChanged(string tenant, string definitionId) => _changes.Writer.TryWrite(new Change(tenant, definitionId));

    private async Task FollowAsync(IScheduler scheduler)
    {
        await foreach (var change in _changes.Reader.ReadAllAsync(_stop.Token))
        {
            try
            {
                if (change.Tenant.Length > 0)
                    await SyncAsync(change.Tenant, change.DefinitionId, _stop.Token);
                else
                {
                    await scheduler.ResetTriggersFromErrorState(GroupMatcher<TriggerKey>.AnyGroup(), _stop.Token);
                    var wanted = await _runner.Catalog.Store.ReadTriggersAsync(null, null, _stop.Token);
                    await SyncAsync(scheduler, wanted, GroupMatcher<JobKey>.GroupStartsWith(TimerKeys.StartPrefix), _stop.Token);
                }
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                LogNotSynced(change.DefinitionId, exception);
                _changes.Writer.TryWrite(change);
                await Task.Delay(TimeSpan.FromSeconds(1), _time, _stop.Token);
            }
        }
    }

    private async Task SyncAsync(
        IScheduler scheduler, IReadOnlyList<WorkflowTrigger> triggers, GroupMatcher<JobKey> group, CancellationToken cancellationToken)
    {
        var wanted = new Dictionary<JobKey, WorkflowTrigger>();
        foreach (var trigger in triggers.Where(NextFire.IsTimed))
            wanted[TimerKeys.Start(trigger)] = trigger;
        var known = (await scheduler.GetJobKeys(group, cancellationToken)).ToHashSet();
        var gone = known.Where(k => !wanted.ContainsKey(k)).ToList();
        if (gone.Count > 0)
            await scheduler.DeleteJobs(gone, cancellationToken);
        foreach (var (key, trigger) in wanted)
        {
            try
            {
                if (!known.Contains(key))
                    await AddAsync(scheduler, key, trigger, cancellationToken);
                else if (!await scheduler.Exists(TriggerOf(key), cancellationToken))
                    await GoOnAsync(scheduler, key, trigger, cancellationToken);
            }
            catch (ObjectAlreadyExistsException)
            {
                // Another process was faster.
            }
            catch (FormatException exception)
            {
                LogBadTrigger(trigger.ActivityId, trigger.DefinitionId, trigger.Tenant, exception);
            }
        }
    }

    private async Task AddAsync(IScheduler scheduler, JobKey key, WorkflowTrigger trigger, CancellationToken cancellationToken)
    {
        if (await AnchorAsync(trigger, cancellationToken) is not { } publishedAt || NextFire.First(trigger, publishedAt) is not { } first)
            return;
        var job = JobBuilder.Create<StartJob>().WithIdentity(key).StoreDurably().RequestRecovery().Build();
        await scheduler.ScheduleJob(job, At(key, first), cancellationToken: cancellationToken);
    }

    /// <summary>A firing was lost; or it is under way just now, and will replace this with the same time.</summary>
    private async Task GoOnAsync(IScheduler scheduler, JobKey key, WorkflowTrigger trigger, CancellationToken cancellationToken)
    {
        if (await AnchorAsync(trigger, cancellationToken) is { } publishedAt && NextFire.After(trigger, publishedAt, _time.GetUtcNow()) is { } next)
            await scheduler.ScheduleJob(At(key, next), cancellationToken: cancellationToken);
    }

    /// <summary>When the version was published: the grid of a timer goes through it, in every process.</summary>
    private async Task<DateTimeOffset?> AnchorAsync(WorkflowTrigger trigger, CancellationToken cancellationToken) =>
        (await _runner.Catalog.Store.FindAsync(trigger.Tenant, trigger.VersionId, cancellationToken))?.UpdatedAt;

    internal async ValueTask StartInstanceAsync(IJobExecutionContext context, CancellationToken cancellationToken)
    {
        var key = context.JobDetail.Key;
        var due = Time(context.MergedJobDataMap);
        await RetryAsync(() => FireAsync(context.Scheduler, key, due, cancellationToken), key, cancellationToken);
    }

    private async Task FireAsync(IScheduler scheduler, JobKey key, DateTimeOffset due, CancellationToken cancellationToken)
    {
        var (tenant, definitionId) = TimerKeys.WorkflowOf(key);
        var triggers = await _runner.Catalog.Store.ReadTriggersAsync(tenant, definitionId, cancellationToken);
        if (triggers.Find(t => TimerKeys.Start(t).Equals(key)) is not { } trigger)
        {
            // It was retracted a moment ago.
            await scheduler.DeleteJob(key, cancellationToken);
            return;
        }

        // A crash after the next time was scheduled makes Quartz recover the firing with that time instead of its own.
        if (due > _time.GetUtcNow())
        {
            await scheduler.ScheduleJob(At(key, due), ScheduleJobOptions.Replacing, cancellationToken);
            return;
        }

        try
        {
            await StartInstanceAsync(trigger, due, cancellationToken);
        }
        catch (Exception exception) when (exception is not OperationCanceledException && !IsTransient(exception))
        {
            // A definition that cannot run now may run next time.
            LogNotStarted(trigger.ActivityId, definitionId, tenant, due, exception);
        }

        if (NextFire.After(trigger, due, _time.GetUtcNow()) is { } next)
            await scheduler.ScheduleJob(At(key, next), ScheduleJobOptions.Replacing, cancellationToken);
    }

    private async Task StartInstanceAsync(WorkflowTrigger trigger, DateTimeOffset due, CancellationToken cancellationToken)
    {
        var workflows = _runner.Catalog.Of(trigger.Tenant);
        var graph = await workflows.GetGraphAsync(trigger.VersionId, cancellationToken);
        var instance = workflows.Engine.CreateInstance(graph, new WorkflowStart
        {
            InstanceId = TimerKeys.InstanceId(trigger.Tenant, trigger.VersionId, trigger.ActivityId, due),
            TriggerActivityId = trigger.ActivityId,
        });
        var outcome = await _runner.EnqueueAsync(trigger.Tenant, instance, WorkPriority.P2);
        LogStarted(instance.Id, trigger.DefinitionId, trigger.Tenant, due, outcome);
    }

    /// <summary>Tries until it works: a firing must not end before what it is for is stored.</summary>
    private async Task RetryAsync(Func<Task> action, JobKey job, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await action();
                return;
            }
            catch (Exception exception) when (IsTransient(exception))
            {
                LogRetry(job.Name, job.Group, attempt, exception);
                await Task.Delay(RetryDelay.After(attempt, TimeSpan.FromMilliseconds(100), LongestRetryDelay, Random.Shared), _time, cancellationToken);
            }
        }
    }

    private ITrigger At(JobKey key, DateTimeOffset due) => Once(
        TriggerOf(key), key, due, new JobDataMap { [TimerKeys.Due] = due.UtcTicks.ToString(CultureInfo.InvariantCulture) });

    private static TriggerKey TriggerOf(JobKey key) => new(key.Name, key.Group);

    private static bool IsTransient(Exception exception) =>
        exception is NpgsqlException or SchedulerException or TimeoutException or ObjectDisposedException;

    [LoggerMessage(2704, LogLevel.Warning, "Timers of workflow '{DefinitionId}' (empty for all) are not in line with what is published; it is tried again.")]
    private partial void LogNotSynced(string definitionId, Exception exception);

    [LoggerMessage(2705, LogLevel.Error, "Trigger {ActivityId} of workflow {DefinitionId} of {Tenant} never fires: its time makes no sense.")]
    private partial void LogBadTrigger(string activityId, string definitionId, string tenant, Exception exception);

    [LoggerMessage(2706, LogLevel.Error, "Trigger {ActivityId} of workflow {DefinitionId} of {Tenant} could not start it for {Due}; it goes on with its next time.")]
    private partial void LogNotStarted(string activityId, string definitionId, string tenant, DateTimeOffset due, Exception exception);

    [LoggerMessage(2707, LogLevel.Debug, "Instance {InstanceId} of workflow {DefinitionId} of {Tenant} for {Due}: {Outcome:G}.")]
    private partial void LogStarted(string instanceId, string definitionId, string tenant, DateTimeOffset due, Instances.CommitOutcome outcome);

    [LoggerMessage(2708, LogLevel.Warning, "Timer {Name} of {Group} failed (attempt {Attempt}); it is tried again.")]
    private partial void LogRetry(string name, string group, int attempt, Exception exception);
}
