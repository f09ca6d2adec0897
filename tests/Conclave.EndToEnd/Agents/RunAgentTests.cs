using System.Collections.Concurrent;
using System.Text.Json;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Agents;

/// <summary>Agents that are run by workflows, and by other agents.</summary>
public sealed class RunAgentTests : IAsyncLifetime
{
    private OpenAIDouble Model { get; } = new();

    private ServerProcess _server = null!;

    public async Task InitializeAsync()
    {
        Model.Models.Clear();
        Model.Models.Add(new DoubleModel("brain") { CanCallTools = true });
        await Model.StartAsync();
        _server = await ServerProcess.StartAsync(null, [.. AgentServer.Settings(Model), "Inference:Servers:0:Models:0:InputPrice=1000", "Inference:Servers:0:Models:0:OutputPrice=0"]);
        await AgentServer.UntilModelAsync(_server);
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        await Model.DisposeAsync();
    }

    [Fact]
    public async Task TwoAtOnce_ShareTheLimitOfTheTurnThatBeganThem()
    {
        // Both helpers ask their model twice each. The first answers of both come before either goes on.
        var both = new TaskCompletionSource();
        var calls = 0;
        Model.Answer = request => Interlocked.Increment(ref calls) switch
        {
            1 => First(both.Task),
            2 => First(SetAsync(both)),
            _ => DoubleAnswer.Say("Done."),
        };
        await _server.PostAsync("/api/agents", """{"name":"helper","configuration":{"model":"brain","tools":["calculator"]}}""");
        await _server.PublishAsync("boss", """
            { "root": { "id": "both", "type": "Elsa.Parallel", "version": 1, "activities": [
                { "id": "one", "type": "Conclave.Agents.RunAgent", "version": 1, "agent": "helper", "message": "one" },
                { "id": "two", "type": "Conclave.Agents.RunAgent", "version": 1, "agent": "helper", "message": "two" } ] } }
            """);
        // Enough for the first answers of both. Without sharing, each would have had one unit left.
        var boss = await _server.NewAgentAsync("""{"model":"brain","behaviour":"boss","limits":{"maxTurnCost":2} }""");

        var turn = await _server.AskAsync(boss, "Do both.");

        Assert.Equal("completed", turn.GetProperty("status").GetString());
        var helpers = (await _server.GetAsync("/api/agents/helper/turns")).GetProperty("items").EnumerateArray().ToList();
        Assert.Equal([1m, 1m], helpers.Select(h => h.GetProperty("cost").GetDecimal()));
        Assert.Equal(2, Volatile.Read(ref calls));
        Assert.All(helpers, h => Assert.Contains("together", h.GetRawText(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task ThroughAWorkflowThatIsATool_TheTurnsLimitHolds_AndItsEndEndsIt()
    {
        await _server.PostAsync("/api/agents", """{"name":"helper","configuration":{"model":"brain","tools":["calculator"]}}""");
        await PublishToolAsync("delegate", "helper");
        // One unit each: the boss asks for the tool, the helper for another. Then nothing is left for either.
        var boss = await _server.NewAgentAsync("""{"model":"brain","tools":["delegate"],"rules":{"delegate":[{"when":{},"mode":"allow"}]},"limits":{"maxTurnCost":2} }""");
        var calls = 0;
        Model.Answer = _ => Call(Interlocked.Increment(ref calls) == 1 ? "delegate" : "calculator");

        var turn = await _server.AskAsync(boss, "Let somebody do it.");

        Assert.Equal(2, Volatile.Read(ref calls));
        var helped = Assert.Single((await _server.GetAsync("/api/agents/helper/turns")).GetProperty("items").EnumerateArray());
        Assert.Contains("together", helped.GetRawText(), StringComparison.Ordinal);
        Assert.Contains("may cost", turn.GetRawText(), StringComparison.Ordinal);
        var between = Assert.Single((await _server.GetAsync($"/api/instances?parentId={turn.GetProperty("id").GetString()}")).GetProperty("items").EnumerateArray());
        Assert.Equal("delegate", between.GetProperty("definitionId").GetString());
    }

    [Fact]
    public async Task AgentsThatCallThemselvesThroughATool_EndAtTheDeepestLevel()
    {
        await PublishToolAsync("ask-again", "mirror");
        await _server.PostAsync("/api/agents", """{"name":"mirror","configuration":{"model":"brain","tools":["ask-again"],"rules":{"ask-again":[{"when":{},"mode":"allow"}]}}}""");
        var heard = new ConcurrentBag<string>();
        Model.Answer = request =>
        {
            heard.Add(request.LastText);
            return request.LastMessage.GetProperty("role").GetString() == "tool" ? DoubleAnswer.Say("Enough.") : Call("ask-again");
        };

        var turn = await _server.AskAsync("mirror", "Who is there?");

        Assert.Equal("completed", turn.GetProperty("status").GetString());
        // A person's turn, and three levels below it; the fourth was refused, and the tool says so.
        Assert.Equal(4, (await _server.GetAsync("/api/agents/mirror/turns")).GetProperty("items").GetArrayLength());
        Assert.Contains(heard, text => text.Contains("levels deep at most", StringComparison.Ordinal));
    }

    [Fact]
    public async Task WorkflowThatIsNamedLikeATurn_IsNone()
    {
        await _server.PostAsync("/api/agents", """{"name":"helper","configuration":{"model":"brain"}}""");
        await PublishToolAsync("asks", "helper");
        Model.Answer = _ => DoubleAnswer.Say("Here.");

        await _server.PostAsync("/api/workflows/asks/start", """{"instanceId":"turn-mine","input":{"Depth":9,"MaxCost":0} }""");

        await ServerProcess.UntilAsync(async () => (await _server.GetAsync("/api/instances/turn-mine")).GetProperty("status").GetString() == "Finished", "it ends");
        Assert.Equal("Finished", (await _server.GetAsync("/api/instances/turn-mine")).GetProperty("subStatus").GetString());
    }

    private Task<JsonElement> PublishToolAsync(string name, string agent) => _server.PublishAsync(name, $$"""
        { "description": "Lets an agent work.", "customProperties": { "usableAsTool": true, "tool": { "name": "{{name}}", "risk": "low" } },
          "root": { "id": "ask", "type": "Conclave.Agents.RunAgent", "version": 1, "agent": "{{agent}}", "message": "Do it." } }
        """);

    private static DoubleAnswer Call(string tool) => DoubleAnswer.Say("I shall see.") with
    {
        InputTokens = 1_000,
        ToolCalls = [(tool, tool == "calculator" ? """{"expression":"1+1"}""" : "{}")],
    };

    private static async Task SetAsync(TaskCompletionSource source)
    {
        source.SetResult();
        await source.Task;
    }

    /// <summary>A call of a tool, which costs one unit of money, once both have begun.</summary>
    private static DoubleAnswer First(Task begun) => DoubleAnswer.Say("I shall see.") with
    {
        InputTokens = 1_000,
        ToolCalls = [("calculator", """{"expression":"1+1"}""")],
        BeforeToken = index => index == 0 ? begun : Task.CompletedTask,
    };
}
