using System.Text.Json.Serialization;

namespace Conclave.Inference.Routing;

/// <summary>A name that rules resolve to models, such as <c>fast</c>.</summary>
public sealed record ModelAlias
{
    /// <summary>The name: letters, digits, <c>-</c>, <c>_</c>, <c>.</c>, <c>:</c>; at most 63.</summary>
    public required string Name { get; init; }

    /// <summary>What it is for, for people; at most 500 characters.</summary>
    public string? Description { get; init; }

    /// <summary>The rules: the first one that fits a call and has a server for it is taken.</summary>
    /// <value>1 to 50.</value>
    public IReadOnlyList<RoutingRule> Rules { get; init => field = value ?? []; } = [];
}

/// <summary>A rule: which calls it is for, and where they go.</summary>
public sealed record RoutingRule
{
    /// <summary>Its name, shown with every call that it decides; at most 63 characters.</summary>
    public required string Name { get; init; }

    /// <summary>Which calls it is for.</summary>
    /// <value>Default all.</value>
    public RuleConditions? When { get; init; }

    /// <summary>Where the calls go: the first tier, and the next ones when it fails or makes them wait for too long.</summary>
    /// <value>1 to 20.</value>
    public IReadOnlyList<RuleTier> Targets { get; init => field = value ?? []; } = [];

    /// <summary>Which of the models comes first.</summary>
    public RoutingStrategy Strategy { get; init; }

    /// <summary>Most that a million tokens read may cost; null for any price.</summary>
    public decimal? MaxInputPrice { get; init; }

    /// <summary>Most that a million tokens written may cost; null for any price.</summary>
    public decimal? MaxOutputPrice { get; init; }

    /// <summary>Whether its calls stay in the house, whatever they say themselves.</summary>
    public bool KeepLocal { get; init; }

    /// <summary>For <see cref="RoutingStrategy.Smart"/>: by how much a model's predicted quality may be below the best one's when it is cheaper.</summary>
    /// <value>0 to 1; default 0.1.</value>
    public double QualityTolerance { get; set; } = 0.1;
}

/// <summary>Which calls a rule is for. What is not given fits every call.</summary>
public sealed record RuleConditions
{
    /// <summary>Only calls that need all of these: <c>tools</c>, <c>vision</c>, <c>json-schema</c>, <c>thinking</c>, <c>embeddings</c>, <c>chat</c>.</summary>
    public ModelCapabilities? Needs { get; init; }

    /// <summary>Only calls with at least so many tokens, answer included.</summary>
    public long? MinTokens { get; init; }

    /// <summary>Only calls with at most so many tokens, answer included.</summary>
    public long? MaxTokens { get; init; }

    /// <summary>Only calls at least so complex, see <see cref="Routing.Complexity"/>: 0 to 1.</summary>
    public double? MinComplexity { get; init; }

    /// <summary>Only calls less complex than this: 0 to 1; exactly 1 includes the most complex ones.</summary>
    public double? MaxComplexity { get; init; }

    /// <summary>Only calls of these tenants.</summary>
    public IReadOnlyList<string>? Tenants { get; init; }

    /// <summary>Only calls of these agents.</summary>
    public IReadOnlyList<string>? Agents { get; init; }

    /// <summary>Only calls that must stay in the house, or only those that need not.</summary>
    public bool? LocalOnly { get; init; }

    /// <summary>Only calls that require all of these tags.</summary>
    public IReadOnlyList<string>? Tags { get; init; }
}

/// <summary>Models and servers that are equally good for a rule.</summary>
public sealed record RuleTier
{
    /// <summary>Names of models, or patterns with <c>*</c>.</summary>
    // A member that JSON leaves out is set to null by generated code.
    public IReadOnlyList<string> Models { get; init => field = value ?? ["*"]; } = ["*"];

    /// <summary>Names of servers, or patterns with <c>*</c>; null for all.</summary>
    public IReadOnlyList<string>? Servers { get; init; }

    /// <summary>Tags that a server must have; null for none.</summary>
    public IReadOnlyList<string>? ServerTags { get; init; }

    /// <summary>How long a call waits for this tier before the next one is asked too, in seconds; null for 10.</summary>
    /// <value>0 to 3,600.</value>
    public double? MaxWaitSeconds { get; init; }
}

/// <summary>Which of several models comes first.</summary>
public enum RoutingStrategy
{
    /// <summary>Servers of the house, loaded models, cheap ones; among equals the server with the least to do.</summary>
    [JsonStringEnumMemberName("least-loaded")]
    LeastLoaded,

    /// <summary>One model after the other, call by call, as AIOS's <c>SequentialRouting</c>.</summary>
    [JsonStringEnumMemberName("sequential")]
    Sequential,

    /// <summary>The cheapest one that similar calls were rated well with, as AIOS's <c>SmartRouting</c>; see <see cref="QualityPrediction"/>.</summary>
    [JsonStringEnumMemberName("smart")]
    Smart,
}
