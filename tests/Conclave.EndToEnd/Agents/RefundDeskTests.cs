using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Conclave.EndToEnd.Accounts;

namespace Conclave.EndToEnd.Agents;

/// <summary>
/// The main job of the product: a webhook brings a complaint, an agent reads the order with a tool, asks for approval of a refund above its limit, a person approves another amount,
/// the agent answers. The server is killed twice on the way.
/// </summary>
public sealed class RefundDeskTests : IAsyncLifetime
{
    private readonly string _folder = ServerProcess.NewFolder();
    private ServerProcess _server = null!;

    public async Task InitializeAsync() => _server = await StartAsync();

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        await ServerProcess.RemoveAsync(_folder);
    }

    [Fact]
    public async Task Complaint_AboveTheLimit_IsPaidAsAPersonApprovedItAcrossTwoKills()
    {
        var person = await PersonAsync();
        var agent = (await _server.PostAsync("/api/agents", """{"name":"refund-desk","template":"refund-desk"}""")).GetProperty("id").GetString()!;

        // The complaint arrives, and is answered at once.
        var accepted = await _server.PostAsync("/workflows/refunds", """{"customer":"Sam Okafor","order":"1002","text":"The office chair of order 1002 arrived with a broken wheel. I want my money back."}""");
        var desk = accepted.GetProperty("case").GetString()!;

        // The agent has read the order and asks for approval: it may pay back 50 euros by itself.
        JsonElement approval = default;
        await ServerProcess.UntilAsync(async () => (await _server.GetAsync("/api/approvals?status=pending")).GetProperty("items") is { } items && items.GetArrayLength() == 1 && (approval = items[0]).ValueKind == JsonValueKind.Object, "the approval waits");
        var id = approval.GetProperty("id").GetString()!;
        await _server.KillAsync();
        await _server.DisposeAsync();
        _server = await StartAsync();

        approval = await _server.GetAsync($"/api/approvals/{id}");
        var action = approval.GetProperty("action");
        Assert.Equal(("issue-refund", "1002", 249m), (action.GetProperty("tool").GetString(), action.GetProperty("arguments").GetProperty("orderId").GetString(), action.GetProperty("arguments").GetProperty("amount").GetDecimal()));

        // The machine's key is nobody who could agree; a person can, and pays back half.
        var decision = $$"""{"decision":"approve","comment":"Half of it: the chair can be mended.","actionHash":"{{approval.GetProperty("actionHash").GetString()}}","arguments":{"orderId":"1002","amount":124.5,"reason":"A broken wheel"} }""";
        Assert.False((await _server.Http.PostAsync($"/api/approvals/{id}/decision", Json(decision))).IsSuccessStatusCode);
        using (var decide = new HttpRequestMessage(HttpMethod.Post, $"/api/approvals/{id}/decision") { Content = Json(decision) })
        {
            decide.Headers.Authorization = new AuthenticationHeaderValue("Bearer", await person());
            var decided = await _server.Http.SendAsync(decide);
            Assert.True(decided.IsSuccessStatusCode, await decided.Content.ReadAsStringAsync());
        }

        // Killed once more, as soon as it is decided.
        await _server.KillAsync();
        await _server.DisposeAsync();
        _server = await StartAsync();

        JsonElement ended = default;
        await ServerProcess.UntilAsync(async () => (ended = await _server.GetAsync($"/api/instances/{desk}")).GetProperty("status").GetString() == "Finished", "the case is closed", 90);
        Assert.Equal("Finished", ended.GetProperty("subStatus").GetString());
        var answer = ended.GetProperty("output").GetProperty("answer").GetString()!;
        Assert.Contains("124.5 euros", answer, StringComparison.Ordinal);

        // The trace and the cost: three questions to the model, two calls of tools, one of them approved, one refund.
        var turn = (await _server.GetAsync($"/api/agents/{agent}/turns")).GetProperty("items")[0];
        Assert.Equal(("completed", 3, 2, answer), (turn.GetProperty("status").GetString(), turn.GetProperty("modelCalls").GetInt32(), turn.GetProperty("toolCalls").GetInt32(), turn.GetProperty("answer").GetString()));
        Assert.Equal(((turn.GetProperty("inputTokens").GetInt64() * 3m) + (turn.GetProperty("outputTokens").GetInt64() * 15m)) / 1_000_000, turn.GetProperty("cost").GetDecimal());
        Assert.True(turn.GetProperty("inputTokens").GetInt64() > 0 && turn.GetProperty("outputTokens").GetInt64() > 0, turn.ToString());
        var request = new HttpRequestMessage(HttpMethod.Get, $"/api/agents/{agent}/turns/{turn.GetProperty("id").GetString()}/events");
        var events = await _server.ReadEventsAsync(request);
        Assert.Equal(
            ["turn.started", "model.completed", "tool.completed", "model.completed", "tool.requested", "approval.requested", "approval.decided", "tool.completed", "model.completed", "turn.completed"],
            events.Select(e => e.Event).Where(e => e is not ("agent.state" or "turn.waiting" or "turn.resumed" or "token")));
        var runs = (await _server.GetAsync("/api/tool-runs?tool=issue-refund")).GetProperty("items").EnumerateArray().ToList();
        var run = Assert.Single(runs, r => r.GetProperty("status").GetString() == "completed");
        Assert.Equal(124.5m, JsonElement.Parse(run.GetProperty("arguments").GetString()!).GetProperty("amount").GetDecimal());
        Assert.Equal(1, (await _server.GetAsync("/api/instances?definitionId=issue-refund")).GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Complaint_BelowTheLimit_IsPaidAtOnce()
    {
        await _server.PostAsync("/api/agents", """{"name":"refund-desk","template":"refund-desk"}""");
        var accepted = await _server.PostAsync("/workflows/refunds", """{"customer":"Ada Young","order":"1001","text":"The lamp of order 1001 flickers."}""");
        JsonElement ended = default;
        await ServerProcess.UntilAsync(async () => (ended = await _server.GetAsync($"/api/instances/{accepted.GetProperty("case").GetString()}")).GetProperty("status").GetString() == "Finished", "the case is closed");
        Assert.Contains("39.9 euros", ended.GetProperty("output").GetProperty("answer").GetString(), StringComparison.Ordinal);
        Assert.Equal(0, (await _server.GetAsync("/api/approvals")).GetProperty("items").GetArrayLength());
    }

    private static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");

    /// <summary>With a price for the scripted model, so that there is something to add up.</summary>
    private Task<ServerProcess> StartAsync() => ServerProcess.StartAsync(
        _folder, $"Workflows:Folder={Path.Combine(AgentServer.Repository(), "workflows")}",
        "Inference:Servers:0:Name=scripted", "Inference:Servers:0:Provider=scripted", $"Inference:Servers:0:Address={new Uri(Path.Combine(AgentServer.Repository(), "workflows/models/scripted.yaml"))}",
        "Inference:Servers:0:Models:0:Name=assistant", "Inference:Servers:0:Models:0:InputPrice=3", "Inference:Servers:0:Models:0:OutputPrice=15",
        "Inference:DiscoverOllama=false", "Worker:Lease=00:00:02", "Worker:PollInterval=00:00:00.2");

    /// <summary>Makes an operator; the function signs in and gives an access token.</summary>
    private async Task<Func<Task<string>>> PersonAsync()
    {
        (await _server.CallAsync("POST /elsa/api/identity/users", string.Create(CultureInfo.InvariantCulture, $$"""{"name":"olga","password":"{{AccountServer.Password}}","roles":["operator"]}"""))).Is(200);
        return async () => (await _server.CallAsync("POST /elsa/api/identity/login", $$"""{"username":"olga","password":"{{AccountServer.Password}}"}""")).Is(200)["accessToken"].GetString()!;
    }
}
