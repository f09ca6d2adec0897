namespace Conclave.Agents;

/// <summary>An agent as it is stored.</summary>
public sealed record Agent
{
    /// <summary>Owner.</summary>
    public required string Tenant { get; init; }

    /// <summary>Its id; never changes.</summary>
    public required string Id { get; init; }

    /// <summary>Its name, unique within the tenant whatever the case.</summary>
    public required string Name { get; init; }

    /// <summary>The package that it was made from; null for one made by hand.</summary>
    public string? Template { get; init; }

    /// <summary>What it is.</summary>
    public required AgentConfiguration Configuration { get; init; }

    /// <summary>How it stands.</summary>
    public required AgentState State { get; init; }

    /// <summary>Why it stands so; null where nobody said.</summary>
    public string? StateReason { get; init; }

    /// <summary>Since when.</summary>
    public required DateTimeOffset StateAt { get; init; }

    /// <summary>Turns that run or wait.</summary>
    public int RunningTurns { get; init; }

    /// <summary>Turns that failed since the last one that did not.</summary>
    public int ConsecutiveFailures { get; init; }

    /// <summary>Grows with each change of what it is or how it stands.</summary>
    public required int Version { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Who made it.</summary>
    public required string CreatedBy { get; init; }

    /// <summary>When it was changed last.</summary>
    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>Who changed it last.</summary>
    public required string UpdatedBy { get; init; }

    /// <summary>When its last turn began; null before the first.</summary>
    public DateTimeOffset? LastActiveAt { get; init; }
}

/// <summary>How an agent stands; <c>docs/agents.md</c> has the transitions.</summary>
public enum AgentState
{
    /// <summary>Takes messages.</summary>
    Active,

    /// <summary>Has turns under way; takes more.</summary>
    Working,

    /// <summary>Takes no messages; turns stop before their next step.</summary>
    Paused,

    /// <summary>Failed too often, or its package is gone; takes no messages but for a trial now and then.</summary>
    Error,

    /// <summary>An operator works on it; takes no messages, turns under way go on.</summary>
    Maintenance,
}

/// <summary>Where agents may go from where.</summary>
public static class AgentLifecycle
{
    private static readonly Dictionary<AgentState, AgentState[]> To = new()
    {
        [AgentState.Active] = [AgentState.Paused, AgentState.Error, AgentState.Maintenance],
        [AgentState.Paused] = [AgentState.Active, AgentState.Working],
        [AgentState.Error] = [AgentState.Active, AgentState.Working, AgentState.Paused, AgentState.Maintenance],
        [AgentState.Maintenance] = [AgentState.Active, AgentState.Working, AgentState.Paused],
    };

    /// <summary>States from which somebody may take an agent to another one. <see cref="AgentState.Working"/> comes by itself, and nobody takes an agent there.</summary>
    public static IReadOnlyList<AgentState> From(AgentState to) => To.TryGetValue(to, out var from) ? from : [];

    /// <summary>A state's name in the database and in JSON.</summary>
    public static string Name(AgentState state) => state switch
    {
        AgentState.Active => "active",
        AgentState.Working => "working",
        AgentState.Paused => "paused",
        AgentState.Error => "error",
        _ => "maintenance",
    };

    /// <summary>The state of a name; null for none.</summary>
    public static AgentState? Find(string name) => name switch
    {
        "active" => AgentState.Active,
        "working" => AgentState.Working,
        "paused" => AgentState.Paused,
        "error" => AgentState.Error,
        "maintenance" => AgentState.Maintenance,
        _ => null,
    };
}
