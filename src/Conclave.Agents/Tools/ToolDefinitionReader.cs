using System.Text.Json;
using System.Text.RegularExpressions;

namespace Conclave.Agents.Tools;

/// <summary>Reads definitions of tools and says everything that is wrong with them.</summary>
public static partial class ToolDefinitionReader
{
    /// <summary>Largest definition in characters of JSON, a tool's script included.</summary>
    public const int LargestDefinition = 512 * 1024;

    /// <summary>Reads a definition.</summary>
    /// <param name="json">The definition as JSON.</param>
    /// <param name="problems">Receives a sentence for each problem; empty when there is none.</param>
    /// <returns>The definition; null when there are problems.</returns>
    public static ToolDefinition? Read(JsonElement json, out IReadOnlyList<string> problems)
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            problems = ["A definition of a tool must be an object."];
            return null;
        }

        if (json.GetRawText().Length > LargestDefinition)
        {
            problems = [$"The definition has more than {LargestDefinition:N0} characters."];
            return null;
        }

        ToolDefinition tool;
        try
        {
            tool = json.Deserialize(ToolJson.Default.ToolDefinition)!;
        }
        catch (JsonException exception)
        {
            problems = [exception.Path is { Length: > 1 } path ? $"{path}: {exception.Message}" : exception.Message];
            return null;
        }

        problems = Check(tool);
        return problems.Count == 0 ? tool : null;
    }

    /// <summary>Reads a definition from YAML.</summary>
    /// <inheritdoc cref="Read"/>
    public static ToolDefinition? ReadYaml(string yaml, out IReadOnlyList<string> problems)
    {
        try
        {
            return Read(YamlJson.Read(yaml), out problems);
        }
        catch (FormatException exception)
        {
            problems = [exception.Message];
            return null;
        }
    }

    /// <summary>Everything that is wrong with a definition, as far as it can be told without the server's kinds.</summary>
    public static IReadOnlyList<string> Check(ToolDefinition tool)
    {
        var problems = new List<string>();
        Must(NamePattern().IsMatch(tool.Name ?? ""), $"name: '{tool.Name}' must be 1 to 64 letters, digits, '_' and '-'.");
        Must(ToolVersion.TryParse(tool.Version, out _), $"version: '{tool.Version}' must be numbers with dots, such as 1.0.0.");
        Must(NamePattern().IsMatch(tool.Category ?? ""), $"category: '{tool.Category}' must be 1 to 64 letters, digits, '_' and '-'.");
        Must(tool.Description is { Length: > 0 and <= 4_096 }, "description: must have 1 to 4,096 characters; models decide by it.");
        Must(ToolKinds.All.Contains(tool.Kind), $"kind: '{tool.Kind}' must be one of {string.Join(", ", ToolKinds.All)}.");
        Must(tool.Settings.ValueKind == JsonValueKind.Object, "settings: must be an object.");
        Must(tool.Parameters.ValueKind == JsonValueKind.Object && tool.Parameters.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("object"),
            "parameters: must be a JSON Schema whose type is object.");
        Must(tool.Concurrency is >= 0 and <= 1_000, $"concurrency: {tool.Concurrency} must be 0 (no limit) to 1,000.");
        if (tool.Limits is not { } limits || tool.Annotations is null || tool.Permissions is null || tool.Requirements is null)
        {
            problems.Add("limits, annotations, permissions and requirements must be objects where they are given.");
            return problems;
        }

        Must(limits.TimeoutSeconds is >= 1 and <= 3_600, $"limits.timeoutSeconds: {limits.TimeoutSeconds} must be 1 to 3,600.");
        Must(limits.CpuSeconds is >= 1 and <= 3_600, $"limits.cpuSeconds: {limits.CpuSeconds} must be 1 to 3,600.");
        Must(limits.MemoryMegabytes is >= 16 and <= 65_536, $"limits.memoryMegabytes: {limits.MemoryMegabytes} must be 16 to 65,536.");
        Must(limits.Processes is >= 1 and <= 1_024, $"limits.processes: {limits.Processes} must be 1 to 1,024.");
        Must(limits.FileMegabytes is >= 0 and <= 65_536, $"limits.fileMegabytes: {limits.FileMegabytes} must be 0 to 65,536.");
        Must(limits.OutputKilobytes is >= 1 and <= 16_384, $"limits.outputKilobytes: {limits.OutputKilobytes} must be 1 to 16,384.");
        foreach (var host in tool.Permissions.Network)
            Must(HostList.IsPattern(host), $"permissions.network: '{host}' must be host, *.suffix or an address, each with :port where only one is meant.");
        foreach (var name in tool.Requirements.Programs.Concat(tool.Requirements.Tools))
            Must(Requirement.TryParse(name, out _), $"requirements: '{name}' must be a name, or a name and a version such as 'git >= 2.30'.");
        return problems;

        void Must(bool holds, string problem)
        {
            if (!holds)
                problems.Add(problem);
        }
    }

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking)]
    internal static partial Regex NamePattern();
}
