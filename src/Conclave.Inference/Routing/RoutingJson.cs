using System.Text.Json.Serialization;
using Conclave.Inference.Pool;

namespace Conclave.Inference.Routing;

/// <summary>How aliases and decisions are written as JSON, in the database and in the API.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    UseStringEnumConverter = true,
    Converters = [typeof(CapabilitiesConverter)])]
[JsonSerializable(typeof(ModelAlias))]
internal sealed partial class RoutingJson : JsonSerializerContext;
