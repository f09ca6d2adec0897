using Conclave.EndToEnd.Faults;

namespace Conclave.EndToEnd.Accounts;

/// <summary>A server behind a reverse proxy: whose headers it believes, and what follows.</summary>
public sealed class ProxyTests : IAsyncLifetime
{
    private const string Wrong = """{"username":"root","password":"a wrong password"}""";

    private FaultDatabase _database = null!;

    public async Task InitializeAsync() => _database = await FaultDatabase.NewAsync();

    public Task DisposeAsync() => _database.DisposeAsync().AsTask();

    [Fact]
    public async Task Known_ItsHeadersCount()
    {
        await using var server = await StartAsync("Proxy:Known=10.9.0.0/16, 127.0.0.1, ::1", "Accounts:AttemptsPerMinute=3", "Metrics:Access=loopback");
        Assert.True(await IsLimitedAsync(server, _ => "203.0.113.1"));
        // What the client wrote itself stands before its address; a second proxy behind is known, too.
        Assert.True(await IsLimitedAsync(server, i => $"198.51.100.{i}, 203.0.113.3"));
        Assert.True(await IsLimitedAsync(server, i => $"203.0.113.4, 10.9.1.{i}"));
        Assert.False(await IsLimitedAsync(server, i => $"203.0.113.1{i}"));
        using var browser = new Browser(server);
        Assert.Contains("secure", await CookieAsync(server, browser), StringComparison.Ordinal);
        Assert.Equal(401, (await browser.CallAsync("GET /metrics", null, "X-Forwarded-For: 127.0.0.1")).Status);
    }

    [Fact]
    public async Task Unknown_ItsHeadersAreIgnored()
    {
        await using var server = await StartAsync("Proxy:Known=192.0.2.1", "Accounts:AttemptsPerMinute=3");
        using var browser = new Browser(server);

        Assert.DoesNotContain("secure", await CookieAsync(server, browser), StringComparison.Ordinal);
        Assert.True(await IsLimitedAsync(server, i => $"203.0.113.{i}"));
    }

    /// <summary>The cookie that a form gets when the proxy says that the browser came over https.</summary>
    private static async Task<string?> CookieAsync(ServerProcess server, Browser browser) =>
        (await browser.CallAsync($"GET /setup?token={await AccountServer.SetupTokenAsync(server)}", null, "X-Forwarded-Proto: https", "X-Forwarded-Host: flows.example.com")).Is(200).Header("Set-Cookie");

    /// <summary>Whether some of several attempts were refused. They may fall into two minutes: more than twice what is allowed.</summary>
    private static async Task<bool> IsLimitedAsync(ServerProcess server, Func<int, string> forwardedFor)
    {
        var statuses = new List<int>();
        for (var i = 0; i < 7; i++)
            statuses.Add((await server.CallAsync("POST /elsa/api/identity/login", Wrong, $"X-Forwarded-For: {forwardedFor(i)}")).Status);
        Assert.All(statuses, s => Assert.Contains(s, (int[])[200, 429]));
        return statuses.Contains(429);
    }

    private Task<ServerProcess> StartAsync(params string[] settings) =>
        ServerProcess.StartAsync(null, [$"ConnectionStrings:Conclave={_database.ConnectionString}", .. settings]);
}
