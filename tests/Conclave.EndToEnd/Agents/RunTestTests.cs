using System.Text.Json.Nodes;
using Conclave.Tests.Inference.Doubles;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Agents;

/// <summary>Runs that become tests: they are repeated with what was answered then, and nothing happens outside.</summary>
[Collection(AgentServer.Name)]
public sealed class RunTestTests(AgentServer agents)
{
    private readonly ServerProcess _server = agents.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Workflow_ThatGoesOnAsItDid_Passes_AndOneThatDoesNotSaysWhere()
    {
        await SaveAsync(Order(100, "approve"), publish: true);
        var test = await TestAsync(await RunOrderAsync());
        Assert.Equal((_id, 1), (test["definitionId"].GetString(), test["version"].GetInt32()));
        Assert.Equal(["order", "approve"], test["recording"].GetProperty("executions").EnumerateArray().Select(e => e.GetProperty("nodeId").GetString()!.Split(':')[^1]));
        await PassesAsync(test);

        // A draft that asks nobody; what is published does as before.
        await SaveAsync(Order(1000, "approve"));
        await FailsAsync(test, "missing", "approve");
        await PassesAsync(test, "?version=published");
        await SaveAsync(Order(100, "look at it"));
        await FailsAsync(test, "input", "TaskName");
        await SaveAsync(Order(100, "approve", "'Cost ' + getOrder().amount"));
        var told = await FailsAsync(test, "output", "Result");
        Assert.Equal(("Paid 150", "Cost 150"), (told.GetProperty("expected").GetString(), told.GetProperty("actual").GetString()));
        await SaveAsync(Order(100, "approve", more: Activity("SendHttpRequest", "call", ("url", Literal("http://127.0.0.1:9/")))));
        await FailsAsync(test, "extra", "call");
        await SaveAsync(Order(100, "approve", more: Event("once-more")));
        await FailsAsync(test, "waiting", "once-more");
        await SaveAsync(Order(100, "approve", more: new JsonObject { ["type"] = "Conclave.Agents.AwaitApproval", ["id"] = "ask", ["version"] = 1, ["action"] = Expression("Object", "{}"), ["dueIn"] = Literal("00:10:00") }));
        await FailsAsync(test, "waiting", "ask");
        await SaveAsync(Order(100, "approve", more: Activity("Fault", "broken", ("message", Literal("oh")))));
        await FailsAsync(test, "status", "oh");

        // Time passes at once.
        await SaveAsync(Order(100, "approve", more: Delay("later")));
        await PassesAsync(test);
        (await _server.CallAsync($"DELETE /api/workflows/{_id}?force=true")).Is(204);
        await FailsAsync(test, "workflow", _id);
        (await _server.CallAsync($"DELETE /api/run-tests/{test["id"].GetString()}")).Is(204);
        (await _server.CallAsync($"POST /api/run-tests/{test["id"].GetString()}/run")).IsProblem(404, "test.not_found");
    }

    [Fact]
    public async Task Workflow_WithWhatIsAnotherEachTime_ComparesTheRest()
    {
        await SaveAsync(
            Flows.Of("Varying", Sequence("s", Activity("RunTask", "task", ("taskName", Flows.JavaScript("'n' + newGuid()")), ("payload", Flows.JavaScript("({ kind: 'order' })"))), Flows.SetOutput("newGuid()"))), publish: true);
        var instance = await _server.StartAsync(_id);
        await CompleteTaskAsync(instance);
        var test = await TestAsync(instance);
        Assert.Equal(["Result", "TaskName"], test["recording"].GetProperty("varying").EnumerateArray().Select(v => v.GetString()!.Split('.')[^1]).Order());
        await PassesAsync(test);
    }

    [Fact]
    public async Task Turn_IsRepeatedWithoutAskingTheModelOrRunningTools_AndFollowsTheAgent()
    {
        var asked = 0;
        agents.Model.Answer = request =>
        {
            Interlocked.Increment(ref asked);
            return request.Body.GetProperty("messages").EnumerateArray().Last().GetProperty("role").GetString() == "tool"
                ? DoubleAnswer.Say("It is 42.") : new DoubleAnswer { ToolCalls = [("calculator", """{"expression":"6*7"}""")] };
        };
        var agent = await _server.NewAgentAsync("""{"model":"brain","tools":["calculator"]}""");
        var turn = await _server.AskAsync(agent, "What is six times seven?");
        Assert.Equal("It is 42.", turn.GetProperty("answer").GetString());

        var test = await TestAsync(turn.GetProperty("id").GetString()!);
        Assert.Equal($"agent:{agent}", test["subject"].GetString());
        Assert.Equal("It is 42.", test["recording"].GetProperty("output").GetProperty("answer").GetString());
        await PassesAsync(test);
        Assert.Equal(test["id"].GetString(), Assert.Single(await _server.ItemsAsync($"/api/run-tests?agentId={agent}")).Text("id"));

        // Also while it takes no messages.
        await _server.PostAsync($"/api/agents/{agent}/state", """{"state":"paused"}""");
        await PassesAsync(test);

        // The agent may not calculate any more: the call is denied.
        (await _server.CallAsync($"PUT /api/tool-permissions/{agent}", """{"permissions":[{"tool":"calculator","mode":"deny"}]}""")).Is(200);
        var difference = await FailsAsync(test, "missing", "run");
        Assert.Contains("fewer than in the recorded run", difference.GetProperty("message").GetString(), StringComparison.Ordinal);

        Assert.Equal(2, asked);
        Assert.Single(await _server.ItemsAsync($"/api/tool-runs?agentId={agent}"));
        Assert.Single(await _server.ItemsAsync($"/api/agents/{agent}/turns"));
    }

