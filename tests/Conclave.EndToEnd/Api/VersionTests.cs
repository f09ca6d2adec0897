namespace Conclave.EndToEnd.Api;

[Collection(SharedServer.Name)]
public sealed class VersionTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [Fact]
    public async Task Api_WithItsVersionInThePath_IsTheSame()
    {
        var id = SharedServer.NewId();
        (await _server.CallAsync($"PUT /api/v1/workflows/{id}?publish=true", Flows.Echo())).Is(200);

        Assert.Equal((await _server.CallAsync($"GET /api/workflows/{id}")).Is(200).Text, (await _server.CallAsync($"GET /Api/V1/workflows/{id}")).Is(200).Text);
        var key = $"Idempotency-Key: {id}";
        var first = (await _server.CallAsync($"POST /api/v1/workflows/{id}/start", "{}", key)).Is(202);
        Assert.Equal(first.Text, (await _server.CallAsync($"POST /api/workflows/{id}/start", "{}", key)).Is(202).Text);
        (await _server.CallAsync("GET /api/v1/nothing")).IsProblem(404, "request.no_such_path");
        (await _server.CallAsync($"GET /api/v2/workflows/{id}")).IsProblem(404, "request.no_such_path");
        (await _server.CallAsync($"GET /api/v11/workflows/{id}")).IsProblem(404, "request.no_such_path");
    }
}
