using System.Text.Json;
using System.Text.Json.Serialization;

namespace Conclave.Agents;

/// <summary>JSON of agents.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(AgentConfiguration))]
[JsonSerializable(typeof(AgentMakeup))]
internal sealed partial class AgentJson : JsonSerializerContext;
