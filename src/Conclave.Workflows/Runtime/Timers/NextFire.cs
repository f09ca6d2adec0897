using System.Globalization;
using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Workflows.Runtime.Timers;

/// <summary>When triggers fire. Nothing but arithmetic on UTC times: no clock is read here.</summary>
internal static class NextFire
{
    private const string Timer = "Elsa.Timer";
    private const string Cron = "Elsa.Cron";
    private const string StartAt = "Elsa.StartAt";

    /// <summary>Whether a trigger fires by the clock.</summary>
    public static bool IsTimed(WorkflowTrigger trigger) => trigger.Name is Timer or Cron or StartAt;

    /// <summary>
    /// The first time of a trigger; null for never. It may lie in the past when nothing could fire it meanwhile: it then fires
    /// at once, for all times that were missed.
    /// </summary>
    /// <exception cref="FormatException">The trigger makes no sense.</exception>
    public static DateTimeOffset? First(WorkflowTrigger trigger, DateTimeOffset publishedAt) => trigger.Name switch
    {
        Timer => OfTimer(Interval(trigger), publishedAt, publishedAt),
        Cron => OfCron(Text(trigger, "CronExpression"), publishedAt, publishedAt),
        StartAt => OfStartAt(Time(trigger, "ExecuteAt"), publishedAt),
        _ => null,
    };

    /// <summary>The time after one that fired; null when there is none.</summary>
    /// <param name="trigger">The trigger.</param>
    /// <param name="fired">The scheduled time that fired.</param>
    /// <param name="now">The clock.</param>
    /// <exception cref="FormatException">The trigger makes no sense.</exception>
    public static DateTimeOffset? After(WorkflowTrigger trigger, DateTimeOffset fired, DateTimeOffset now) => trigger.Name switch
    {
        Timer => OfTimer(Interval(trigger), fired, now),
        Cron => OfCron(Text(trigger, "CronExpression"), fired, now),
        _ => null,
    };

    /// <summary>The next point of the grid through the fired time that is later than both it and now.</summary>
    /// <remarks>Missed points are passed over, and a clock that was set back never leads to a time that fired already.</remarks>
    public static DateTimeOffset? OfTimer(TimeSpan interval, DateTimeOffset fired, DateTimeOffset now)
    {
        if (interval <= TimeSpan.Zero)
            throw new FormatException($"The interval {interval} is not longer than zero.");
        var steps = now <= fired ? 1 : ((now - fired).Ticks / interval.Ticks) + 1;
        var ticks = (Int128)fired.UtcTicks + ((Int128)steps * interval.Ticks);
        return ticks > DateTimeOffset.MaxValue.UtcTicks ? null : new DateTimeOffset((long)ticks, TimeSpan.Zero);
    }

    /// <summary>The next time of the calendar that is later than both the fired time and now.</summary>
    public static DateTimeOffset? OfCron(string expression, DateTimeOffset fired, DateTimeOffset now) =>
        CronSchedule.Parse(expression).Next((now > fired ? now : fired).ToUniversalTime());

    /// <summary>The time itself, unless it had passed when the workflow was published.</summary>
    public static DateTimeOffset? OfStartAt(DateTimeOffset time, DateTimeOffset publishedAt) =>
        time > publishedAt ? time.ToUniversalTime() : null;

    private static TimeSpan Interval(WorkflowTrigger trigger) =>
        TimeSpan.TryParse(Text(trigger, "Interval"), CultureInfo.InvariantCulture, out var interval)
            ? interval
            : throw new FormatException($"'{Text(trigger, "Interval")}' is not an interval.");

    private static DateTimeOffset Time(WorkflowTrigger trigger, string member) =>
        DateTimeOffset.TryParse(Text(trigger, member), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time
            : throw new FormatException($"'{Text(trigger, member)}' is not a time.");

    private static string Text(WorkflowTrigger trigger, string member) =>
        trigger.Payload.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
