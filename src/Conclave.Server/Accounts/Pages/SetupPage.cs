using Conclave.Server.Accounts.Sessions;
using Conclave.Server.Accounts.Setup;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts.Pages;

/// <summary>Makes the first administrator.</summary>
internal static class SetupPage
{
    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("/setup", ShowAsync).LimitAttempts();
        group.MapPost("/setup", CreateAsync).LimitAttempts();
    }

    private static async Task<IResult> ShowAsync(HttpContext context, SetupLink setup)
    {
        var token = context.Request.Query["token"].ToString();
        return await RefuseAsync(context, setup, token) ?? Form(token, "", "", []);
    }

    private static async Task<IResult> CreateAsync(HttpContext context, SetupLink setup, UserManager<Account> users, SignInManager<Account> signIn)
    {
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        var (token, userName, email, password) = (form.Text("token"), form.Text("userName"), form.Text("email"), form.Text("password"));
        if (await RefuseAsync(context, setup, token) is { } refusal)
            return refusal;
        if (password != form.Text("again"))
            return Form(token, userName, email, ["The two passwords are not the same."]);
        var (account, problems) = await setup.CreateAdministratorAsync(users, token, userName, email, password, context.RequestAborted);
        if (problems.Count > 0)
            return Form(token, userName, email, problems);
        if (account is null)
            return await RefuseAsync(context, setup, token) ?? NotGood();
        await signIn.SignInAsync(account, isPersistent: true);
        return Page.GoTo(null);
    }

    private static async Task<IResult?> RefuseAsync(HttpContext context, SetupLink setup, string token)
    {
        if (await setup.IsDoneAsync(context.RequestAborted))
            return Page.Message("This server is set up", "The set-up link has been used. Sign in with your account; an administrator can invite you.", 410, "/sign-in", "Sign in");
        return await setup.IsGoodAsync(token, context.RequestAborted) ? null : NotGood();
    }

    private static IResult NotGood() => Page.Message(
        "Nobody can sign in yet",
        "Open the set-up link that the server wrote to its output when it started. It is good for 24 hours; a restart writes a new one.",
        403);

    private static IResult Form(string token, string userName, string email, IReadOnlyList<string> problems) => Page.Render<SetupForm>(
        new()
        {
            [nameof(SetupForm.Token)] = token,
            [nameof(SetupForm.UserName)] = userName,
            [nameof(SetupForm.Email)] = email,
            [nameof(SetupForm.Problems)] = problems,
        },
        problems.Count == 0 ? 200 : 400);
}
