using System.Security.Claims;
using Conclave.Server.Accounts;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Components.Server;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Conclave.Server.Web;

/// <summary>Who looks at the pages of a connection. As sessions are, it is compared with its account now and then: a lock or another password ends it.</summary>
internal sealed class SessionState(ILoggerFactory loggers, AccountStore accounts, ServerOptions server, IOptions<IdentityOptions> identity)
    : RevalidatingServerAuthenticationStateProvider(loggers)
{
    // No more often than a person could notice.
    protected override TimeSpan RevalidationInterval => server.SessionCheck > TimeSpan.FromSeconds(5) ? server.SessionCheck : TimeSpan.FromSeconds(5);

    protected override async Task<bool> ValidateAuthenticationStateAsync(AuthenticationState authenticationState, CancellationToken cancellationToken) =>
        authenticationState.User.FindFirst(ClaimTypes.NameIdentifier) is { Value: var id }
        && await accounts.FindByIdAsync(id, cancellationToken) is { IsLocked: false } account
        && account.SecurityStamp == authenticationState.User.FindFirst(identity.Value.ClaimsIdentity.SecurityStampClaimType)?.Value;
}
