using System.Globalization;
using Conclave.Server.Accounts.Keys;
using Conclave.Server.Accounts.Sessions;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts.Pages;

/// <summary>One's own password and keys.</summary>
internal static class AccountPage
{
    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("", (HttpContext context, UserManager<Account> users, ApiKeys keys, string? done) =>
            ShowAsync(context, users, keys, notice: done == "password" ? "Your password is changed. All other sessions have ended." : null));
        group.MapPost("/password", ChangePasswordAsync).LimitAttempts();
        group.MapPost("/keys", CreateKeyAsync);
        group.MapPost("/keys/{id}/revoke", RevokeKeyAsync);
    }

    private static async Task<IResult> ChangePasswordAsync(
        HttpContext context, UserManager<Account> users, SignInManager<Account> signIn, PasswordSignIn passwords, ApiKeys keys)
    {
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        var account = await users.GetUserAsync(context.User);
        if (form.Text("password") != form.Text("again"))
            return await ShowAsync(context, users, keys, ["The two new passwords are not the same."]);
        if (account is null || await passwords.CheckAsync(account.UserName, form.Text("current"), context.RequestAborted) is null)
            return await ShowAsync(context, users, keys, ["The current password is wrong. After several wrong ones the account is locked for a few minutes."]);
        var result = await users.ChangePasswordAsync(account, form.Text("current"), form.Text("password"));
        if (!result.Succeeded)
            return await ShowAsync(context, users, keys, result.Texts());
        // This session goes on; all others end.
        await signIn.RefreshSignInAsync(account);
        return TypedResults.LocalRedirect($"{Page.Home}?done=password");
    }

    private static async Task<IResult> CreateKeyAsync(HttpContext context, UserManager<Account> users, ApiKeys keys, TimeProvider time)
    {
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        if (await users.GetUserAsync(context.User) is not { } account)
            return TypedResults.LocalRedirect("/sign-in");
        var (name, scopes) = (form.Text("name").Trim(), form.Texts("scopes"));
        var days = int.TryParse(form.Text("days"), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= 3650 ? number : (int?)null;
        var problems = ApiKeys.FindProblems(account.Permissions, name, scopes);
        if (problems.Count > 0)
            return await ShowAsync(context, users, keys, problems);
        var made = await keys.CreateAsync(account, name, scopes, days is { } valid ? time.GetUtcNow().AddDays(valid) : null, context.RequestAborted);
        return await ShowAsync(context, users, keys, secret: made.Secret);
    }

    private static async Task<IResult> RevokeKeyAsync(HttpContext context, UserManager<Account> users, ApiKeys keys, string id)
    {
        if (await users.GetUserAsync(context.User) is { } account && !id.Contains('\0', StringComparison.Ordinal))
            await keys.RevokeAsync(account, id, context.RequestAborted);
        return TypedResults.LocalRedirect(Page.Home);
    }

    private static async Task<IResult> ShowAsync(
        HttpContext context, UserManager<Account> users, ApiKeys keys, IReadOnlyList<string>? problems = null, string? notice = null, string? secret = null)
    {
        if (await users.GetUserAsync(context.User) is not { } account)
            return TypedResults.LocalRedirect("/sign-in");
        return Page.Render<AccountForm>(
            new()
            {
                [nameof(AccountForm.Account)] = account,
                [nameof(AccountForm.Keys)] = await keys.ListAsync(account, context.RequestAborted),
                [nameof(AccountForm.Problems)] = problems ?? [],
                [nameof(AccountForm.Notice)] = notice,
                [nameof(AccountForm.Secret)] = secret,
            },
            problems is null ? 200 : 400);
    }
}
