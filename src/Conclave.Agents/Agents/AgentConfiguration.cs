using System.Text.Json.Serialization;
using Conclave.Agents.Tools;

namespace Conclave.Agents;

/// <summary>What an agent is: written by people, or taken from the template that it was made from.</summary>
/// <remarks>Members are set, not initialised: JSON that leaves one out keeps its default.</remarks>
public sealed record AgentConfiguration
{
    /// <summary>What it is for, for people and for other agents that hand work to it.</summary>
    public string Description { get; set; } = "";

    /// <summary>The model: an alias such as <c>smart</c>, a model's name, or <c>server/model</c>.</summary>
    public string Model { get; set; } = "smart";

    /// <summary>Most tokens of a prompt, the oldest messages are left out beyond; 1,024 to 1,000,000.</summary>
    public int ContextSize { get; set; } = 8_192;

    /// <summary>How free its answers are, 0 to 2; null for the model's default.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)] // Left out it has its own default, which is not null.
    public double? Temperature { get; set; } = 0.7;

    /// <summary>How it speaks and what it pays attention to; added to the system prompt.</summary>
    public string? Personality { get; set; }

    /// <summary>How it feels at present; changes while it lives, and is added to the system prompt.</summary>
    public string? Mood { get; set; }

    /// <summary>Who it is and what it has to keep to.</summary>
    public string SystemPrompt { get; set; } = "";

    /// <summary>Names of the tools that it may know of.</summary>
    public IReadOnlyList<string> Tools { get; set; } = [];

    /// <summary>What it may do with a tool, by the tool's name; <c>*</c> stands for all others. Tools that are not named have their own default.</summary>
    public IReadOnlyDictionary<string, ToolMode> Permissions { get; set; } = new Dictionary<string, ToolMode>();

    /// <summary>
    /// Rules on the arguments of tools, by the tool's name: the first whose schema the arguments fit says what the agent may do, before <see cref="Permissions"/> do.
    /// </summary>
    public IReadOnlyDictionary<string, IReadOnlyList<ToolRule>> Rules { get; set; } = new Dictionary<string, IReadOnlyList<ToolRule>>();

    /// <summary>What it may spend; null for no limit of its own.</summary>
    public AgentBudget? Budget { get; set; }

    /// <summary>Channels that it may read and write.</summary>
    public IReadOnlyList<string> Channels { get; set; } = [];

    /// <summary>Definition id of its behaviour.</summary>
    public string Behaviour { get; set; } = "react";

    /// <summary>Version of the behaviour that it stays on; null follows the published one.</summary>
    public int? BehaviourVersion { get; set; }

    /// <summary>What ends a turn.</summary>
    public AgentLimits Limits { get; set; } = new();

    /// <summary>When it is taken out of use.</summary>
    public AgentHealth Health { get; set; } = new();

    /// <summary>What it remembers from one conversation to the next: <c>none</c>, since there is no memory yet.</summary>
    public string MemoryPolicy { get; set; } = "none";
}

/// <summary>Whether an agent may use a tool.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ToolMode>))]
public enum ToolMode
{
    /// <summary>It may.</summary>
    [JsonStringEnumMemberName("allow")]
    Allow,

    /// <summary>Somebody has to approve each call.</summary>
    [JsonStringEnumMemberName("ask")]
    Ask,

    /// <summary>It may not.</summary>
    [JsonStringEnumMemberName("deny")]
    Deny,
}

/// <summary>What an agent may spend in a period; kept as a budget of the inference gateway.</summary>
public sealed record AgentBudget
{
    /// <summary>Money, in the currency of the models' prices; null for no limit.</summary>
    public decimal? Money { get; set; }

    /// <summary>Tokens; null for no limit.</summary>
    public long? Tokens { get; set; }

    /// <summary>The period: <c>day</c>, <c>month</c> (of UTC) or <c>run</c>, for ever.</summary>
    public string Period { get; set; } = "day";
}

/// <summary>What ends a turn of an agent.</summary>
public sealed record AgentLimits
{
    /// <summary>Most calls of the model in a turn.</summary>
    public int MaxSteps { get; set; } = 12;

    /// <summary>Most seconds of a turn, without the time in which people are asked.</summary>
    public int MaxTurnSeconds { get; set; } = 600;

    /// <summary>Most money of a turn; null for no limit.</summary>
    public decimal? MaxTurnCost { get; set; }

    /// <summary>How often the same calls of tools may give the same results one after the other.</summary>
    public int MaxRepeats { get; set; } = 3;

    /// <summary>Most turns at once.</summary>
    public int MaxConcurrentTurns { get; set; } = 8;
}

/// <summary>When an agent is taken out of use, and when it may try again.</summary>
public sealed record AgentHealth
{
    /// <summary>So many turns that fail one after the other put it into the state <c>error</c>.</summary>
    public int MaxConsecutiveFailures { get; set; } = 5;

    /// <summary>Seconds in the state <c>error</c> after which one turn may try whether it works again.</summary>
    public int RecoverAfterSeconds { get; set; } = 300;
}
