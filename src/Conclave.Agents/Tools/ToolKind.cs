using System.Text.Json;

namespace Conclave.Agents.Tools;

/// <summary>Runs the tools of one kind.</summary>
public abstract class ToolKind
{
    /// <summary>One of <see cref="ToolKinds"/>.</summary>
    public abstract string Name { get; }

    /// <summary>What is missing for a tool of this kind to run; nothing by default.</summary>
    public virtual IEnumerable<string> Missing(string tenant, ToolDefinition tool) => [];

    /// <summary>What is wrong with a tool's settings, a sentence each.</summary>
    public abstract IEnumerable<string> Check(ToolDefinition tool);

    /// <summary>Whether an argument that the schema does not describe closer is judged as a word of a command line, see <see cref="InputValidators"/>.</summary>
    public virtual bool RunsCommands => false;

    /// <summary>Runs a call that everything allows.</summary>
    /// <exception cref="ToolException">The tool did not do its work.</exception>
    public abstract Task<ToolOutput> RunAsync(ToolRun run, CancellationToken cancellationToken);
}

/// <summary>A call on its way to the tool.</summary>
/// <param name="Id">Id of the audit row.</param>
/// <param name="Tool">The tool.</param>
/// <param name="Call">The call; its arguments fit the schema.</param>
public sealed record ToolRun(Guid Id, ToolDefinition Tool, ToolCall Call)
{
    /// <summary>The arguments.</summary>
    public JsonElement Arguments => Call.Arguments;

    /// <summary>A text among the arguments; null when it is not there.</summary>
    public string? Text(string name) => Arguments.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>A whole number among the arguments.</summary>
    public int Number(string name, int otherwise) => Arguments.TryGetProperty(name, out var value) && value.TryGetInt32(out var number) ? number : otherwise;

    /// <summary>A yes or no among the arguments.</summary>
    public bool Flag(string name, bool otherwise = false) => Arguments.TryGetProperty(name, out var value) ? value.ValueKind == JsonValueKind.True : otherwise;
}

/// <summary>What a tool gave.</summary>
/// <param name="Value">Its output.</param>
/// <param name="Usage">What it used; null when nothing was measured.</param>
public sealed record ToolOutput(JsonElement Value, ToolUsage? Usage = null);
