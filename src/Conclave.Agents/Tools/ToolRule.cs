using System.Text.Json;

namespace Conclave.Agents.Tools;

/// <summary>A rule on arguments: what fits its schema has its mode.</summary>
public sealed record ToolRule
{
    /// <summary>What it is called in decisions, such as <c>small refunds</c>.</summary>
    public string Name { get; set; } = "";

    /// <summary>What it gives.</summary>
    public ToolMode Mode { get; set; }

    /// <summary>JSON Schema that the arguments must fit for it to count.</summary>
    public JsonElement When { get; set; }
}

/// <summary>What an agent may do with a tool.</summary>
/// <param name="AgentId">The agent; <c>*</c> for all.</param>
/// <param name="Tool">The tool; <c>*</c> for all.</param>
/// <param name="Mode">What counts when no rule fits.</param>
/// <param name="Rules">Rules; the first that fits counts.</param>
public sealed record ToolPermission(string AgentId, string Tool, ToolMode Mode, IReadOnlyList<ToolRule> Rules)
{
    /// <summary>Counts changes.</summary>
    public int Version { get; init; }

    /// <summary>When it was changed.</summary>
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>By whom.</summary>
    public string UpdatedBy { get; init; } = "";
}
