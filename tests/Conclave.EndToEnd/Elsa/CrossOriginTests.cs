namespace Conclave.EndToEnd.Elsa;

/// <summary>Somebody's own Studio, from another origin.</summary>
public sealed class CrossOriginTests
{
    private const string Path = "/elsa/api/workflow-definitions";

    [Fact]
    public async Task Origins_ThatTheSettingNames_MayCall()
    {
        await using var server = await ServerProcess.StartAsync(null, "Cors:AllowedOrigins=https://studio.example.com, http://localhost:5001");

        foreach (var origin in (string[])["https://studio.example.com", "http://localhost:5001"])
        {
            using var nobody = new HttpClient { BaseAddress = server.Http.BaseAddress };
            using var preflight = new HttpRequestMessage(HttpMethod.Options, Path);
            preflight.Headers.Add("Origin", origin);
            preflight.Headers.Add("Access-Control-Request-Method", "POST");
            preflight.Headers.Add("Access-Control-Request-Headers", "authorization,content-type,x-tenant-id");
            var allowed = await nobody.SendAsync(preflight);
            Assert.Equal(204, (int)allowed.StatusCode);
            Assert.Equal(origin, Assert.Single(allowed.Headers.GetValues("Access-Control-Allow-Origin")));
            Assert.Contains("POST", Assert.Single(allowed.Headers.GetValues("Access-Control-Allow-Methods")), StringComparison.Ordinal);

            var answer = (await server.CallAsync($"GET {Path}", (HttpContent?)null, $"Origin: {origin}")).Is(200);
            Assert.Equal(origin, answer.Header("Access-Control-Allow-Origin"));
            Assert.All((string[])["x-elsa-workflow-instance-id", "x-elsa-workflow-cannot-start", "Content-Disposition"], h => Assert.Contains(h, answer.Header("Access-Control-Expose-Headers"), StringComparison.OrdinalIgnoreCase));
            Assert.Null(answer.Header("Access-Control-Allow-Credentials"));
        }

        Assert.Null((await server.CallAsync($"GET {Path}", (HttpContent?)null, "Origin: https://evil.example.com")).Is(200).Header("Access-Control-Allow-Origin"));
        Assert.Null((await server.CallAsync("GET /api/workflows", (HttpContent?)null, "Origin: https://studio.example.com")).Is(200).Header("Access-Control-Allow-Origin"));
    }

    /// <summary>What somebody's own Studio or script does: signs in, reads, runs, and goes on with the refresh token. The browser may read every answer, refusals included.</summary>
    [Fact]
    public async Task Client_FromAnotherOrigin_SignsInRunsAndRefreshes()
    {
        const string Origin = "Origin: https://studio.example.com";
        await using var server = await ServerProcess.StartAsync(null, "Cors:AllowedOrigins=https://studio.example.com");
        (await server.CallAsync("POST /elsa/api/identity/users", """{"name":"ann","password":"a long pass phrase","roles":["author"]}""")).Is(200);
        var id = SharedServer.NewId();
        await server.PublishAsync(id, Flows.Echo());
        var key = server.Http.DefaultRequestHeaders.Authorization!.Parameter;
        server.Http.DefaultRequestHeaders.Authorization = null;

        var tokens = await AskAsync("POST /elsa/api/identity/login", """{"username":"ann","password":"a long pass phrase"}""", null, 200);
        var bearer = $"Authorization: Bearer {tokens["accessToken"].GetString()}";
        await AskAsync($"GET {Path}?versionOptions=Latest", null, bearer, 200);
        Assert.NotNull((await AskAsync($"POST {Path}/{id}/execute", """{"versionOptions":"Latest"}""", bearer, 200)).Header("x-elsa-workflow-instance-id"));
        await AskAsync($"GET {Path}", null, $"Authorization: ApiKey {key}", 200);
        await AskAsync("POST /elsa/hubs/workflow-instance/negotiate?negotiateVersion=1", "", bearer, 200);
        await AskAsync($"GET {Path}", null, "Authorization: ApiKey nonsense", 401);
        await AskAsync($"POST {Path}", "{", bearer, 400);
        var next = await AskAsync("POST /elsa/api/identity/refresh-token", "", $"Authorization: Bearer {tokens["refreshToken"].GetString()}", 200);
        await AskAsync($"GET {Path}", null, $"Authorization: Bearer {next["accessToken"].GetString()}", 200);

        async Task<Reply> AskAsync(string call, string? body, string? authorization, int status)
        {
            var reply = (await server.CallAsync(call, body, authorization is null ? [Origin] : [Origin, authorization])).Is(status);
            Assert.Equal("https://studio.example.com", reply.Header("Access-Control-Allow-Origin"));
            return reply;
        }
    }
}
