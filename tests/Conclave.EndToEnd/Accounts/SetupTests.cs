using System.Security.Cryptography;
using System.Text;
using Conclave.EndToEnd.Faults;

namespace Conclave.EndToEnd.Accounts;

public sealed class SetupTests
{
    private const string Password = AccountServer.Password;

    [Fact]
    public async Task Setup_WholeStory()
    {
        await using var database = await FaultDatabase.NewAsync();
        var folder = ServerProcess.NewFolder();
        string old;
        await using (var first = await ServerProcess.StartAsync(folder, AccountServer.Settings(database.ConnectionString)))
            old = await AccountServer.SetupTokenAsync(first);
        await using var server = await ServerProcess.StartAsync(folder, AccountServer.Settings(database.ConnectionString));
        var token = await AccountServer.SetupTokenAsync(server);
        using var browser = new Browser(server);

        // Nothing else works before, and no other token does.
        Assert.Equal("/setup", (await browser.GetAsync("/sign-in")).Is(302).Header("Location"));
        Assert.Equal("/setup", (await browser.GetAsync("/account/link?user=x&token=y")).Is(302).Header("Location"));
        Assert.StartsWith("/sign-in?", (await browser.GetAsync("/account")).Is(302).Header("Location"), StringComparison.Ordinal);
        foreach (var wrong in (string[])["", "?token=", $"?token={old}", $"?token={token[..^1]}", $"?token={token}0", $"?token={token.ToUpperInvariant()}", "?token=%00"])
            Assert.DoesNotContain("<form", (await browser.GetAsync($"/setup{wrong}")).Is(403).Text, StringComparison.Ordinal);
        (await browser.SubmitAsync($"/setup?token={token}", "/setup", ("token", old), ("userName", "eve"), ("password", Password), ("again", Password))).Is(403);
        Assert.Equal(0L, await CountAsync());

        // What is wrong is said, and the link stays good.
        foreach (var (name, password, again) in ((string, string, string)[])[("root", "short", "short"), ("root", Password, Password + "x"), ("", Password, Password), ("a b", Password, Password), ("api-key", Password, Password), ("administrator", "administrator1", "administrator1"), ("root", "aaaaaaaaaaaaaa", "aaaaaaaaaaaaaa"), (new string('x', 101), Password, Password), ("ro\u0001ot", Password, Password)])
            Assert.Contains("role=\"alert\"", (await SendAsync(name, password, again)).Is(400).Text, StringComparison.Ordinal);
        Assert.Equal(0L, await CountAsync());

        // Of many at once, one becomes the administrator.
        var browsers = Enumerable.Range(0, 5).Select(_ => new Browser(server)).ToList();
        var forms = await Task.WhenAll(browsers.Select(async b => Browser.TokenOf((await b.GetAsync($"/setup?token={token}")).Is(200))));
        var attempts = await Task.WhenAll(browsers.Select((b, i) =>
            b.PostAsync("/setup", ("__RequestVerificationToken", forms[i]), ("token", token), ("userName", $"root{i}"), ("email", ""), ("password", Password), ("again", Password))));
        browsers.ForEach(b => b.Dispose());
        Assert.Single(attempts, a => a.Status == 302);
        Assert.All(attempts.Where(a => a.Status != 302), a => Assert.Contains(a.Status, (int[])[403, 410]));
        Assert.Equal(1L, await CountAsync());
        (await browser.GetAsync($"/setup?token={token}")).Is(410);
        (await browser.GetAsync("/setup")).Is(410);
        (await browser.GetAsync("/sign-in")).Is(200);

        // The token was told once, and is kept nowhere.
        Assert.Single(server.Output, line => line.Contains(token, StringComparison.Ordinal));
        Assert.All(server.Output, line => Assert.DoesNotContain(Password, line, StringComparison.Ordinal));
        await server.StopAsync();
        await using var third = await ServerProcess.StartAsync(folder, AccountServer.Settings(database.ConnectionString));
        using var later = new Browser(third);
        (await later.GetAsync($"/setup?token={token}")).Is(410);
        Assert.DoesNotContain(third.Output, line => line.Contains("setup?token", StringComparison.Ordinal));
        await third.StopAsync();
        await ServerProcess.RemoveAsync(folder);

        async Task<Reply> SendAsync(string name, string password, string again)
        {
            using var own = new Browser(server);
            return await own.SubmitAsync($"/setup?token={token}", "/setup", ("token", token), ("userName", name), ("email", ""), ("password", password), ("again", again));
        }

        async Task<long> CountAsync()
        {
            await using var command = database.Source.CreateCommand("select count(*) from conclave.account");
            return (long)(await command.ExecuteScalarAsync())!;
        }
    }

