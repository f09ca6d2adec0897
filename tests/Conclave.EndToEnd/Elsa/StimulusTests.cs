using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class StimulusTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Task_Completed_ResumesItsWorkflow()
    {
        await _server.PublishAsync(_id, Flows.Of(
            "Task", Sequence("s", Activity("RunTask", "t", ("taskName", Literal(_id)), ("result", To("got"))), Flows.SetOutput("getGot()")), Variable("got", "Object")));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");

        (await _server.CallAsync($"POST /elsa/api/tasks/{id}-3/complete", """{ "result": { "approved": true } }""")).Is(200);

        Assert.Equal("""{"approved":true}""", (await _server.UntilAsync(id, "Finished")).GetProperty("output").GetProperty("Result").GetRawText());
        (await _server.CallAsync($"POST /elsa/api/tasks/{id}-3/complete", "{}")).Is(404);
    }

    [Fact]
    public async Task Event_Asynchronous_IsDelivered()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        var ids = new[] { await StartAsync(), await StartAsync() };

        var answer = (await _server.CallAsync($"POST /elsa/api/events/{_id}/trigger", $$"""{ "workflowInstanceId": "{{ids[0]}}", "input": { "n": 1 } }""")).Is(200);

        Assert.Empty(answer.Text);
        Assert.Equal("""{"n":1}""", (await _server.UntilAsync(ids[0], "Finished")).GetProperty("output").GetProperty("Result").GetRawText());
        Assert.Equal("Suspended", (await _server.GetAsync($"/api/instances/{ids[1]}")).Text("subStatus"));
        var execution = (await _server.ItemsAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={ids[1]}&ActivityNodeId=Workflow1:s:e")).Single().Text("id");
        (await _server.CallAsync($"POST /elsa/api/events/{_id}/trigger", $$"""{ "activityInstanceId": "{{execution}}" }""")).Is(200);
        await _server.UntilAsync(ids[1], "Finished");
        (await _server.CallAsync($"POST /elsa/api/events/{_id}/trigger", $$"""{ "activityInstanceId": "{{execution}}" }""")).Is(404);
        (await _server.CallAsync($"POST /elsa/api/events/{_id}/trigger", """{ "workflowExecutionMode": "Later" }""")).Is(400);
    }

    [Fact]
    public async Task Event_Synchronous_HasRunWhenTheAnswerComes_AndTheWorkflowMayWriteIt()
    {
        await _server.PublishAsync(_id, Flows.Of("Answers", Sequence("s", Activity("Event", "e", ("eventName", Literal(_id)), ("result", To("got"))), Flows.Respond("getGot().n + 1", 202)), Variable("got", "Object")));
        var id = await StartAsync();

        var answer = (await _server.CallAsync($"POST /elsa/api/events/{_id}/trigger", """{ "workflowExecutionMode": "Synchronous", "input": { "n": 41 } }""")).Is(202);

        Assert.Equal("42", answer.Text);
        Assert.Equal("Finished", (await _server.GetAsync($"/api/instances/{id}")).Text("subStatus"));
        // Nobody hears it: that is no failure.
        (await _server.CallAsync($"POST /elsa/api/events/{_id}/trigger", """{ "workflowExecutionMode": "Synchronous" }""")).Is(200);
    }

    [Fact]
    public async Task Links_WorkWithoutAKey_UntilTheyExpire()
    {
        await _server.PublishAsync(_id, Flows.Of("Links", Sequence("s", Activity("Event", "e", ("eventName", Literal(_id)), ("result", To("got"))), Flows.SetOutput("getGot()")), Variable("got", "Object")));
        var first = await StartAsync();
        using var anonymous = new HttpClient();

        var link = (await _server.CallAsync($"POST /elsa/api/events/{_id}/link", """{ "lifetime": "00:10:00" }""")).Is(200);
        Assert.Equal(200, (int)(await anonymous.GetAsync(link["url"].GetString())).StatusCode);
        Assert.Equal("Finished", (await _server.GetAsync($"/api/instances/{first}")).Text("subStatus"));

        var second = await StartAsync();
        var bookmark = (await _server.GetAsync($"/elsa/api/workflow-instances/{second}")).GetProperty("workflowState").GetProperty("bookmarks")[0].Text("id");
        var resume = (await _server.CallAsync($"POST /elsa/api/bookmarks/{Uri.EscapeDataString(bookmark)}/link", "{}")).Is(200)["url"].GetString()!;
        Assert.Equal(200, (int)(await anonymous.GetAsync($"{resume}&in={Uri.EscapeDataString("""{"by":"link"}""")}")).StatusCode);
        Assert.Equal("""{"by":"link"}""", (await _server.UntilAsync(second, "Finished")).GetProperty("output").GetProperty("Result").GetRawText());
        Assert.Equal(404, (int)(await anonymous.GetAsync(resume)).StatusCode);

        var expired = (await _server.CallAsync($"POST /elsa/api/events/{_id}/link", """{ "lifetime": "2020-01-01T00:00:00Z" }""")).Is(200)["url"].GetString();
        Assert.Equal(400, (int)(await anonymous.GetAsync(expired)).StatusCode);
        foreach (var bad in (string[])["events/trigger?t=nonsense", "events/trigger", $"bookmarks/resume?t={link["token"].GetString()}"])
            Assert.Equal(400, (int)(await anonymous.GetAsync(new Uri(_server.Http.BaseAddress!, $"/elsa/api/{bad}"))).StatusCode);
        (await _server.CallAsync($"POST /elsa/api/events/{_id}/link", """{ "lifetime": "soon" }""")).Is(400);
        (await _server.CallAsync("POST /elsa/api/bookmarks/nobody:1/link", "{}")).Is(404);
    }

    [Fact]
    public async Task Link_ThatAScriptMade_TriggersItsEvent()
    {
        await _server.PublishAsync(_id, Flows.Of("Script", Sequence("s", Flows.SetOutput($"createEventTriggerUrl('{_id}', '01:00:00')"), Event(_id))));
        var id = await StartAsync();
        var url = (await _server.GetAsync($"/api/instances/{id}")).GetProperty("output").Text("Result");
        using var anonymous = new HttpClient();

        Assert.Equal(200, (int)(await anonymous.GetAsync(url)).StatusCode);

        await _server.UntilAsync(id, "Finished");
    }

    [Fact]
    public async Task ResumeLink_Asynchronous_GoesThroughTheQueue()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        var id = await StartAsync();
        var bookmark = (await _server.GetAsync($"/elsa/api/workflow-instances/{id}")).GetProperty("workflowState").GetProperty("bookmarks")[0].Text("id");
        var url = (await _server.CallAsync($"POST /elsa/api/bookmarks/{Uri.EscapeDataString(bookmark)}/link", "{}")).Is(200)["url"].GetString()!;
        using var anonymous = new HttpClient();

        var answer = await anonymous.PostAsync($"{url}&async=true", new StringContent("""{ "input": "later" }""", System.Text.Encoding.UTF8, "application/json"));

        Assert.Equal(200, (int)answer.StatusCode);
        Assert.Equal("later", (await _server.UntilAsync(id, "Finished")).GetProperty("output").Text("Result"));
    }

    private async Task<string> StartAsync()
    {
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");
        return id;
    }
}
