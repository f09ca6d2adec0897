using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class DefinitionChangeTests(SharedServer shared)
{
    private const string Path = "/elsa/api/workflow-definitions";

    private readonly ServerProcess _server = shared.Server;
    private readonly string _name = $"W{SharedServer.NewId()}";

    [Fact]
    public async Task Save_FromCreationToTheNextDraft_MovesVersionsAsElsaDoes()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        var created = (studio.Text("id"), studio.Text("createdAt"));
        Assert.Equal(("1", "true", "false"), (studio.Text("version"), studio.Text("isLatest"), studio.Text("isPublished")));

        var saved = (await studio.Draw(Write("a")).SaveAsync()).Is(200);
        Assert.Equal((created, "1"), ((studio.Text("id"), studio.Text("createdAt")), studio.Text("version")));
        Assert.Equal(["workflowDefinition", "alreadyPublished", "consumingWorkflowCount", "validationErrors"], saved.Json.EnumerateObject().Select(m => m.Name));
        Assert.Equal((false, 0, 0), (saved["alreadyPublished"].GetBoolean(), saved["consumingWorkflowCount"].GetInt32(), saved["validationErrors"].GetArrayLength()));

        (await studio.SaveAsync(publish: true)).Is(200);
        Assert.Equal((created.Item1, "1", "true", "true"), (studio.Text("id"), studio.Text("version"), studio.Text("isLatest"), studio.Text("isPublished")));

        (await studio.Draw(Write("b")).SaveAsync()).Is(200);
        Assert.NotEqual(created.Item1, studio.Text("id"));
        Assert.Equal(["2 True False", "1 False True"], await HistoryAsync(studio.DefinitionId));

        (await studio.SaveAsync(publish: true)).Is(200);
        Assert.Equal(["2 True True", "1 False False"], await HistoryAsync(studio.DefinitionId));
    }

    [Fact]
    public async Task Save_WhatTheServerDecides_IsNotTakenFromTheModel()
    {
        var id = SharedServer.NewId();
        var model = Flows.Short().With(("definitionId", id), ("id", "mine"), ("version", 77), ("isLatest", false), ("isPublished", true), ("createdAt", "1999-01-01T00:00:00Z"), ("description", "  d  "));

        var saved = (await _server.CallAsync($"POST {Path}", new JsonObject { ["Model"] = model, ["Publish"] = null })).Is(200)["workflowDefinition"];

        Assert.Equal((id, "1", "True", "False", "d"), (saved.Text("definitionId"), saved.Text("version"), saved.Text("isLatest"), saved.Text("isPublished"), saved.Text("description")));
        Assert.NotEqual("mine", saved.Text("id"));
        Assert.True(saved.GetProperty("createdAt").GetDateTimeOffset().Year > 2000);
    }

    [Fact]
    public async Task Save_WithoutRootOrIds_GetsThem()
    {
        var empty = (await _server.CallAsync($"POST {Path}", """{"model":{"name":null,"root":null,"options":null,"variables":null}}""")).Is(200)["workflowDefinition"];
        Assert.Equal("Elsa.Sequence", empty.GetProperty("root").Text("type"));
        Assert.False(empty.TryGetProperty("name", out _));

        var withoutIds = """{"model":{"name":"x","root":{"type":"Elsa.Sequence","version":1,"activities":[{"type":"Elsa.WriteLine","version":1},{"type":"Elsa.WriteLine","version":1,"id":"WriteLine1"}]}}}""";
        var root = (await _server.CallAsync($"POST {Path}", withoutIds)).Is(200)["workflowDefinition"].GetProperty("root");
        Assert.Equal(["Workflow1:Sequence1:WriteLine2", "Workflow1:Sequence1:WriteLine1"], root.GetProperty("activities").EnumerateArray().Select(a => a.Text("nodeId")));
    }

    [Fact]
    public async Task Save_UnknownMembers_AreKept()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        var imported = Flows.Of(_name, Sequence("s", Write("w").With(("futureMember", new JsonObject { ["a"] = new JsonArray(1.50m, null) }), ("metadata", new JsonObject { ["x"] = "ü€😀" }))))
            .With(("definitionId", studio.DefinitionId), ("acme", new JsonObject { ["keep"] = true }), ("customProperties", new JsonObject { ["Mine"] = new JsonArray("a", 1) }), ("options", new JsonObject { ["future"] = 7 }));
        imported["inputs"]![0]!["isCollection"] = true;
        imported["variables"] = new JsonArray(Variable("v", "Int32", 1).With(("acme", "x")));
        (await _server.CallAsync($"PUT {Path}/{studio.DefinitionId}/import", imported)).Is(200);

        var editor = await Studio.OpenAsync(_server, studio.DefinitionId);
        (await editor.SaveAsync()).Is(200);
        editor.Model["description"] = "changed";
        (await editor.SaveAsync()).Is(200);

        var stored = await _server.GetAsync($"/api/workflows/{studio.DefinitionId}");
        Assert.Equal(("7", "True", "x"), (stored.GetProperty("options").Text("future"), stored.GetProperty("inputs")[0].Text("isCollection"), stored.GetProperty("variables")[0].Text("acme")));
        Assert.Equal("""{"keep":true}""", stored.GetProperty("acme").GetRawText().Replace(" ", "", StringComparison.Ordinal).Replace("\n", "", StringComparison.Ordinal));
        var activity = stored.GetProperty("root").GetProperty("activities")[0];
        Assert.Equal(("1.50", "ü€😀"), (activity.GetProperty("futureMember").GetProperty("a")[0].GetRawText(), activity.GetProperty("metadata").Text("x")));
        Assert.Equal(["Mine"], stored.GetProperty("customProperties").EnumerateObject().Select(m => m.Name));
    }

    [Fact]
    public async Task Publish_WithErrors_ListsAllByActivity_AndTheDraftStays()
    {
        var broken = Sequence("s", Activity("Nothing", "lost"), Flows.Endpoint("web", Literal("a/{"), "GET"), Activity("Cron", "timer", ("cronExpression", Literal("x"))));
        var studio = await Studio.CreateAsync(_server, _name, broken);
        var request = studio.Request(publish: true);

        var refused = await studio.SaveAsync(publish: true);

        DefinitionReadTests.AssertErrors(refused, "Nothing");
        var texts = refused["errors"].GetProperty("generalErrors").EnumerateArray().Select(t => t.GetString()!).ToList();
        Assert.All((string[])["lost", "web", "timer"], id => Assert.Contains(texts, t => t.StartsWith(id, StringComparison.Ordinal)));
        Assert.Equal(["1 True False"], await HistoryAsync(studio.DefinitionId));
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}/{studio.DefinitionId}/publish", "{}"), "lost");
        Assert.Equal(["1 True False"], await HistoryAsync(studio.DefinitionId));
        var draft = (await studio.SaveAsync()).Is(200);
        Assert.Equal(texts.Order(), draft["validationErrors"].EnumerateArray().Select(t => t.GetString()!).Order());
    }

    [Fact]
    public async Task Save_TwoActivitiesWithOneId_IsRefusedNamingThem()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        DefinitionReadTests.AssertErrors(await studio.Draw(Write("twin"), Write("twin")).SaveAsync(), "twin");
        Assert.DoesNotContain("twin", (await _server.CallAsync($"GET {Path}/{studio.DefinitionId}")).Is(200).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PublishAndRetract_TellWhatTheyDid()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}/{studio.DefinitionId}/retract", "{}"), "not published");

        var published = (await _server.CallAsync($"POST {Path}/{studio.DefinitionId}/publish", "{}")).Is(200);
        Assert.Equal((false, true), (published["alreadyPublished"].GetBoolean(), published["workflowDefinition"].GetProperty("isPublished").GetBoolean()));
        Assert.True((await _server.CallAsync($"POST {Path}/{studio.DefinitionId}/publish")).Is(200)["alreadyPublished"].GetBoolean());

        var retracted = (await _server.CallAsync($"POST {Path}/{studio.DefinitionId}/retract", "{}")).Is(200).Json;
        Assert.Equal(("1", "True", "False"), (retracted.Text("version"), retracted.Text("isLatest"), retracted.Text("isPublished")));
        Assert.Contains(retracted.GetProperty("links").EnumerateArray(), l => l.Text("rel") == "publish");
        (await studio.Draw(Write("a")).SaveAsync()).Is(200);
        Assert.Equal(["1 True False"], await HistoryAsync(studio.DefinitionId));

        // With a newer draft: that is what the editor goes on with.
        (await studio.SaveAsync(publish: true)).Is(200);
        (await studio.Draw(Write("b")).SaveAsync()).Is(200);
        retracted = (await _server.CallAsync($"POST {Path}/{studio.DefinitionId}/retract", "{}")).Is(200).Json;
        Assert.Equal(("2", "True", "False"), (retracted.Text("version"), retracted.Text("isLatest"), retracted.Text("isPublished")));
        Assert.Equal(["2 True False", "1 False False"], await HistoryAsync(studio.DefinitionId));
        foreach (var action in (string[])["publish", "retract", "revert/1", "update-references"])
            Assert.Equal("", (await _server.CallAsync($"POST {Path}/nothing/{action}")).Is(404).Text);
    }

    [Fact]
    public async Task Revert_MakesTheOldVersionTheNewDraft()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        (await studio.Draw(Write("old")).SaveAsync(publish: true)).Is(200);
        (await studio.Draw(Write("new")).SaveAsync(publish: true)).Is(200);

        var summary = (await _server.CallAsync($"POST {Path}/{studio.DefinitionId}/revert/1")).Is(201).Json;

        Assert.Equal(("3", "True", "False"), (summary.Text("version"), summary.Text("isLatest"), summary.Text("isPublished")));
        Assert.False(summary.TryGetProperty("links", out _));
        var draft = await Studio.OpenAsync(_server, studio.DefinitionId);
        Assert.Equal(("old", summary.Text("id")), ($"{draft.Model["root"]!["activities"]![0]!["id"]}", draft.Text("id")));
        Assert.Equal(["3 True False", "2 False True", "1 False False"], await HistoryAsync(studio.DefinitionId));
        (await _server.CallAsync($"POST {Path}/{studio.DefinitionId}/revert/9")).Is(404);
    }

    [Fact]
    public async Task Readonly_IsNeitherEditableNorOffered()
    {
        var id = SharedServer.NewId();
        (await _server.CallAsync($"POST {Path}/import", Flows.Short().With(("definitionId", id), ("isReadonly", true)))).Is(200);

        var studio = await Studio.OpenAsync(_server, id);
        var links = (await _server.CallAsync($"GET {Path}/{id}")).Is(200)["links"].EnumerateArray().Select(l => l.Text("rel")).ToList();

        Assert.DoesNotContain("publish", links);
        Assert.Contains("execute", links);
        studio.Model["description"] = "mine";
        foreach (var reply in (Reply[])[await studio.SaveAsync(), await studio.SaveAsync(publish: true), await _server.CallAsync($"POST {Path}/{id}/publish"), await _server.CallAsync($"POST {Path}/{id}/retract"), await _server.CallAsync($"PUT {Path}/{id}/import", Flows.Short("x"))])
            DefinitionReadTests.AssertErrors(reply, "read-only");
        var bulk = (await _server.CallAsync("POST /elsa/api/bulk-actions/publish/workflow-definitions/by-definition-ids", new JsonObject { ["definitionIds"] = new JsonArray(id) })).Is(200);
        Assert.Equal(id, bulk["skipped"][0].GetString());
    }

    [Fact]
    public async Task Delete_WhatIsUsed_SaysByWhom()
    {
        var (used, consumer) = await UsedAsync();

        var refused = await _server.CallAsync($"DELETE {Path}/{used.DefinitionId}");
        DefinitionReadTests.AssertErrors(refused, $"'{_name} consumer' ({consumer.DefinitionId})");
        var bulk = (await _server.CallAsync("POST /elsa/api/bulk-actions/delete/workflow-definitions/by-definition-id", new JsonObject { ["definitionIds"] = new JsonArray(used.DefinitionId, consumer.DefinitionId, "nothing") })).Is(200);

        Assert.Equal(1, bulk["deleted"].GetInt64());
        Assert.Contains(consumer.DefinitionId, bulk["errors"].GetProperty(used.DefinitionId)[0].GetString(), StringComparison.Ordinal);
        (await _server.CallAsync($"GET {Path}/{consumer.DefinitionId}")).Is(404);
        (await _server.CallAsync($"DELETE {Path}/{used.DefinitionId}")).Is(204);
        Assert.Equal("", (await _server.CallAsync($"DELETE {Path}/{used.DefinitionId}")).Is(404).Text);
    }

    [Fact]
    public async Task DeleteVersions_LeavesTheNewestAndThePublished()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        var ids = new List<string>();
        for (var i = 1; i <= 4; i++)
        {
            (await studio.Draw(Write($"w{i}")).SaveAsync(publish: i < 4)).Is(200);
            ids.Add(studio.Text("id"));
        }

        (await _server.CallAsync($"DELETE /elsa/api/workflow-definition-versions/{ids[0]}")).Is(204);
        (await _server.CallAsync($"DELETE /elsa/api/workflow-definition-versions/{ids[0]}")).Is(404);
        (await _server.CallAsync($"DELETE {Path}/{studio.DefinitionId}/version/2")).Is(200);
        (await _server.CallAsync($"DELETE {Path}/{studio.DefinitionId}/version/2")).Is(404);
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"DELETE /elsa/api/workflow-definition-versions/{ids[2]}"), "published");
        var bulk = (await _server.CallAsync("POST /elsa/api/bulk-actions/delete/workflow-definitions/by-id", new JsonObject { ["ids"] = new JsonArray([.. ids.Select(i => (JsonNode)i)]) })).Is(200);
        Assert.Equal((0L, 2), (bulk["deleted"].GetInt64(), bulk["errors"].EnumerateObject().Count()));
        Assert.Equal(["4 True False", "3 False True"], await HistoryAsync(studio.DefinitionId));

        var single = await Studio.CreateAsync(_server, $"{_name} single");
        (await _server.CallAsync($"DELETE /elsa/api/workflow-definition-versions/{single.Text("id")}")).Is(204);
        (await _server.CallAsync($"GET {Path}/{single.DefinitionId}")).Is(404);
    }

    [Fact]
    public async Task BulkPublishAndRetract_SayWhatBecameOfEach()
    {
        var (draft, done) = (await Studio.CreateAsync(_server, $"{_name} a"), await Studio.CreateAsync(_server, $"{_name} b"));
        var broken = await Studio.CreateAsync(_server, $"{_name} c", Sequence("s", Activity("Nothing", "lost")));
        (await done.SaveAsync(publish: true)).Is(200);
        var ids = new JsonObject { ["definitionIds"] = new JsonArray(draft.DefinitionId, done.DefinitionId, broken.DefinitionId, "nothing") };

        var published = (await _server.CallAsync("POST /elsa/api/bulk-actions/publish/workflow-definitions/by-definition-ids", ids)).Is(200);

        Assert.Equal(["published", "alreadyPublished", "notFound", "skipped", "updatedConsumers", "failed", "warnings"], published.Json.EnumerateObject().Select(m => m.Name));
        Assert.Equal((draft.DefinitionId, done.DefinitionId, "nothing", broken.DefinitionId), (Only(published, "published"), Only(published, "alreadyPublished"), Only(published, "notFound"), Only(published, "failed")));
        Assert.Contains("lost", published["warnings"].GetProperty(broken.DefinitionId)[0].GetString(), StringComparison.Ordinal);

        var retracted = (await _server.CallAsync("POST /elsa/api/bulk-actions/retract/workflow-definitions/by-definition-ids", ids)).Is(200);
        Assert.Equal(["retracted", "alreadyRetracted", "notFound", "skipped", "notPublished"], retracted.Json.EnumerateObject().Select(m => m.Name));
        Assert.Equal((2, broken.DefinitionId, "nothing"), (retracted["retracted"].GetArrayLength(), Only(retracted, "notPublished"), Only(retracted, "notFound")));

        static string? Only(Reply reply, string name) => Assert.Single(reply[name].EnumerateArray()).GetString();
    }

    [Fact]
    public async Task Consumers_FollowWhenAskedOrWhenTheWorkflowWantsIt()
    {
        var (used, consumer) = await UsedAsync();
        Assert.Equal([consumer.DefinitionId], (await _server.CallAsync($"GET {Path}/{used.DefinitionId}/consumers")).Is(200)["consumingWorkflowDefinitionIds"].EnumerateArray().Select(c => c.GetString()!));
        (await _server.CallAsync($"GET {Path}/nothing/consumers")).Is(404);

        var published = (await used.Draw(Write("two")).SaveAsync(publish: true)).Is(200);
        Assert.Equal(1, published["consumingWorkflowCount"].GetInt32());
        Assert.Equal([$"{_name} consumer"], (await _server.CallAsync($"POST {Path}/{used.DefinitionId}/update-references", "{}")).Is(200)["affectedWorkflows"].EnumerateArray().Select(a => a.GetString()!));
        Assert.Contains(used.Text("id"), (await _server.CallAsync($"GET {Path}/{consumer.DefinitionId}?versionOptions=Published")).Is(200).Text, StringComparison.Ordinal);

        used.Model["options"]!["autoUpdateConsumingWorkflows"] = true;
        (await used.Draw(Write("three")).SaveAsync(publish: true)).Is(200);
        Assert.Contains(used.Text("id"), (await _server.CallAsync($"GET {Path}/{consumer.DefinitionId}?versionOptions=Published")).Is(200).Text, StringComparison.Ordinal);
        (await used.Draw(Write("four")).SaveAsync()).Is(200);
        var bulk = (await _server.CallAsync("POST /elsa/api/bulk-actions/publish/workflow-definitions/by-definition-ids", new JsonObject { ["definitionIds"] = new JsonArray(used.DefinitionId) })).Is(200);
        Assert.Equal(consumer.DefinitionId, Assert.Single(bulk["updatedConsumers"].EnumerateArray()).GetString());
    }

    [Fact]
    public async Task RefreshAndReload_KeepWhatIsPublished()
    {
        var path = SharedServer.NewId();
        var studio = await Studio.CreateAsync(_server, _name, Sequence("s", Flows.Endpoint(path), Write("w")));
        (await studio.SaveAsync(publish: true)).Is(200);

        var refreshed = (await _server.CallAsync("POST /elsa/api/actions/workflow-definitions/refresh", new JsonObject { ["definitionIds"] = new JsonArray(studio.DefinitionId, "nothing") })).Is(200);
        Assert.Equal((studio.DefinitionId, "nothing"), (refreshed["refreshed"][0].GetString(), refreshed["notFound"][0].GetString()));
        (await _server.CallAsync("POST /elsa/api/actions/workflow-definitions/refresh")).Is(200);
        (await _server.CallAsync("POST /elsa/api/actions/workflow-definitions/reload")).Is(200);

        (await _server.CallAsync($"POST /workflows/{path}", "{}")).Is(200);
    }

    private async Task<(Studio Used, Studio Consumer)> UsedAsync()
    {
        var used = await Studio.CreateAsync(_server, _name);
        used.Model["options"] = new JsonObject { ["usableAsActivity"] = true };
        (await used.Draw(Write("one")).SaveAsync(publish: true)).Is(200);
        var use = new JsonObject { ["id"] = "u", ["type"] = _name, ["version"] = 1, ["workflowDefinitionId"] = used.DefinitionId, ["workflowDefinitionVersionId"] = used.Text("id") };
        var consumer = await Studio.CreateAsync(_server, $"{_name} consumer", Sequence("s", use));
        (await consumer.SaveAsync(publish: true)).Is(200);
        return (used, consumer);
    }

    private async Task<string[]> HistoryAsync(string definitionId) =>
    [
        .. (await _server.ItemsAsync($"{Path}?versionOptions=AllVersions&DefinitionIds={definitionId}&OrderBy=Version&OrderDirection=Descending"))
            .Select(v => $"{v.Text("version")} {v.Text("isLatest")} {v.Text("isPublished")}"),
    ];
}
