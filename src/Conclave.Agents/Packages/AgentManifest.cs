using System.Text.Json.Serialization;
using Conclave.Agents.Tools;

namespace Conclave.Agents.Packages;

/// <summary>What <c>agent.yaml</c> says; <c>agent.schema.json</c> has checked it.</summary>
/// <remarks>Members are set, not initialised: JSON that leaves one out keeps its default.</remarks>
public sealed record AgentManifest
{
    /// <summary>Id of the package: the name of its folder.</summary>
    public required string Name { get; set; }

    /// <summary>Version of the package, as in Semantic Versioning.</summary>
    public required string Version { get; set; }

    /// <summary>What kind of agent it is: <c>standard</c>, <c>expert</c>, <c>moderator</c>, <c>entropy</c>.</summary>
    public required string Type { get; set; }

    /// <summary>Name for people.</summary>
    public required string DisplayName { get; set; }

    /// <summary>What the agent is for.</summary>
    public required string Description { get; set; }

    /// <summary>Who wrote it; null when it does not say.</summary>
    public string? Author { get; set; }

    /// <summary>An SPDX expression; null when it does not say.</summary>
    public string? License { get; set; }

    /// <summary>Its part in a team.</summary>
    public required string Role { get; set; }

    /// <summary>Its field.</summary>
    public required string Domain { get; set; }

    /// <summary>What it knows best in its field.</summary>
    public IReadOnlyList<string> Specialities { get; set; } = [];

    /// <summary>Labels to find it by.</summary>
    public IReadOnlyList<string> Capabilities { get; set; } = [];

    /// <summary>What people can ask it for.</summary>
    public IReadOnlyList<AgentSkill> Skills { get; set; } = [];

    /// <summary>How it is; null for nothing of the kind.</summary>
    public AgentPersonality? Personality { get; set; }

    /// <summary>What has to be there for it to be of use.</summary>
    public PackageDependencies Dependencies { get; set; } = new();

    /// <summary>The model.</summary>
    public ModelSettings Llm { get; set; } = new();

    /// <summary>Who it is and what it has to keep to.</summary>
    public required string SystemPrompt { get; set; }

    /// <summary>Tools that it may know of, without those of its own logic.</summary>
    public IReadOnlyList<string> Tools { get; set; } = [];

    /// <summary>What it may do with a tool.</summary>
    public IReadOnlyDictionary<string, ToolMode> Permissions { get; set; } = new Dictionary<string, ToolMode>();

    /// <summary>What it may do by the arguments of a tool.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<ToolRule>> Rules { get; set; } = new Dictionary<string, IReadOnlyList<ToolRule>>();

    /// <summary>What it may spend; null for no limit of its own.</summary>
    public AgentBudget? Budget { get; set; }

    /// <summary>Channels that it may read and write.</summary>
    public IReadOnlyList<string> Channels { get; set; } = [];

    /// <summary>The workflow that runs its turns.</summary>
    public required BehaviourReference Behaviour { get; set; }

    /// <summary>What the tools of its logic may use.</summary>
    public LogicAccess Logic { get; set; } = new();

    /// <summary>What ends a turn.</summary>
    public AgentLimits Limits { get; set; } = new();

    /// <summary>When it is taken out of use.</summary>
    public AgentHealth Health { get; set; } = new();

    /// <summary>Its files below <c>assets/</c>.</summary>
    public IReadOnlyList<AssetReference> Assets { get; set; } = [];

    /// <summary>What an agent of this package is, to begin with.</summary>
    /// <param name="ownTools">Names of the tools of its logic, as <see cref="LogicTool.Name"/> has them.</param>
    /// <param name="ownBehaviours">Files of its own behaviours, without folder and ending.</param>
    public AgentConfiguration ToConfiguration(IReadOnlyCollection<string> ownTools, IReadOnlyCollection<string> ownBehaviours)
    {
        string Full(string tool) => ownTools.Contains(tool) ? LogicTool.FullName(Name, tool) : tool;
        return new AgentConfiguration
        {
            Description = Description,
            Model = Llm.Model,
            ContextSize = Llm.ContextSize,
            Temperature = Llm.Temperature,
            Personality = Personality?.Text(),
            Mood = Personality?.Mood?.Values.GetValueOrDefault(Personality.Mood.Initial),
            SystemPrompt = SystemPrompt.Trim(),
            Tools = [.. Tools.Concat(ownTools).Select(Full).Distinct()],
            Permissions = Permissions.ToDictionary(p => Full(p.Key), p => p.Value),
            Rules = Rules.ToDictionary(r => Full(r.Key), r => r.Value),
            Budget = Budget,
            Channels = Channels,
            Behaviour = ownBehaviours.Contains(Behaviour.Definition) ? BehaviourId(Behaviour.Definition) : Behaviour.Definition,
            BehaviourVersion = Behaviour.Version.Number,
            Limits = Limits,
            Health = Health,
        };
    }

