using Microsoft.AspNetCore.Authentication;

namespace Conclave.Server.Accounts;

/// <summary>Who may do what.</summary>
public static class AccountServices
{
    /// <summary>Adds sign-in and rights.</summary>
    public static IServiceCollection AddAccounts(this IServiceCollection services)
    {
        services.AddAuthentication(KeyAuthentication.SchemeName)
            .AddScheme<AuthenticationSchemeOptions, KeyAuthentication>(KeyAuthentication.SchemeName, null);
        services.AddAuthorization();
        return services;
    }
}
