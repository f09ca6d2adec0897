using Quartz;

namespace Conclave.Workflows.Activities;

/// <summary>
/// A cron expression of six fields (second, minute, hour, day of month, month, day of week), or of five without seconds.
/// Days of the week are 0–7 with Sunday as 0 or 7, or names; when both day fields are restricted, both must match. Times are UTC.
/// </summary>
public sealed class CronSchedule
{
    private const int HorizonInYears = 8;

    private readonly CronExpression _schedule;
    private readonly CronExpression? _also;

    private CronSchedule(CronExpression schedule, CronExpression? also)
    {
        _schedule = schedule;
        _also = also;
    }

    /// <summary>Reads an expression.</summary>
    /// <exception cref="FormatException">The expression is not valid; the message says which part.</exception>
    public static CronSchedule Parse(string expression)
    {
        var fields = expression.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (fields.Length == 5)
            fields = ["0", .. fields];
        if (fields.Length != 6)
            throw Invalid($"It has {fields.Length} fields; 6 are needed: second, minute, hour, day of month, month, day of week.");
        try
        {
            // Quartz numbers days from 1 and takes "either" for two restricted day fields; its reader of the Unix form
            // renumbers the days, and two expressions, one per day field, give "both".
            var isBoth = IsRestricted(fields[3]) && IsRestricted(fields[5]);
            var schedule = Read(fields, fields[3], isBoth ? "*" : fields[5]);
            return new CronSchedule(schedule, isBoth ? Read(fields, "*", fields[5]) : null);
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException)
        {
            throw Invalid(exception.Message);
        }
    }

    /// <summary>The first time after another that matches; null when there is none within eight years.</summary>
    public DateTimeOffset? Next(DateTimeOffset after)
    {
        var next = _schedule.GetNextValidTimeAfter(after);
        while (_also is not null && next is { } time && !_also.IsSatisfiedBy(time))
            next = time > after.AddYears(HorizonInYears) ? null : _schedule.GetNextValidTimeAfter(time);
        return next;
    }

    private static bool IsRestricted(string field) => field is not ("*" or "?");

    private static CronExpression Read(string[] fields, string dayOfMonth, string dayOfWeek)
    {
        var unix = string.Join(' ', fields[1], fields[2], Plain(dayOfMonth), fields[4], Plain(dayOfWeek));
        string[] quartz;
        if (HasQuartzMarks(dayOfMonth) || HasQuartzMarks(dayOfWeek))
            quartz = [fields[0], fields[1], fields[2], dayOfMonth, fields[4], IsRestricted(dayOfWeek) ? Renumber(dayOfWeek) : "?"];
        else
        {
            quartz = CronExpression.Parse(unix, CronFormat.Unix).CronExpressionString.Split(' ');
            quartz[0] = fields[0];
        }

        if (IsRestricted(quartz[5]) && quartz[3] == "*")
            quartz[3] = "?";
        return new CronExpression(string.Join(' ', quartz), TimeZoneInfo.Utc);
    }

    /// <summary>Last day, nearest weekday and nth weekday, which the Unix form does not have.</summary>
    private static bool HasQuartzMarks(string field) => field.AsSpan().ContainsAny("LW#") && !field.AsSpan().ContainsAnyInRange('A', 'K');

    private static string Plain(string field) => field == "?" ? "*" : field;

    /// <summary>Days 0–7 from Sunday become Quartz's 1–7; only the marked forms <c>5L</c> and <c>5#2</c> come here.</summary>
    private static string Renumber(string field) =>
        char.IsAsciiDigit(field[0]) ? $"{((field[0] - '0') % 7) + 1}{field[1..]}" : field;

    private static FormatException Invalid(string detail) =>
        new($"Error when parsing cron expression: The given cron expression has an invalid format. {detail}");
}
