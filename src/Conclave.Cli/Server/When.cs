using System.Globalization;
using System.Text.Json;

namespace Conclave.Cli.Server;

/// <summary>Times as a person reads them: the local clock, and how long ago.</summary>
internal sealed class When(DateTimeOffset now, TimeZoneInfo zone)
{
    public static When Now() => new(TimeProvider.System.GetUtcNow(), TimeZoneInfo.Local);

    /// <summary>Such as <c>14:03, 5 min ago</c>; empty without a time, and the text itself when it is none.</summary>
    public string Text(JsonElement time) => Text(time, at => $"{Clock(at)}, {Relative(at)}");

    /// <summary>Such as <c>5 min ago</c>.</summary>
    public string Ago(JsonElement time) => Text(time, Relative);

    private static string Text(JsonElement time, Func<DateTimeOffset, string> text)
    {
        if (time.ValueKind != JsonValueKind.String)
            return "";
        return DateTimeOffset.TryParse(time.Text(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? text(at)
            : SafeText.Line(time.Text());
    }

    private string Clock(DateTimeOffset at)
    {
        var local = TimeZoneInfo.ConvertTime(at, zone);
        var today = TimeZoneInfo.ConvertTime(now, zone);
        var format = local.Date == today.Date ? "HH:mm" : local.Year == today.Year ? "MMM d HH:mm" : "yyyy-MM-dd";
        return local.ToString(format, CultureInfo.InvariantCulture);
    }

    private string Relative(DateTimeOffset at)
    {
        var span = (now - at).Duration();
        var text = Span(span);
        return text == "now" ? text : at > now ? $"in {text}" : $"{text} ago";
    }

    /// <summary>A length of time in its largest unit.</summary>
    public static string Span(TimeSpan span) => span switch
    {
        { TotalSeconds: < 1 } => "now",
        { TotalMinutes: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalSeconds} s"),
        { TotalHours: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalMinutes} min"),
        { TotalDays: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalHours} h"),
        { TotalDays: < 365 } => string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalDays} d"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{(int)(span.TotalDays / 365)} y"),
    };
}
