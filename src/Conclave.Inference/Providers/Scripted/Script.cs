using System.Globalization;
using System.Text.RegularExpressions;

namespace Conclave.Inference.Providers.Scripted;

/// <summary>A script: models, and rules by which they answer; the first rule that fits counts.</summary>
internal sealed class Script
{
    public List<ScriptModel> Models { get; set; } = [];

    public List<ScriptRule> Rules { get; set; } = [];

    /// <summary>The model of a name, with or without the prefix; null when there is none.</summary>
    public ScriptModel? Find(string? name)
    {
        var plain = name?.StartsWith(ScriptedProvider.ModelPrefix, StringComparison.Ordinal) == true ? name[ScriptedProvider.ModelPrefix.Length..] : name;
        return Models.Find(m => m.Name == plain);
    }

    /// <summary>Checks what the reader of YAML cannot, and prepares patterns.</summary>
    /// <exception cref="FormatException">Something is missing or wrong.</exception>
    public void Prepare()
    {
        // What is named and left empty is null.
        Models ??= [];
        Rules ??= [];
        if (Models.Count == 0)
            throw new FormatException("it has no models");
        foreach (var model in Models)
            model.Prepare();
        for (var i = 0; i < Rules.Count; i++)
        {
            try
            {
                Rules[i].Prepare();
            }
            catch (Exception exception) when (exception is FormatException or ArgumentException)
            {
                throw new FormatException($"rule {i + 1}: {exception.Message}", exception);
            }
        }
    }
}

/// <summary>A model of a script.</summary>
internal sealed class ScriptModel
{
    public string Name { get; set; } = "";

    public List<string> Capabilities { get; set; } = ["chat", "tools", "vision", "json_schema", "thinking", "continue"];

    public int Context { get; set; } = 32_768;

    /// <summary>Length of its vectors.</summary>
    public int Dimensions { get; set; } = 256;

    public ModelCapabilities CapabilityFlags { get; private set; }

    public void Prepare()
    {
        if (string.IsNullOrWhiteSpace(Name))
            throw new FormatException("a model has no name");
        if (Dimensions is < 1 or > 8192)
            throw new FormatException($"the dimensions of the model '{Name}' are not 1 to 8192");
        foreach (var capability in Capabilities ?? [])
        {
            if (!Enum.TryParse<ModelCapabilities>(capability.Replace("_", "", StringComparison.Ordinal), ignoreCase: true, out var flag) || int.TryParse(capability, out _))
                throw new FormatException($"the model '{Name}' has the capability '{capability}', which is none; there are chat, tools, vision, json_schema, embeddings, thinking, continue");
            CapabilityFlags |= flag;
        }
    }
}

/// <summary>When something is answered, and what.</summary>
internal sealed class ScriptRule
{
    /// <summary>The model that it is for; null for all.</summary>
    public string? Model { get; set; }

    public ScriptCondition When { get; set; } = new();

    public string? Reply { get; set; }

    public string? Thinking { get; set; }

    public List<ScriptToolCall> ToolCalls { get; set; } = [];

    public string? Delay { get; set; }

    public double? TokensPerSecond { get; set; }

    public string? Finish { get; set; }

    public ScriptFailure? Fail { get; set; }

    /// <summary>How often it answers before it is passed over; null for always.</summary>
    public int? Times { get; set; }

    public TimeSpan DelayTime { get; private set; }

    private int _used;

    /// <summary>Counts a use.</summary>
    /// <returns>Whether there was one left.</returns>
    public bool TryUse() => Times is not { } times || Interlocked.Increment(ref _used) <= times;

    public void Prepare()
    {
        When ??= new ScriptCondition();
        ToolCalls ??= [];
        When.Prepare();
        DelayTime = ParseTime(Delay) ?? TimeSpan.Zero;
        Fail?.Prepare();
        if (TokensPerSecond is <= 0)
            throw new FormatException("tokens_per_second must be more than 0; leave it out to answer at once");
        if (Finish is not (null or "stop" or "length" or "content_filter"))
            throw new FormatException($"finish is '{Finish}'; it may be stop, length or content_filter");
        if (Reply is null && ToolCalls.Count == 0 && Fail is null)
            throw new FormatException("it has none of reply, tool_calls and fail");
        foreach (var call in ToolCalls)
        {
            if (string.IsNullOrWhiteSpace(call.Name))
                throw new FormatException("a tool call has no name");
            call.Arguments ??= [];
        }
    }

