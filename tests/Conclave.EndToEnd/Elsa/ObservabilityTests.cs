namespace Conclave.EndToEnd.Elsa;

/// <summary>What operators see of calls of both APIs.</summary>
[Collection(SharedServer.Name)]
public sealed class ObservabilityTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [Fact]
    public async Task Call_OfATrace_IsFoundByItsIdAndCountedByItsRoute()
    {
        var trace = Guid.NewGuid().ToString("N");
        var header = $"traceparent: 00-{trace}-00f067aa0ba902b7-01";

        var refused = (await _server.CallAsync($"GET /api/workflows/{SharedServer.NewId()}", (HttpContent?)null, header)).IsProblem(404, "workflow.not_found");
        (await _server.CallAsync("GET /elsa/api/workflow-definitions?Page=0&PageSize=1", (HttpContent?)null, header)).Is(200);

        Assert.Contains(trace, refused["traceId"].GetString(), StringComparison.Ordinal);
        var metrics = (await _server.CallAsync("GET /metrics")).Is(200).Text;
        Assert.Contains(metrics.Split('\n'), l => l.StartsWith("http_server_request_duration_seconds_count", StringComparison.Ordinal)
            && l.Contains("http_route=\"/api/workflows/{definitionId}\"", StringComparison.Ordinal) && l.Contains("404", StringComparison.Ordinal));
        Assert.Contains(metrics.Split('\n'), l => l.StartsWith("http_server_request_duration_seconds_count", StringComparison.Ordinal)
            && l.Contains("http_route=\"/elsa/api/workflow-definitions", StringComparison.Ordinal));
    }
}
