using System.Security.Cryptography;
using System.Text.Json;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>
/// What an editor was shown, carried in the custom properties of the workflow, which Studio sends back with every save. It is
/// neither stored nor exported. See <c>docs/decisions/0008-edit-tokens.md</c>.
/// </summary>
/// <param name="Session">The opened editor.</param>
/// <param name="Hash">Hash of the newest version when it was shown.</param>
/// <param name="DefinitionId">The workflow: a copy under another id is edited by itself.</param>
internal readonly record struct EditToken(string Session, string Hash, string DefinitionId)
{
    /// <summary>Name of the custom property.</summary>
    public const string Property = "Conclave:EditToken";

    private const int SessionLength = 16;
    private const int HashLength = 64;

    /// <summary>The token for a version that is shown.</summary>
    /// <param name="stored">The version.</param>
    /// <param name="session">The editor that goes on; null for one that opens.</param>
    public static EditToken Of(StoredDefinition stored, string? session) => new(session ?? NewSession(), stored.Hash, stored.Definition.DefinitionId);

    /// <summary>A session that nobody else has.</summary>
    public static string NewSession() => RandomNumberGenerator.GetHexString(SessionLength, lowercase: true);

    /// <summary>The token among custom properties; null when there is none that this server made.</summary>
    public static EditToken? Read(JsonElement customProperties)
    {
        if (customProperties.ValueKind != JsonValueKind.Object || !customProperties.TryGetProperty(Property, out var value) || value.ValueKind != JsonValueKind.String)
            return null;
        var parts = value.GetString()!.Split('.', 3);
        return parts is [{ Length: SessionLength } session, { Length: HashLength } hash, { Length: > 0 } definitionId] && IsHex(session) && IsHex(hash)
            ? new EditToken(session, hash, definitionId)
            : null;
    }

    /// <summary>Custom properties without a token.</summary>
    public static JsonElement Remove(JsonElement customProperties) =>
        customProperties.ValueKind == JsonValueKind.Object && customProperties.TryGetProperty(Property, out _) ? With(customProperties, null) : customProperties;

    /// <summary>Custom properties with this token.</summary>
    public JsonElement AddTo(JsonElement customProperties) => With(customProperties, this);

    /// <inheritdoc/>
    public override string ToString() => $"{Session}.{Hash}.{DefinitionId}";

    private static JsonElement With(JsonElement customProperties, EditToken? token)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            if (customProperties.ValueKind == JsonValueKind.Object)
            {
                foreach (var member in customProperties.EnumerateObject())
                {
                    if (!member.NameEquals(Property))
                        member.WriteTo(writer);
                }
            }

            if (token is { } given)
                writer.WriteString(Property, given.ToString());
            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.GetBuffer().AsSpan(0, (int)buffer.Length), new JsonDocumentOptions { MaxDepth = 512 });
    }

    private static bool IsHex(string text) => text.All(char.IsAsciiHexDigitLower);
}