    [Fact]
    public async Task Setup_LinkIsADayOld_IsRefused()
    {
        await using var database = await FaultDatabase.NewAsync();
        await using var server = await ServerProcess.StartAsync(null, AccountServer.Settings(database.ConnectionString));
        var token = await AccountServer.SetupTokenAsync(server);
        using var browser = new Browser(server);
        var form = (await browser.GetAsync($"/setup?token={token}")).Is(200);
        await using (var read = database.Source.CreateCommand("select token_hash, extract(epoch from expires_at - now())::float8 from conclave.account_setup"))
        await using (var row = await read.ExecuteReaderAsync())
        {
            Assert.True(await row.ReadAsync());
            Assert.Equal(SHA256.HashData(Encoding.UTF8.GetBytes(token)), row.GetFieldValue<byte[]>(0));
            Assert.InRange(row.GetDouble(1), 23 * 3600, 24 * 3600);
        }

        await using (var age = database.Source.CreateCommand("update conclave.account_setup set expires_at = now() - interval '1 second'"))
            await age.ExecuteNonQueryAsync();

        (await browser.GetAsync($"/setup?token={token}")).Is(403);
        (await browser.PostAsync("/setup", ("__RequestVerificationToken", Browser.TokenOf(form)), ("token", token), ("userName", "root"), ("password", Password), ("again", Password))).Is(403);
        await using var count = database.Source.CreateCommand("select count(*) from conclave.account");
        Assert.Equal(0L, await count.ExecuteScalarAsync());
    }

    [Fact]
    public async Task Server_KeysOfSessions_AreEncryptedAndShared()
    {
        await using var database = await FaultDatabase.NewAsync();
        string[] settings = [.. AccountServer.Settings(database.ConnectionString), $"Accounts:KeyEncryptionSecret={new string('k', 40)}"];
        await using var one = await ServerProcess.StartAsync(null, settings);
        await AccountServer.SetupTokenAsync(one);
        await using var two = await ServerProcess.StartAsync(null, settings);
        var token = await AccountServer.SetupTokenAsync(two);
        using var browser = new Browser(one);

        // The link of the one works at the other, and so does the session.
        var made = (await browser.SubmitAsync($"/setup?token={token}", "/setup", ("token", token), ("userName", "root"), ("password", Password), ("again", Password))).Is(302);
        await using (var keys = database.Source.CreateCommand("select string_agg(value, '') from conclave.data_protection_key"))
        {
            var xml = (string)(await keys.ExecuteScalarAsync())!;
            Assert.Contains("encryptedKey", xml, StringComparison.Ordinal);
            Assert.DoesNotContain("masterKey", xml, StringComparison.Ordinal);
        }

        foreach (var server in (ServerProcess[])[one, two])
        {
            using var plain = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = server.Http.BaseAddress };
            using var request = new HttpRequestMessage(HttpMethod.Get, "/account") { Headers = { { "Cookie", made.Header("Set-Cookie")!.Split(';')[0] } } };
            using var answer = await plain.SendAsync(request);
            Assert.Equal(System.Net.HttpStatusCode.OK, answer.StatusCode);
        }
    }

    [Fact]
    public async Task SignIn_MoreAttemptsThanAllowed_HasToWait()
    {
        await using var database = await FaultDatabase.NewAsync();
        await using var server = await ServerProcess.StartAsync(null, $"ConnectionStrings:Conclave={database.ConnectionString}", "Accounts:AttemptsPerMinute=3");
        using var browser = new Browser(server);
        // They may fall into two minutes.
        var answers = new List<Reply>();
        for (var i = 0; i < 7; i++)
            answers.Add(await server.CallAsync("POST /elsa/api/identity/login", """{"username":"a","password":"b"}"""));
        var page = await browser.PostAsync("/sign-in", ("userName", "a"));

        Assert.All(answers, a => Assert.Contains(a.Status, (int[])[200, 429]));
        var refused = answers.Last(a => a.Status == 429).IsProblem(429, "request.too_many_attempts");
        Assert.InRange(int.Parse(refused.Header("Retry-After")!, System.Globalization.CultureInfo.InvariantCulture), 1, 60);
        Assert.Contains("Too many attempts", page.Is(429).Text, StringComparison.Ordinal);
        // Everything else goes on.
        (await server.CallAsync("GET /api/queue")).Is(200);
    }
}
