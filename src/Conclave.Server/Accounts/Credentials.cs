using System.Security.Claims;
using Conclave.Server.Accounts.Keys;
using Conclave.Server.Health;
using Conclave.Server.Hosting;

namespace Conclave.Server.Accounts;

/// <summary>
/// What programs show: in the <c>Authorization</c> header, as <c>Bearer …</c> or as Elsa spells it <c>ApiKey …</c>, the machine's key, an
/// account's key, or an access token.
/// </summary>
internal sealed class Credentials(ServerRuntime server, StartupState startup, ApiKeys keys, AccessTokens tokens, AccountStore accounts)
{
    /// <summary>Name of who has the machine's key.</summary>
    public const string MachineName = "api-key";

    /// <summary>Type of the claim with the id of the key that was shown.</summary>
    public const string KeyIdClaim = "key-id";

    /// <summary>Whether a request says who it is from, other than by a cookie.</summary>
    public static bool AreIn(HttpRequest request) => request.Headers.Authorization.Count > 0 || InQuery(request) is not null;

    /// <summary>What follows the scheme in an <c>Authorization</c> header; null when it is another scheme.</summary>
    public static string? Of(string header) =>
        header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) || header.StartsWith("ApiKey ", StringComparison.OrdinalIgnoreCase) ? header[7..].Trim() : null;

    /// <summary>Who makes a request; null when what it shows is not good.</summary>
    public async Task<ClaimsPrincipal?> IdentifyAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        var credential = request.Headers.Authorization.ToString() is { Length: > 0 } header ? Of(header) : InQuery(request);
        return !string.IsNullOrEmpty(credential) && await IdentifyAsync(credential, cancellationToken) is { } identity ? new ClaimsPrincipal(identity) : null;
    }

    private async Task<ClaimsIdentity?> IdentifyAsync(string credential, CancellationToken cancellationToken)
    {
        if (server.ApiKey.Is(credential))
            return new ClaimsIdentity([new Claim(ClaimTypes.Name, MachineName), new Claim(Permissions.ClaimType, Permissions.All)], KeyAuthentication.SchemeName);
        // Metrics are answered while the database is not there yet.
        if (!startup.IsFinished)
            return null;
        if (await keys.FindAsync(credential, cancellationToken) is { } found)
        {
            var identity = found.Owner.ToIdentity(KeyAuthentication.SchemeName, Permissions.Common([.. found.Key.Scopes], [.. found.Owner.Permissions]));
            identity.AddClaim(new Claim(KeyIdClaim, found.Key.Id));
            return identity;
        }

        return await tokens.ReadAsync(credential, cancellationToken) is { } token
            && await accounts.FindByIdAsync(token.AccountId, cancellationToken) is { IsLocked: false } account
            && AccessTokens.StampOf(account) == token.Stamp
                ? account.ToIdentity(KeyAuthentication.SchemeName, account.Permissions)
                : null;
    }

    /// <summary>Browsers cannot give a WebSocket a header; the address of any other request is no place for a secret.</summary>
    private static string? InQuery(HttpRequest request) =>
        request.Path.StartsWithSegments(HubAccess.Prefix, StringComparison.OrdinalIgnoreCase) && request.Query["access_token"].ToString() is { Length: > 0 } token ? token : null;
}
