namespace Conclave.EndToEnd.Accounts;

[Collection(AccountServer.Name)]
public sealed class SignInTests(AccountServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [Fact]
    public async Task SignIn_RightPassword_GivesASessionOfTheBrowserAlone()
    {
        using var browser = new Browser(_server);
        var page = (await browser.GetAsync("/sign-in")).Is(200);
        var reply = (await browser.SignInAsync("VIEWER", AccountServer.Password)).Is(302);

        Assert.Equal("/account", reply.Header("Location"));
        var cookie = reply.Header("Set-Cookie")!.ToLowerInvariant();
        Assert.Contains("conclave.session=", cookie, StringComparison.Ordinal);
        Assert.Contains("httponly", cookie, StringComparison.Ordinal);
        Assert.Contains("samesite=lax", cookie, StringComparison.Ordinal);
        Assert.Contains("path=/", cookie, StringComparison.Ordinal);
        Assert.Contains("expires=", cookie, StringComparison.Ordinal);
        Assert.DoesNotContain("secure", cookie, StringComparison.Ordinal);    // this server has no https
        Assert.Contains("default-src 'none'", page.Header("Content-Security-Policy"), StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'self'", page.Header("Content-Security-Policy"), StringComparison.Ordinal);
        Assert.Equal("nosniff", page.Header("X-Content-Type-Options"));
        Assert.Equal("same-origin", page.Header("Referrer-Policy"));
        Assert.Contains("no-store", page.Header("Cache-Control"), StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page.Text, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("style=", page.Text, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("viewer", (await browser.GetAsync("/account")).Is(200).Text, StringComparison.Ordinal);
        (await browser.CallAsync("GET /api/queue")).Is(200);
        (await browser.CallAsync("GET /elsa/api/nothing")).Is(404);

        (await browser.SubmitAsync("/account", "/sign-out")).Is(302);
        (await browser.GetAsync("/account")).Is(302);
        (await browser.CallAsync("GET /api/queue")).Is(401);
    }

    [Fact]
    public async Task Styles_AreThereForEverybody()
    {
        using var browser = new Browser(_server);
        var page = (await browser.GetAsync("/sign-in")).Text;
        var at = page.IndexOf("/app.css?v=", StringComparison.Ordinal);
        var styles = (await browser.GetAsync(page[at..page.IndexOf('"', at)])).Is(200);

        Assert.Equal("text/css", styles.Message.Content.Headers.ContentType?.MediaType);
        Assert.Contains("immutable", styles.Header("Cache-Control"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/designer/workflows/a?b=c", "/designer/workflows/a?b=c")]
    [InlineData("", "/account")]
    [InlineData("https://evil.example/", "/account")]
    [InlineData("//evil.example/", "/account")]
    [InlineData("/\\evil.example/", "/account")]
    [InlineData("\\\\evil.example", "/account")]
    [InlineData("javascript:alert(1)", "/account")]
    [InlineData("/\t/evil.example", "/account")]
    [InlineData("account", "/account")]
    public async Task SignIn_ReturnUrl_StaysHere(string wanted, string goes)
    {
        using var browser = new Browser(_server);

        Assert.Equal(goes, (await browser.SignInAsync("viewer", AccountServer.Password, wanted)).Is(302).Header("Location"));
    }

    [Fact]
    public async Task SignIn_Wrong_SaysTheSameWhateverIsWrong()
    {
        var name = await shared.MakeAccountAsync("viewer");
        var answers = new List<string>();
        foreach (var (who, password) in ((string, string)[])[(name, "wrong password"), (SharedServer.NewId(), AccountServer.Password), ("", ""), ("a\u0001b", "x"), (new string('x', 500), "x"), (name, new string('x', 5000))])
        {
            using var browser = new Browser(_server);
            var reply = (await browser.SignInAsync(who, password)).Is(400);
            Assert.DoesNotContain("conclave.session", reply.Header("Set-Cookie") ?? "", StringComparison.Ordinal);
            var start = reply.Text.IndexOf("role=\"alert\"", StringComparison.Ordinal);
            answers.Add(reply.Text[start..reply.Text.IndexOf("</div>", start, StringComparison.Ordinal)]);
        }

        Assert.Single(answers.Distinct());
        using var hostile = new Browser(_server);
        (await hostile.SignInAsync("a\0b", "x")).Is(400);
    }

    [Fact]
    public async Task SignIn_WrongPasswordsInARow_LockTheAccountForAWhile()
    {
        var name = await shared.MakeAccountAsync("viewer");
        using var session = await shared.SignedInAsync(name);
        var (access, _) = await shared.LogInAsync(name);
        // As many at once as there are: no more than five are tried.
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            using var browser = new Browser(_server);
            (await browser.SignInAsync(name, "wrong password")).Is(400);
        }));

        using var locked = new Browser(_server);
        (await locked.SignInAsync(name, AccountServer.Password)).Is(400);
        Assert.False((await _server.CallAsync("POST /elsa/api/identity/login", $$"""{"username":"{{name}}","password":"{{AccountServer.Password}}"}""")).Is(200)["isAuthenticated"].GetBoolean());
        // Nobody can end somebody else's sessions like this.
        (await session.GetAsync("/account")).Is(200);
        (await _server.CallAsync("GET /api/queue", (string?)null, $"Authorization: Bearer {access}")).Is(200);

        Assert.Equal(1, await shared.ExecuteAsync("update conclave.account set lockout_end = now() - interval '1 second' where user_name = $1 and failed_attempts = 5", name));
        // It begins anew, and ends with the right password.
        (await locked.SignInAsync(name, "wrong password")).Is(400);
        (await locked.SignInAsync(name, AccountServer.Password)).Is(302);
        Assert.Equal(1, await shared.ExecuteAsync("update conclave.account set version = version where user_name = $1 and failed_attempts = 0 and lockout_end is null and signed_in_at is not null", name));
    }

    [Fact]
    public async Task Forms_FromElsewhere_AreRefused()
    {
        var name = await shared.MakeAccountAsync("administrator");
        using var browser = await shared.SignedInAsync(name);
        using var other = await shared.SignedInAsync("viewer");
        var foreign = Browser.TokenOf(await other.GetAsync("/account"));
        foreach (var token in (string[])["", "x", foreign])
        {
            (await browser.PostAsync("/account/keys", ("__RequestVerificationToken", token), ("name", "k"), ("scopes", "*"))).Is(400);
            (await browser.PostAsync("/account/users", ("__RequestVerificationToken", token), ("userName", "eve"), ("roles", "administrator"))).Is(400);
            (await browser.PostAsync("/sign-out", ("__RequestVerificationToken", token))).Is(400);
        }

        (await browser.CallAsync("POST /account/keys", """{"name":"k"}""")).Is(400);
        Assert.Contains("You have none", (await browser.GetAsync("/account")).Is(200).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Apis_CookieFromAnotherSite_IsRefused()
    {
        using var browser = await shared.SignedInAsync("root");
        var host = _server.Http.BaseAddress!.Authority;
        var id = SharedServer.NewId();
        foreach (var call in (string[])[$"PUT /api/workflows/{id}", $"POST /api/events/{id}", $"DELETE /api/workflows/{id}", "POST /elsa/api/identity/users", $"PATCH /API/workflows/{id}"])
        {
            foreach (var headers in (string[][])[[], ["Origin: https://evil.example"], ["Origin: null"], [$"Origin: http://{host}.evil.example"], [$"Origin: http://localhost:1"], ["Sec-Fetch-Site: cross-site"], ["Sec-Fetch-Site: same-site"], ["Sec-Fetch-Site: none"], ["Sec-Fetch-Site: cross-site", $"Origin: http://{host}"]])
            {
                var reply = (await browser.CallAsync(call, Flows.Short().ToJsonString(), headers)).Is(403);
                if (!call.Contains("/elsa", StringComparison.Ordinal))
                    reply.IsProblem(403, "request.cross_site");
            }
        }

        (await browser.CallAsync($"GET /api/workflows/{id}", null, "Sec-Fetch-Site: cross-site")).Is(404);
        (await browser.CallAsync($"POST /api/events/{id}", "{}", $"Origin: http://{host}")).Is(200);
        (await browser.CallAsync($"POST /api/events/{id}", "{}", $"Origin: https://{host}")).Is(200);    // a proxy in front speaks https
        (await browser.CallAsync($"POST /api/events/{id}", "{}", "Sec-Fetch-Site: same-origin")).Is(200);
        // Programs are not asked where they are.
        (await _server.CallAsync($"POST /api/events/{id}", "{}", "Origin: https://evil.example")).Is(200);
        (await browser.CallAsync($"POST /api/events/{id}", "{}", "Authorization: Bearer wrong")).Is(401);
    }

    [Fact]
    public async Task Password_Changed_EndsTheOtherSessionsAndTokens()
    {
        var name = await shared.MakeAccountAsync("author");
        using var here = await shared.SignedInAsync(name);
        using var there = await shared.SignedInAsync(name);
        var (access, refresh) = await shared.LogInAsync(name);
        var key = await here.MakeKeyAsync("30", "read:workflow-definitions");
        (await here.SubmitAsync("/account", "/account/password", ("current", "wrong password"), ("password", "another horse battery"), ("again", "another horse battery"))).Is(400);
        (await here.SubmitAsync("/account", "/account/password", ("current", AccountServer.Password), ("password", "another horse battery"), ("again", "something else"))).Is(400);
        (await here.SubmitAsync("/account", "/account/password", ("current", AccountServer.Password), ("password", "short"), ("again", "short"))).Is(400);
        (await there.GetAsync("/account")).Is(200);

        (await here.SubmitAsync("/account", "/account/password", ("current", AccountServer.Password), ("password", "another horse battery"), ("again", "another horse battery"))).Is(302);

        (await here.GetAsync("/account")).Is(200);
        (await there.GetAsync("/account")).Is(302);
        (await there.CallAsync("GET /api/workflows")).Is(401);
        (await _server.CallAsync("GET /api/workflows", (string?)null, $"Authorization: Bearer {access}")).Is(401);
        Assert.False((await _server.CallAsync("POST /elsa/api/identity/refresh-token", (string?)null, $"Authorization: Bearer {refresh}")).Is(200)["isAuthenticated"].GetBoolean());
        (await _server.CallAsync("GET /api/workflows", (string?)null, $"Authorization: Bearer {key}")).Is(200);
        using var again = new Browser(_server);
        (await again.SignInAsync(name, AccountServer.Password)).Is(400);
        (await again.SignInAsync(name, "another horse battery")).Is(302);
    }
}
