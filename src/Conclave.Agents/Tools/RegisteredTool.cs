namespace Conclave.Agents.Tools;

/// <summary>A tool as it stands: its definition, where it comes from, and whether it can be used.</summary>
public sealed class RegisteredTool
{
    internal RegisteredTool(ToolDefinition definition, string source, bool isTrusted, string hash)
    {
        Hash = hash;
        Definition = definition;
        Source = source;
        IsTrusted = isTrusted;
    }

    /// <summary>The states that tools may be in.</summary>
    public static IReadOnlyList<string> States { get; } = ["ready", "disabled", "changed", "missing"];

    /// <summary>What it is.</summary>
    public ToolDefinition Definition { get; }

    /// <summary>Its name.</summary>
    public string Name => Definition.Name;

    /// <summary>Where its definition comes from: <c>product</c>, <c>file</c>, <c>api</c>, <c>openapi:…</c>, <c>mcp:…</c>, <c>package:…</c>, <c>workflow</c>.</summary>
    public string Source { get; }

    /// <summary>Hash of the definition.</summary>
    public string Hash { get; }

    /// <summary>Whether somebody turned it off.</summary>
    public bool IsDisabled { get; internal init; }

    /// <summary>Hash of the definition that was approved; null for trusted sources, and before the tool was first stored.</summary>
    public string? ApprovedHash { get; internal init; }

    /// <summary>Who approved it.</summary>
    public string? ApprovedBy { get; internal init; }

    /// <summary>When.</summary>
    public DateTimeOffset? ApprovedAt { get; internal init; }

    /// <summary>What is missing for it to run, a sentence each; empty when nothing is.</summary>
    public IReadOnlyList<string> Missing { get; internal init; } = [];

    /// <summary>Whether its definition is another one than was approved: it does not run until somebody approves it again.</summary>
    public bool IsChanged => !IsTrusted && ApprovedHash is not null && ApprovedHash != Hash;

    /// <summary>Why it cannot be used; null when it can.</summary>
    public string? Problem => IsDisabled ? $"The tool '{Name}' is turned off."
        : IsChanged ? $"The definition of the tool '{Name}' has changed since {ApprovedBy} approved it. Somebody with the right manage:tools has to approve it again."
        : Missing.Count > 0 ? $"The tool '{Name}' cannot run: {string.Join(" ", Missing)}"
        : null;

    /// <summary>One of <see cref="States"/>.</summary>
    public string State => IsDisabled ? "disabled" : IsChanged ? "changed" : Missing.Count > 0 ? "missing" : "ready";

    internal bool IsTrusted { get; }
}

/// <summary>A tool that was found.</summary>
/// <param name="Tool">The tool.</param>
/// <param name="Score">How well it fits: 0 to 1, comparable within one search only.</param>
public sealed record ToolMatch(RegisteredTool Tool, double Score);
