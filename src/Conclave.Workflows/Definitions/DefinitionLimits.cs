namespace Conclave.Workflows.Definitions;

/// <summary>How large a definition may be. Checked while it is read, so that a hostile file costs no more than its limit.</summary>
public sealed record DefinitionLimits
{
    /// <summary>The limits used when none are given.</summary>
    public static DefinitionLimits Default { get; } = new();

    /// <summary>Longest accepted document in bytes; default 8 MiB.</summary>
    public int MaxBytes { get; init; } = 8 * 1024 * 1024;

    /// <summary>Deepest accepted JSON nesting; default 200. A composite activity takes about three levels.</summary>
    public int MaxDepth { get; init; } = 200;

    /// <summary>Most JSON tokens accepted; default 1,000,000.</summary>
    public int MaxTokens { get; init; } = 1_000_000;

    /// <summary>Most activities accepted in one compiled workflow, workflows used as activities included; default 10,000.</summary>
    public int MaxActivities { get; init; } = 10_000;

    /// <summary>Deepest nesting of activities in one compiled workflow, workflows used as activities included; default 300.</summary>
    public int MaxActivityDepth { get; init; } = 300;

    /// <summary>Deepest nesting of workflows used as activities; default 16.</summary>
    public int MaxWorkflowNesting { get; init; } = 16;
}
