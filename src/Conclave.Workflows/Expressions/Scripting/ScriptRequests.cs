namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>One JavaScript evaluation.</summary>
public sealed class JavaScriptRequest
{
    /// <summary>The script; its result is what a top-level <c>return</c> gives, else the last statement.</summary>
    public required string Script { get; init; }

    /// <summary>What the script may read; null when nothing.</summary>
    public IScriptScope? Scope { get; init; }

    /// <summary>Answers secrets, trigger URLs and names that the scope did not write; null when nothing does.</summary>
    public IScriptHost? Host { get; init; }

    /// <summary>Whether <c>setOutcome</c> and <c>setOutcomes</c> exist.</summary>
    public bool AllowOutcomes { get; init; }

    /// <summary>Whether it is the script of a tool: <c>ctx</c> exists, whose functions ask the <see cref="Host"/>.</summary>
    public bool IsTool { get; init; }

    /// <summary>A name for error messages, such as the activity's id.</summary>
    public string? Name { get; init; }
}

/// <summary>What a script gave and changed.</summary>
/// <param name="Value">The result.</param>
public sealed record JavaScriptResult(ScriptValue Value)
{
    /// <summary>The variables that the script set or whose content it changed; null when none.</summary>
    public IReadOnlyDictionary<string, ScriptValue>? Variables { get; init; }

    /// <summary>Whether the script set the correlation id.</summary>
    public bool CorrelationIdSet { get; init; }

    public string? CorrelationId { get; init; }

    /// <summary>Whether the script set the instance's name.</summary>
    public bool InstanceNameSet { get; init; }

    public string? InstanceName { get; init; }

    /// <summary>The outcomes that the script chose; null when it chose none.</summary>
    public IReadOnlyList<string>? Outcomes { get; init; }

    /// <summary>What the script wrote to the console: at most 100 lines; null when nothing.</summary>
    public IReadOnlyList<string>? Log { get; init; }
}

/// <summary>One Liquid rendering.</summary>
public sealed class LiquidRequest
{
    public required string Template { get; init; }

    /// <summary>What the template may read; null when nothing.</summary>
    public IScriptScope? Scope { get; init; }

    /// <summary>A name for error messages, such as the activity's id.</summary>
    public string? Name { get; init; }
}

/// <summary>What checking a value against a JSON Schema found.</summary>
/// <param name="Valid">Whether the value fits.</param>
/// <param name="Errors">At most 100 deviations; empty when the value fits.</param>
public sealed record SchemaReport(bool Valid, IReadOnlyList<SchemaError> Errors);

/// <summary>One deviation from a JSON Schema.</summary>
/// <param name="Path">JSON Pointer to the part that deviates; empty for the whole value.</param>
/// <param name="Keyword">The schema's keyword, such as <c>required</c>.</param>
/// <param name="Message">What is expected.</param>
public sealed record SchemaError(string Path, string Keyword, string Message);

/// <summary>Something that a script must not do, found by reading it.</summary>
/// <param name="Rule">Name of the rule, such as <c>eval</c>; <c>syntax</c> for what is no JavaScript.</param>
/// <param name="Message">What is wrong, and what to do instead.</param>
/// <param name="Line">Line in the script, from 1.</param>
/// <param name="Column">Column in the line, from 1.</param>
public sealed record ScriptFinding(string Rule, string Message, int Line, int Column);
