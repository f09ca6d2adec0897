namespace Conclave.Agents.Tools;

/// <content>What tools need to be there.</content>
public sealed partial class ToolRegistry
{
    private const int DeepestRequirements = 8;

    /// <summary>What is missing for a tool to run, a sentence each.</summary>
    private List<string> Missing(string tenant, ToolDefinition tool, int depth)
    {
        var missing = new List<string>();
        if (_kinds.TryGetValue(tool.Kind, out var kind))
            missing.AddRange(kind.Missing(tenant, tool));
        else
            missing.Add($"This process does not run tools of the kind '{tool.Kind}'.");
        foreach (var text in tool.Requirements.Programs)
        {
            if (!Requirement.TryParse(text, out var needed))
                continue;
            if (_sandbox.FindProgram(needed.Name) is null)
                missing.Add($"It needs the program '{needed.Name}', which commands do not find: install it (on Debian: apt-get install {needed.Name}).");
            else if (needed.AtLeast is { } oldest && _sandbox.VersionOf(needed.Name) is { } version && version < oldest)
                missing.Add($"It needs '{needed.Name}' {oldest} or newer; there is {version}.");
        }

        foreach (var name in tool.Requirements.Settings)
        {
            if (string.IsNullOrEmpty(_settings(name)))
                missing.Add($"It needs the setting '{name}'.");
        }

        foreach (var text in tool.Requirements.Tools)
        {
            if (!Requirement.TryParse(text, out var needed))
                continue;
            // Tools that need each other in a circle need what the others need, and that is told once.
            if (depth >= DeepestRequirements || needed.Name == tool.Name)
                continue;
            if (FindDefinition(tenant, needed.Name) is not { } other)
                missing.Add($"It needs the tool '{needed.Name}', which does not exist.");
            else if (needed.AtLeast is { } oldest && ToolVersion.TryParse(other.Version, out var version) && version < oldest)
                missing.Add($"It needs version {oldest} or newer of the tool '{needed.Name}'; there is {version}.");
            else if (Missing(tenant, other, depth + 1) is { Count: > 0 } reasons)
                missing.Add($"It needs the tool '{needed.Name}', which cannot run: {reasons[0]}");
        }

        return missing;
    }

    private ToolDefinition? FindDefinition(string tenant, string name)
    {
        var snapshot = _tenants.GetValueOrDefault(tenant, Snapshot.Empty);
        return snapshot.Stored.TryGetValue(name, out var stored) ? stored.Definition
            : Sources().SelectMany(s => s.List(tenant)).FirstOrDefault(t => t.Name == name);
    }
}