    /// <summary>Reads <c>250ms</c>, <c>2s</c> or <c>1m</c>.</summary>
    internal static TimeSpan? ParseTime(string? text)
    {
        if (text is null)
            return null;
        var (unit, milliseconds) = text switch
        {
            _ when text.EndsWith("ms", StringComparison.Ordinal) => ("ms", 1),
            _ when text.EndsWith('s') => ("s", 1000),
            _ when text.EndsWith('m') => ("m", 60_000),
            _ => ("", 0),
        };
        if (unit.Length > 0 && double.TryParse(text[..^unit.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number <= 3600)
            return TimeSpan.FromMilliseconds(number * milliseconds);
        throw new FormatException($"'{text}' is not a time; times are written 250ms, 2s or 1m");
    }
}

/// <summary>What must hold for a rule; everything that is given must. Text is found anywhere, whatever its case; patterns are .NET regular expressions.</summary>
internal sealed class ScriptCondition
{
    private static readonly TimeSpan PatternLimit = TimeSpan.FromSeconds(1);

    private Regex? _last;
    private Regex? _system;
    private Regex? _toolResult;

    public string? Last { get; set; }

    public string? LastMatches { get; set; }

    public string? System { get; set; }

    public string? SystemMatches { get; set; }

    public string? ToolResult { get; set; }

    public string? ToolResultMatches { get; set; }

    /// <summary>A tool that the caller must have offered.</summary>
    public string? HasTool { get; set; }

    /// <summary>Whether the caller wants JSON by a schema.</summary>
    public bool? HasSchema { get; set; }

    /// <summary>Whether the last message is the result of a tool.</summary>
    public bool? AfterTool { get; set; }

    public void Prepare()
    {
        _last = Compile(LastMatches);
        _system = Compile(SystemMatches);
        _toolResult = Compile(ToolResultMatches);
    }

    /// <summary>Whether it holds; groups of patterns become placeholders.</summary>
    public bool Holds(ScriptQuestion question, Dictionary<string, string> groups) =>
        Contains(question.Last, Last) && Matches(question.Last, _last, groups)
        && Contains(question.System, System) && Matches(question.System, _system, groups)
        && Contains(question.ToolResult, ToolResult) && Matches(question.ToolResult, _toolResult, groups)
        && (HasTool is null || question.Tools.ContainsKey(HasTool))
        && (HasSchema is null || HasSchema == question.Schema.HasValue)
        && (AfterTool is null || AfterTool == question.IsAfterTool);

    private static Regex? Compile(string? pattern) => pattern is null ? null : new Regex(pattern, RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, PatternLimit);

    private static bool Contains(string? text, string? wanted) => wanted is null || text?.Contains(wanted, StringComparison.OrdinalIgnoreCase) == true;

    private static bool Matches(string? text, Regex? pattern, Dictionary<string, string> groups)
    {
        if (pattern is null)
            return true;
        if (text is null || pattern.Match(text) is not { Success: true } match)
            return false;
        foreach (Group group in match.Groups)
            groups[group.Name] = group.Value;
        return true;
    }
}

/// <summary>A tool that a rule calls.</summary>
internal sealed class ScriptToolCall
{
    public string Name { get; set; } = "";

    public Dictionary<string, object?> Arguments { get; set; } = [];
}

/// <summary>How a rule fails.</summary>
internal sealed class ScriptFailure
{
    public string Kind { get; set; } = "";

    /// <summary>After how many tokens.</summary>
    public int After { get; set; }

    public string? Message { get; set; }

    public string? RetryAfter { get; set; }

    /// <summary>What it is; null for silence until the time-out.</summary>
    public ModelServerFailure? Failure { get; private set; }

    public TimeSpan? RetryAfterTime { get; private set; }

    public void Prepare()
    {
        RetryAfterTime = ScriptRule.ParseTime(RetryAfter);
        if (Kind == "hang")
            return;
        if (int.TryParse(Kind, out _) || !Enum.TryParse<ModelServerFailure>(Kind.Replace("_", "", StringComparison.Ordinal), ignoreCase: true, out var failure))
            throw new FormatException($"the failure '{Kind}' is none; docs/inference-providers.md lists them");
        Failure = failure;
    }
}
