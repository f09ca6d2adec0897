using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Inference;

public sealed class RateLimitTests : IAsyncLifetime
{
    private OpenAIDouble Models { get; } = new();

    public Task InitializeAsync() => Models.StartAsync();

    public async Task DisposeAsync() => await Models.DisposeAsync();

    [Fact]
    public async Task Requests_MoreThanAMinuteMayHave_AreRefusedAndHeadersCount()
    {
        await using var server = await StartAsync("RequestsPerMinute=3");
        var key = await KeyAsync(server);

        for (var left = 2; left >= 0; left--)
        {
            var reply = (await AskAsync(server, key)).Is(200);
            Assert.Equal(("3", $"{left}"), (reply.Header("x-ratelimit-limit-requests"), reply.Header("x-ratelimit-remaining-requests")));
            Assert.Matches(@"^\d+(\.\d+)?s$", reply.Header("x-ratelimit-reset-requests"));
        }

        var refused = (await AskAsync(server, key)).Is(429);
        Assert.Equal("rate_limit_exceeded", refused["error"].GetProperty("code").GetString());
        Assert.Equal("0", refused.Header("x-ratelimit-remaining-requests"));
        Assert.InRange(int.Parse(refused.Header("Retry-After")!, System.Globalization.CultureInfo.InvariantCulture), 1, 60);
        Assert.Equal(3, Models.Requests.Count(r => r.IsChat));
    }

    [Fact]
    public async Task Tokens_MoreThanAMinuteMayHave_NextCallIsRefused()
    {
        await using var server = await StartAsync("TokensPerMinute=15");
        var key = await KeyAsync(server);

        // 11 tokens read and 3 written, then 14 more: only whoever is over already is refused.
        Assert.Equal("15", (await AskAsync(server, key)).Is(200).Header("x-ratelimit-remaining-tokens"));
        Assert.Equal("1", (await AskAsync(server, key)).Is(200).Header("x-ratelimit-remaining-tokens"));
        (await AskAsync(server, key)).Is(429);
    }

    private async Task<ServerProcess> StartAsync(string limit)
    {
        var server = await ServerProcess.StartAsync(null,
            "Inference:DiscoverOllama=false", "Inference:Servers:0:Name=vllm", "Inference:Servers:0:Provider=openai-compatible", $"Inference:Servers:0:Address={Models.Address}", $"Inference:RateLimits:{limit}");
        await ServerProcess.UntilAsync(async () => (await server.GetAsync("/v1/models")).GetProperty("data").EnumerateArray().Any(m => m.GetProperty("id").GetString() == "small"), "the model is known");
        return server;
    }

    // The machine's own key has no limit.
    private static async Task<string> KeyAsync(ServerProcess server)
    {
        (await server.CallAsync("POST /elsa/api/identity/users", """{"name": "ann", "password": "a long pass phrase", "roles": ["author"]}""")).Is(200);
        return (await server.CallAsync("POST /elsa/api/identity/applications", """{"name": "test", "roles": ["author"], "userName": "ann"}""")).Is(200)["apiKey"].GetString()!;
    }

    private static Task<Reply> AskAsync(ServerProcess server, string key) =>
        server.CallAsync("POST /v1/chat/completions", """{"model": "small", "messages": [{"role": "user", "content": "hello"}]}""", $"Authorization: Bearer {key}");
}