    [Fact]
    public async Task BadRequests_AreRefused()
    {
        (await _server.CallAsync("POST /api/run-tests", "{}")).IsProblem(400, "request.invalid");
        (await _server.CallAsync("POST /api/run-tests", """{"instanceId":7}""")).IsProblem(400, "request.invalid");
        (await _server.CallAsync("POST /api/run-tests", """{"instanceId":"nobody"}""")).IsProblem(404, "instance.not_found");
        await SaveAsync(Order(100, "approve"), publish: true);
        var waiting = await _server.StartAsync(_id);
        await _server.UntilAsync(waiting, "Suspended");
        (await _server.CallAsync("POST /api/run-tests", $$"""{"instanceId":"{{waiting}}"}""")).IsProblem(409, "test.not_recorded");
        var test = await TestAsync(await RunOrderAsync());
        (await _server.CallAsync($"POST /api/run-tests/{test["id"].GetString()}/run?version=7")).IsProblem(400, "request.invalid");
        (await _server.CallAsync("GET /api/run-tests/none")).IsProblem(404, "test.not_found");
        (await _server.CallAsync("DELETE /api/run-tests/none")).IsProblem(404, "test.not_found");
    }

    /// <summary>Waits for an order, and has a task done for one above a limit.</summary>
    private JsonObject Order(int limit, string task, string output = "'Paid ' + getOrder().amount", JsonNode? more = null) => Flows.Of(
        "Order",
        Sequence(
            "s",
            [
                Activity("Event", "order", ("eventName", Literal(_id)), ("result", To("order"))),
                Activity("If", "if", ("condition", Flows.JavaScript($"getOrder().amount > {limit}")), ("then", Activity("RunTask", "approve", ("taskName", Literal(task))))),
                Flows.SetOutput(output),
                .. more is null ? Array.Empty<JsonNode>() : [more],
            ]),
        Variable("order", "Object"));

    private async Task SaveAsync(JsonObject definition, bool publish = false) =>
        (await _server.CallAsync($"PUT /api/workflows/{_id}?publish={(publish ? "true" : "false")}", definition)).Is(200);

    private async Task<string> RunOrderAsync()
    {
        var instance = await _server.StartAsync(_id);
        await _server.UntilAsync(instance, "Suspended");
        await _server.PostAsync($"/api/events/{_id}", $$"""{"payload":{"amount":150},"instanceId":"{{instance}}"}""");
        await CompleteTaskAsync(instance);
        return instance;
    }

    private async Task CompleteTaskAsync(string instance)
    {
        string? task = null;
        await ServerProcess.UntilAsync(
            async () => (task = (await _server.ItemsAsync("/api/tasks?limit=500")).FirstOrDefault(t => t.Text("instanceId") == instance) is { ValueKind: not System.Text.Json.JsonValueKind.Undefined } found ? found.Text("taskId") : null) is not null,
            "the task waits");
        await _server.PostAsync($"/api/tasks/{task}/complete", """{"result":"yes"}""");
        await _server.UntilAsync(instance, "Finished");
    }

    private async Task<Reply> TestAsync(string instance) => (await _server.CallAsync("POST /api/run-tests", $$"""{"instanceId":"{{instance}}"}""")).Is(201);

    private async Task PassesAsync(Reply test, string query = "")
    {
        var result = (await _server.CallAsync($"POST /api/run-tests/{test["id"].GetString()}/run{query}")).Is(200);
        Assert.True(result["passed"].GetBoolean(), result.Text);
        Assert.Equal(0, result["differences"].GetArrayLength());
        Assert.True((await _server.GetAsync($"/api/run-tests/{test["id"].GetString()}")).GetProperty("result").GetProperty("passed").GetBoolean());
    }

    private async Task<System.Text.Json.JsonElement> FailsAsync(Reply test, string kind, string word)
    {
        var result = (await _server.CallAsync($"POST /api/run-tests/{test["id"].GetString()}/run")).Is(200);
        Assert.False(result["passed"].GetBoolean());
        var difference = Assert.Single(result["differences"].EnumerateArray(), d => d.GetProperty("kind").GetString() == kind);
        Assert.Contains(word, difference.GetRawText(), StringComparison.Ordinal);
        return difference;
    }
}
