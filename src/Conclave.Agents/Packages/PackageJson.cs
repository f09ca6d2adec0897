using System.Text.Json;
using System.Text.Json.Serialization;

namespace Conclave.Agents.Packages;

/// <summary>JSON of packages in columns and files.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(AgentManifest))]
[JsonSerializable(typeof(LogicSettings))]
[JsonSerializable(typeof(RefusedContent))]
[JsonSerializable(typeof(IReadOnlyList<LogicTool>))]
[JsonSerializable(typeof(IReadOnlyList<PackageProblem>))]
internal sealed partial class PackageJson : JsonSerializerContext;

internal sealed class BehaviourVersionConverter : JsonConverter<BehaviourVersion>
{
    public override BehaviourVersion Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        new(reader.TokenType == JsonTokenType.Number ? reader.GetInt32() : null);

    public override void Write(Utf8JsonWriter writer, BehaviourVersion value, JsonSerializerOptions options)
    {
        if (value.Number is { } number)
            writer.WriteNumberValue(number);
        else
            writer.WriteStringValue("follow");
    }
}
