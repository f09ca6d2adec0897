using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference;

/// <summary>A tool that a model may call; the caller runs it.</summary>
/// <param name="name">Its name.</param>
/// <param name="description">What it does, for the model.</param>
/// <param name="parameters">JSON Schema of its arguments.</param>
/// <param name="isStrict">Whether arguments must fit the schema; null where the caller did not say.</param>
public sealed class ToolDeclaration(string name, string description, JsonElement parameters, bool? isStrict = null) : AIFunctionDeclaration
{
    private static readonly JsonElement NoParameters = JsonElement.Parse("""{"type":"object","properties":{}}""");

    /// <inheritdoc/>
    public override string Name => name;

    /// <inheritdoc/>
    public override string Description => description;

    /// <inheritdoc/>
    public override JsonElement JsonSchema => parameters.ValueKind == JsonValueKind.Object ? parameters : NoParameters;

    /// <summary><c>strict</c>, where the caller said whether arguments must fit the schema.</summary>
    public override IReadOnlyDictionary<string, object?> AdditionalProperties { get; } =
        isStrict is { } strict ? new Dictionary<string, object?> { ["strict"] = strict } : new Dictionary<string, object?>();
}
