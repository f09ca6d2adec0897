using System.Net;
using System.Text.Json.Nodes;
using Conclave.Server;
using Conclave.Server.Health;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Conclave.Tests.Server;

public sealed class HealthTests : IAsyncLifetime, IDisposable
{
    private readonly HttpClient _client = new();
    private WebApplication _app = null!;

    public async Task InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddConclaveHealth(new ServerOptions
        {
            DataFolder = "",
            HealthCheckTimeout = TimeSpan.FromSeconds(2),
            DrainDelay = TimeSpan.FromMinutes(1),
        });
        _app = builder.Build();
        _app.Urls.Add("http://127.0.0.1:0");
        _app.MapConclaveHealth();
        await _app.StartAsync();
        _client.BaseAddress = new Uri(_app.Urls.First());
    }

    public async Task DisposeAsync() => await _app.DisposeAsync();

    public void Dispose() => _client.Dispose();

    [Fact]
    public async Task Health_WhileStarting_IsLiveAndNotReady()
    {
        Startup.Begin("database");
        Assert.Equal((200, "live"), Short(await GetAsync("live")));
        var (status, answer) = await GetAsync("startup");
        Assert.Equal((503, "starting", "database"), (status, (string?)answer["status"], (string?)answer["step"]));
        Assert.Equal((503, "starting"), Short(await GetAsync("ready")));

        Startup.Finish();
        Assert.Equal((200, "started"), Short(await GetAsync("startup")));
        Assert.Equal((200, "ready"), Short(await GetAsync("ready")));
    }

    [Fact]
    public async Task Ready_ChecksFail_SaysWhichWithoutSecrets()
    {
        Startup.Finish();
        var hang = new TaskCompletionSource<string?>();
        Checks.Add("good", _ => ValueTask.FromResult<string?>(null));
        Checks.Add("bad", _ => ValueTask.FromResult<string?>("Cannot connect with Host=x;Password=hunter2"));
        Checks.Add("throws", _ => throw new InvalidOperationException("hunter2"));
        Checks.Add("slow", async token => { await Task.Delay(Timeout.Infinite, token); return null; });
        Checks.Add("hangs", _ => new ValueTask<string?>(hang.Task));
        Checks.Add("blocks", _ => { hang.Task.Wait(TimeSpan.FromSeconds(20), CancellationToken.None); return ValueTask.FromResult<string?>(null); });

        var (status, answer) = await GetAsync("ready");
        Assert.Equal((503, "failing"), (status, (string?)answer["status"]));
        var checks = answer["checks"]!.AsArray().ToDictionary(c => (string)c!["name"]!, c => c!);
        Assert.True((bool)checks["good"]["healthy"]!);
        Assert.All((string[])["bad", "throws", "slow", "hangs", "blocks"], name => Assert.False((bool)checks[name]["healthy"]!));
        Assert.Equal("No answer within 2 s.", (string?)checks["slow"]["problem"]);
        Assert.Equal("Failed with InvalidOperationException; the log says more.", (string?)checks["throws"]["problem"]);
        Assert.DoesNotContain("hunter2", answer.ToJsonString(), StringComparison.Ordinal);

        (_, answer) = await GetAsync("ready");
        Assert.Contains("has not ended yet", answer.ToJsonString(), StringComparison.Ordinal);

        hang.SetResult(null);
        foreach (var name in (string[])["bad", "throws", "slow"])
            Checks.Add(name, _ => ValueTask.FromResult<string?>(null));
        var deadline = DateTime.UtcNow.AddSeconds(60);
        do (status, answer) = await GetAsync("ready");
        while (status != 200 && DateTime.UtcNow < deadline);
        Assert.Equal((200, "ready"), (status, (string?)answer["status"]));
    }

    [Fact]
    public async Task Ready_ManyAtOnce_ShareACheck()
    {
        Startup.Finish();
        var runs = 0;
        var gate = new TaskCompletionSource();
        Checks.Add("counted", async _ => { Interlocked.Increment(ref runs); await gate.Task; return null; });
        var answers = Enumerable.Range(0, 20).Select(_ => Checks.RunAsync(default)).ToList();
        gate.SetResult();
        await Task.WhenAll(answers);
        Assert.Equal(1, runs);
    }

    [Fact]
    public async Task Ready_OnceStopping_Is503WhileConnectionsStillWork()
    {
        Startup.Finish();
        Assert.Equal((200, "ready"), Short(await GetAsync("ready")));
        using var hurry = new CancellationTokenSource();
        var stopped = _app.StopAsync(hurry.Token);
        Assert.Equal((503, "draining"), Short(await GetAsync("ready")));
        Assert.Equal((200, "live"), Short(await GetAsync("live")));
        Assert.False(stopped.IsCompleted);
        await hurry.CancelAsync();
        await Record.ExceptionAsync(() => stopped);
        await Assert.ThrowsAsync<HttpRequestException>(() => GetAsync("live"));
    }

    [Fact]
    public async Task Ready_StopAsked_IsDrainingAtOnce()
    {
        Startup.Finish();
        _app.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
        Assert.Equal((503, "draining"), Short(await GetAsync("ready")));
    }

    private StartupState Startup => _app.Services.GetRequiredService<StartupState>();

    private HealthChecks Checks => _app.Services.GetRequiredService<HealthChecks>();

    private static (int, string?) Short((int Status, JsonNode Answer) got) => (got.Status, (string?)got.Answer["status"]);

    private async Task<(int Status, JsonNode Answer)> GetAsync(string name)
    {
        using var response = await _client.GetAsync($"/health/{name}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        Assert.Contains(response.StatusCode, (HttpStatusCode[])[HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable]);
        return ((int)response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())!);
    }
}
