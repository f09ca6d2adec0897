using System.Text.Json.Serialization;

namespace Conclave.Inference.Gateway;

/// <summary>JSON that the gateway keeps.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RouteDecision))]
internal sealed partial class GatewayJson : JsonSerializerContext;
