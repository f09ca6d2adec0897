using System.Text.Json;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class InstanceListTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task List_AsStudioAsks_HasElsasMembersAndNoNulls()
    {
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        var id = await _server.StartAsync(_id);
        await _server.UntilAsync(id, "Suspended");

        var list = await PostAsync($$"""
            { "page": 0, "pageSize": 10, "searchTerm": null, "definitionId": null, "definitionIds": ["{{_id}}"], "correlationId": null, "name": null, "version": null,
              "hasIncidents": null, "isSystem": false, "status": null, "statuses": [], "subStatus": null, "subStatuses": [], "orderBy": "Created", "orderDirection": "Descending", "timestampFilters": [] }
            """);

        Assert.Equal(["items", "totalCount"], list.EnumerateObject().Select(p => p.Name));
        var item = Assert.Single(list.GetProperty("items").EnumerateArray());
        Assert.Equal(
            ["id", "definitionId", "definitionVersionId", "version", "status", "subStatus", "isExecuting", "incidentCount", "createdAt", "updatedAt"],
            item.EnumerateObject().Select(p => p.Name));
        Assert.Equal((id, "Running", "Suspended"), (item.Text("id"), item.Text("status"), item.Text("subStatus")));
        Assert.Equal(JsonValueKind.Number, item.GetProperty("version").ValueKind);
        Assert.Equal(1, list.GetProperty("totalCount").GetInt64());
        Assert.Equal(0, (await PostAsync($$"""{ "definitionId": "{{_id}}", "isSystem": true }""")).GetProperty("totalCount").GetInt64());
    }

    [Fact]
    public async Task List_PagesAndOrders_ShowEachOnce()
    {
        await _server.PublishAsync(_id, Flows.Short());
        foreach (var name in (string[])["b", "a", "c", "e", "d"])
        {
            var id = await _server.StartAsync(_id, $$"""{"name":"{{name}}"}""");
            await _server.UntilAsync(id, "Finished");
        }

        foreach (var order in (string[])["Created", "UpdatedAt", "LastExecuted", "Finished"])
        {
            Assert.Equal(["b", "a", "c", "e", "d"], await NamesAsync(order, "Ascending"));
            Assert.Equal(["d", "e", "c", "a", "b"], await NamesAsync(order, "Descending"));
        }

        Assert.Equal(["a", "b", "c", "d", "e"], await NamesAsync("Name", null));
        Assert.Equal(["e", "d", "c", "b", "a"], await NamesAsync("Name", "Descending"));
        Assert.Equal(["d", "e", "c", "a", "b"], await NamesAsync(null, null));
        // Without a page everything comes.
        Assert.Equal(5, (await _server.GetAsync($"/elsa/api/workflow-instances?DefinitionIds={_id}")).GetProperty("items").GetArrayLength());
        return;

        async Task<List<string>> NamesAsync(string? order, string? direction)
        {
            var names = new List<string>();
            for (var page = 0; page < 3; page++)
            {
                var list = await PostAsync($$"""{ "definitionId": "{{_id}}", "page": {{page}}, "pageSize": 2, "orderBy": {{Text(order)}}, "orderDirection": {{Text(direction)}} }""");
                Assert.Equal(5, list.GetProperty("totalCount").GetInt64());
                names.AddRange(list.GetProperty("items").EnumerateArray().Select(i => i.Text("name")));
            }

            return names;
        }

        static string Text(string? value) => value is null ? "null" : $"\"{value}\"";
    }

    [Fact]
    public async Task List_Filters_ShowWhatTheyName()
    {
        var faulty = SharedServer.NewId();
        await _server.PublishAsync(_id, Flows.Waiting(_id));
        await _server.PublishAsync(faulty, Flows.Of("Faulty", Sequence("s", Activity("Fault", "f", ("message", Literal("broken"))))));
        var waiting = await _server.StartAsync(_id, $$"""{"correlationId":"{{_id}}","name":"Grüße 100% _x"}""");
        var suspended = await _server.UntilAsync(waiting, "Suspended");
        var faulted = await _server.StartAsync(faulty, $$"""{"correlationId":"{{_id}}"}""");
        await _server.UntilAsync(faulted, "Faulted");
        var both = $$"""
            "correlationId": "{{_id}}"
            """;

        Assert.Equal([faulted, waiting], await IdsAsync(both));
        Assert.Equal([waiting], await IdsAsync($$"""{{both}}, "status": "Running" """));
        Assert.Equal([faulted], await IdsAsync($$"""{{both}}, "statuses": ["Finished"] """));
        Assert.Equal([faulted, waiting], await IdsAsync($$"""{{both}}, "subStatuses": ["Faulted", "Suspended", "Interrupted"] """));
        Assert.Empty(await IdsAsync($$"""{{both}}, "subStatus": "Interrupted" """));
        Assert.Equal([faulted], await IdsAsync($$"""{{both}}, "hasIncidents": true"""));
        Assert.Equal([waiting], await IdsAsync($$"""{{both}}, "hasIncidents": false"""));
        Assert.Equal([waiting], await IdsAsync($$"""{{both}}, "name": "Grüße 100% _x" """));
        Assert.Equal([waiting], await IdsAsync($$"""{{both}}, "searchTerm": "100% _" """));
        Assert.Empty(await IdsAsync($$"""{{both}}, "searchTerm": "100_" """));
        Assert.Equal([waiting], await IdsAsync($$"""{{both}}, "searchTerm": "{{_id[3..]}}", "definitionId": "{{_id}}" """));
        Assert.Equal([faulted], await IdsAsync($$"""{{both}}, "searchTerm": "{{faulted}}" """));
        Assert.Equal([faulted, waiting], await IdsAsync($$"""{{both}}, "version": 1"""));
        Assert.Empty(await IdsAsync($$"""{{both}}, "version": 2"""));

        var created = suspended.GetProperty("createdAt").GetDateTimeOffset();
        var day = new DateTimeOffset(created.UtcDateTime.Date, TimeSpan.Zero);
        Assert.Equal([waiting], await IdsAsync($"{both}, {Time("CreatedAt", "Is", created)}"));
        Assert.Equal([faulted], await IdsAsync($"{both}, {Time("CreatedAt", "GreaterThan", created)}"));
        Assert.Equal([waiting], await IdsAsync($"{both}, {Time("CreatedAt", "LessThanOrEqual", created)}"));
        Assert.Empty(await IdsAsync($"{both}, {Time("CreatedAt", "LessThan", created)}"));
        Assert.Contains(waiting, await IdsAsync($"{both}, {Time("CreatedAt", "Is", day)}"));
        Assert.DoesNotContain(waiting, await IdsAsync($"{both}, {Time("UpdatedAt", "GreaterThan", day.AddDays(1))}"));
        Assert.Contains(waiting, await IdsAsync($"{both}, {Time("FinishedAt", "IsNot", day)}"));
        return;

        static string Time(string column, string comparison, DateTimeOffset time) =>
            $$"""
            "timestampFilters": [{ "column": "{{column}}", "operator": "{{comparison}}", "timestamp": "{{time:O}}" }]
            """;

        async Task<IEnumerable<string>> IdsAsync(string members) =>
            (await PostAsync($"{{ {members} }}")).GetProperty("items").EnumerateArray().Select(i => i.Text("id"));
    }

    [Fact]
    public async Task List_EndedInstancesOfADeletedWorkflow_AreShownToWhoNamesThem()
    {
        await _server.PublishAsync(_id, Flows.Short());
        var instance = await _server.StartAsync(_id);
        await _server.UntilAsync(instance, "Finished");
        Assert.Contains(instance, await IdsAsync($"searchTerm={instance}"));

        (await _server.CallAsync($"DELETE /elsa/api/workflow-definitions/{_id}")).Is(204);

        Assert.DoesNotContain(instance, await IdsAsync($"searchTerm={instance}"));
        Assert.DoesNotContain(instance, await IdsAsync("page=0&pageSize=1000"));
        Assert.Equal([instance], await IdsAsync($"definitionId={_id}"));
        Assert.Equal([instance], await IdsAsync($"ids={instance}"));
        (await _server.CallAsync($"GET /elsa/api/workflow-instances/{instance}")).Is(200);

        async Task<IEnumerable<string>> IdsAsync(string query) =>
            (await _server.CallAsync($"GET /elsa/api/workflow-instances?{query}")).Is(200).Json.GetProperty("items").EnumerateArray().Select(i => i.Text("id")).ToList();
    }

    [Fact]
    public async Task List_BadValues_Are400WithTheirText()
    {
        foreach (var bad in (string[])
            [
                """{ "page": -1, "pageSize": 10 }""", """{ "page": 0, "pageSize": 0 }""", """{ "orderBy": "Nothing" }""", """{ "status": "Sleeping" }""", """{ "subStatuses": ["x"] }""",
                """{ "timestampFilters": [{ "column": "Nope", "operator": "Is", "timestamp": "2026-01-01T00:00:00Z" }] }""",
                """{ "timestampFilters": [{ "column": "CreatedAt", "operator": "Is", "timestamp": "yesterday" }] }""", """{ "version": "one" }""",
            ])
        {
            var refused = (await _server.CallAsync("POST /elsa/api/workflow-instances", bad)).Is(400);
            Assert.Equal("application/problem+json", refused.Message.Content.Headers.ContentType?.MediaType);
            Assert.All(refused["errors"].EnumerateObject(), e => Assert.All(e.Value.EnumerateArray(), t => Assert.NotEqual("", t.GetString())));
        }
    }

    private async Task<JsonElement> PostAsync(string body) => await _server.PostAsync("/elsa/api/workflow-instances", body);
}
