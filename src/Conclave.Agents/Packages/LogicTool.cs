using System.Text.Json;

namespace Conclave.Agents.Packages;

/// <summary>A tool that <c>logic.js</c> exports, as it listed itself.</summary>
public sealed record LogicTool
{
    /// <summary>Its name in the package.</summary>
    public required string Name { get; set; }

    /// <summary>What it does: the model chooses it by this.</summary>
    public required string Description { get; set; }

    /// <summary>JSON Schema of its arguments, an object.</summary>
    public required JsonElement Parameters { get; set; }

    /// <summary>Whether it changes nothing.</summary>
    public bool ReadOnly { get; set; }

    /// <summary>Whether running it twice with the same arguments is the same as once.</summary>
    public bool Idempotent { get; set; }

    /// <summary>Its name for agents and models; no other package has it, for names of packages and tools have no <c>_</c>.</summary>
    public static string FullName(string package, string tool) => $"{package}_{tool}";
}
