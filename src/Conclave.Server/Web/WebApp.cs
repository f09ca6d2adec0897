using Conclave.Server.Accounts.Pages;
using Conclave.Server.ElsaApi.Instances;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Identity;
using Radzen;

namespace Conclave.Server.Web;

/// <summary>The pages under <c>/app</c>: interactive, for those who are signed in.</summary>
internal static class WebApp
{
    private const string Prefix = "/app";

    // Radzen sets styles of elements; scripts, fonts and connections are ours alone.
    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
        + "form-action 'self'; base-uri 'self'; frame-ancestors 'self'";

    public static IServiceCollection AddWebApp(this IServiceCollection services)
    {
        services.AddSingleton<WebAssets>();
        services.AddRazorComponents().AddInteractiveServerComponents();
        services.AddCascadingAuthenticationState();
        services.AddScoped<AuthenticationStateProvider, SessionState>();
        services.AddRadzenComponents();
        return services;
    }

    public static void MapWebApp(this WebApplication app)
    {
        app.Use(AddHeadersAsync);
        app.UseAntiforgery();
        WebAssets.Map(app);
        app.MapGet($"{Prefix}/open", OpenAsync).ExcludeFromDescription().AllowAnonymous();
        app.MapGet(Prefix, () => TypedResults.LocalRedirect($"{Prefix}/inbox")).ExcludeFromDescription().RequireAuthorization(SignedIn);
        app.MapGet("/", () => TypedResults.LocalRedirect(Prefix)).ExcludeFromDescription().RequireAuthorization(SignedIn);
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode().RequireAuthorization(SignedIn);
    }

    /// <summary>By cookie alone, as for the account's pages.</summary>
    private static void SignedIn(Microsoft.AspNetCore.Authorization.AuthorizationPolicyBuilder policy) =>
        policy.AddAuthenticationSchemes(IdentityConstants.ApplicationScheme).RequireAuthenticatedUser();

    /// <summary>A link from a message. It changes nothing: whoever opens it, be it a program that looks at links, sees the sign-in at most.</summary>
    private static IResult OpenAsync(string? t, SignedLinks links) => t is not null && links.ReadApproval(t) is { } approval && approval.Tenant == Tenants.Default
        ? TypedResults.LocalRedirect($"{Prefix}/inbox/{Uri.EscapeDataString(approval.Id)}")
        : Page.Message("This link is not good", "It was not made by this server, or not all of it was copied.", 404, $"{Prefix}/inbox", "To the inbox");

    private static Task AddHeadersAsync(HttpContext context, RequestDelegate next)
    {
        if (context.Request.Path.StartsWithSegments(Prefix, StringComparison.OrdinalIgnoreCase))
        {
            var headers = context.Response.Headers;
            headers.ContentSecurityPolicy = ContentSecurityPolicy;
            headers.XContentTypeOptions = "nosniff";
            headers["Referrer-Policy"] = "same-origin";
        }

        return next(context);
    }
}
