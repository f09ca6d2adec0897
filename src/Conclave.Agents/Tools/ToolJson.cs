using System.Text.Json;
using System.Text.Json.Serialization;

namespace Conclave.Agents.Tools;

/// <summary>How definitions and permissions are written as JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    AllowDuplicateProperties = false)]
[JsonSerializable(typeof(ToolDefinition))]
[JsonSerializable(typeof(ToolLimits))]
[JsonSerializable(typeof(ToolUsage))]
[JsonSerializable(typeof(IReadOnlyList<ToolRule>))]
[JsonSerializable(typeof(JsonElement))]
[JsonSerializable(typeof(string))]
internal sealed partial class ToolJson : JsonSerializerContext;

/// <summary>Configurations of agents as their rows hold them; members that this version does not know are left alone.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, PropertyNameCaseInsensitive = true)]
[JsonSerializable(typeof(AgentConfiguration))]
internal sealed partial class AgentRowJson : JsonSerializerContext;
