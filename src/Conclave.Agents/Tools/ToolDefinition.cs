using System.Text.Json;
using System.Text.Json.Serialization;
using Conclave.Agents.Actions;

namespace Conclave.Agents.Tools;

/// <summary>What a tool is: what people and models are told of it, how it runs, and what it may use.</summary>
/// <remarks>
/// Read from JSON or YAML by <see cref="ToolDefinitionReader"/>, which checks it. Two definitions that differ in anything have different <see cref="Hash"/>es.
/// Members are set, not initialised: JSON that leaves one out keeps its default.
/// </remarks>
public sealed record ToolDefinition
{
    /// <summary>Its name: letters, digits, <c>_</c> and <c>-</c>, at most 64, so that every model server takes it.</summary>
    public required string Name { get; init; }

    /// <summary>Its version: numbers with dots.</summary>
    public string Version { get; set; } = "1.0.0";

    /// <summary>What it belongs to, such as <c>development</c>.</summary>
    public string Category { get; set; } = "general";

    /// <summary>What it does and when to use it, for models.</summary>
    public string Description { get; set; } = "";

    /// <summary>JSON Schema of the arguments; the type is <c>object</c>.</summary>
    public JsonElement Parameters { get; set; } = NoParameters;

    /// <summary>How it runs: one of <see cref="ToolKinds"/>.</summary>
    public required string Kind { get; init; }

    /// <summary>What its kind needs to know; an object.</summary>
    public JsonElement Settings { get; set; } = Empty;

    /// <summary>What has to be there.</summary>
    public ToolRequirements Requirements { get; set; } = new();

    /// <summary>What it may reach.</summary>
    public ToolAccess Permissions { get; set; } = new();

    /// <summary>How much harm a wrong call does.</summary>
    public ToolRisk Risk { get; set; } = ToolRisk.Low;

    /// <summary>What calling it means.</summary>
    public ToolAnnotations Annotations { get; set; } = new();

    /// <summary>How much one call may use.</summary>
    public ToolLimits Limits { get; set; } = new();

    /// <summary>How many calls of a tenant run at once, in all processes together; the others wait. 0 for any number.</summary>
    public int Concurrency { get; set; } = 1;

    /// <summary>What a repeated call does; null: <see cref="ToolIdempotency.Repeatable"/> when the annotations say that it reads only or is idempotent, else <see cref="ToolIdempotency.None"/>.</summary>
    public ToolIdempotency? Idempotency { get; set; }

    /// <summary>Whether agents may use it when nobody said anything about it; null: what the annotations give, see <see cref="DefaultMode"/>.</summary>
    public ToolMode? Mode { get; set; }

    /// <summary>Whether a call whose outcome is not known may be made again.</summary>
    [JsonIgnore]
    public bool IsRepeatable => (Idempotency ?? (Annotations.ReadOnly || Annotations.Idempotent ? ToolIdempotency.Repeatable : ToolIdempotency.None)) != ToolIdempotency.None;

    /// <summary>Whether agents may use it when nobody said anything: what reads only is allowed, what destroys, reaches out or is of high risk is asked for.</summary>
    [JsonIgnore]
    public ToolMode DefaultMode => Mode ?? (this switch
    {
        { Annotations.Destructive: true } or { Risk: ToolRisk.High } => ToolMode.Ask,
        { Annotations: { ReadOnly: true, OpenWorld: false } } => ToolMode.Allow,
        { Annotations.OpenWorld: true } => ToolMode.Ask,
        { Risk: ToolRisk.Low } => ToolMode.Allow,
        _ => ToolMode.Ask,
    });

    /// <summary>SHA-256 of the definition's canonical JSON, as 64 lower-case hex digits. Made anew each time; <see cref="RegisteredTool.Hash"/> keeps it.</summary>
    [JsonIgnore]
    public string Hash => CanonicalJson.Hash(ToJson());

    /// <summary>The definition as JSON, every member written.</summary>
    public JsonElement ToJson() => JsonSerializer.SerializeToElement(this, ToolJson.Default.ToolDefinition);

    internal static JsonElement NoParameters { get; } = JsonElement.Parse("""{"type":"object","properties":{},"additionalProperties":false}""");

    internal static JsonElement Empty { get; } = JsonElement.Parse("{}");
}

/// <summary>The kinds of tools.</summary>
public static class ToolKinds
{
    /// <summary>Runs in this process; settings: <c>{"builtIn": name}</c>. Only code can add them.</summary>
    public const string BuiltIn = "built-in";

    /// <summary>A program in the sandbox; settings: <c>{"program", "arguments": […], "script"?, "input"?}</c>.</summary>
    public const string Command = "command";

    /// <summary>JavaScript in the script runner; settings: <c>{"script", "function"}</c>, the script's text itself, so that it is part of the hash.</summary>
    public const string Logic = "logic";

    /// <summary>An HTTP request; settings: <c>{"method", "url", "query"?, "headers"?, "body"?}</c>.</summary>
    public const string Http = "http";

