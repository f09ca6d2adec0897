using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts.Sessions;

/// <summary>Compares sessions with their accounts now and then: a lock or another password ends them, other roles change their rights.</summary>
internal static class SessionCheck
{
    public static async Task CheckAsync(CookieValidatePrincipalContext context)
    {
        var services = context.HttpContext.RequestServices;
        var age = services.GetRequiredService<TimeProvider>().GetUtcNow() - context.Properties.IssuedUtc;
        if (age < services.GetRequiredService<ServerOptions>().SessionCheck)
            return;
        var signIn = services.GetRequiredService<SignInManager<Account>>();
        if (await signIn.ValidateSecurityStampAsync(context.Principal) is { IsLocked: false } account)
        {
            context.ReplacePrincipal(await signIn.CreateUserPrincipalAsync(account));
            context.ShouldRenew = true;
            return;
        }

        context.RejectPrincipal();
        await context.HttpContext.SignOutAsync(IdentityConstants.ApplicationScheme);
    }
}
