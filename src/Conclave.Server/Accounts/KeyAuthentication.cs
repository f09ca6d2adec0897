using System.Security.Claims;
using System.Text.Encodings.Web;
using Conclave.Server.Api;
using Conclave.Server.Hosting;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;

namespace Conclave.Server.Accounts;

/// <summary>Recognises programs by the key in their <c>Authorization</c> header: <c>Bearer &lt;key&gt;</c>, or as Elsa spells it, <c>ApiKey &lt;key&gt;</c>.</summary>
public sealed class KeyAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder, ServerRuntime server)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    /// <summary>Name of the scheme.</summary>
    public const string SchemeName = "Key";

    /// <inheritdoc/>
    protected override Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var header = Request.Headers.Authorization.ToString();
        if (header.Length == 0)
            return Task.FromResult(AuthenticateResult.NoResult());
        if (KeyIn(header) is not { } key || !server.ApiKey.Is(key))
            return Task.FromResult(AuthenticateResult.Fail("The key is not known."));
        var identity = new ClaimsIdentity([new Claim(ClaimTypes.Name, "api-key"), new Claim(Permissions.ClaimType, Permissions.All)], Scheme.Name);
        return Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), Scheme.Name)));
    }

    /// <inheritdoc/>
    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        if (IsOwnApi)
            return Problems.WriteAsync(Context, 401, "request.unauthorized", "The API needs its key: 'Authorization: Bearer <key>'. The server keeps it in the file 'api-key' of its data folder.");
        Response.StatusCode = StatusCodes.Status401Unauthorized;
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        if (IsOwnApi)
            return Problems.WriteAsync(Context, 403, "request.forbidden", "Your account or key does not have the right to do this.");
        Response.StatusCode = StatusCodes.Status403Forbidden;
        return Task.CompletedTask;
    }

    private bool IsOwnApi => Request.Path.StartsWithSegments("/api", StringComparison.OrdinalIgnoreCase);

    private static string? KeyIn(string header) =>
        header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) || header.StartsWith("ApiKey ", StringComparison.OrdinalIgnoreCase) ? header[7..].Trim() : null;
}
