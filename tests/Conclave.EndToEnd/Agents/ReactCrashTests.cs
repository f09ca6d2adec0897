using System.Collections.Concurrent;
using System.Text.Json;
using Conclave.Tests.Inference.Doubles;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Conclave.EndToEnd.Agents;

/// <summary>
/// The server is killed at every effect of a turn: while the model is asked, when it has just answered, while a tool runs, when it has just run. Whatever happens, the turn has the
/// same answer, no recorded call of the model is made again, and no tool does its work twice.
/// </summary>
public sealed class ReactCrashTests : IAsyncLifetime
{
    private const string Answer = "The ledger says 1 and 2.";

    private OpenAIDouble Model { get; } = new();
    private readonly ConcurrentDictionary<string, int> _effects = new();
    private readonly string _folder = ServerProcess.NewFolder();
    private readonly string _workflows = ServerProcess.NewFolder();
    private WebApplication _ledger = null!;
    private ServerProcess _server = null!;
    private string _killAt = "";
    private int _models;
    private int _tools;

    public async Task InitializeAsync()
    {
        Model.Models.Clear();
        Model.Models.Add(new DoubleModel("brain") { CanCallTools = true });
        Model.Answer = Say;
        await Model.StartAsync();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _ledger = builder.Build();
        _ledger.Run(AddAsync);
        await _ledger.StartAsync();
        var source = Path.Combine(AgentServer.Repository(), "workflows", "agents", "behaviours");
        Directory.CreateDirectory(Path.Combine(_workflows, "tools"));
        File.Copy(Path.Combine(source, "react.json"), Path.Combine(_workflows, "react.json"));
        var port = new Uri(_ledger.Urls.First()).Port;
        await File.WriteAllTextAsync(Path.Combine(_workflows, "tools", "ledger-add.tool.yaml"), $$"""
            name: ledger-add
            description: Adds a number to the ledger.
            kind: http
            parameters: { type: object, properties: { number: { type: integer } }, required: [number], additionalProperties: false }
            settings: { method: POST, url: "http://127.0.0.1:{{port}}/add", body: arguments }
            permissions: { network: ["127.0.0.1"] }
            idempotency: key
            mode: allow
            """);
        _server = await StartAsync();
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        await Model.DisposeAsync();
        await _ledger.DisposeAsync();
        await ServerProcess.RemoveAsync(_folder);
        Directory.Delete(_workflows, recursive: true);
    }

    [Fact]
    public async Task Turn_KilledAtEveryEffect_HasTheSameAnswerAndRepeatsNothingThatIsRecorded()
    {
        var agent = await _server.NewAgentAsync("""{"model":"brain","tools":["ledger-add"]}""");
        string[] places = [.. Enumerable.Range(1, 3).SelectMany(n => new[] { $"model {n} begins", $"model {n} ends" }), .. Enumerable.Range(1, 2).SelectMany(n => new[] { $"tool {n} begins", $"tool {n} ends" })];
        foreach (var place in places)
        {
            (_models, _tools) = (0, 0);
            _effects.Clear();
            Volatile.Write(ref _killAt, place);
            try
            {
                await _server.PostAsync($"/api/agents/{agent}/messages", """{"message":"Add 1 and 2, and tell me what the ledger says."}""");
            }
            catch (HttpRequestException)
            {
                // It was killed before it could say that the turn has begun.
            }

            await ServerProcess.UntilAsync(() => Task.FromResult(Volatile.Read(ref _killAt).Length == 0), $"the server is killed when {place}");
            await _server.DisposeAsync();
            _server = await StartAsync();

            var turn = await _server.EndOfTurnAsync(agent, (await _server.GetAsync($"/api/agents/{agent}/turns")).GetProperty("items")[0].GetProperty("id").GetString()!);
            Assert.True(turn.GetProperty("status").GetString() == "completed", $"{place}: {turn}");
            Assert.Equal((place, Answer), (place, turn.GetProperty("answer").GetString()));
            Assert.Equal((place, 3, 2), (place, turn.GetProperty("modelCalls").GetInt32(), turn.GetProperty("toolCalls").GetInt32()));
            var messages = (await _server.GetAsync($"/api/agents/{agent}/conversations/{turn.GetProperty("conversationId").GetString()}/messages")).GetProperty("items").EnumerateArray();
            Assert.Equal(["user", "assistant", "tool", "assistant", "tool", "assistant"], messages.Select(m => m.GetProperty("message").GetProperty("role").GetString()));

            // One call of each kind may have been under way; a call that is recorded is never made again. A tool is told the same key each time, and does its work once for it.
            Assert.True(_models <= (place.StartsWith("model", StringComparison.Ordinal) ? 4 : 3), $"{place}: the model was asked {_models} times.");
            Assert.True(_tools <= (place.StartsWith("tool", StringComparison.Ordinal) ? 3 : 2), $"{place}: the tool was called {_tools} times.");
            Assert.True(_effects.Count == 2, $"{place}: the tool did its work under {_effects.Count} keys.");
        }
    }

    private Task<ServerProcess> StartAsync() => ServerProcess.StartAsync(
        _folder, $"Workflows:Folder={_workflows}", "Inference:DiscoverOllama=false", "Worker:Lease=00:00:02", "Worker:PollInterval=00:00:00.2", "OutboundHttp:AllowPrivateAddresses=true",
        "Inference:Servers:0:Name=double", "Inference:Servers:0:Provider=openai-compatible", $"Inference:Servers:0:Address={Model.Address}",
        "Inference:Servers:0:Models:0:Name=brain", "Inference:Servers:0:Models:0:Capabilities=Chat, Tools, JsonSchema");

    private DoubleAnswer Say(DoubleRequest request)
    {
        var results = request.Body.GetProperty("messages").EnumerateArray().Where(m => m.GetProperty("role").GetString() == "tool").ToList();
        var number = results.Count + 1;
        Interlocked.Increment(ref _models);
        var answer = results.Count < 2
            ? new DoubleAnswer { Tokens = ["Adding ", "it. "], ToolCalls = [("ledger-add", $$"""{"number":{{number}}}""")] }
            : DoubleAnswer.Say(Answer);
        return answer with
        {
            BeforeToken = index => index == 0 ? AtAsync($"model {number} begins") : index == answer.Tokens.Count - 1 ? AtAsync($"model {number} ends") : Task.CompletedTask,
        };
    }

    private async Task AddAsync(HttpContext context)
    {
        var number = (await JsonDocument.ParseAsync(context.Request.Body)).RootElement.GetProperty("number").GetInt32();
        Interlocked.Increment(ref _tools);
        _effects.AddOrUpdate(context.Request.Headers["Idempotency-Key"].ToString(), 1, (_, count) => count + 1);
        await AtAsync($"tool {number} begins");
        await context.Response.WriteAsJsonAsync(new { added = number });
        await context.Response.CompleteAsync();
        await AtAsync($"tool {number} ends");
    }

    private async Task AtAsync(string place)
    {
        if (Volatile.Read(ref _killAt) != place)
            return;
        await _server.KillAsync();
        Volatile.Write(ref _killAt, "");
    }
}
