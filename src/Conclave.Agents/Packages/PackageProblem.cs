using System.Text.Json.Serialization;

namespace Conclave.Agents.Packages;

/// <summary>What the gatekeeper looks at, in its order: what comes after a stage that found something is not looked at.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PackageStage>))]
public enum PackageStage
{
    /// <summary><c>agent.yaml</c> against its schema.</summary>
    [JsonStringEnumMemberName("manifest")]
    Manifest,

    /// <summary>The files: names, types, sizes, hashes.</summary>
    [JsonStringEnumMemberName("assets")]
    Assets,

    /// <summary><c>logic.js</c>, read and not run.</summary>
    [JsonStringEnumMemberName("logic")]
    Logic,

    /// <summary><c>logic.js</c> loaded in the sandbox, where it lists its tools.</summary>
    [JsonStringEnumMemberName("heartbeat")]
    Heartbeat,

    /// <summary>The workflows of the package, compiled.</summary>
    [JsonStringEnumMemberName("behaviours")]
    Behaviours,
}

/// <summary>One thing that is wrong with a package, and where.</summary>
/// <param name="Stage">What the gatekeeper looked at.</param>
/// <param name="Code">Stable code; <c>docs/errors.md</c> lists them.</param>
/// <param name="Message">What is wrong, and what to do.</param>
/// <param name="File">Path in the package; null for the whole package.</param>
/// <param name="Line">Line of the file, from 1; null where there is none.</param>
public sealed record PackageProblem(PackageStage Stage, string Code, string Message, string? File = null, int? Line = null)
{
    /// <summary>The problem as one line, such as <c>logic.js:12: 'eval' runs text as code. (agent_package.logic.eval)</c>.</summary>
    public override string ToString() => File is null ? $"{Message} ({Code})" : Line is null ? $"{File}: {Message} ({Code})" : $"{File}:{Line}: {Message} ({Code})";
}
