using System.Text.Json;

namespace Conclave.Agents.Tools.BuiltIn;

/// <summary>A tool that is part of the product and runs in its process.</summary>
/// <param name="Definition">What it is.</param>
/// <param name="RunAsync">Runs it.</param>
public sealed record BuiltInTool(ToolDefinition Definition, Func<ToolRun, CancellationToken, Task<ToolOutput>> RunAsync)
{
    /// <summary>What is missing for it to run; null for nothing.</summary>
    public Func<string?>? Missing { get; init; }
}

/// <summary>The product's own tools: as a source, and as what runs them.</summary>
public sealed class BuiltInTools : ToolKind
{
    private readonly Dictionary<string, BuiltInTool> _tools;

    /// <summary>Takes the tools.</summary>
    public BuiltInTools(IEnumerable<BuiltInTool> tools)
    {
        _tools = tools.ToDictionary(t => t.Definition.Name, StringComparer.Ordinal);
        Source = new ProductTools([.. _tools.Values.Select(t => t.Definition)]);
    }

    /// <summary>The tools, for the registry.</summary>
    public ToolSource Source { get; }

    /// <inheritdoc/>
    public override string Name => ToolKinds.BuiltIn;

    /// <inheritdoc/>
    public override IEnumerable<string> Missing(string tenant, ToolDefinition tool)
    {
        if (!_tools.TryGetValue(tool.Name, out var known))
            yield return "It is none of the product's own tools.";
        else if (known.Missing?.Invoke() is { } missing)
            yield return missing;
    }

    /// <inheritdoc/>
    public override IEnumerable<string> Check(ToolDefinition tool) => ["kind: tools of the kind 'built-in' are part of the product and cannot be added."];

    /// <inheritdoc/>
    public override Task<ToolOutput> RunAsync(ToolRun run, CancellationToken cancellationToken) => _tools[run.Tool.Name].RunAsync(run, cancellationToken);

    /// <summary>Makes the definition of a tool of the product.</summary>
    internal static ToolDefinition Define(string name, string category, string description, string parameters) => new()
    {
        Name = name,
        Category = category,
        Description = description,
        Kind = ToolKinds.BuiltIn,
        Settings = JsonSerializer.SerializeToElement(new Dictionary<string, JsonElement> { ["builtIn"] = JsonSerializer.SerializeToElement(name, ToolJson.Default.String) }, BuiltInJson.Default.DictionaryStringJsonElement),
        Parameters = JsonElement.Parse(parameters),
        Concurrency = 0,
    };

    private sealed class ProductTools(IReadOnlyList<ToolDefinition> tools) : ToolSource
    {
        public override string Name => ToolRegistry.ProductSource;

        public override bool IsTrusted => true;

        public override IReadOnlyList<ToolDefinition> List(string tenant) => tools;
    }
}

[System.Text.Json.Serialization.JsonSerializable(typeof(Dictionary<string, JsonElement>))]
internal sealed partial class BuiltInJson : System.Text.Json.Serialization.JsonSerializerContext;
