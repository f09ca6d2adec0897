using System.Text.Json;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Inference;

/// <summary>What operators see of calls: records, queue, sums, metrics; and what callers see while they wait.</summary>
public sealed class CallEndpointTests : IAsyncLifetime
{
    private OpenAIDouble Models { get; } = new();
    private ServerProcess _server = null!;

    public async Task InitializeAsync()
    {
        await Models.StartAsync();
        _server = await ServerProcess.StartAsync(null,
            "Inference:DiscoverOllama=false", "Inference:Servers:0:Name=vllm", "Inference:Servers:0:Provider=openai-compatible", $"Inference:Servers:0:Address={Models.Address}", "Inference:Servers:0:Slots=1",
            "Inference:Servers:0:Models:0:Name=small", "Inference:Servers:0:Models:0:InputPrice=1", "Inference:Servers:0:Models:0:OutputPrice=2");
        _server.Document = new ApiDocument(await _server.GetAsync("/openapi/v1.json"));
        await ServerProcess.UntilAsync(async () => (await _server.GetAsync("/v1/models")).GetProperty("data").EnumerateArray().Any(m => m.GetProperty("id").GetString() == "small"), "the model is known");
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        await Models.DisposeAsync();
    }

    [Fact]
    public async Task Calls_EndedOnes_AreListedFilteredAndSummed()
    {
        var asked = (await AskAsync("hello", "x-conclave-agent: ann", "x-conclave-session: s1")).Is(200);
        (await AskAsync("hello", "x-conclave-agent: bob")).Is(200);
        Models.Answer = _ => DoubleAnswer.Fail(500);
        (await AskAsync("hello", "x-conclave-agent: bob")).Is(502);
        await ServerProcess.UntilAsync(async () => (await _server.ItemsAsync("/api/inference/calls")).Count == 3, "records are written");

        var ofAnn = Assert.Single(await _server.ItemsAsync("/api/inference/calls?agentId=ann"));
        var id = asked.Header("x-conclave-call-id");
        Assert.Equal(id, ofAnn.GetProperty("id").GetString());
        Assert.Equal(("vllm", "small", 11), (ofAnn.GetProperty("server").GetString(), ofAnn.GetProperty("model").GetString(), ofAnn.GetProperty("inputTokens").GetInt32()));
        var one = (await _server.CallAsync($"GET /api/inference/calls/{id}")).Is(200);
        Assert.Contains(one["decision"].GetProperty("reasons").EnumerateArray(), r => r.GetString()!.Contains("vllm/small may answer", StringComparison.Ordinal));
        Assert.Single(one["slices"].EnumerateArray());
        var failed = Assert.Single(await _server.ItemsAsync("/api/inference/calls?outcome=failed&agentId=bob"));
        Assert.Equal("inference.server_failed", failed.GetProperty("error").GetString());
        Assert.Equal(3, (await _server.PagesAsync("/api/inference/calls?limit=1")).Select(c => c.GetProperty("id").GetString()).Distinct().Count());
        Assert.Empty(await _server.ItemsAsync("/api/inference/calls?until=2020-01-01"));
        (await _server.CallAsync("GET /api/inference/calls?outcome=maybe")).IsProblem(400, "request.invalid");
        (await _server.CallAsync("GET /api/inference/calls/none")).IsProblem(404, "inference.no_such_call");

        var stats = (await _server.CallAsync("GET /api/inference/stats")).Is(200);
        Assert.Equal((3, 1, 1.0), (stats["calls"].GetInt32(), stats["failed"].GetInt32(), stats["localShare"].GetDouble()));
        Assert.True(stats["cost"].GetDouble() > 0);
    }

    [Fact]
    public async Task Queue_SlotIsTaken_WaitingCallsSeeTheirPlaceAndSoDoOperators()
    {
        var gate = new TaskCompletionSource();
        Models.Answer = request => DoubleAnswer.For(request) with { BeforeToken = _ => request.LastText == "first" ? gate.Task : Task.CompletedTask };
        var first = AskAsync("first");
        await Models.WaitForChatAsync();
        using var waiting = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent("""{"model": "small", "stream": true, "messages": [{"role": "user", "content": "second"}]}"""),
            Headers = { { "x-conclave-progress", "true" } },
        };
        using var second = await _server.Http.SendAsync(waiting, HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await second.Content.ReadAsStreamAsync());
        Assert.StartsWith(": queued position=0", await lines.ReadLineAsync(), StringComparison.Ordinal);

        var queue = (await _server.CallAsync("GET /api/inference/queue")).Is(200);
        Assert.Single(queue["running"].EnumerateArray());
        Assert.Single(queue["waiting"].EnumerateArray());
        var metrics = (await _server.CallAsync("GET /metrics")).Is(200).Text;
        Assert.Matches(@"(?m)^conclave_inference_running\{.*server=""vllm"".*\} 1(\.0)?\s*$", metrics);
        Assert.Matches(@"(?m)^conclave_inference_waiting\{.*server=""vllm"".*\} 1(\.0)?\s*$", metrics);
        Assert.Matches(@"(?m)^conclave_inference_queue_oldest_seconds(\{.*\})? [0-9.e-]+\s*$", metrics);
        gate.SetResult();

        Assert.Contains("You said: second", string.Concat(OpenAIApiTests.Events(await lines.ReadToEndAsync()).Where(e => e != "[DONE]")
            .Select(e => JsonElement.Parse(e).GetProperty("choices")[0].GetProperty("delta").TryGetProperty("content", out var text) ? text.GetString() : "")), StringComparison.Ordinal);
        (await first).Is(200);
        metrics = (await _server.CallAsync("GET /metrics")).Is(200).Text;
        foreach (var name in (string[])["conclave_inference_queue_age_seconds_count", "conclave_inference_calls_total", "conclave_inference_tokens_total", "conclave_inference_cost_total", "gen_ai_client_operation_duration_seconds_count", "gen_ai_client_operation_time_to_first_chunk_seconds_count"])
            Assert.Contains(name, metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Budgets_UseAndRefusals_AreOnMetrics()
    {
        (await _server.CallAsync("PUT /api/inference/budgets/all", """{"scope": "tenant", "period": "day", "tokens": 5000}""")).Is(201);
        await ServerProcess.UntilAsync(async () => (await AskAsync("hello")).Status == 200 && Tokens(await _server.CallAsync("GET /api/inference/budgets/all")) > 0, "calls are counted");
        var refused = (await AskAsync(new string('x', 24_000))).Is(429);
        Assert.Equal("insufficient_quota", refused["error"].GetProperty("type").GetString());

        var metrics = (await _server.CallAsync("GET /metrics")).Is(200).Text;

        Assert.Matches(@"(?m)^conclave_inference_budget_refused_total\{.*scope=""tenant"".*\} 1(\.0)?\s*$", metrics);
        await ServerProcess.UntilAsync(
            async () => System.Text.RegularExpressions.Regex.IsMatch((await _server.CallAsync("GET /metrics")).Text, @"(?m)^conclave_inference_budget_used_ratio\{.*budget=""all"".*\} 0\.0[0-9]+"), "the budget's use is shown");

        static long Tokens(Reply reply) => reply["uses"].EnumerateArray().Sum(u => u.GetProperty("tokensSpent").GetInt64());
    }

    private Task<Reply> AskAsync(string text, params string[] headers) =>
        _server.CallAsync("POST /v1/chat/completions", $$"""{"model": "small", "max_tokens": 100, "messages": [{"role": "user", "content": "{{text}}"}]}""", headers);
}
