namespace Conclave.Tests.Cli;

/// <summary>Commands about model servers, models and aliases.</summary>
public sealed class InferenceCommandTests : IAsyncLifetime
{
    private FakeServer _server = null!;

    public async Task InitializeAsync() => _server = await FakeServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Servers_ListsThem()
    {
        _server.On("GET /api/inference/servers", """
            {"items":[{"name":"gpu1","provider":"ollama","address":"http://gpu1:11434","mode":"active","isLocal":true,"running":1,"ownSlots":4,
            "health":{"status":"unhealthy","message":"connection refused"},"served":[{"name":"a"},{"name":"b"}]}],"next":null}
            """);
        var (code, output, _) = await _server.RunAsync("servers");
        Assert.Equal(0, code);
        foreach (var part in (string[])["gpu1", "ollama", "unhealthy", "1 of 4", "2", "connection refused"])
            Assert.Contains(part, output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("drain", """{"mode":"draining"}""")]
    [InlineData("maintenance", """{"mode":"maintenance"}""")]
    [InlineData("activate", """{"mode":"active"}""")]
    public async Task Servers_Mode_IsSet(string command, string body)
    {
        _server.On("POST /api/inference/servers/gpu1/mode", """{"name":"gpu1"}""");
        Assert.Equal(0, (await _server.RunAsync("servers", command, "gpu1")).Item1);
        Assert.Equal(body, Assert.Single(_server.Received).Body);
    }

    [Fact]
    public async Task ServersAdd_KeyFromAFile_IsSent()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "sk-1\n");
            _server.On("PUT /api/inference/servers/cloud", """{"name":"cloud"}""", 201);
            var (code, output, _) = await _server.RunAsync(
                "servers", "add", "cloud", "--provider", "openai", "--address", "https://api.example.com", "--slots", "9", "--tag", "eu", "--elsewhere", "--model-key-file", file);
            Assert.Equal((0, "Added cloud."), (code, output.Trim()));
            Assert.Equal(
                """{"provider":"openai","address":"https://api.example.com","isLocal":false,"slots":9,"tags":["eu"],"apiKey":"sk-1"}""", Assert.Single(_server.Received).Body);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task ModelsPull_WaitsUntilItIsThere()
    {
        _server.On("POST /api/inference/servers/gpu1/models/pull", """{"id":"p1","status":"pulling","totalBytes":2000000000,"completedBytes":500000000,"endedAt":null}""", 202);
        _server.On("GET /api/inference/pulls/p1", """{"id":"p1","status":"success","endedAt":"2026-01-01T00:00:00Z"}""");
        var (code, output, _) = await _server.RunAsync("models", "pull", "gpu1", "llama3.2:3b");
        Assert.Equal(0, code);
        Assert.Contains("pulling: 25 % of 2 GB", output, StringComparison.Ordinal);
        Assert.Contains("llama3.2:3b is on gpu1.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ModelsPull_Fails_SaysWhy()
    {
        _server.On("POST /api/inference/servers/gpu1/models/pull", """{"id":"p1","status":"waiting","error":"no such model","endedAt":"2026-01-01T00:00:00Z"}""", 202);
        var (code, _, error) = await _server.RunAsync("models", "pull", "gpu1", "nosuch");
        Assert.NotEqual(0, code);
        Assert.Contains("no such model", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AliasesSet_Models_AreTiers()
    {
        _server.On("PUT /api/inference/aliases/fast", """{"name":"fast","version":3}""");
        var (code, output, _) = await _server.RunAsync("aliases", "set", "fast", "small", "large");
        Assert.Equal((0, "Set fast, version 3."), (code, output.Trim()));
        Assert.Equal("""{"rules":[{"name":"default","targets":[{"models":["small"]},{"models":["large"]}]}]}""", Assert.Single(_server.Received).Body);
    }
}
