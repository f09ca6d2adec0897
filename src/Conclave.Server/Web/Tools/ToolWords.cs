using System.Globalization;
using Conclave.Agents.Tools;

namespace Conclave.Server.Web.Tools;

/// <summary>Tools and their calls in words.</summary>
internal static class ToolWords
{
    /// <summary>How far back calls are summed up.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromDays(7);

    /// <summary>A status, mode or risk as the API names it.</summary>
    public static string Name(Enum value) => value.ToString().ToLowerInvariant();

    /// <summary>How dangerous a tool is, and what happens when nobody has said more about it.</summary>
    public static string Risk(ToolDefinition tool) => $"{Name(tool.Risk)} risk, {Name(tool.DefaultMode)} by default";

    /// <summary>Calls that did not go well.</summary>
    public static string Trouble(ToolUse use) => string.Join(", ", new[] { (use.Failed, "failed"), (use.Refused, "refused") }.Where(p => p.Item1 > 0).Select(p => $"{p.Item1:N0} {p.Item2}"));

    /// <summary>A time of milliseconds.</summary>
    public static string Milliseconds(double milliseconds) =>
        milliseconds < 1000 ? string.Create(CultureInfo.InvariantCulture, $"{milliseconds:0} ms") : string.Create(CultureInfo.InvariantCulture, $"{milliseconds / 1000:0.0} s");
}
