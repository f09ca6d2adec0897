using System.Text.Json.Nodes;
using Conclave.Tests.Conformance;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Webhooks;

/// <summary>The reference cases that need HTTP: what their notes say.</summary>
[Collection(SharedServer.Name)]
public sealed class ElsaHttpTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [ElsaFact]
    public async Task HelloWorld_Answers()
    {
        await ImportAsync("component-HttpWorkflows/http-hello-world.json");

        Assert.Equal("Hello World!", (await _server.CallAsync("GET /workflows/hello-world")).Is(200).Text);
    }

    [ElsaFact]
    public async Task DynamicEndpoint_Refreshed_ListensAtItsNewPath()
    {
        // The reference host gives scripts a function getStaticValue; here a variable has that value.
        var definition = JsonNode.Parse(await File.ReadAllTextAsync(ElsaData.PathOf("component-WorkflowDefinitionRefresh/dynamic-endpoint-http-workflow.json")))!.AsObject();
        var id = definition["definitionId"]!.GetValue<string>();
        await _server.PublishAsync(id, definition.With(("variables", new JsonArray(Variable("StaticValue", "String")))));
        (await _server.CallAsync("GET /workflows/first-value")).Is(200);
        (await _server.CallAsync("GET /workflows/second-value")).Is(404);

        await _server.PublishAsync(id, definition.With(("variables", new JsonArray(Variable("StaticValue", "String", "second-value")))));

        (await _server.CallAsync("GET /workflows/second-value")).Is(200);
        (await _server.CallAsync("GET /workflows/first-value")).Is(404);
    }

    [ElsaFact]
    public async Task Reload_DeletedAndImportedAgain_Answers()
    {
        var id = await ImportAsync("component-WorkflowDefinitionReload/http-workflow.json");
        (await _server.CallAsync("GET /workflows/reload-test")).Is(200);
        (await _server.CallAsync($"DELETE /api/workflows/{id}")).Is(204);
        (await _server.CallAsync("GET /workflows/reload-test")).Is(404);

        await ImportAsync("component-WorkflowDefinitionReload/http-workflow.json");

        (await _server.CallAsync("GET /workflows/reload-test")).Is(200);
    }

    [ElsaFact]
    public async Task CacheInvalidation_ChildPublished_TheParentUsesItOnceItsReferencesAreUpdated()
    {
        var child = await ImportAsync("component-WorkflowActivities/CacheInvalidation_Child.json", "true");
        var parent = await ImportAsync("component-WorkflowActivities/CacheInvalidation_Parent.json", "true");
        Assert.Equal("Child version 1", await CorrelationAsync());

        await ImportAsync("component-WorkflowActivities/CacheInvalidation_Childv2.json", "true");
        (await _server.CallAsync($"POST /api/workflows/{child}/update-references")).Is(200);

        Assert.Equal("Child version 2", await CorrelationAsync());
        return;

        async Task<string> CorrelationAsync()
        {
            (await _server.CallAsync("GET /workflows/test-cache-invalidation")).Is(200);
            return (await _server.ItemsAsync($"/api/instances?definitionId={parent}&limit=1"))[0].Text("correlationId");
        }
    }

    [ElsaFact]
    public async Task Parent_TwoHundredAtOnceWhileTheGrandchildChanges_NoneFaults()
    {
        var grandchild = "";
        foreach (var name in new[] { "grand-child", "child", "parent" })
        {
            var id = await ImportAsync($"component-CachingAndWorkflowDefinitionActivity/workflow-definition-{name}.json", "true");
            grandchild = grandchild.Length == 0 ? id : grandchild;
        }

        var requests = Enumerable.Range(0, 200).Select(_ => _server.CallAsync("POST /workflows/parent", "{}")).ToList();
        var definition = JsonNode.Parse((await _server.CallAsync($"GET /api/workflows/{grandchild}")).Text)!.AsObject();
        for (var i = 0; i < 5; i++)
            await _server.PublishAsync(grandchild, definition.With(("description", $"Change {i}")));

        Assert.All(await Task.WhenAll(requests), r => r.Is(200));
        Assert.Empty(await _server.ItemsAsync("/api/instances?definitionId=189be5173f90b1f6&subStatus=Faulted"));
        Assert.Equal(200, (await _server.PagesAsync("/api/instances?definitionId=189be5173f90b1f6&subStatus=Finished&limit=500")).Count);
    }

    private async Task<string> ImportAsync(string file, string publish = "file")
    {
        var item = (await _server.CallAsync($"POST /api/workflows/import?publish={publish}", await File.ReadAllTextAsync(ElsaData.PathOf(file)))).Is(200)["items"][0];
        Assert.True(item.Text("outcome") != "refused", item.GetRawText());
        return item.Text("definitionId");
    }
}
