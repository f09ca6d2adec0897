using Conclave.Server.Api;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts.Pages;

/// <summary>Everybody's accounts, for administrators.</summary>
internal static class UsersPage
{
    private const string Path = "/account/users";

    public static void Map(RouteGroupBuilder group)
    {
        group.RequirePermission(Permissions.ManageAccounts);
        group.MapGet("", (HttpContext context, AccountStore accounts) => ShowAsync(context, accounts));
        group.MapPost("", InviteAsync);
        group.MapPost("/{id}/roles", (HttpContext context, AccountStore accounts, AccountAdministration administration, UserManager<Account> users, string id) =>
            ChangeAsync(context, accounts, users, id, async account =>
                await administration.SetRolesAsync(account, (await context.Request.ReadFormAsync(context.RequestAborted)).Texts("roles"), context.Actor(), context.RequestAborted)));
        group.MapPost("/{id}/lock", (HttpContext context, AccountStore accounts, AccountAdministration administration, UserManager<Account> users, string id) =>
            ChangeAsync(context, accounts, users, id, account => administration.SetLockedAsync(account, true, context.Actor(), context.RequestAborted)));
        group.MapPost("/{id}/unlock", (HttpContext context, AccountStore accounts, AccountAdministration administration, UserManager<Account> users, string id) =>
            ChangeAsync(context, accounts, users, id, account => administration.SetLockedAsync(account, false, context.Actor(), context.RequestAborted)));
        group.MapPost("/{id}/link", LinkAsync);
    }

    private static async Task<IResult> InviteAsync(HttpContext context, AccountStore accounts, AccountAdministration administration)
    {
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        var (account, problems) = await administration.CreateAsync(form.Text("userName"), form.Text("email"), form.Texts("roles"), null, context.Actor());
        return account is null
            ? await ShowAsync(context, accounts, problems)
            : await ShowLinkAsync(context, accounts, administration, account);
    }

    private static async Task<IResult> LinkAsync(HttpContext context, AccountStore accounts, AccountAdministration administration, UserManager<Account> users, string id) =>
        await FindAsync(users, id) is { } account
            ? account.IsLocked
                ? await ShowAsync(context, accounts, [$"{account.UserName} is locked. Unlock the account first."])
                : await ShowLinkAsync(context, accounts, administration, account)
            : await ShowAsync(context, accounts, ["There is no such account."]);

    private static async Task<IResult> ChangeAsync(
        HttpContext context, AccountStore accounts, UserManager<Account> users, string id, Func<Account, Task<IReadOnlyList<string>>> change)
    {
        var problems = await FindAsync(users, id) is { } account ? await change(account) : ["There is no such account."];
        return problems.Count > 0 ? await ShowAsync(context, accounts, problems) : TypedResults.LocalRedirect(Path);
    }

    private static async Task<Account?> FindAsync(UserManager<Account> users, string id) =>
        id.Contains('\0', StringComparison.Ordinal) ? null : await users.FindByIdAsync(id);

    private static async Task<IResult> ShowLinkAsync(HttpContext context, AccountStore accounts, AccountAdministration administration, Account account) => await ShowAsync(
        context, accounts, linkFor: account.UserName, link: $"{context.Request.Scheme}://{context.Request.Host}{await administration.CreateLinkAsync(account, context.Actor())}");

    private static async Task<IResult> ShowAsync(
        HttpContext context, AccountStore accounts, IReadOnlyList<string>? problems = null, string? linkFor = null, string? link = null) => Page.Render<UsersForm>(
        new()
        {
            [nameof(UsersForm.Accounts)] = await accounts.ListAsync(context.RequestAborted),
            [nameof(UsersForm.Problems)] = problems ?? [],
            [nameof(UsersForm.LinkFor)] = linkFor,
            [nameof(UsersForm.Link)] = link,
        },
        problems is null ? 200 : 400);
}
