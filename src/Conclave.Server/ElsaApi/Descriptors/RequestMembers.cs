using System.Text.Json;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>Members of request bodies, whatever the case of their names: programs written for Elsa's server spell them in both.</summary>
internal static class RequestMembers
{
    /// <summary>A member; undefined when it is missing.</summary>
    public static JsonElement Member(this JsonElement body, string name)
    {
        if (body.ValueKind != JsonValueKind.Object)
            return default;
        foreach (var property in body.EnumerateObject())
        {
            if (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                return property.Value;
        }

        return default;
    }

    /// <summary>A text; null when it is missing, empty or no text.</summary>
    public static string? TextMember(this JsonElement body, string name) =>
        body.Member(name) is { ValueKind: JsonValueKind.String } text && text.GetString() is { Length: > 0 } given ? given : null;
}
