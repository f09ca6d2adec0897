using System.Globalization;
using Conclave.Workflows.Runtime.Queue;
using Microsoft.Extensions.Logging;
using Quartz;

namespace Conclave.Workflows.Runtime.Timers;

// Bookmarks that are due much later.
public sealed partial class TimerScheduler
{
    // Quartz takes about 3 ms for each, and fires nothing meanwhile.
    private const int LargestBatch = 50;

    // Each that waits here holds a place of the worker, which bursts need.
    private const int MostWaiting = 64;

    /// <summary>Waits come back to the queue this long before they are due: the queue keeps the exact time, and many at once find room.</summary>
    private static readonly TimeSpan LongestLead = TimeSpan.FromMinutes(1);

    /// <summary>Resumes a bookmark when it is due. Scheduling it again changes nothing but the time.</summary>
    /// <remarks>Falls back to the queue, which holds waits as well, whenever Quartz does not take it or is asked too much at once.</remarks>
    public async Task ScheduleAsync(string tenant, string instanceId, int bookmarkNumber, DateTimeOffset dueAt, CancellationToken cancellationToken)
    {
        var wait = new Wait(tenant, instanceId, bookmarkNumber, dueAt);
        if (await TryScheduleAsync(wait, cancellationToken))
            return;
        await _runner.Queue.EnqueueAsync([WorkOf(tenant, instanceId, bookmarkNumber, dueAt)], cancellationToken);
    }

    private async Task<bool> TryScheduleAsync(Wait wait, CancellationToken cancellationToken)
    {
        if (_scheduler is null || _waits.Reader.Count >= MostWaiting || !_waits.Writer.TryWrite(wait))
            return false;
        // It may have stopped just before.
        if (_scheduler is null)
            LeaveWaits();
        return await wait.IsStored.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Wakes an instance, unless it has stopped waiting meanwhile: nobody takes its timer back, which would cost every commit a look.</summary>
    internal async ValueTask ResumeAsync(IJobExecutionContext context, CancellationToken cancellationToken)
    {
        var data = context.MergedJobDataMap;
        var work = WorkOf(Text(data, TimerKeys.Tenant), Text(data, TimerKeys.Instance), (int)Number(data, TimerKeys.Bookmark), Time(data));
        await RetryAsync(
            async () =>
            {
                if (await _runner.Instances.IsWaitingAsync(work.Tenant, work.InstanceId, work.Bookmark, cancellationToken))
                    await _runner.Queue.EnqueueAsync([work], cancellationToken);
            },
            context.JobDetail.Key,
            cancellationToken);
    }

    /// <summary>Stores what workers ask for meanwhile in one transaction: they wait for each other in Quartz's lock otherwise.</summary>
    private async Task StoreWaitsAsync(IScheduler scheduler)
    {
        var batch = new List<Wait>();
        while (await _waits.Reader.WaitToReadAsync(_stop.Token))
        {
            batch.Clear();
            while (batch.Count < LargestBatch && _waits.Reader.TryRead(out var wait))
                batch.Add(wait);
            var isStored = false;
            try
            {
                await StoreAsync(scheduler, batch);
                isStored = true;
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                LogNotScheduled(batch.Count, exception);
            }
            finally
            {
                foreach (var wait in batch)
                    wait.IsStored.TrySetResult(isStored);
            }
        }
    }

    private async Task StoreAsync(IScheduler scheduler, List<Wait> batch)
    {
        var lead = _runner.Options.LongDelay < LongestLead ? _runner.Options.LongDelay : LongestLead;
        var triggers = new Dictionary<TriggerKey, ITrigger>();
        foreach (var wait in batch)
        {
            var key = TimerKeys.Wait(wait.Tenant, wait.InstanceId, wait.Bookmark);
            triggers[key] = Once(key, TimerKeys.Waits, wait.DueAt - lead, new JobDataMap
            {
                [TimerKeys.Tenant] = wait.Tenant,
                [TimerKeys.Instance] = wait.InstanceId,
                [TimerKeys.Bookmark] = wait.Bookmark.ToString(CultureInfo.InvariantCulture),
                [TimerKeys.Due] = wait.DueAt.UtcTicks.ToString(CultureInfo.InvariantCulture),
            });
        }

        var jobs = new Dictionary<IJobDetail, IReadOnlyCollection<ITrigger>> { [WaitsJob()] = triggers.Values };
        await scheduler.ScheduleJobs(jobs, ScheduleJobOptions.Replacing, _stop.Token);
    }

    /// <summary>Whoever still asks is told to use the queue.</summary>
    private void LeaveWaits()
    {
        while (_waits.Reader.TryRead(out var wait))
            wait.IsStored.TrySetResult(false);
    }

    private static IJobDetail WaitsJob() =>
        JobBuilder.Create<ResumeJob>().WithIdentity(TimerKeys.Waits).StoreDurably().RequestRecovery().Build();

    private static NewWork WorkOf(string tenant, string instanceId, int bookmark, DateTimeOffset dueAt) =>
        new(tenant, instanceId, WorkKind.Resume, WorkPriority.P2, dueAt, null, bookmark);

    private static string Text(JobDataMap data, string name) => data.GetString(name) ?? throw new InvalidDataException($"The timer has no '{name}'.");

    private static long Number(JobDataMap data, string name) => long.Parse(Text(data, name), CultureInfo.InvariantCulture);

    private static DateTimeOffset Time(JobDataMap data) => new(Number(data, TimerKeys.Due), TimeSpan.Zero);

    [LoggerMessage(2703, LogLevel.Warning, "{Count} long waits could not be scheduled; they wait in the queue instead.")]
    private partial void LogNotScheduled(int count, Exception exception);

    private sealed record Wait(string Tenant, string InstanceId, int Bookmark, DateTimeOffset DueAt)
    {
        public TaskCompletionSource<bool> IsStored { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
