using System.Text.Json;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Agents;

/// <summary>The packages that ship, on a server that has the workflows and tools that ship.</summary>
[Collection(AgentServer.Name)]
public sealed class ShippedPackageTests(AgentServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [Fact]
    public async Task All_AreAcceptedAndMissNothing()
    {
        List<JsonElement> packages = [];
        await ServerProcess.UntilAsync(async () => (packages = await _server.ItemsAsync("/api/agent-packages")).Count >= 12, "twelve packages are there");

        Assert.All(packages, p => Assert.Equal(("accepted", "folder", 0), (p.Text("state"), p.Text("source"), p.GetProperty("warnings").GetArrayLength())));
    }

    /// <summary>An agent of a package calls the tool that its package brings; it reads only, so that nobody is asked.</summary>
    [Fact]
    public async Task Agent_OfAPackage_CallsTheToolOfItsLogic()
    {
        var agent = (await _server.CallAsync("POST /api/agents", $$"""{"name":"{{SharedServer.NewId()}}","template":"athena","configuration":{"model":"brain"} }""")).Is(201).Json.Text("id");
        shared.Model.Answer = request => request.Body.GetProperty("messages").EnumerateArray().Last() is var last && last.Text("role") == "tool"
            ? DoubleAnswer.Say($"In {JsonElement.Parse(last.Text("content")).Text("count")} cases.")
            : new DoubleAnswer { ToolCalls = [("athena_pairs", """{"factors":[{"name":"browser","values":["a","b"]},{"name":"language","values":["de","en"]}]}""")] };

        var turn = await _server.AskAsync(agent, "How many cases do I need?");

        Assert.True(turn.Text("status") == "completed", turn.GetRawText());
        Assert.Equal(("In 4 cases.", 1), (turn.Text("answer"), turn.GetProperty("toolCalls").GetInt32()));
        Assert.StartsWith("athena@", turn.GetProperty("makeup").Text("package"), StringComparison.Ordinal);
        Assert.Contains(turn.GetProperty("makeup").GetProperty("tools").EnumerateObject(), t => t.Name == "athena_pairs");
        Assert.Contains("You are watchful", turn.GetProperty("makeup").GetProperty("configuration").Text("mood"), StringComparison.Ordinal);
    }
}
