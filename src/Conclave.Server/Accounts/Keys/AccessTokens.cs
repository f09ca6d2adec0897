using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Conclave.Server.Accounts.Keys;

/// <summary>What an access token says of its owner.</summary>
/// <param name="AccountId">Whose it is.</param>
/// <param name="Stamp">Fingerprint of the account's security stamp when it was made.</param>
internal sealed record AccessToken(string AccountId, string Stamp);

/// <summary>Access tokens: JSON Web Tokens, signed with HMAC-SHA256 (RFC 7519, RFC 7518 section 3.2), good for an hour.</summary>
/// <remarks>Their claims tell clients who signed in; the server takes rights from the account itself.</remarks>
internal sealed class AccessTokens(SigningKeys keys, TimeProvider time)
{
    /// <summary>How long a token is good.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    /// <summary>Makes a token.</summary>
    public async Task<string> CreateAsync(Account account, CancellationToken cancellationToken)
    {
        var key = await keys.CurrentAsync(cancellationToken);
        var now = time.GetUtcNow();
        var header = Part(writer =>
        {
            writer.WriteString("alg", "HS256");
            writer.WriteString("typ", "JWT");
            writer.WriteString("kid", key.Id);
        });
        var payload = Part(writer =>
        {
            writer.WriteString("sub", account.Id);
            writer.WriteString("name", account.UserName);
            writer.WriteString("tenantId", account.Tenant);
            writer.WriteStartArray("permissions");
            foreach (var permission in Permissions.Expand(account.Permissions))
                writer.WriteStringValue(permission);
            writer.WriteEndArray();
            writer.WriteString("stamp", StampOf(account));
            writer.WriteNumber("iat", now.ToUnixTimeSeconds());
            writer.WriteNumber("exp", (now + Lifetime).ToUnixTimeSeconds());
        });
        return $"{header}.{payload}.{Base64Url.EncodeToString(Sign(key, $"{header}.{payload}"))}";
    }

    /// <summary>Reads a token; null when we did not make it, or it is over.</summary>
    public async Task<AccessToken?> ReadAsync(string token, CancellationToken cancellationToken)
    {
        var parts = token.Split('.');
        if (parts.Length != 3 || Decode(parts[0]) is not { } header || Decode(parts[1]) is not { } payload)
            return null;
        // The algorithm is ours to choose, whatever the header says; it may not name another.
        if (Text(header, "alg") != "HS256" || Text(header, "kid") is not { } keyId || await keys.FindAsync(keyId, cancellationToken) is not { } key)
            return null;
        if (Bytes(parts[2]) is not { } signature || !CryptographicOperations.FixedTimeEquals(signature, Sign(key, $"{parts[0]}.{parts[1]}")))
            return null;
        return Text(payload, "sub") is { } account && Text(payload, "stamp") is { } stamp
            && payload.TryGetProperty("exp", out var end) && end.TryGetInt64(out var seconds) && seconds > time.GetUtcNow().ToUnixTimeSeconds()
                ? new AccessToken(account, stamp)
                : null;
    }

    /// <summary>What a token holds of the security stamp, which itself nobody is told.</summary>
    public static string StampOf(Account account) =>
        Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes(account.SecurityStamp)).AsSpan(0, 16));

    private static byte[] Sign(SigningKey key, string text) => HMACSHA256.HashData(key.Value, Encoding.ASCII.GetBytes(text));

    private static string Part(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        return Base64Url.EncodeToString(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }

    private static JsonElement? Decode(string part)
    {
        try
        {
            return Bytes(part) is { } bytes && JsonElement.Parse(bytes) is { ValueKind: JsonValueKind.Object } json ? json : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static byte[]? Bytes(string part)
    {
        try
        {
            return Base64Url.DecodeFromChars(part);
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
