using System.Globalization;

namespace Conclave.Server.Web;

/// <summary>Times and numbers in words.</summary>
internal static class Words
{
    private const int LongestExcerpt = 4_000;

    /// <summary>How long ago something was, or in how long it will be: <c>5 min ago</c>, <c>in 2 h</c>.</summary>
    public static string Ago(DateTimeOffset at, DateTimeOffset now)
    {
        var span = at - now;
        var text = Span(span.Duration());
        return text.Length == 0 ? "now" : span > TimeSpan.Zero ? $"in {text}" : $"{text} ago";
    }

    /// <summary>A time, exactly.</summary>
    public static string Exact(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture);

    /// <summary>A number with one of its noun, or more.</summary>
    public static string Count(long count, string noun) => string.Create(CultureInfo.InvariantCulture, $"{count:N0} {noun}{(count == 1 ? "" : "s")}");

    /// <summary>An amount, in the currency of the models' prices.</summary>
    public static string Money(decimal amount) => amount.ToString("0.######", CultureInfo.InvariantCulture);

    /// <summary>A text, or its beginning where it is too long for a page.</summary>
    public static string Excerpt(string text) => text.Length <= LongestExcerpt ? text : text[..LongestExcerpt] + "…";

    private static string Span(TimeSpan span) => span switch
    {
        { TotalSeconds: < 5 } => "",
        { TotalMinutes: < 1 } => Number(span.TotalSeconds, "s"),
        { TotalHours: < 1 } => Number(span.TotalMinutes, "min"),
        { TotalDays: < 2 } => Number(span.TotalHours, "h"),
        _ => Number(span.TotalDays, "days"),
    };

    private static string Number(double number, string unit) => string.Create(CultureInfo.InvariantCulture, $"{Math.Round(number):0} {unit}");
}