    /// <summary>A workflow, started and waited for; settings: <c>{"definitionId"}</c>.</summary>
    public const string Workflow = "workflow";

    /// <summary>A tool of an MCP server; settings: <c>{"server", "tool"}</c>.</summary>
    public const string Mcp = "mcp";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<string> All { get; } = [BuiltIn, Command, Logic, Http, Workflow, Mcp];
}

/// <summary>How much harm a wrong call does.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ToolRisk>))]
public enum ToolRisk
{
    /// <summary>None worth asking for.</summary>
    [JsonStringEnumMemberName("low")]
    Low,

    /// <summary>Some, that can be undone.</summary>
    [JsonStringEnumMemberName("medium")]
    Medium,

    /// <summary>Harm that cannot be undone.</summary>
    [JsonStringEnumMemberName("high")]
    High,
}

/// <summary>What a repeated call does.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ToolIdempotency>))]
public enum ToolIdempotency
{
    /// <summary>It does its work again: a call whose outcome is not known is not repeated.</summary>
    [JsonStringEnumMemberName("none")]
    None,

    /// <summary>Nothing beyond what the first one did.</summary>
    [JsonStringEnumMemberName("repeatable")]
    Repeatable,

    /// <summary>The tool is given the call's key, as <c>Idempotency-Key</c> or <c>CONCLAVE_IDEMPOTENCY_KEY</c>, and does it once for each key.</summary>
    [JsonStringEnumMemberName("key")]
    Key,
}

/// <summary>What calling a tool means, as MCP's annotations: hints, which decide no more than the default.</summary>
public sealed record ToolAnnotations
{
    /// <summary>It changes nothing.</summary>
    public bool ReadOnly { get; set; }

    /// <summary>It may delete or overwrite what nobody brings back.</summary>
    public bool Destructive { get; set; }

    /// <summary>The same call again changes nothing more.</summary>
    public bool Idempotent { get; set; }

    /// <summary>It reaches others: people, companies, the internet.</summary>
    public bool OpenWorld { get; set; }
}

/// <summary>How much one call of a tool may use.</summary>
public sealed record ToolLimits
{
    /// <summary>Longest time in seconds; 1 to 3,600.</summary>
    public double TimeoutSeconds { get; set; } = 30;

    /// <summary>Processor time of a command in seconds; 1 to 3,600.</summary>
    public double CpuSeconds { get; set; } = 20;

    /// <summary>Memory of a command, or of all its processes together where that can be measured, in mebibytes; 16 to 65,536.</summary>
    public int MemoryMegabytes { get; set; } = 512;

    /// <summary>Processes and threads of a command at once; 1 to 1,024.</summary>
    public int Processes { get; set; } = 64;

    /// <summary>Largest file that a command may write, in mebibytes; 0 to 65,536.</summary>
    public int FileMegabytes { get; set; } = 64;

    /// <summary>What is kept of the output, in kibibytes; the rest is cut off, 1 to 16,384.</summary>
    public int OutputKilobytes { get; set; } = 256;
}

/// <summary>What a tool needs to be there before it can run.</summary>
public sealed record ToolRequirements
{
    /// <summary>Programs that the sandbox has to find, such as <c>git</c> or <c>git &gt;= 2.30</c>.</summary>
    public IReadOnlyList<string> Programs { get; set; } = [];

    /// <summary>Other tools, such as <c>workspace-write</c> or <c>git-manager &gt;= 1.2</c>.</summary>
    public IReadOnlyList<string> Tools { get; set; } = [];

    /// <summary>Settings of the server, such as <c>Tools:HomeAssistant:Url</c>.</summary>
    public IReadOnlyList<string> Settings { get; set; } = [];
}

/// <summary>What a tool may reach.</summary>
public sealed record ToolAccess
{
    /// <summary>Hosts: <c>host</c>, <c>*.suffix</c>, each with <c>:port</c> to allow one port only. None: no network.</summary>
    public IReadOnlyList<string> Network { get; set; } = [];

    /// <summary>What it may do with the agent's workspace.</summary>
    public WorkspaceAccess Workspace { get; set; } = WorkspaceAccess.None;

    /// <summary>Whether it may keep values for the agent.</summary>
    public bool Memory { get; set; }

    /// <summary>Names of events that it may publish to workflows; <c>prefix.*</c> for all that begin so.</summary>
    public IReadOnlyList<string> Events { get; set; } = [];

    /// <summary>Whether it may use home automation.</summary>
    public bool Home { get; set; }
}

/// <summary>What a tool may do with the agent's workspace.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<WorkspaceAccess>))]
public enum WorkspaceAccess
{
    /// <summary>It does not see it.</summary>
    [JsonStringEnumMemberName("none")]
    None,

    /// <summary>Read it.</summary>
    [JsonStringEnumMemberName("read")]
    Read,

    /// <summary>Read and write it.</summary>
    [JsonStringEnumMemberName("write")]
    Write,
}
