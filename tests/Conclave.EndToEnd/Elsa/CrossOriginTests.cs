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
}
