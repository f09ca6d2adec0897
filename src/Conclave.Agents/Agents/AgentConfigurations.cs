using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Agents;

/// <summary>Configurations as JSON.</summary>
public static class AgentConfigurations
{
    /// <summary>A configuration as JSON; members that are null are left out, but for the temperature.</summary>
    public static JsonElement Write(AgentConfiguration configuration) => JsonSerializer.SerializeToElement(configuration, AgentJson.Default.AgentConfiguration);

    /// <summary>A configuration with the members that JSON gives: objects are merged member by member, everything else is replaced. Null gives a member its default.</summary>
    /// <exception cref="JsonException">A member is unknown, or of the wrong type.</exception>
    public static AgentConfiguration Merge(AgentConfiguration basis, JsonElement changes)
    {
        if (changes.ValueKind != JsonValueKind.Object)
            throw new JsonException("It must be an object.");
        var merged = JsonSerializer.SerializeToNode(basis, AgentJson.Default.AgentConfiguration)!.AsObject();
        Merge(merged, changes);
        return merged.Deserialize(AgentJson.Default.AgentConfiguration)!;
    }

    private static void Merge(JsonObject into, JsonElement changes)
    {
        foreach (var member in changes.EnumerateObject())
        {
            // Names of tools are keys, not members: whoever gives permissions or rules gives all of them.
            if (member.Value.ValueKind == JsonValueKind.Object && member.Name is not ("permissions" or "rules") && into[member.Name] is JsonObject inner)
                Merge(inner, member.Value);
            else if (member.Value.ValueKind == JsonValueKind.Null && member.Name != "temperature")
                into.Remove(member.Name);
            else
                // A temperature of null is one: the model's own.
                into[member.Name] = JsonNode.Parse(member.Value.GetRawText());
        }
    }
}
