using Conclave.Server.Accounts.Keys;
using Conclave.Server.Accounts.Pages;
using Conclave.Server.Accounts.Sessions;
using Conclave.Server.Accounts.Setup;
using Conclave.Server.Api;
using Conclave.Server.Health;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Conclave.Server.Accounts;

/// <summary>Who may do what.</summary>
public static class AccountServices
{
    private const string SchemeName = "Account";

    /// <summary>Adds accounts, sign-in and rights.</summary>
    public static IServiceCollection AddAccounts(this IServiceCollection services, ServerOptions options)
    {
        services.AddAuthentication(SchemeName)
            .AddPolicyScheme(SchemeName, null, scheme => scheme.ForwardDefaultSelector = ChooseScheme)
            .AddScheme<AuthenticationSchemeOptions, KeyAuthentication>(KeyAuthentication.SchemeName, null)
            .AddCookie(IdentityConstants.ApplicationScheme, ConfigureCookie);
        services.AddAuthorization();
        services.AddSingleton<AccountChanges>().AddSingleton<AccountStore>().AddSingleton<ApiKeys>().AddSingleton<SigningKeys>().AddSingleton<AccessTokens>().AddSingleton<RefreshTokens>();
        services.AddSingleton<Credentials>().AddSingleton<WebhookAccess>();
        services.AddScoped<PasswordSignIn>().AddScoped<AccountAdministration>();
        AddIdentity(services, options);
        AddSharedKeys(services);
        services.AddAttemptLimit(options);
        if (options.IsWeb)
        {
            services.AddSingleton<SetupLink>();
            services.AddHostedService(provider => provider.GetRequiredService<SetupLink>());
            services.AddAccountPages();
        }

        // It would read the keys before the database has started. They are read when the first one is needed.
        foreach (var warmUp in services.Where(s => s.ImplementationType?.Name == "DataProtectionHostedService").ToList())
            services.Remove(warmUp);
        return services;
    }

    /// <summary>Finds out who makes a request, and lets nobody in who may not.</summary>
    public static void UseAccounts(this WebApplication app)
    {
        // Who it is may need the database, which may be away.
        app.Use(Problems.HandleAsync);
        app.UseAuthentication();
        app.Use(CrossSite.RefuseAsync);
        app.UseRateLimiter();
        app.UseAuthorization();
    }

    private static void AddIdentity(IServiceCollection services, ServerOptions options)
    {
        services.AddHttpContextAccessor();
        services.AddIdentityCore<Account>(identity =>
            {
                identity.Password = new PasswordOptions
                {
                    RequiredLength = PasswordRules.Shortest,
                    RequiredUniqueChars = 4,
                    RequireDigit = false,
                    RequireLowercase = false,
                    RequireUppercase = false,
                    RequireNonAlphanumeric = false,
                };
            })
            .AddSignInManager()
            .AddUserValidator<AccountRules>()
            .AddPasswordValidator<PasswordRules>()
            .AddClaimsPrincipalFactory<AccountClaims>()
            .AddTokenProvider<DataProtectorTokenProvider<Account>>(TokenOptions.DefaultProvider);
        services.AddScoped<IUserStore<Account>>(provider => provider.GetRequiredService<AccountStore>());
        services.Configure<DataProtectionTokenProviderOptions>(links => links.TokenLifespan = AccountAdministration.LinkLifetime);
    }

    private static void AddSharedKeys(IServiceCollection services)
    {
        services.AddDataProtection().SetApplicationName("conclave");
        services.AddSingleton<KeyEncryption>();
        services.AddSingleton<IConfigureOptions<KeyManagementOptions>>(provider => new ConfigureOptions<KeyManagementOptions>(management =>
        {
            management.XmlRepository = ActivatorUtilities.CreateInstance<SharedKeys>(provider);
            var encryption = provider.GetRequiredService<KeyEncryption>();
            management.XmlEncryptor = encryption.IsPossible ? new SharedKeyEncryptor(encryption) : new Microsoft.AspNetCore.DataProtection.XmlEncryption.NullXmlEncryptor();
        }));
    }

    private static void ConfigureCookie(CookieAuthenticationOptions cookie)
    {
        cookie.Cookie.Name = "conclave.session";
        cookie.Cookie.HttpOnly = true;
        cookie.Cookie.SameSite = SameSiteMode.Lax;
        cookie.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        cookie.ExpireTimeSpan = TimeSpan.FromDays(14);
        cookie.SlidingExpiration = true;
        cookie.Events.OnRedirectToLogin = context => Refusals.ChallengeAsync(context.HttpContext);
        cookie.Events.OnRedirectToAccessDenied = context => Refusals.ForbidAsync(context.HttpContext);
        cookie.Events.OnValidatePrincipal = SessionCheck.CheckAsync;
    }

    /// <summary>A key in the header counts before a cookie; who needs no account is not asked for one, nor is the database before it is there.</summary>
    private static string ChooseScheme(HttpContext context) =>
        !context.NeedsAccount() || Credentials.AreIn(context.Request) || !context.RequestServices.GetRequiredService<StartupState>().IsFinished
            ? KeyAuthentication.SchemeName
            : IdentityConstants.ApplicationScheme;
}
