using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <summary>Waits for a while.</summary>
[Activity("Elsa", "Scheduling", "Waits for a while and goes on. The wait survives restarts of the server.")]
public sealed class Delay : Activity
{
    /// <summary>How long.</summary>
    [Input(Description = "How long to wait, as [days.]hours:minutes:seconds: 00:05:00 is five minutes, 3.00:00:00 three days.")]
    public Input<TimeSpan> TimeSpan { get; set; } = new(global::System.TimeSpan.FromMinutes(1));

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.CreateBookmark(null, new BookmarkPayload("DelayPayload", ("ResumeAt", Due.After(context, context.Get(TimeSpan)))));
        return ValueTask.CompletedTask;
    }
}

/// <summary>Starts the workflow again and again, or waits for one interval.</summary>
[Activity("Elsa", "Scheduling", "Starts the workflow again and again at an interval. Inside a workflow it waits for one interval.", Kind = ActivityKind.Trigger)]
public sealed class Timer : Activity
{
    /// <summary>The interval.</summary>
    [Input(Description = "The interval, as [days.]hours:minutes:seconds: 00:05:00 is five minutes.")]
    public Input<TimeSpan> Interval { get; set; } = new(TimeSpan.FromMinutes(1));

    internal override IReadOnlyList<BookmarkPayload> TriggerPayloads(ActivityContext context) =>
        context.Get(Interval) is { Ticks: > 0 } interval ? [new BookmarkPayload("TimerTriggerPayload", ("Interval", interval.ToString()))] : [];

    internal override void Configure(ActivityConfiguration configuration)
    {
        if (Interval.Expression is null && Interval.Literal <= TimeSpan.Zero)
            configuration.Problem("timer.bad_interval", "The interval must be longer than zero.", "interval");
    }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        if (context.TryTakeTrigger(out _))
            context.Complete();
        else
            context.CreateBookmark(null, new BookmarkPayload("TimerBookmarkPayload", ("ResumeAt", Due.After(context, context.Get(Interval)))));
        return ValueTask.CompletedTask;
    }
}

/// <summary>Starts the workflow by a calendar, or waits for the next time in it.</summary>
[Activity("Elsa", "Scheduling", "Starts the workflow at the times of a cron expression. Inside a workflow it waits for the next one.", Kind = ActivityKind.Trigger)]
public sealed class Cron : Activity
{
    /// <summary>Six fields: second, minute, hour, day of month, month, day of week.</summary>
    [Input(Description = "Six fields: second, minute, hour, day of month, month, day of week. 0 0 8 * * MON-FRI is every weekday at 8:00 UTC.", DisplayName = "Cron expression")]
    public Input<string> CronExpression { get; set; } = new();

    internal override IReadOnlyList<BookmarkPayload> TriggerPayloads(ActivityContext context) =>
        context.Get(CronExpression) is { Length: > 0 } expression ? [new BookmarkPayload("CronTriggerPayload", ("CronExpression", expression))] : [];

    internal override void Configure(ActivityConfiguration configuration)
    {
        if (CronExpression.Expression is not null)
            return;
        try
        {
            CronSchedule.Parse(CronExpression.Literal ?? "");
        }
        catch (FormatException exception)
        {
            configuration.Problem("cron.invalid", exception.Message, "cronExpression");
        }
    }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        if (context.TryTakeTrigger(out _))
        {
            context.Complete();
            return ValueTask.CompletedTask;
        }

        var expression = context.Get(CronExpression) ?? "";
        DateTimeOffset? next;
        try
        {
            next = CronSchedule.Parse(expression).Next(context.Time.GetUtcNow());
        }
        catch (FormatException exception)
        {
            throw new WorkflowException("cron.invalid", exception.Message, exception);
        }

        if (next is null)
            throw new WorkflowException("cron.never", $"{Node}: the cron expression '{expression}' has no next time.");
        context.CreateBookmark(null, new BookmarkPayload("CronBookmarkPayload", ("ExecuteAt", next.Value), ("CronExpression", expression)));
        return ValueTask.CompletedTask;
    }
}

/// <summary>Starts the workflow at a time, or waits for it.</summary>
[Activity("Elsa", "Scheduling", "Starts the workflow at a given time. Inside a workflow it waits for that time, or goes on when it has passed.", Kind = ActivityKind.Trigger)]
public sealed class StartAt : Activity
{
    /// <summary>The time.</summary>
    [Input(Description = "The time with its offset, for example 2026-12-24T18:00:00+01:00. Without an offset it is UTC.", UIHint = InputUIHints.DateTimePicker)]
    public Input<DateTimeOffset> DateTime { get; set; } = new();

    internal override IReadOnlyList<BookmarkPayload> TriggerPayloads(ActivityContext context) =>
        [new BookmarkPayload("StartAtPayload", ("ExecuteAt", context.Get(DateTime)))];

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var time = context.Get(DateTime);
        if (context.TryTakeTrigger(out _) || time <= context.Time.GetUtcNow())
            context.Complete();
        else
            context.CreateBookmark(null, new BookmarkPayload("StartAtPayload", ("ExecuteAt", time)));
        return ValueTask.CompletedTask;
    }
}

/// <summary>Times at which bookmarks are due.</summary>
internal static class Due
{
    public static DateTimeOffset After(ActivityContext context, TimeSpan span)
    {
        if (span < TimeSpan.Zero)
            throw new WorkflowException("schedule.negative", $"{context.Node}: a negative time of {span} has passed before it began.");
        try
        {
            return context.Time.GetUtcNow() + span;
        }
        catch (ArgumentOutOfRangeException exception)
        {
            throw new WorkflowException("schedule.too_long", $"{context.Node}: waiting {span} goes beyond the year 9999.", exception);
        }
    }
}
