using System.Security.Claims;
using Conclave.Server.Accounts.Keys;
using Conclave.Server.Health;
using Conclave.Server.Hosting;
using Conclave.Server.Inference;

namespace Conclave.Server.Accounts;

/// <summary>
/// What programs show: in the <c>Authorization</c> header, as <c>Bearer …</c> or as Elsa spells it <c>ApiKey …</c>, the machine's key, an
/// account's key, or an access token.
/// </summary>
internal sealed class Credentials
{
    private readonly ServerRuntime _server;
    private readonly StartupState _startup;
    private readonly ApiKeys _keys;
    private readonly AccessTokens _tokens;
    private readonly AccountStore _accounts;
    private readonly KnownKeys _known;

    public Credentials(ServerRuntime server, StartupState startup, ApiKeys keys, AccessTokens tokens, AccountStore accounts, AccountChanges changes, TimeProvider time)
    {
        (_server, _startup, _keys, _tokens, _accounts) = (server, startup, keys, tokens, accounts);
        _known = new KnownKeys(FindKeyAsync, time);
        changes.Changed += _known.Forget;
    }

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
        return !string.IsNullOrEmpty(credential) && await IdentifyAsync(credential, request, cancellationToken) is { } identity ? new ClaimsPrincipal(identity) : null;
    }

    private async Task<ClaimsIdentity?> IdentifyAsync(string credential, HttpRequest request, CancellationToken cancellationToken)
    {
        if (_server.ApiKey.Is(credential))
            return new ClaimsIdentity([new Claim(ClaimTypes.Name, MachineName), new Claim(Permissions.ClaimType, Permissions.All)], KeyAuthentication.SchemeName);
        // Metrics are answered while the database is not there yet.
        if (!_startup.IsFinished)
            return null;
        if (credential.StartsWith(ApiKeys.Prefix, StringComparison.Ordinal))
        {
            // Calls of models are many, and each has a budget of less than a millisecond.
            return request.HttpContext.ModelApi() is not null ? await _known.FindAsync(credential, cancellationToken) : (await FindKeyAsync(credential, cancellationToken))?.Identity;
        }

        return await _tokens.ReadAsync(credential, cancellationToken) is { } token
            && await _accounts.FindByIdAsync(token.AccountId, cancellationToken) is { IsLocked: false } account
            && AccessTokens.StampOf(account) == token.Stamp
                ? account.ToIdentity(KeyAuthentication.SchemeName, account.Permissions)
                : null;
    }

    private async Task<KnownKey?> FindKeyAsync(string secret, CancellationToken cancellationToken)
    {
        if (await _keys.FindAsync(secret, cancellationToken) is not { } found)
            return null;
        var identity = found.Owner.ToIdentity(KeyAuthentication.SchemeName, Permissions.Common([.. found.Key.Scopes], [.. found.Owner.Permissions]));
        identity.AddClaim(new Claim(KeyIdClaim, found.Key.Id));
        return new KnownKey(identity, found.Key.ExpiresAt);
    }

    /// <summary>Browsers cannot give a WebSocket a header; the address of any other request is no place for a secret.</summary>
    private static string? InQuery(HttpRequest request) =>
        request.Path.StartsWithSegments(HubAccess.Prefix, StringComparison.OrdinalIgnoreCase) && request.Query["access_token"].ToString() is { Length: > 0 } token ? token : null;
}
