using Conclave.Server.Accounts.Sessions;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts.Pages;

/// <summary>Signs people in and out.</summary>
internal static class SignInPage
{
    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("/sign-in", (string? returnUrl) => Form(returnUrl, "", [], 200));
        group.MapPost("/sign-in", SignInAsync).LimitAttempts();
        group.MapPost("/sign-out", SignOutAsync).RequireAuthorization(policy => policy.AddAuthenticationSchemes(IdentityConstants.ApplicationScheme).RequireAuthenticatedUser());
    }

    private static async Task<IResult> SignInAsync(HttpContext context, PasswordSignIn passwords, SignInManager<Account> signIn)
    {
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        var returnUrl = form.Text("returnUrl");
        if (await passwords.CheckAsync(form.Text("userName"), form.Text("password"), context.RequestAborted) is not { } account)
            return Form(returnUrl, form.Text("userName"), [PasswordSignIn.Refusal], 400);
        await signIn.SignInAsync(account, isPersistent: true);
        return Page.GoTo(returnUrl);
    }

    private static async Task<IResult> SignOutAsync(HttpContext context, SignInManager<Account> signIn)
    {
        await signIn.SignOutAsync();
        return TypedResults.LocalRedirect("/sign-in");
    }

    private static IResult Form(string? returnUrl, string userName, IReadOnlyList<string> problems, int status) => Page.Render<SignInForm>(
        new()
        {
            [nameof(SignInForm.ReturnUrl)] = returnUrl,
            [nameof(SignInForm.UserName)] = userName,
            [nameof(SignInForm.Problems)] = problems,
        },
        status);
}
