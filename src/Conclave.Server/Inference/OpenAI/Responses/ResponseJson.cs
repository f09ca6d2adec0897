using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Conclave.Server.Inference.OpenAI.Responses;

[JsonSerializable(typeof(JsonObject))]
[JsonSerializable(typeof(JsonArray))]
internal sealed partial class ResponseJson : JsonSerializerContext;
