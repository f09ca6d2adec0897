using System.IO.Compression;
using System.Text;
using System.Text.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class OperationTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Cancel_OneAndMany_AreCancelled()
    {
        var ids = await StartWaitingAsync(4);

        var one = (await _server.CallAsync($"POST /elsa/api/cancel/workflow-instances/{ids[0]}")).Is(200);
        Assert.Empty(one.Text);
        // It has ended: nothing is left to cancel, which is no failure for whoever clicked.
        (await _server.CallAsync($"POST /elsa/api/cancel/workflow-instances/{ids[0]}")).Is(200);
        (await _server.CallAsync("POST /elsa/api/cancel/workflow-instances/nobody")).Is(404);
        Assert.Equal("""{"cancelled":1}""", (await _server.CallAsync("POST /elsa/api/bulk-actions/cancel/workflow-instances/", $$"""{ "ids": ["{{ids[0]}}", "{{ids[1]}}", "nobody"] }""")).Is(200).Text);
        var versionId = (await _server.GetAsync($"/elsa/api/workflow-instances/{ids[2]}")).Text("definitionVersionId");
        foreach (var nothing in (string[])["{}", """{ "ids": [] }""", $$"""{ "definitionId": "{{_id}}", "versionOptions": "Draft" }""", """{ "definitionVersionId": "nothing" }"""])
            Assert.Equal("""{"cancelled":0}""", (await _server.CallAsync("POST /elsa/api/bulk-actions/cancel/workflow-instances", nothing)).Is(200).Text);
        (await _server.CallAsync("POST /elsa/api/bulk-actions/cancel/workflow-instances", $$"""{ "definitionId": "{{_id}}" }""")).Is(400);
        Assert.Equal("Suspended", (await _server.GetAsync($"/api/instances/{ids[2]}")).Text("subStatus"));
        Assert.Equal("""{"cancelled":2}""", (await _server.CallAsync("POST /elsa/api/bulk-actions/cancel/workflow-instances", $$"""{ "ids": null, "definitionVersionId": "{{versionId}}", "definitionId": null, "versionOptions": null }""")).Is(200).Text);
        var more = await StartWaitingAsync(1);
        Assert.Equal("""{"cancelled":1}""", (await _server.CallAsync("POST /elsa/api/bulk-actions/cancel/workflow-instances", $$"""{ "definitionId": "{{_id}}", "versionOptions": "Published" }""")).Is(200).Text);

        foreach (var id in (string[])[.. ids, .. more])
            Assert.Equal("Cancelled", (await _server.GetAsync($"/elsa/api/workflow-instances/{id}")).Text("subStatus"));
    }

    [Fact]
    public async Task Delete_OneAndMany_AreGone()
    {
        var ids = await StartWaitingAsync(5);

        (await _server.CallAsync($"DELETE /elsa/api/workflow-instances/{ids[0]}")).Is(204);
        (await _server.CallAsync($"DELETE /elsa/api/workflow-instances/{ids[0]}")).Is(404);
        Assert.Equal("""{"deleted":1}""", (await _server.CallAsync("POST /elsa/api/bulk-actions/delete/workflow-instances/by-id", $$"""{ "ids": ["{{ids[1]}}", "nobody"] }""")).Is(200).Text);
        foreach (var nothing in (string[])["{}", """{ "ids": [] }""", """{ "ids": null, "workflowDefinitionId": null, "workflowDefinitionIds": null }"""])
            Assert.Equal("""{"deleted":0}""", (await _server.CallAsync("POST /elsa/api/bulk-actions/delete/workflow-instances", nothing)).Is(200).Text);
        Assert.Equal("""{"deleted":3}""", (await _server.CallAsync("POST /elsa/api/bulk-actions/delete/workflow-instances", $$"""{ "workflowDefinitionIds": ["{{_id}}"] }""")).Is(200).Text);

        Assert.Equal(0, (await _server.PostAsync("/elsa/api/workflow-instances", $$"""{ "definitionId": "{{_id}}" }""")).GetProperty("totalCount").GetInt32());
        Assert.Equal("0", (await _server.PostAsync($"/api/events/{_id}", "{}")).Text("resumed"));
    }

    [Fact]
    public async Task ExportAndImport_WaitingInstance_GoesOnWhereItWas()
    {
        var ids = await StartWaitingAsync(2);
        var file = (await _server.CallAsync($"GET /elsa/api/workflow-instances/{ids[0]}/export?includeBookmarks=True&includeActivityExecutionLog=True&includeWorkflowExecutionLog=True")).Is(200);
        Assert.Equal($"attachment; filename=\"workflow-instance-{ids[0]}.json\"", file.Header("Content-Disposition"));
        Assert.Equal(["WorkflowState", "Bookmarks", "ActivityExecutionRecords", "WorkflowExecutionLogRecords", "Conclave"], file.Json.EnumerateObject().Select(p => p.Name));
        Assert.Equal(1, file["Bookmarks"].GetArrayLength());
        Assert.Equal(3, file["ActivityExecutionRecords"].GetArrayLength());
        Assert.NotEqual(0, file["WorkflowExecutionLogRecords"].GetArrayLength());
        Assert.Empty((await _server.CallAsync($"GET /elsa/api/workflow-instances/{ids[1]}/export")).Is(200)["Bookmarks"].EnumerateArray());
        var journal = await _server.GetAsync($"/elsa/api/workflow-instances/{ids[0]}/journal");

        (await ImportAsync(("one.json", file.Bytes))).Is(400);
        (await _server.CallAsync($"DELETE /elsa/api/workflow-instances/{ids[0]}")).Is(204);
        var imported = (await ImportAsync(("one.json", file.Bytes))).Is(200);

        Assert.Equal("""{"imported":1,"count":1}""", imported.Text);
        Assert.Equal(journal.GetRawText(), (await _server.GetAsync($"/elsa/api/workflow-instances/{ids[0]}/journal")).GetRawText());
        Assert.Equal("2", (await _server.PostAsync($"/api/events/{_id}", """{ "payload": "paid" }""")).Text("resumed"));
        Assert.Equal("paid", (await _server.UntilAsync(ids[0], "Finished")).GetProperty("output").Text("Result"));
    }

    [Fact]
    public async Task ExportMany_GivesAZip_ThatCanBeImported()
    {
        var ids = await StartWaitingAsync(2);
        var export = (await _server.CallAsync("POST /elsa/api/bulk-actions/export/workflow-instances", $$"""{ "ids": ["{{ids[0]}}", "{{ids[1]}}"] }""")).Is(200);
        using (var zip = new ZipArchive(new MemoryStream(export.Bytes)))
            Assert.Equal(ids.Select(i => $"workflow-instance-{i}.json").Order(), zip.Entries.Select(e => e.FullName).Order());
        Assert.Equal("application/zip", export.Header("Content-Type"));
        Assert.Equal("application/json", (await _server.CallAsync("POST /elsa/api/bulk-actions/export/workflow-instances", $$"""{ "ids": ["{{ids[0]}}"] }""")).Is(200).Header("Content-Type"));
        (await _server.CallAsync("POST /elsa/api/bulk-actions/export/workflow-instances", """{ "ids": ["nobody"] }""")).Is(204);
        (await _server.CallAsync("GET /elsa/api/workflow-instances/nobody/export")).Is(404);
        await _server.CallAsync("POST /elsa/api/bulk-actions/delete/workflow-instances", $$"""{ "ids": ["{{ids[0]}}", "{{ids[1]}}"] }""");

        Assert.Equal(2, (await ImportAsync(("all.zip", export.Bytes))).Is(200)["count"].GetInt32());

        await _server.UntilAsync(ids[1], "Suspended");
        (await ImportAsync(("bad.json", Encoding.UTF8.GetBytes("{}")))).Is(400);
        (await ImportAsync(("bad.json", Encoding.UTF8.GetBytes("""{ "WorkflowState": { "id": "x" } }""")))).Is(400);
        (await ImportAsync(("bad.json", Encoding.UTF8.GetBytes("""{ "Conclave": { "id": "x", "definitionVersionId": "nope", "state": "AAAA", "values": {}, "journal": [] } }""")))).Is(400);
        (await ImportAsync(("bad.zip", Encoding.UTF8.GetBytes("PK nothing")))).Is(400);
        (await ImportAsync()).Is(400);
        (await _server.CallAsync("POST /elsa/api/bulk-actions/import/workflow-instances", "{}")).Is(400);
    }

    [Fact]
    public async Task Alterations_ByPlan_AreMadeAndLogged()
    {
        var ids = await StartWaitingAsync(3);
        (await _server.CallAsync($"POST /elsa/api/cancel/workflow-instances/{ids[2]}")).Is(200);
        var filter = $$"""{ "emptyFilterSelectsAll": false, "definitionIds": ["{{_id}}"], "statuses": ["Running"] }""";
        var dry = await _server.PostAsync("/elsa/api/alterations/dry-run", filter);
        Assert.Equal(ids[..2].Order(), dry.GetProperty("workflowInstanceIds").EnumerateArray().Select(i => i.GetString()!).Order());
        Assert.Empty((await _server.PostAsync("/elsa/api/alterations/dry-run", "{}")).GetProperty("workflowInstanceIds").EnumerateArray());

        var plan = (await _server.PostAsync("/elsa/api/alterations/submit", $$"""{ "alterations": [{ "type": "ModifyVariable", "variableId": "got", "value": "changed" }, { "type": "Cancel" }], "filter": {{filter}} }""")).Text("planId");

        JsonElement found = default;
        await ServerProcess.UntilAsync(async () => (found = await _server.GetAsync($"/elsa/api/alterations/{plan}")).GetProperty("plan").Text("status") == "Completed", "the plan is carried out");
        Assert.Equal(ids[..2].Order(), found.GetProperty("jobs").EnumerateArray().Select(j => j.Text("workflowInstanceId")));
        Assert.All(found.GetProperty("jobs").EnumerateArray(), j =>
        {
            Assert.Equal("Completed", j.Text("status"));
            Assert.Equal(["Variable 'got' was set.", "Cancelled."], j.GetProperty("log").EnumerateArray().Select(l => l.Text("message")));
        });
        Assert.All(await Task.WhenAll(ids[..2].Select(id => _server.GetAsync($"/api/instances/{id}"))), i => Assert.Equal(("Cancelled", "changed"), (i.Text("subStatus"), i.GetProperty("variables").Text("got"))));
        (await _server.CallAsync("GET /elsa/api/alterations/nothing")).Is(404);
        foreach (var bad in (string[])["""[{ "type": "Explode" }]""", "[]", "null", """[{ "type": "ModifyVariable" }]""", """[{ "type": "CancelActivity", "activityId": "x" }]"""])
            (await _server.CallAsync("POST /elsa/api/alterations/submit", $$"""{ "alterations": {{bad}}, "filter": { "workflowInstanceIds": ["{{ids[0]}}"] } }""")).Is(400);
        (await _server.CallAsync("POST /elsa/api/alterations/submit", $$"""{ "alterations": [{ "type": "Cancel" }], "filter": { "activityFilters": [{ "activityId": "e" }] } }""")).Is(400);
    }

    [Fact]
    public async Task Alterations_PlanForNobody_ChangesNobody()
    {
        var ids = await StartWaitingAsync(1);

        var plan = (await _server.PostAsync("/elsa/api/alterations/submit", """{ "alterations": [{ "type": "Cancel" }], "filter": {} }""")).Text("planId");

        await ServerProcess.UntilAsync(async () => (await _server.GetAsync($"/elsa/api/alterations/{plan}")).GetProperty("plan").Text("status") == "Completed", "the plan is carried out");
        Assert.Empty((await _server.GetAsync($"/elsa/api/alterations/{plan}")).GetProperty("jobs").EnumerateArray());
        Assert.Equal("Suspended", (await _server.GetAsync($"/api/instances/{ids[0]}")).Text("subStatus"));
    }

    [Fact]
    public async Task Alterations_RunAtOnce_MigrateAndTellOfFailures()
    {
        var ids = await StartWaitingAsync(1);
        var flow = Flows.Waiting(_id);
        flow["description"] = "second";
        await _server.PublishAsync(_id, flow);

        var results = (await _server.PostAsync("/elsa/api/alterations/run", $$"""{ "alterations": [{ "type": "Migrate", "targetVersion": 2 }], "workflowInstanceIds": ["{{ids[0]}}", "nobody"] }""")).GetProperty("results").EnumerateArray().ToList();

        Assert.Equal(["True", "False"], results.Select(r => r.Text("isSuccessful")));
        Assert.Equal(["workflowInstanceId", "isSuccessful", "workflowHasScheduledWork", "log"], results[0].EnumerateObject().Select(p => p.Name));
        Assert.Contains("nobody", Assert.Single(results[1].GetProperty("log").GetProperty("logEntries").EnumerateArray()).Text("message"), StringComparison.Ordinal);
        Assert.Equal(2, (await _server.GetAsync($"/elsa/api/workflow-instances/{ids[0]}")).GetProperty("version").GetInt32());
        (await _server.CallAsync("POST /elsa/api/alterations/run", """{ "alterations": [{ "type": "Cancel" }], "workflowInstanceIds": [] }""")).Is(400);
    }

    private async Task<string[]> StartWaitingAsync(int count)
    {
        if ((await _server.CallAsync($"GET /api/workflows/{_id}")).Status == 404)
            await _server.PublishAsync(_id, Flows.Waiting(_id));
        var ids = new string[count];
        for (var i = 0; i < count; i++)
        {
            ids[i] = await _server.StartAsync(_id);
            await _server.UntilAsync(ids[i], "Suspended");
        }

        return ids;
    }

    private async Task<Reply> ImportAsync(params (string Name, byte[] Content)[] files)
    {
        using var form = new MultipartFormDataContent();
        foreach (var (name, content) in files)
            form.Add(new ByteArrayContent(content), "files", name);
        if (files.Length == 0)
            form.Add(new StringContent("x"), "text");
        return await _server.CallAsync("POST /elsa/api/bulk-actions/import/workflow-instances", form);
    }
}
