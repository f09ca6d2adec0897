using System.Text.RegularExpressions;

namespace Conclave.EndToEnd.Accounts;

[Collection(AccountServer.Name)]
public sealed partial class UserTests(AccountServer shared)
{
    private const string Chosen = "a password of my own";

    private readonly ServerProcess _server = shared.Server;

    [Fact]
    public async Task Invitation_WorksOnce_AndForNobodyElse()
    {
        var name = SharedServer.NewId();
        using var admin = await shared.SignedInAsync("root");
        var invited = (await admin.SubmitAsync("/account/users", "/account/users", ("userName", name), ("email", "a@example.org"), ("roles", "author"), ("roles", "viewer"))).Is(200);
        var link = new Uri(Browser.LinkIn(invited));
        Assert.Equal(_server.Http.BaseAddress!.Authority, link.Authority);
        Assert.DoesNotContain("class=\"secret\"", (await admin.GetAsync("/account/users")).Text, StringComparison.Ordinal);
        using var browser = new Browser(_server);
        (await browser.SignInAsync(name, "")).Is(400);
        var (user, token) = (Query(link, "user"), Query(link, "token"));
        foreach (var wrong in (string[])[$"user={user}&token=x", $"user={user}", "", $"user={await shared.IdOfAsync("root")}&token={token}", $"user=%00&token={token}", $"user={user}&token={token[..^4]}AAAA"])
            (await browser.GetAsync($"/account/link?{wrong}")).Is(403);
        (await SetAsync("short")).Is(400);

        (await SetAsync(Chosen)).Is(302);

        (await browser.CallAsync("GET /api/workflows")).Is(200);
        (await browser.GetAsync(link.PathAndQuery)).Is(403);
        using var again = await shared.SignedInAsync(name, Chosen);
        Assert.All(_server.Output, line => Assert.DoesNotContain(token, line, StringComparison.Ordinal));

        Task<Reply> SetAsync(string password) =>
            browser.SubmitAsync(link.PathAndQuery, "/account/link", ("user", user), ("token", token), ("password", password), ("again", password));
    }

    [Fact]
    public async Task Invitation_OfWhatIsNotAllowed_SaysSo()
    {
        using var admin = await shared.SignedInAsync("root");
        foreach (var (name, role) in ((string, string)[])[("", "viewer"), ("a b", "viewer"), ("api-key", "viewer"), ("ROOT", "viewer"), (SharedServer.NewId(), "king"), (new string('x', 101), "viewer")])
            Assert.Contains("role=\"alert\"", (await admin.SubmitAsync("/account/users", "/account/users", ("userName", name), ("roles", role))).Is(400).Text, StringComparison.Ordinal);
        (await admin.SubmitAsync("/account/users", "/account/users", ("userName", SharedServer.NewId()))).Is(400);
    }

    [Fact]
    public async Task Lock_EndsSessionsTokensAndKeys_UntilUnlocked()
    {
        var name = await shared.MakeAccountAsync("operator");
        var id = await shared.IdOfAsync(name);
        using var admin = await shared.SignedInAsync("root");
        using var session = await shared.SignedInAsync(name);
        var (access, refresh) = await shared.LogInAsync(name);
        var key = await session.MakeKeyAsync("", "read:queue", "exec:models");
        foreach (var credential in (string[])[access, key])
            (await _server.CallAsync("GET /api/queue", (string?)null, $"Authorization: Bearer {credential}")).Is(200);
        // Where keys are remembered for a moment.
        (await _server.CallAsync("GET /v1/models", (string?)null, $"Authorization: Bearer {key}")).Is(200);

        (await admin.SubmitAsync("/account/users", $"/account/users/{id}/lock")).Is(302);

        (await session.GetAsync("/account")).Is(302);
        (await session.CallAsync("GET /api/queue")).Is(401);
        foreach (var credential in (string[])[access, key])
            (await _server.CallAsync("GET /api/queue", (string?)null, $"Authorization: Bearer {credential}")).Is(401);
        (await _server.CallAsync("GET /v1/models", (string?)null, $"Authorization: Bearer {key}")).Is(401);
        Assert.False((await _server.CallAsync("POST /elsa/api/identity/refresh-token", (string?)null, $"Authorization: Bearer {refresh}")).Is(200)["isAuthenticated"].GetBoolean());
        using var browser = new Browser(_server);
        (await browser.SignInAsync(name, AccountServer.Password)).Is(400);
        (await admin.SubmitAsync("/account/users", $"/account/users/{id}/link")).Is(400);

        (await admin.SubmitAsync("/account/users", $"/account/users/{id}/unlock")).Is(302);
        (await browser.SignInAsync(name, AccountServer.Password)).Is(302);
        (await _server.CallAsync("GET /api/queue", (string?)null, $"Authorization: Bearer {key}")).Is(200);
        (await _server.CallAsync("GET /api/queue", (string?)null, $"Authorization: Bearer {access}")).Is(401);
    }

