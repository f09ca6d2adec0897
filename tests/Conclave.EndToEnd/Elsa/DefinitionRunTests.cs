using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class DefinitionRunTests(SharedServer shared)
{
    private const string Path = "/elsa/api/workflow-definitions";
    private const string InstanceId = "x-elsa-workflow-instance-id";
    private const string CannotStart = "x-elsa-workflow-cannot-start";

    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Execute_ADraftAsStudioDoes_RunsItAndNamesTheInstance()
    {
        await SaveAsync(Flows.Echo(), publish: false);

        var run = (await _server.CallAsync($"POST {Path}/{_id}/execute", """{"correlationId":null,"triggerActivityId":null,"versionOptions":"Latest","input":null}""")).Is(200);

        Assert.Equal(("False", "true"), (run.Header(CannotStart), run.Header("x-elsa-response")));
        var state = run["workflowState"];
        Assert.Equal((run.Header(InstanceId), _id, "1", "Finished", "Finished"), (state.Text("id"), state.Text("definitionId"), state.Text("definitionVersion"), state.Text("status"), state.Text("subStatus")));
        Assert.Equal("Finished", (await _server.GetAsync($"/api/instances/{run.Header(InstanceId)}")).Text("status"));
        Assert.Equal("", (await _server.CallAsync($"POST {Path}/{_id}/execute")).Is(404).Text);
    }

    [Fact]
    public async Task Execute_WithEverything_PassesIt()
    {
        await SaveAsync(Flows.Of("Full", Sequence("s", Flows.SetOutput("getInput('Value') + getCount()"), Event("wait" + _id)), Variable("count", "Int32", "1")), publish: true);
        var correlation = SharedServer.NewId();

        var run = (await _server.CallAsync($"POST {Path}/{_id}/execute", $$$"""{"CorrelationId":"{{{correlation}}}","Name":"n","Input":{"Value":40},"variables":{"count":2}}""")).Is(200);
        var state = run["workflowState"];

        Assert.Equal((correlation, "n", "Running", "Suspended"), (state.Text("correlationId"), state.Text("name"), state.Text("status"), state.Text("subStatus")));
        Assert.Equal(("42", "40", "2"), (state.GetProperty("output").Text("Result"), state.GetProperty("input").Text("Value"), state.GetProperty("properties").GetProperty("Variables").Text("count")));
        var bookmark = Assert.Single(state.GetProperty("bookmarks").EnumerateArray());
        Assert.Equal(
            ["id", "name", "hash", "payload", "activityId", "activityNodeId", "activityInstanceId", "createdAt", "autoBurn", "autoComplete"],
            bookmark.EnumerateObject().Select(m => m.Name));
        Assert.Equal(("Elsa.Event", "wait" + _id), (bookmark.Text("name"), bookmark.Text("activityId")));
        var contexts = state.GetProperty("activityExecutionContexts").EnumerateArray().ToList();
        Assert.Equal("Workflow1", Assert.Single(contexts, c => !c.TryGetProperty("parentContextId", out _)).Text("scheduledActivityNodeId"));
        Assert.Equal(bookmark.Text("activityInstanceId"), contexts[^1].Text("id"));
        Assert.All(contexts, c => Assert.True(c.GetProperty("startedAt").GetDateTimeOffset() >= state.GetProperty("createdAt").GetDateTimeOffset()));
        Assert.All((string[])["incidents", "completionCallbacks", "scheduledActivities"], m => Assert.Equal(0, state.GetProperty(m).GetArrayLength()));

        var get = (await _server.CallAsync($"GET {Path}/{_id}/execute?input={Uri.EscapeDataString("""{"Value":1}""")}&correlationId=c{_id}&versionOptions=1")).Is(200);
        Assert.Equal(("2", $"c{_id}"), (get["workflowState"].GetProperty("output").Text("Result"), get["workflowState"].Text("correlationId")));
        (await _server.CallAsync($"GET {Path}/{_id}/execute", (HttpContent?)null, "Sec-Fetch-Site: cross-site")).Is(400);
    }

    [Fact]
    public async Task Execute_WorkflowThatAnswers_GivesItsAnswer()
    {
        await SaveAsync(Flows.Of("Answer", Sequence("s", Flows.Respond("'hello'", 201))), publish: true);

        var run = (await _server.CallAsync($"POST {Path}/{_id}/execute", "{}")).Is(201);

        Assert.Equal(("hello", "False", null), (run.Text, run.Header(CannotStart), run.Header("x-elsa-response")));
        Assert.Equal("Finished", (await _server.GetAsync($"/api/instances/{run.Header(InstanceId)}")).Text("status"));
    }

    [Fact]
    public async Task Execute_WorkflowThatFaults_Is500WithTheState()
    {
        await SaveAsync(Flows.Of("Fault", Sequence("s", Activity("Fault", "bang", ("message", Literal("it broke"))))), publish: true);

        var run = (await _server.CallAsync($"POST {Path}/{_id}/execute", "{}")).Is(500);

        Assert.Equal(("False", "Faulted"), (run.Header(CannotStart), run["workflowState"].Text("subStatus")));
        var incident = Assert.Single(run["workflowState"].GetProperty("incidents").EnumerateArray());
        Assert.Equal(("bang", "it broke"), (incident.Text("activityId"), incident.Text("message")));
        Assert.Equal("it broke", incident.GetProperty("exception").Text("message"));
        Assert.Equal("Faulted", (await _server.GetAsync($"/api/instances/{run.Header(InstanceId)}")).Text("subStatus"));
    }

    [Fact]
    public async Task Execute_SingletonThatRuns_CannotStart()
    {
        var singleton = Flows.Waiting(_id).With(("options", new JsonObject { ["activationStrategyType"] = "Elsa.Workflows.ActivationValidators.SingletonStrategy, Elsa.Workflows.Core" }));
        await SaveAsync(singleton, publish: true);
        var first = (await _server.CallAsync($"POST {Path}/{_id}/execute", "{}")).Is(200);

        var second = (await _server.CallAsync($"POST {Path}/{_id}/execute", "{}")).Is(200);

        Assert.Equal(("True", null, ""), (second.Header(CannotStart), second.Header(InstanceId), second.Text));
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}/{_id}/dispatch", "{}"), "strategy");
        (await _server.CallAsync($"DELETE /api/instances/{first.Header(InstanceId)}?force=true")).Is(204);
    }

    [Fact]
    public async Task Execute_FromAnActivity_BeginsThere()
    {
        await SaveAsync(Flows.Of("Two", Flowchart("f", [Flows.SetOutput("'first'"), Activity("SetOutput", "second", ("outputName", Literal("Result")), ("outputValue", Literal("second")))])), publish: true);

        foreach (var begin in (string[])["\"triggerActivityId\":\"second\"", "\"activityHandle\":{\"activityId\":\"second\"}", "\"activityHandle\":{\"activityNodeId\":\"Workflow1:f:second\"}"])
            Assert.Equal("second", (await _server.CallAsync($"POST {Path}/{_id}/execute", $"{{{begin}}}")).Is(200)["workflowState"].GetProperty("output").Text("Result"));
        foreach (var wrong in (string[])["\"triggerActivityId\":\"nothing\"", "\"activityHandle\":{\"activityId\":\"nothing\"}"])
            (await _server.CallAsync($"POST {Path}/{_id}/execute", $"{{{wrong}}}")).Is(400);
    }

    [Fact]
    public async Task Dispatch_OneAndMany_RunInTheQueue()
    {
        await SaveAsync(Flows.Echo(), publish: true);
        var id = SharedServer.NewId();

        var one = (await _server.CallAsync($"POST {Path}/{_id}/dispatch", $$"""{"instanceId":"{{id}}","correlationId":"c","input":{"Value":5},"channel":"any"}""")).Is(200);
        Assert.Equal(id, one["workflowInstanceId"].GetString());
        Assert.Equal("5", (await _server.UntilAsync(id, "Finished")).GetProperty("output").Text("Result"));
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}/{_id}/dispatch", $$"""{"instanceId":"{{id}}"}"""), id);

        var many = (await _server.CallAsync($"POST {Path}/{_id}/bulk-dispatch", """{"count":3,"input":{"Value":6}}""")).Is(200)["workflowInstanceIds"];
        Assert.Equal(3, many.EnumerateArray().Select(i => i.GetString()).Distinct().Count());
        foreach (var instance in many.EnumerateArray())
            Assert.Equal("6", (await _server.UntilAsync(instance.GetString()!, "Finished")).GetProperty("output").Text("Result"));
        Assert.Equal(1, (await _server.CallAsync($"POST {Path}/{_id}/bulk-dispatch")).Is(200)["workflowInstanceIds"].GetArrayLength());

        foreach (var wrong in (string[])["""{"input":[]}""", """{"input":"x"}""", """{"versionOptions":"x"}""", """{"correlationId":{}}"""])
            DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}/{_id}/dispatch", wrong), wrong[2..7]);
        foreach (var count in (string[])["0", "-1", "10001", "1.5", "\"x\""])
            DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}/{_id}/bulk-dispatch", $$"""{"count":{{count}}}"""), "count");
        (await _server.CallAsync($"POST {Path}/nothing/dispatch", "{}")).Is(404);
        (await _server.CallAsync($"POST {Path}/nothing/execute", "{}")).Is(404);
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}/{_id}/execute", """{"variables":{"nothing":1}}"""), "nothing");
    }

    private async Task SaveAsync(JsonObject definition, bool publish) => (await _server.CallAsync(
        $"POST {Path}", new JsonObject { ["model"] = definition.With(("definitionId", _id)), ["publish"] = publish })).Is(200);
}
