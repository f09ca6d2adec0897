using System.Globalization;

namespace Conclave.Agents.Tools.BuiltIn;

/// <summary>The calculator and the clock.</summary>
internal static class PlainTools
{
    public static IEnumerable<BuiltInTool> All(TimeProvider time) =>
    [
        new(
            BuiltInTools.Define("calculator", "analysis", "Evaluates an arithmetic expression exactly as written, such as (12.5 * 4) ^ 2 / sqrt(9). Use it for every calculation.", """
                {"type":"object","properties":{"expression":{"type":"string","minLength":1,"maxLength":1000,"description":"Numbers, + - * / % ^, brackets; abs ceil floor round trunc sqrt cbrt exp ln log log2 sign sin cos tan asin acos atan; pi, e."}},"required":["expression"],"additionalProperties":false}
                """) with { Annotations = new() { ReadOnly = true, Idempotent = true } },
            (run, _) =>
            {
                var value = Calculator.Evaluate(run.Text("expression")!);
                return Task.FromResult(JsonOutput.Object(w =>
                {
                    w.WriteNumber("value", value);
                    w.WriteString("text", value.ToString("G15", CultureInfo.InvariantCulture));
                }));
            }),
        new(
            BuiltInTools.Define("clock", "general", "Tells the date and time, in UTC and in a time zone, and adds to it.", """
                {"type":"object","properties":{"timeZone":{"type":"string","maxLength":64,"description":"An IANA name such as Europe/Berlin; UTC without it."},"addSeconds":{"type":"number","description":"Seconds to add; negative ones go back."}},"additionalProperties":false}
                """) with { Annotations = new() { ReadOnly = true, Idempotent = true } },
            (run, _) =>
            {
                var name = run.Text("timeZone") ?? "UTC";
                if (!TimeZoneInfo.TryFindSystemTimeZoneById(name, out var zone))
                    throw new ToolException("tool.arguments_invalid", $"There is no time zone '{name}'. Use an IANA name such as Europe/Berlin.");
                var seconds = run.Arguments.TryGetProperty("addSeconds", out var add) ? add.GetDouble() : 0;
                DateTimeOffset now;
                try
                {
                    now = time.GetUtcNow().AddSeconds(seconds);
                }
                catch (ArgumentOutOfRangeException exception)
                {
                    throw new ToolException("tool.arguments_invalid", "That is outside of the years 1 to 9999.", exception);
                }

                var local = TimeZoneInfo.ConvertTime(now, zone);
                return Task.FromResult(JsonOutput.Object(w =>
                {
                    w.WriteString("utc", now.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture));
                    w.WriteString("local", local.ToString("yyyy-MM-ddTHH:mm:sszzz", CultureInfo.InvariantCulture));
                    w.WriteString("weekday", local.DayOfWeek.ToString());
                    w.WriteNumber("unixSeconds", now.ToUnixTimeSeconds());
                }));
            }),
    ];
}