    [Fact]
    public async Task Roles_Changed_HoldForSessionsAndKeysAtOnce()
    {
        var name = await shared.MakeAccountAsync("operator");
        using var admin = await shared.SignedInAsync("root");
        using var session = await shared.SignedInAsync(name);
        var key = await session.MakeKeyAsync("30", "read:queue", "read:workflow-definitions");
        (await session.CallAsync("GET /api/queue")).Is(200);

        (await admin.SubmitAsync("/account/users", $"/account/users/{await shared.IdOfAsync(name)}/roles", ("roles", "author"))).Is(302);

        (await session.CallAsync("GET /api/queue")).Is(403);
        (await session.CallAsync("GET /api/workflows")).Is(200);
        (await _server.CallAsync("GET /api/queue", (string?)null, $"Authorization: Bearer {key}")).IsProblem(403, "request.forbidden");
        (await _server.CallAsync("GET /api/workflows", (string?)null, $"Authorization: Bearer {key}")).Is(200);
    }

    [Fact]
    public async Task ResetLink_IsGoodUntilThePasswordChanges()
    {
        var name = await shared.MakeAccountAsync("viewer");
        using var admin = await shared.SignedInAsync("root");
        using var session = await shared.SignedInAsync(name);
        var page = $"/account/users/{await shared.IdOfAsync(name)}/link";
        var first = new Uri(Browser.LinkIn((await admin.SubmitAsync("/account/users", page)).Is(200)));
        var second = new Uri(Browser.LinkIn((await admin.SubmitAsync("/account/users", page)).Is(200)));
        using var browser = new Browser(_server);
        (await browser.GetAsync(first.PathAndQuery)).Is(200);
        (await browser.SubmitAsync(second.PathAndQuery, "/account/link", ("user", Query(second, "user")), ("token", Query(second, "token")), ("password", Chosen), ("again", Chosen))).Is(302);

        (await browser.GetAsync(first.PathAndQuery)).Is(403);
        (await session.GetAsync("/account")).Is(302);
        using var again = await shared.SignedInAsync(name, Chosen);
    }

    [Fact]
    public async Task LastAdministrator_CanNeitherBeLockedNorDemoted()
    {
        await using var database = await Faults.FaultDatabase.NewAsync();
        await using var server = await ServerProcess.StartAsync(null, AccountServer.Settings(database.ConnectionString));
        using var admin = new Browser(server);
        var token = await AccountServer.SetupTokenAsync(server);
        (await admin.SubmitAsync($"/setup?token={token}", "/setup", ("token", token), ("userName", "root"), ("password", Chosen), ("again", Chosen))).Is(302);
        // Somebody who was invited cannot sign in yet.
        (await admin.SubmitAsync("/account/users", "/account/users", ("userName", "second"), ("roles", "administrator"))).Is(200);
        var page = (await admin.GetAsync("/account/users")).Is(200);
        var ids = Ids().Matches(page.Text).Select(m => m.Groups[1].Value).ToList();
        Assert.Equal(2, ids.Count);

        (await admin.SubmitAsync("/account/users", $"/account/users/{ids[0]}/lock")).Is(400);
        (await admin.SubmitAsync("/account/users", $"/account/users/{ids[0]}/roles", ("roles", "viewer"))).Is(400);
        (await admin.SubmitAsync("/account/users", $"/account/users/{ids[1]}/roles", ("roles", "viewer"))).Is(302);
        (await admin.SubmitAsync("/account/users", $"/account/users/{ids[1]}/lock")).Is(302);
        (await admin.SubmitAsync("/account/users", "/account/users/nobody/lock")).Is(400);
        (await admin.GetAsync("/account/users")).Is(200);
    }

    [Theory]
    [InlineData("author"), InlineData("operator"), InlineData("viewer")]
    public async Task Users_WithoutTheRight_AreNotShown(string role)
    {
        using var browser = await shared.SignedInAsync(role);
        var token = Browser.TokenOf(await browser.GetAsync("/account"));

        (await browser.GetAsync("/account/users")).Is(403);
        (await browser.PostAsync("/account/users", ("__RequestVerificationToken", token), ("userName", SharedServer.NewId()), ("roles", "administrator"))).Is(403);
        (await browser.PostAsync($"/account/users/{await shared.IdOfAsync(role)}/roles", ("__RequestVerificationToken", token), ("roles", "administrator"))).Is(403);
        // A key is no way to the pages, whatever its rights.
        (await _server.CallAsync("GET /account/users")).Is(302);
        (await _server.CallAsync("POST /account/keys", "{}")).Is(302);
    }

    private static string Query(Uri link, string name) => Regex.Match(link.Query, $"[?&]{name}=([^&]+)").Groups[1].Value;

    [GeneratedRegex("/account/users/([0-9a-f]{32})/roles")]
    private static partial Regex Ids();
}
