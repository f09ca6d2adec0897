using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa.Descriptors;

[Collection(SharedServer.Name)]
public sealed class ScriptingAndTestTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task TypeDefinitions_OfADraft_NameItsVariablesAndActivities()
    {
        var workflow = Draft(Sequence("s", Activity("ReadLine", "r", ("name", "Ask"))), Variable("Total", "Int32"));
        (await _server.CallAsync($"PUT /api/workflows/{_id}", workflow.With(("inputs", new JsonArray(new JsonObject { ["name"] = "Order", ["type"] = "String" }))))).Is(200);

        var reply = (await _server.CallAsync(
            $"POST /elsa/api/scripting/javascript/type-definitions/{_id}", new JsonObject { ["workflowDefinitionId"] = _id, ["activityTypeName"] = "Elsa.WriteLine", ["propertyName"] = "text" })).Is(200);

        Assert.Equal("application/x-typescript", reply.Message.Content.Headers.ContentType?.MediaType);
        Assert.Equal($"elsa.{_id}.d.ts", reply.Message.Content.Headers.ContentDisposition?.FileName);
        Assert.All(
            (string[])["    Total: number;", "declare function getTotal(): number;", "declare function setTotal(value: number): void;", "declare function getOrder(): string;", "declare function getResultFromAsk(): string;", "declare function toJson("],
            line => Assert.Contains(line, reply.Text, StringComparison.Ordinal));
        Assert.DoesNotContain("setOutcome", reply.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TypeDefinitions_EmptyBodyOrUnknownWorkflow_AreAnswered()
    {
        (await _server.CallAsync($"PUT /api/workflows/{_id}", Draft(Sequence("s")))).Is(200);

        Assert.Contains("setOutcome", (await _server.CallAsync($"POST /elsa/api/scripting/javascript/type-definitions/{_id}")).Is(200).Text, StringComparison.Ordinal);
        (await _server.CallAsync($"POST /elsa/api/scripting/javascript/type-definitions/{_id}none", "{}")).Is(404);
        (await _server.CallAsync($"POST /elsa/api/scripting/javascript/type-definitions/{_id}", "[]")).Is(400);
        (await _server.CallAsync($"POST /elsa/api/scripting/javascript/type-definitions/{_id}", "{")).Is(400);
    }

    [Fact]
    public async Task Test_OfAnActivity_RunsItWithTheTestValues()
    {
        var workflow = Draft(
            Sequence("s", Activity("RunJavaScript", "calc", ("script", Expression("JavaScript", "setTotal(getTotal() * 2); setOutcome('Big'); return getTotal() + 1")), ("possibleOutcomes", Expression("Object", """["Big"]""")))),
            Variable("Total", "Int32", 1)).With(("customProperties", new JsonObject { ["VariableTestValues"] = new JsonObject { ["Total"] = "21" } }));
        var version = (await _server.CallAsync($"PUT /api/workflows/{_id}", workflow)).Is(200)["id"].GetString();

        var reply = await TestAsync(version, "Workflow1:s:calc");

        Assert.Equal(("Completed", 43), (reply.Is(200)["status"].GetString(), reply["outputs"].GetProperty("Result").GetInt32()));
        Assert.Equal("""{"Outcomes":["Big"],"Variables":{"Total":42}}""", reply["payload"].GetRawText());
        Assert.Equal(["Big"], reply["activityState"].GetProperty("PossibleOutcomes").EnumerateArray().Select(o => o.GetString()));
        Assert.False(reply.Json.TryGetProperty("exception", out _));
        Assert.Empty(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
    }

    [Fact]
    public async Task Test_OfAnActivityThatFails_SaysWhy()
    {
        var version = (await _server.CallAsync($"PUT /api/workflows/{_id}", Draft(Activity("Fault", "f", ("message", Literal("no luck")))))).Is(200)["id"].GetString();

        var reply = (await TestAsync(version, "Workflow1:f")).Is(200);

        Assert.Equal("Faulted", reply["status"].GetString());
        Assert.Equal("no luck", reply["exception"].GetProperty("message").GetString());
    }

    [Fact]
    public async Task Test_OfAnEvent_StartsNobody()
    {
        var name = SharedServer.NewId();
        await _server.PublishAsync($"{_id}-listener", Draft(Sequence("s", Event(name).With(("customProperties", new JsonObject { ["canStartWorkflow"] = true })))));
        var version = (await _server.CallAsync($"PUT /api/workflows/{_id}", Draft(Activity("PublishEvent", "p", ("eventName", Literal(name)))))).Is(200)["id"].GetString();

        var reply = (await TestAsync(version, "Workflow1:p")).Is(200);

        Assert.Equal(("Event", name), (reply["payload"].GetProperty("Effects")[0].Text("kind"), reply["payload"].GetProperty("Effects")[0].Text("eventName")));
        Assert.Empty(await _server.ItemsAsync($"/api/instances?definitionId={_id}-listener"));
    }

    [Fact]
    public async Task Test_OfWhatIsNotThere_IsRefused()
    {
        var version = (await _server.CallAsync($"PUT /api/workflows/{_id}", Draft(Sequence("s")).With(("customProperties", new JsonObject { ["VariableTestValues"] = new JsonObject { ["v"] = "x" } })))).Is(200)["id"].GetString();

        IsProblem(await TestAsync(version, "Workflow1:none"), "Workflow1:none");
        IsProblem(await TestAsync("none", "Workflow1:s"), "none");
        IsProblem(await _server.CallAsync("POST /elsa/api/tests/activities", "{}"), "workflowDefinitionHandle");
        IsProblem(await _server.CallAsync("POST /elsa/api/tests/activities", $$"""{"workflowDefinitionHandle": {"definitionId": "{{_id}}" }, "activityHandle": { } }"""), "activityNodeId");
        (await _server.CallAsync("POST /elsa/api/tests/activities", $$"""{"WorkflowDefinitionHandle": {"DefinitionId": "{{_id}}", "VersionOptions": "1" }, "ActivityHandle": {"ActivityId": "s" } }""")).Is(200);
    }

    private static void IsProblem(Reply reply, string about)
    {
        reply.Is(400);
        Assert.Equal("application/problem+json", reply.Message.Content.Headers.ContentType?.MediaType);
        Assert.Contains(about, reply["errors"].GetProperty("generalErrors")[0].GetString(), StringComparison.Ordinal);
    }

    private Task<Reply> TestAsync(string? version, string node) => _server.CallAsync("POST /elsa/api/tests/activities", new JsonObject
    {
        ["workflowDefinitionHandle"] = new JsonObject { ["definitionId"] = null, ["definitionVersionId"] = version, ["versionOptions"] = null },
        ["activityHandle"] = new JsonObject { ["activityId"] = null, ["activityNodeId"] = node },
    });

    private static JsonObject Draft(JsonNode root, params JsonObject[] variables) => Workflow(root, variables).With(("id", null));
}
