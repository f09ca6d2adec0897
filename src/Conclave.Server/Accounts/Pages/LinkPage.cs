using Conclave.Server.Accounts.Sessions;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts.Pages;

/// <summary>Where somebody who was invited, or has forgotten the password, chooses one; once.</summary>
internal static class LinkPage
{
    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("/account/link", ShowAsync).LimitAttempts();
        group.MapPost("/account/link", SetAsync).LimitAttempts();
    }

    private static async Task<IResult> ShowAsync(HttpContext context, AccountAdministration administration)
    {
        var (user, token) = (context.Request.Query["user"].ToString(), context.Request.Query["token"].ToString());
        return await administration.FindByLinkAsync(user, token) is { } account ? Form(account, token, []) : NotGood();
    }

    private static async Task<IResult> SetAsync(HttpContext context, AccountAdministration administration, SignInManager<Account> signIn)
    {
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        var (user, token, password) = (form.Text("user"), form.Text("token"), form.Text("password"));
        if (await administration.FindByLinkAsync(user, token) is not { } account)
            return NotGood();
        if (password != form.Text("again"))
            return Form(account, token, ["The two passwords are not the same."]);
        if (await administration.UseLinkAsync(account, token, password) is { Count: > 0 } problems)
            return Form(account, token, problems);
        await signIn.SignInAsync(account, isPersistent: true);
        return Page.GoTo(null);
    }

    private static IResult NotGood() => Page.Message(
        "This link is not good any more", "It was used, is older than 24 hours, or your account is locked. Ask an administrator for another.", 403, "/sign-in", "Sign in");

    private static IResult Form(Account account, string token, IReadOnlyList<string> problems) => Page.Render<PasswordForm>(
        new()
        {
            [nameof(PasswordForm.AccountId)] = account.Id,
            [nameof(PasswordForm.UserName)] = account.UserName,
            [nameof(PasswordForm.Token)] = token,
            [nameof(PasswordForm.Problems)] = problems,
        },
        problems.Count == 0 ? 200 : 400);
}
