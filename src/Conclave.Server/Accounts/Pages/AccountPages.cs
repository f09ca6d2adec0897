using Conclave.Server.Accounts.Setup;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts.Pages;

/// <summary>The pages for people: set-up, sign-in, one's own account, everybody's.</summary>
public static class AccountPages
{
    /// <summary>Adds what pages need.</summary>
    internal static void AddAccountPages(this IServiceCollection services)
    {
        services.AddSingleton<StyleSheet>();
        services.AddRazorComponents();
        services.AddAntiforgery(forms =>
        {
            forms.Cookie.Name = "conclave.form";
            forms.Cookie.SameSite = SameSiteMode.Strict;
            forms.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        });
    }

    /// <summary>Maps the pages.</summary>
    public static void MapAccountPages(this WebApplication app)
    {
        StyleSheet.Map(app);
        var everybody = app.MapGroup("").AddEndpointFilter(CheckAsync).ExcludeFromDescription();
        SetupPage.Map(everybody);
        SignInPage.Map(everybody);
        LinkPage.Map(everybody);
        // By cookie alone: a key with few rights must not make one with more.
        var signedIn = app.MapGroup("/account").AddEndpointFilter(CheckAsync).ExcludeFromDescription()
            .RequireAuthorization(policy => policy.AddAuthenticationSchemes(IdentityConstants.ApplicationScheme).RequireAuthenticatedUser());
        AccountPage.Map(signedIn);
        UsersPage.Map(signedIn.MapGroup("/users"));
    }

    /// <summary>Sends everybody to the set-up first, and takes forms only from our own pages.</summary>
    private static async ValueTask<object?> CheckAsync(EndpointFilterInvocationContext invocation, EndpointFilterDelegate next)
    {
        var context = invocation.HttpContext;
        var setup = context.RequestServices.GetRequiredService<SetupLink>();
        if (!context.Request.Path.StartsWithSegments("/setup", StringComparison.OrdinalIgnoreCase) && !await setup.IsDoneAsync(context.RequestAborted))
            return TypedResults.LocalRedirect("/setup");
        if (HttpMethods.IsPost(context.Request.Method) && !await IsOwnFormAsync(context))
            return Page.Message("This form is too old", "Go back, load the page again and send the form once more.", 400);
        return await next(invocation);
    }

    private static async Task<bool> IsOwnFormAsync(HttpContext context)
    {
        try
        {
            return context.Request.HasFormContentType && await context.RequestServices.GetRequiredService<IAntiforgery>().IsRequestValidAsync(context);
        }
        catch (Exception exception) when (exception is AntiforgeryValidationException or InvalidDataException or (IOException and not BadHttpRequestException))
        {
            return false;
        }
    }
}
