namespace Conclave.Agents.Tools;

/// <summary>What tools of the product need to know. Bound from <c>Tools</c>.</summary>
public sealed class ToolOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Tools";

    /// <summary>Folder of definitions that is watched.</summary>
    /// <value>Default null: <c>tools</c> in the folder of workflows.</value>
    public string? Folder { get; set; }

    /// <summary>Hosts that <c>web-fetch</c> may reach: <c>host</c>, <c>*.suffix</c>, each with <c>:port</c>.</summary>
    /// <value>Default none: the tool is off.</value>
    public IList<string> WebHosts { get; set; } = [];

    /// <summary>Databases that <c>sql-query</c> may read, by name: connection strings of PostgreSQL.</summary>
    /// <value>Default none: the tool is off.</value>
    public IDictionary<string, string> Sql { get; set; } = new Dictionary<string, string>();

    /// <summary>Keys that tools send in headers, by name: <c>{{key:NAME}}</c> in a definition.</summary>
    /// <value>Default none.</value>
    public IDictionary<string, string> Keys { get; set; } = new Dictionary<string, string>();

    /// <summary>Home Assistant, for scripts that may use home automation.</summary>
    public HomeAssistantOptions HomeAssistant { get; set; } = new();

    /// <summary>How much a tool may keep for an agent, in kibibytes.</summary>
    /// <value>1 to 65,536; default 256.</value>
    public int MemoryKilobytes { get; set; } = 256;

    /// <summary>How long calls are kept, in days.</summary>
    /// <value>1 to 10,000; default 90.</value>
    public int KeepRunsDays { get; set; } = 90;

    /// <summary>Processes that run scripts of tools; apart from those of expressions, which must not wait for tools.</summary>
    /// <value>1 to 64; default 2.</value>
    public int ScriptRunners { get; set; } = 2;

    /// <summary>Lists every setting that is out of range; empty when all are fine.</summary>
    public IReadOnlyList<string> Validate()
    {
        var problems = new List<string>();
        if (MemoryKilobytes is < 1 or > 65_536)
            problems.Add($"{Section}:{nameof(MemoryKilobytes)} is {MemoryKilobytes}; it must be 1 to 65,536.");
        if (KeepRunsDays is < 1 or > 10_000)
            problems.Add($"{Section}:{nameof(KeepRunsDays)} is {KeepRunsDays}; it must be 1 to 10,000.");
        if (ScriptRunners is < 1 or > 64)
            problems.Add($"{Section}:{nameof(ScriptRunners)} is {ScriptRunners}; it must be 1 to 64.");
        problems.AddRange(WebHosts.Where(h => !HostList.IsPattern(h)).Select(h => $"{Section}:{nameof(WebHosts)} has '{h}', which is no host."));
        if (HomeAssistant.Url is { } url && (!Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https")))
            problems.Add($"{Section}:HomeAssistant:Url is '{url}'; it must be an http or https address.");
        return problems;
    }
}

/// <summary>Where Home Assistant is. Bound from <c>Tools:HomeAssistant</c>.</summary>
public sealed class HomeAssistantOptions
{
    /// <summary>Its address, which may be an internal one.</summary>
    /// <value>Default null: no home automation.</value>
    public string? Url { get; set; }

    /// <summary>A long-lived access token; do not log it.</summary>
    public string? Token { get; set; }
}
