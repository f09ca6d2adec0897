using Quartz;

namespace Conclave.Workflows.Runtime.Timers;

// Quartz stores the full names of these types: renaming one, or its namespace, loses what is scheduled.

/// <summary>Hands a long wait back to the queue.</summary>
internal sealed class ResumeJob(TimerScheduler timers) : IJob
{
    public ValueTask Execute(IJobExecutionContext context, CancellationToken cancellationToken = default) =>
        timers.ResumeAsync(context, cancellationToken);
}

/// <summary>Starts an instance of a published workflow and schedules its next one.</summary>
internal sealed class StartJob(TimerScheduler timers) : IJob
{
    public ValueTask Execute(IJobExecutionContext context, CancellationToken cancellationToken = default) =>
        timers.StartInstanceAsync(context, cancellationToken);
}