    /// <summary>Definition id of a behaviour of the package; no other package's has it, for names of packages have no dots.</summary>
    public string BehaviourId(string file) => $"{Name}.{file}";
}

/// <summary>Something that people can ask an agent for.</summary>
public sealed record AgentSkill
{
    /// <summary>Its name.</summary>
    public required string Name { get; set; }

    /// <summary>What comes out of it.</summary>
    public required string Description { get; set; }

    /// <summary>Something to say to the agent; null for none.</summary>
    public string? Example { get; set; }
}

/// <summary>How an agent is.</summary>
public sealed record AgentPersonality
{
    /// <summary>How it speaks and what it pays attention to.</summary>
    public required string Summary { get; set; }

    /// <summary>A few words for it.</summary>
    public IReadOnlyList<string> Traits { get; set; } = [];

    /// <summary>How it feels; null when nothing moves it.</summary>
    public AgentMood? Mood { get; set; }

    internal string Text() => Traits.Count == 0 ? Summary.Trim() : $"{Summary.Trim()}\nYou are {string.Join(", ", Traits)}.";
}

/// <summary>What has to be there for a package to be of use.</summary>
public sealed record PackageDependencies
{
    /// <summary>Names of tools.</summary>
    public IReadOnlyList<string> Tools { get; set; } = [];

    /// <summary>Names of packages.</summary>
    public IReadOnlyList<string> Agents { get; set; } = [];
}

/// <summary>The model of an agent.</summary>
public sealed record ModelSettings
{
    /// <summary>An alias such as <c>smart</c>, a model's name, or <c>server/model</c>.</summary>
    public string Model { get; set; } = "smart";

    /// <summary>Most tokens of a prompt.</summary>
    public int ContextSize { get; set; } = 8_192;

    /// <summary>How free its answers are, 0 to 2; null for the model's default.</summary>
    public double? Temperature { get; set; } = 0.7;
}

/// <summary>The workflow that runs an agent's turns.</summary>
public sealed record BehaviourReference
{
    /// <summary>Its definition id, or the file of the package that it is in, without folder and ending.</summary>
    public required string Definition { get; set; }

    /// <summary>Which version of it.</summary>
    public BehaviourVersion Version { get; set; }
}

/// <summary>A version to stay on, or <c>follow</c>: whatever is published.</summary>
/// <param name="Number">The version; null to follow.</param>
[JsonConverter(typeof(BehaviourVersionConverter))]
public readonly record struct BehaviourVersion(int? Number);

/// <summary>What the tools of a package's logic may use through <c>ctx</c>.</summary>
public sealed record LogicAccess
{
    /// <summary>Values kept for the agent, for all tools of the package together.</summary>
    public bool Memory { get; set; }

    /// <summary>Hosts that may be called.</summary>
    public IReadOnlyList<string> Http { get; set; } = [];

    /// <summary>Names of events that may be published to workflows; <c>prefix.*</c> for all that begin so.</summary>
    public IReadOnlyList<string> Events { get; set; } = [];

    /// <summary>Home automation.</summary>
    public bool Home { get; set; }

    /// <summary>The agent's workspace.</summary>
    public WorkspaceAccess Workspace { get; set; } = WorkspaceAccess.None;
}

/// <summary>A file below <c>assets/</c>.</summary>
public sealed record AssetReference
{
    /// <summary>Path in the package.</summary>
    public required string Path { get; set; }

    /// <summary>SHA-256 of its content, as 64 lower-case hex digits.</summary>
    public required string Sha256 { get; set; }

    /// <summary>What it is; null when it does not say.</summary>
    public string? Description { get; set; }
}
