using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>An activity that authors may use; type and version are unique.</summary>
internal sealed record ActivityDescriptorShape(
    string TypeName,
    string Namespace,
    string Name,
    int Version,
    string Category,
    string DisplayName,
    string Description,
    string Kind,
    bool IsBrowsable,
    bool IsContainer,
    bool IsStart,
    bool IsTerminal,
    IReadOnlyList<InputDescriptorShape> Inputs,
    IReadOnlyList<OutputDescriptorShape> Outputs,
    IReadOnlyList<PortShape> Ports,
    JsonObject CustomProperties,
    JsonObject ConstructionProperties);

/// <summary>An input of an activity.</summary>
internal sealed record InputDescriptorShape(
    string Name,
    string TypeName,
    string DisplayName,
    string? Description,
    double Order,
    bool IsBrowsable,
    bool IsSerializable,
    bool IsSynthetic,
    bool IsWrapped,
    string UiHint,
    string? Category,
    JsonElement? DefaultValue,
    string DefaultSyntax,
    bool IsReadOnly,
    bool IsSensitive,
    string? StorageDriverType,
    bool AutoEvaluate,
    JsonObject? UiSpecifications);

/// <summary>An output of an activity.</summary>
internal sealed record OutputDescriptorShape(
    string Name, string TypeName, string DisplayName, string? Description, double Order, bool IsBrowsable, bool IsSerializable, bool IsSynthetic);

/// <summary>A way out of an activity, or a place for another inside of it.</summary>
/// <param name="Name">Name.</param>
/// <param name="DisplayName">Name, for people.</param>
/// <param name="Type">Flow or Embedded.</param>
/// <param name="IsBrowsable">Whether designers show it.</param>
internal sealed record PortShape(string Name, string DisplayName, string Type, bool IsBrowsable);

/// <summary>What else is filled in.</summary>
internal sealed record InputOptionsRequest
{
    public int? Version { get; init; }

    public JsonObject? Context { get; init; }
}

/// <summary>Settings of an input's editor.</summary>
internal sealed record InputOptionsShape(JsonObject Items);

/// <summary>A syntax of expressions.</summary>
internal sealed record ExpressionShape(string Type, string DisplayName, bool IsBrowsable, bool IsSerializable, IReadOnlyDictionary<string, string> Properties);

/// <summary>Where variables are kept.</summary>
internal sealed record StorageDriverShape(string TypeName, string DisplayName, double Priority, bool Deprecated);

/// <summary>A type of variables, inputs and outputs.</summary>
internal sealed record VariableTypeShape(string TypeName, string DisplayName, string Category, string Description);

/// <summary>A strategy that authors may choose.</summary>
internal sealed record StrategyTypeShape(string TypeName, string DisplayName, string Description);

/// <summary>A strategy that authors may choose.</summary>
internal sealed record StrategyNameShape(string Name, string DisplayName, string Description);

/// <summary>A converter of outputs; there is none.</summary>
internal sealed record OutputConverterShape(string Id, string SourceTypeName, string ResultTypeName, string DisplayName);

/// <summary>A provider of workflow contexts; there is none.</summary>
internal sealed record ContextProviderShape(string Name, string Type);

/// <summary>Something that changes what Studio shows.</summary>
internal sealed record FeatureShape(string Name, string Namespace, string FullName, string DisplayName, string Description);

/// <summary>Where a script stands.</summary>
internal sealed record TypeDefinitionsRequest
{
    public string? WorkflowDefinitionId { get; init; }

    public string? ActivityTypeName { get; init; }

    public string? PropertyName { get; init; }
}

/// <summary>An activity to try.</summary>
/// <param name="WorkflowDefinitionHandle">The workflow: definitionVersionId, or definitionId with versionOptions.</param>
/// <param name="ActivityHandle">The activity: activityNodeId or activityId.</param>
internal sealed record ActivityTestRequest(JsonObject WorkflowDefinitionHandle, JsonObject ActivityHandle);

/// <summary>What an activity did.</summary>
internal sealed record ActivityTestShape(JsonObject ActivityState, JsonObject Outputs, JsonObject Payload, Instances.ExceptionShape? Exception, string Status);
