namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>Why a script, template or schema gave no result.</summary>
public enum ScriptFailure
{
    /// <summary>The script threw.</summary>
    Error,
    /// <summary>The script does not parse.</summary>
    Syntax,
    /// <summary>It ran longer than the time limit.</summary>
    Timeout,
    /// <summary>It used more memory than the limit.</summary>
    Memory,
    /// <summary>Its result is larger than the limit.</summary>
    ResultTooLarge,
    /// <summary>The JSON Schema cannot be used.</summary>
    Schema,
    /// <summary>The runner stopped while it evaluated this request.</summary>
    Crashed,
    /// <summary>No runner can be started.</summary>
    Unavailable,
    /// <summary>Too many requests are waiting.</summary>
    Busy,
}

/// <summary>A script, template or schema gave no result.</summary>
public sealed class ScriptException : Exception
{
    public ScriptException(ScriptFailure kind, string message, Exception? innerException = null)
        : base(message, innerException) => Kind = kind;

    public ScriptFailure Kind { get; }

    /// <summary>Stable code, such as <c>script.timeout</c>.</summary>
    public string Code => Kind switch
    {
        ScriptFailure.Syntax => "script.syntax",
        ScriptFailure.Timeout => "script.timeout",
        ScriptFailure.Memory => "script.memory",
        ScriptFailure.ResultTooLarge => "script.result_too_large",
        ScriptFailure.Schema => "script.schema",
        ScriptFailure.Crashed => "script.crashed",
        ScriptFailure.Unavailable => "script.unavailable",
        ScriptFailure.Busy => "script.busy",
        _ => "script.error",
    };

    /// <summary>The name of the JavaScript error, such as <c>TypeError</c>; null when there is none.</summary>
    public string? ErrorName { get; init; }

    /// <summary>The script's own message, without name and position.</summary>
    public string? ErrorMessage { get; init; }

    /// <summary>The line in the author's script, from 1; null when unknown.</summary>
    public int? Line { get; init; }

    /// <summary>The column in the author's script, from 1; null when unknown.</summary>
    public int? Column { get; init; }

    /// <summary>The text of that line, cut after 200 characters.</summary>
    public string? SourceLine { get; init; }

    /// <summary>The name that the caller gave the script.</summary>
    public string? ScriptName { get; init; }
}
