using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;

namespace Conclave.Server.Api;

/// <summary>Reads JSON that others sent.</summary>
internal static class JsonText
{
    private const int Deepest = 256;

    /// <summary>Longest id, name or correlation id in characters: they are in indexes, which take 2,700 bytes.</summary>
    private const int LongestName = Conclave.Workflows.Execution.InstanceText.Longest;

    /// <summary>Reads JSON, of which every text can be read later: <see cref="JsonElement"/> itself finds half characters only then.</summary>
    /// <exception cref="JsonException">It is not JSON, too deep, or holds half of a character.</exception>
    public static JsonElement Parse(ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json))
            throw new JsonException("it is not valid UTF-8.");
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = Deepest });
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped && !IsWhole(ref reader))
                throw new JsonException($"the text at byte {reader.TokenStartIndex + 1:N0} holds half of a surrogate pair, such as \\ud800 alone.");
        }

        return JsonElement.Parse(json, new JsonDocumentOptions { MaxDepth = Deepest });
    }

    /// <summary>A member that must be a text; null when it is missing or null.</summary>
    /// <exception cref="ApiException">It is something else.</exception>
    public static string? Text(JsonElement body, string name) =>
        !body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : throw ApiException.Bad($"'{name}' must be a text.");

    /// <summary>Checks what becomes an id or a name in the database.</summary>
    /// <exception cref="ApiException">It is too long, or has control characters.</exception>
    public static string? CheckName(string name, string? text) => text switch
    {
        { Length: > LongestName } => throw ApiException.Bad($"'{name}' may have at most {LongestName} characters."),
        not null when text.Any(char.IsControl) => throw ApiException.Bad($"'{name}' must not have control characters."),
        _ => text,
    };

    private static bool IsWhole(ref Utf8JsonReader reader)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
        try
        {
            reader.CopyString(buffer);
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
