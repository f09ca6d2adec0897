using System.Text.Json;
using Conclave.Agents.Actions;

namespace Conclave.Agents;

/// <summary>What an agent was made of when a turn began: enough to explain the turn, and to repeat it.</summary>
public sealed record AgentMakeup
{
    /// <summary>The agent.</summary>
    public required string AgentId { get; set; }

    /// <summary>Its name then.</summary>
    public required string AgentName { get; set; }

    /// <summary>Its package with its hash, as <c>apollo@sha256</c>; null for an agent made by hand.</summary>
    public string? Package { get; set; }

    /// <summary>Its configuration: prompt, model and settings, tools, limits, memory policy.</summary>
    public required AgentConfiguration Configuration { get; set; }

    /// <summary>Version id of the behaviour.</summary>
    public required string BehaviourVersionId { get; set; }

    /// <summary>SHA-256 of the behaviour's content.</summary>
    public required string BehaviourHash { get; set; }

    /// <summary>The tools that it may know of, with the hash of each one's definition.</summary>
    public IReadOnlyDictionary<string, string> Tools { get; set; } = new Dictionary<string, string>();

    /// <summary>The make-up as canonical JSON, and the SHA-256 of that.</summary>
    public (string Json, string Hash) Canonical()
    {
        var json = JsonSerializer.SerializeToElement(this, AgentJson.Default.AgentMakeup);
        return (CanonicalJson.Text(json), CanonicalJson.Hash(json));
    }
}
