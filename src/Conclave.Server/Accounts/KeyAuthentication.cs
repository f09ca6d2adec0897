using System.Security.Claims;
using System.Text.Encodings.Web;
using Conclave.Server.Accounts.Keys;
using Conclave.Server.Health;
using Conclave.Server.Hosting;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;

namespace Conclave.Server.Accounts;

/// <summary>
/// Recognises programs by what their <c>Authorization</c> header holds, <c>Bearer …</c> or as Elsa spells it <c>ApiKey …</c>: the
/// machine's key, an account's key, or an access token.
/// </summary>
internal sealed class KeyAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options,
    ILoggerFactory loggers,
    UrlEncoder encoder,
    ServerRuntime server,
    StartupState startup,
    ApiKeys keys,
    AccessTokens tokens,
    AccountStore accounts)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    /// <summary>Name of the scheme.</summary>
    public const string SchemeName = "Key";

    /// <summary>Name of who has the machine's key.</summary>
    public const string MachineName = "api-key";

    /// <summary>Whether a request says who it is from, other than by a cookie.</summary>
    public static bool HasCredential(HttpRequest request) => request.Headers.Authorization.Count > 0 || InQuery(request) is not null;

    /// <summary>What follows the scheme in an <c>Authorization</c> header; null when it is another scheme.</summary>
    public static string? CredentialIn(string header) =>
        header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) || header.StartsWith("ApiKey ", StringComparison.OrdinalIgnoreCase) ? header[7..].Trim() : null;

    /// <inheritdoc/>
    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        // Headers of webhooks are the workflows' business.
        if (!Context.NeedsAccount() || !HasCredential(Request))
            return AuthenticateResult.NoResult();
        var credential = Request.Headers.Authorization.ToString() is { Length: > 0 } header ? CredentialIn(header) : InQuery(Request);
        if (string.IsNullOrEmpty(credential))
            return AuthenticateResult.Fail("The header names no key.");
        return await IdentifyAsync(credential) is { } identity
            ? AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), Scheme.Name))
            : AuthenticateResult.Fail("The key is not known.");
    }

    /// <inheritdoc/>
    protected override Task HandleChallengeAsync(AuthenticationProperties properties) => Refusals.ChallengeAsync(Context);

    /// <inheritdoc/>
    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) => Refusals.ForbidAsync(Context);

    private async Task<ClaimsIdentity?> IdentifyAsync(string credential)
    {
        if (server.ApiKey.Is(credential))
            return new ClaimsIdentity([new Claim(ClaimTypes.Name, MachineName), new Claim(Permissions.ClaimType, Permissions.All)], Scheme.Name);
        // Metrics are answered while the database is not there yet.
        if (!startup.IsFinished)
            return null;
        if (await keys.FindAsync(credential, Context.RequestAborted) is { } found)
            return found.Owner.ToIdentity(Scheme.Name, Permissions.Common(found.Key.Scopes, found.Owner.Permissions));
        return await tokens.ReadAsync(credential, Context.RequestAborted) is { } token
            && await accounts.FindByIdAsync(token.AccountId, Context.RequestAborted) is { IsLocked: false } account
            && AccessTokens.StampOf(account) == token.Stamp
                ? account.ToIdentity(Scheme.Name, account.Permissions)
                : null;
    }

    /// <summary>Browsers cannot give a WebSocket a header; the address of any other request is no place for a secret.</summary>
    private static string? InQuery(HttpRequest request) =>
        request.Path.StartsWithSegments(HubAccess.Prefix, StringComparison.OrdinalIgnoreCase) && request.Query["access_token"].ToString() is { Length: > 0 } token ? token : null;
}
