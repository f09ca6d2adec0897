using System.Buffers.Text;
using System.Text;
using System.Text.Json;

namespace Conclave.EndToEnd.Accounts;

[Collection(AccountServer.Name)]
public sealed class KeyTests(AccountServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [Fact]
    public async Task Key_IsShownOnce_CountsItsUse_AndEnds()
    {
        var name = await shared.MakeAccountAsync("viewer");
        using var browser = await shared.SignedInAsync(name);
        var key = await browser.MakeKeyAsync("30", "read:queue");
        Assert.Matches("^ck_[0-9a-f]{64}$", key);
        var page = (await browser.GetAsync("/account")).Is(200).Text;
        Assert.DoesNotContain(key, page, StringComparison.Ordinal);
        Assert.Contains("never", page, StringComparison.Ordinal);
        Assert.Equal(0, await shared.ExecuteAsync("update conclave.api_key set name = name where position(convert_to($1, 'UTF8') in key_hash) > 0 or id = $1 or name = $1", key));

        foreach (var scheme in (string[])["Bearer", "ApiKey", "apikey"])
            (await CallAsync("GET /api/queue", $"{scheme} {key}")).Is(200);
        Assert.DoesNotContain("never", (await browser.GetAsync("/account")).Text, StringComparison.Ordinal);
        Assert.Equal(1, await shared.ExecuteAsync(UsedSql + "last_used_at > now() - interval '1 minute'", name));
        // Once a minute is enough.
        await shared.ExecuteAsync("update conclave.api_key k set last_used_at = now() - interval '50 seconds' from conclave.account a where a.id = k.account_id and a.user_name = $1", name);
        (await CallAsync("GET /api/queue", $"Bearer {key}")).Is(200);
        Assert.Equal(1, await shared.ExecuteAsync(UsedSql + "last_used_at < now() - interval '45 seconds'", name));
        await shared.ExecuteAsync("update conclave.api_key k set last_used_at = now() - interval '61 seconds' from conclave.account a where a.id = k.account_id and a.user_name = $1", name);
        (await CallAsync("GET /api/queue", $"Bearer {key}")).Is(200);
        Assert.Equal(1, await shared.ExecuteAsync(UsedSql + "last_used_at > now() - interval '45 seconds'", name));

        foreach (var wrong in (string[])[$"Bearer {key}0", $"Bearer {key[..^1]}", $"Bearer {key.ToUpperInvariant()}", $"Basic {key}", key])
            (await CallAsync("GET /api/queue", wrong)).IsProblem(401, "request.unauthorized");
        Assert.Equal(1, await shared.ExecuteAsync("update conclave.api_key k set expires_at = now() - interval '1 second' from conclave.account a where a.id = k.account_id and a.user_name = $1", name));
        (await CallAsync("GET /api/queue", $"Bearer {key}")).Is(401);
    }

    [Fact]
    public async Task Key_Revoked_IsGoodNoLonger()
    {
        var name = await shared.MakeAccountAsync("operator");
        using var browser = await shared.SignedInAsync(name);
        var key = await browser.MakeKeyAsync("", "read:queue", "exec:models");
        var kept = await browser.MakeKeyAsync("", "read:queue", "exec:models");
        var text = (await browser.GetAsync("/account")).Text;
        // The older one is listed last.
        var at = text.LastIndexOf("/account/keys/", text.LastIndexOf("/revoke", StringComparison.Ordinal), StringComparison.Ordinal);
        var action = text[at..(text.IndexOf("/revoke", at, StringComparison.Ordinal) + 7)];
        using var other = await shared.SignedInAsync("viewer");
        (await other.SubmitAsync("/account", action)).Is(302);
        (await CallAsync("GET /api/queue", $"Bearer {key}")).Is(200);
        (await CallAsync("GET /v1/models", $"Bearer {key}")).Is(200);

        (await browser.SubmitAsync("/account", action)).Is(302);

        (await CallAsync("GET /api/queue", $"Bearer {key}")).Is(401);
        (await CallAsync("GET /v1/models", $"Bearer {key}")).Is(401);
        (await CallAsync("GET /api/queue", $"Bearer {kept}")).Is(200);
    }

    [Fact]
    public async Task Key_WithMoreThanItsAccount_IsNotMade()
    {
        using var browser = await shared.SignedInAsync("viewer");
        foreach (var scope in (string[])["*", "write:workflow-definitions", "write:*", "manage:accounts", "nonsense", ""])
            (await browser.SubmitAsync("/account", "/account/keys", ("name", "k"), ("days", "30"), ("scopes", "read:queue"), ("scopes", scope))).Is(400);
        (await browser.SubmitAsync("/account", "/account/keys", ("name", "k"), ("days", "30"))).Is(400);
        (await browser.SubmitAsync("/account", "/account/keys", ("name", ""), ("days", "30"), ("scopes", "read:queue"))).Is(400);

        var all = await browser.MakeKeyAsync("30", "read:*");
        (await CallAsync("GET /api/queue", $"Bearer {all}")).Is(200);
        (await CallAsync("POST /api/events/x", $"Bearer {all}")).Is(403);
    }

    [Fact]
    public async Task Login_GivesATokenThatSaysWhoAndWhat()
    {
        var reply = (await _server.CallAsync("POST /elsa/api/identity/login", """{"Username":"viewer","password":"PASSWORD"}""".Replace("PASSWORD", AccountServer.Password, StringComparison.Ordinal), "Authorization: Bearer old")).Is(200);
        Assert.True(reply["isAuthenticated"].GetBoolean());
        var access = reply["accessToken"].GetString()!;
        var claims = JsonElement.Parse(Base64Url.DecodeFromChars(access.Split('.')[1]));
        Assert.Equal("viewer", claims.GetProperty("name").GetString());
        var permissions = claims.GetProperty("permissions").EnumerateArray().Select(p => p.GetString()).ToList();
        Assert.Contains("read:*", permissions);
        Assert.Contains("read:workflow-definitions", permissions);
        Assert.DoesNotContain("write:workflow-definitions", permissions);
        Assert.InRange(claims.GetProperty("exp").GetInt64() - claims.GetProperty("iat").GetInt64(), 3600, 3600);
        (await CallAsync("GET /api/queue", $"Bearer {access}")).Is(200);
        (await CallAsync("GET /elsa/api/nothing", $"Bearer {access}")).Is(404);

        // In the address it counts for hubs alone.
        using var stranger = new Browser(_server);
        (await stranger.GetAsync($"/api/queue?access_token={access}")).Is(401);
        (await stranger.GetAsync($"/elsa/api/nothing?access_token={access}")).Is(401);
        foreach (var wrong in Tampered(access))
            (await CallAsync("GET /api/queue", $"Bearer {wrong}")).Is(401);
    }

    [Theory]
    [InlineData("""{"username":"viewer","password":"wrong password"}""", 200)]
    [InlineData("""{"username":"nobody at all","password":"wrong password"}""", 200)]
    [InlineData("""{"username":"viewer"}""", 400)]
    [InlineData("""{"password":"x"}""", 400)]
    [InlineData("""{"username":"","password":""}""", 400)]
    [InlineData("""{"username":{},"password":[]}""", 400)]
    [InlineData("[]", 400)]
    [InlineData("{", 400)]
    [InlineData("", 400)]
    public async Task Login_Wrong_GivesNothing(string body, int status)
    {
        var reply = (await _server.CallAsync("POST /elsa/api/identity/login", body)).Is(status);

        if (status == 200)
            Assert.Equal("""{"isAuthenticated":false}""", reply.Text);
        else
            Assert.Equal(body == "{" ? JsonValueKind.String : JsonValueKind.Object, reply[body == "{" ? "modelBindingError" : "errors"].ValueKind);
        // Somebody's wrong passwords must not lock the other tests out.
        await shared.ExecuteAsync("update conclave.account set failed_attempts = 0, lockout_end = null where user_name = $1", "viewer");
    }

    [Fact]
    public async Task RefreshToken_IsUsedOnce_AndItsCopyEndsAll()
    {
        var name = await shared.MakeAccountAsync("viewer");
        var (_, first) = await shared.LogInAsync(name);
        var (_, other) = await shared.LogInAsync(name);
        var second = (await RefreshAsync(first)).Is(200);
        (await CallAsync("GET /api/queue", $"Bearer {second["accessToken"].GetString()}")).Is(200);
        // It is no access token.
        (await CallAsync("GET /api/queue", $"Bearer {second["refreshToken"].GetString()}")).Is(401);
        // Two windows at once: the second one fails, nothing else happens.
        Assert.False((await RefreshAsync(first)).Is(200)["isAuthenticated"].GetBoolean());
        var third = (await RefreshAsync(second["refreshToken"].GetString()!)).Is(200);
        Assert.True(third["isAuthenticated"].GetBoolean());

        await shared.ExecuteAsync("update conclave.refresh_token t set used_at = now() - interval '1 minute' from conclave.account a where a.id = t.account_id and used_at is not null and a.user_name = $1", name);
        Assert.False((await RefreshAsync(first)).Is(200)["isAuthenticated"].GetBoolean());
        Assert.False((await RefreshAsync(third["refreshToken"].GetString()!)).Is(200)["isAuthenticated"].GetBoolean());
        // Another sign-in is another family.
        Assert.True((await RefreshAsync(other)).Is(200)["isAuthenticated"].GetBoolean());

        var (_, old) = await shared.LogInAsync(name);
        await shared.ExecuteAsync("update conclave.refresh_token t set expires_at = now() - interval '1 second' from conclave.account a where a.id = t.account_id and a.user_name = $1", name);
        Assert.False((await RefreshAsync(old)).Is(200)["isAuthenticated"].GetBoolean());
        foreach (var wrong in (string[])["", "rt_", "x"])
            Assert.False((await RefreshAsync(wrong)).Is(200)["isAuthenticated"].GetBoolean());
    }

    [Fact]
    public async Task Identity_MakesUsersAndKeys_AsElsaDoes()
    {
        var name = SharedServer.NewId();
        var made = (await _server.CallAsync("POST /elsa/api/identity/users", $$"""{"name":"{{name}}","roles":["administrator"]}""")).Is(200);
        var (access, _) = await shared.LogInAsync(name, made["password"].GetString()!);
        var application = (await _server.CallAsync("POST /elsa/api/identity/applications", """{"name":"ci","roles":["viewer"]}""", $"Authorization: Bearer {access}")).Is(200);
        var key = application["apiKey"].GetString();
        (await CallAsync("GET /api/queue", $"ApiKey {key}")).Is(200);
        (await CallAsync("POST /api/events/x", $"ApiKey {key}")).Is(403);
        var roles = (await _server.CallAsync("GET /elsa/api/identity/roles")).Is(200);
        Assert.Equal(["administrator", "author", "operator", "viewer"], roles["items"].EnumerateArray().Select(i => i.GetProperty("name").GetString()));

        foreach (var (path, body) in ((string, string)[])[
            ("users", $$"""{"name":"{{name}}","roles":["viewer"]}"""), ("users", """{"roles":["viewer"]}"""), ("users", """{"name":"x y","roles":["viewer"]}"""), ("users", $$"""{"name":"{{SharedServer.NewId()}}","roles":["king"]}"""),
            ("users", $$"""{"name":"{{SharedServer.NewId()}}","roles":["viewer"],"password":"short"}"""), ("users", """{"name":1}"""), ("users", "{\"name\":\"a\\u0000b\",\"roles\":[\"viewer\"]}"),
            ("applications", """{"name":"x","roles":["viewer"]}"""), ("applications", """{"name":"x","roles":["viewer"],"userName":"nobody-at-all"}"""), ("applications", """{"name":"x","roles":["administrator"],"userName":"viewer"}"""), ("applications", """{"name":"","roles":["viewer"],"userName":"viewer"}"""), ("applications", """{"name":"x","userName":"viewer"}""")])
            Assert.NotEmpty((await _server.CallAsync($"POST /elsa/api/identity/{path}", body)).Is(400)["errors"].EnumerateObject());
    }

    private const string UsedSql = "update conclave.api_key k set name = k.name from conclave.account a where a.id = k.account_id and a.user_name = $1 and k.";

    private static IEnumerable<string> Tampered(string token)
    {
        var parts = token.Split('.');
        var admin = Encode(Encoding.UTF8.GetString(Base64Url.DecodeFromChars(parts[1])).Replace("read:*", "*", StringComparison.Ordinal));
        yield return $"{parts[0]}.{admin}.{parts[2]}";
        yield return $"{Encode("""{"alg":"none","typ":"JWT"}""")}.{parts[1]}.";
        yield return $"{Encode("""{"alg":"none","typ":"JWT"}""")}.{parts[1]}.{parts[2]}";
        yield return $"{parts[0]}.{parts[1]}.";
        yield return $"{parts[0]}.{parts[1]}";
        yield return $"{parts[0]}.{parts[1]}.{parts[2]}.";
        yield return $"{parts[0]}.{parts[1]}.{parts[2][..^2]}";
        yield return $"{parts[0]}.{parts[1]}.{parts[2]}AA";
        yield return $"{Encode("[]")}.{parts[1]}.{parts[2]}";
        yield return $"{Encode("""{"alg":"HS256","kid":"x"}""")}.{parts[1]}.{parts[2]}";
        yield return "..";
        yield return "a.b.c";

        static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
    }

    private Task<Reply> CallAsync(string call, string authorization) => _server.CallAsync(call, call.StartsWith("GET", StringComparison.Ordinal) ? null : "{}", $"Authorization: {authorization}");

    private Task<Reply> RefreshAsync(string token) => _server.CallAsync("POST /elsa/api/identity/refresh-token", (string?)null, $"Authorization: Bearer {token}");
}
