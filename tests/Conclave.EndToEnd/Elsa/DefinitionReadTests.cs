using System.Text.Json;
using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class DefinitionReadTests(SharedServer shared)
{
    private const string Path = "/elsa/api/workflow-definitions";

    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Definition_HasTheMembersThatStudioReads_AndNoNulls()
    {
        var studio = await Studio.CreateAsync(_server, $"  {_id}  ");

        var definition = (await _server.CallAsync($"GET {Path}/by-definition-id/{studio.DefinitionId}?versionOptions=Latest")).Is(200).Json;

        Assert.Equal(_id, definition.Text("name"));
        Assert.Equal((1, true, false, false), (definition.GetProperty("version").GetInt32(), definition.GetProperty("isLatest").GetBoolean(), definition.GetProperty("isPublished").GetBoolean(), definition.GetProperty("isReadonly").GetBoolean()));
        Assert.All((string[])["variables", "inputs", "outputs", "outcomes", "links"], m => Assert.Equal(JsonValueKind.Array, definition.GetProperty(m).ValueKind));
        Assert.All((string[])["customProperties", "options", "root"], m => Assert.Equal(JsonValueKind.Object, definition.GetProperty(m).ValueKind));
        Assert.Equal(JsonValueKind.False, definition.GetProperty("options").GetProperty("autoUpdateConsumingWorkflows").ValueKind);
        Assert.True(definition.GetProperty("createdAt").GetDateTimeOffset().Year > 2000);
        Assert.Equal($"Workflow1:{definition.GetProperty("root").Text("id")}", definition.GetProperty("root").Text("nodeId"));
        Assert.DoesNotContain("$schema", definition.EnumerateObject().Select(m => m.Name));
        AssertNoNulls(definition);
        Assert.Equal(
            ["self", "self", "versions", "bulk-dispatch", "dispatch", "execute", "export", "publish", "retract", "delete", "import", "update-references"],
            definition.GetProperty("links").EnumerateArray().Select(l => l.Text("rel")));
        Assert.All(definition.GetProperty("links").EnumerateArray(), l => Assert.Equal(["href", "rel", "method"], l.EnumerateObject().Select(m => m.Name)));
    }

    [Fact]
    public async Task Definition_ByItsIds_IsFoundInEachVersion()
    {
        var studio = await Studio.CreateAsync(_server, _id);
        (await studio.Draw(Write("one")).SaveAsync(publish: true)).Is(200);
        var first = studio.Text("id");
        (await studio.Draw(Write("two")).SaveAsync()).Is(200);

        foreach (var (options, version) in ((string, string)[])[("Latest", "2"), ("Published", "1"), ("Draft", "2"), ("LatestOrPublished", "2"), ("AllVersions", "2"), ("1", "1"), ("2", "2"), ("", "2")])
            Assert.Equal(version, (await _server.CallAsync($"GET {Path}/by-definition-id/{studio.DefinitionId}?versionOptions={options}")).Is(200)["version"].ToString());
        foreach (var missing in (string[])["LatestAndPublished", "3", "99999"])
            Assert.Equal("", (await _server.CallAsync($"GET {Path}/{studio.DefinitionId}?versionOptions={missing}")).Is(404).Text);
        foreach (var wrong in (string[])["latest", "0", "-1", "x", "1.5", "99999999999999"])
            AssertErrors(await _server.CallAsync($"GET {Path}/{studio.DefinitionId}?versionOptions={wrong}"), "versionOptions");

        Assert.Equal("1", (await _server.CallAsync($"GET {Path}/by-id/{first}")).Is(200)["version"].ToString());
        Assert.Equal("", (await _server.CallAsync($"GET {Path}/by-id/nothing")).Is(404).Text);
        var many = (await _server.CallAsync($"GET {Path}/many-by-id?ids={first}&ids={studio.Text("id")}&ids=nothing")).Is(200);
        Assert.Equal(("2", "1", "2"), (many["items"][0].Text("version"), many["items"][1].Text("version"), many["count"].ToString()));
        Assert.Empty((await _server.CallAsync($"GET {Path}/many-by-id")).Is(200)["items"].EnumerateArray());
        var versions = (await _server.CallAsync($"GET {Path}/{studio.DefinitionId}/versions")).Is(200).Json;
        Assert.Equal(["2", "1"], versions.EnumerateArray().Select(v => v.Text("version")));
        (await _server.CallAsync($"GET {Path}/nothing/versions")).Is(404);
    }

    [Fact]
    public async Task List_AsStudioAsks_HasPagesOrdersAndFilters()
    {
        foreach (var name in (string[])["b", "A", "c", "D"])
        {
            (await (await Studio.CreateAsync(_server, $"{name} {_id}")).SaveAsync(publish: name == "c")).Is(200);
        }

        var first = (await _server.CallAsync($"GET {Path}?versionOptions=Latest&Page=0&PageSize=3&SearchTerm={_id.ToUpperInvariant()}&IsSystem=False&OrderDirection=Ascending")).Is(200);
        Assert.Equal(["A", "b", "c"], Names(first));
        Assert.Equal(4, first["totalCount"].GetInt64());
        Assert.Equal(
            ["self", "is-name-unique", "count", "many-by-id", "bulk-delete-by-definition-id", "bulk-delete-by-id", "bulk-publish", "bulk-retract", "import", "import-files", "create"],
            first["links"].EnumerateArray().Select(l => l.Text("rel")));
        var item = first["items"][2];
        Assert.Equal(
            ["id", "definitionId", "name", "description", "version", "isLatest", "isPublished", "materializerName", "createdAt", "isReadonly", "isMaterializerAvailable", "links"],
            item.EnumerateObject().Select(m => m.Name));
        Assert.Equal(("Json", "True", "True"), (item.Text("materializerName"), item.Text("isMaterializerAvailable"), item.Text("isPublished")));
        Assert.Contains(item.GetProperty("links").EnumerateArray(), l => l.Text("rel") == "publish");
        AssertNoNulls(first.Json);

        Assert.Equal(["D"], Names(await ListAsync("Page=1&PageSize=3")));
        var behind = await ListAsync("Page=5&PageSize=3");
        Assert.Equal((0, 4), (behind["items"].GetArrayLength(), behind["totalCount"].GetInt32()));
        Assert.Equal(["D", "c", "b", "A"], Names(await ListAsync("OrderBy=Name&OrderDirection=Descending")));
        Assert.Equal(["D", "c", "A", "b"], Names(await ListAsync("OrderBy=Created")));
        Assert.Equal(["b", "A", "c", "D"], Names(await ListAsync("OrderBy=created&orderdirection=ascending")));
        Assert.Equal(["A", "b", "c", "D"], Names(await ListAsync("OrderBy=Version")));
        Assert.Equal(["c"], Names(await ListAsync("versionOptions=Published")));
        Assert.Equal(["A", "b", "D"], Names(await ListAsync("versionOptions=Draft")));
        Assert.Empty(Names(await ListAsync("IsSystem=True")));
        Assert.Empty(Names(await ListAsync("materializer=Typed")));
        Assert.Equal(4, Names(await ListAsync("materializer=json")).Length);
        Assert.Empty(Names(await ListAsync("label=x")));
        Assert.Equal(4, Names(await ListAsync("Page=0")).Length);
        foreach (var wrong in (string[])["Page=-1&PageSize=1", "Page=0&PageSize=0", "Page=x", "OrderBy=x", "OrderDirection=x", "IsSystem=x", "versionOptions=x"])
            AssertErrors(await _server.CallAsync($"GET {Path}?{wrong}"), wrong[..4]);

        Task<Reply> ListAsync(string query) => _server.CallAsync($"GET {Path}?SearchTerm={_id}&{query}");
        string[] Names(Reply reply) => [.. reply.Is(200)["items"].EnumerateArray().Select(i => i.Text("name").Split(' ')[0])];
    }

    [Fact]
    public async Task List_ByIds_HasEveryVersionAskedFor()
    {
        var studio = await Studio.CreateAsync(_server, _id);
        var ids = new List<string>();
        for (var i = 0; i < 12; i++)
        {
            (await studio.Draw(Write($"w{i}")).SaveAsync(publish: true)).Is(200);
            ids.Add(studio.Text("id"));
        }

        Assert.Equal(12, (await _server.ItemsAsync($"{Path}?versionOptions=&{string.Join('&', ids.Select(i => $"Ids={i}"))}")).Count);
        Assert.Single(await _server.ItemsAsync($"{Path}?versionOptions=Latest&Ids[0]={ids[0]}&Ids[1]={ids[^1]}"));
        var history = (await _server.CallAsync($"GET {Path}?versionOptions=AllVersions&DefinitionIds={studio.DefinitionId}&OrderBy=Version&OrderDirection=Descending&Page=1&PageSize=5")).Is(200);
        Assert.Equal(["7", "6", "5", "4", "3"], history["items"].EnumerateArray().Select(i => i.Text("version")));
        Assert.Equal(12, history["totalCount"].GetInt32());
        Assert.Equal(["12 True True"], (await _server.ItemsAsync($"{Path}?versionOptions=LatestOrPublished&DefinitionIds={studio.DefinitionId}")).Select(i => $"{i.Text("version")} {i.Text("isLatest")} {i.Text("isPublished")}"));
        Assert.Equal("12", Assert.Single(await _server.ItemsAsync($"{Path}?versionOptions=12&DefinitionIds={studio.DefinitionId}")).Text("version"));
    }

    [Fact]
    public async Task NameAndCount_AreAnswered()
    {
        var before = (await _server.CallAsync($"GET {Path}/query/count")).Is(200)["count"].GetInt64();
        var studio = await Studio.CreateAsync(_server, $"Name {_id}");
        (await studio.SaveAsync(publish: true)).Is(200);
        (await studio.Draw(Write("w")).SaveAsync()).Is(200);

        Assert.Equal(before + 1, (await _server.CallAsync($"GET {Path}/query/count")).Is(200)["count"].GetInt64());
        Assert.False(await IsUniqueAsync($"name=name%20{_id}"));
        Assert.True(await IsUniqueAsync($"name=Name%20{_id}&definitionId={studio.DefinitionId}"));
        Assert.True(await IsUniqueAsync($"name=Name%20{_id}%202&definitionId="));
        AssertErrors(await _server.CallAsync($"GET {Path}/validation/is-name-unique?name="), "name");

        async Task<bool> IsUniqueAsync(string query) => (await _server.CallAsync($"GET {Path}/validation/is-name-unique?{query}")).Is(200)["isUnique"].GetBoolean();
    }

    [Fact]
    public async Task UnknownActivity_IsAPlaceholderInTheEditor_AndItselfInTheStore()
    {
        var unknown = Activity("Nothing", "n", ("special", new JsonObject { ["deep"] = new JsonArray(1, "2") })).With(("type", "Acme.SendParcel"), ("version", 7));
        var studio = await Studio.CreateAsync(_server, _id, Flowchart("f", [Write("w"), unknown], "w->n"));

        var shown = studio.Model["root"]!["activities"]![1]!;
        Assert.Equal(("Elsa.NotFoundActivity", "1", "Acme.SendParcel", "7"), ($"{shown["type"]}", $"{shown["version"]}", $"{shown["missingTypeName"]}", $"{shown["missingTypeVersion"]}"));
        Assert.Equal(("n", "Workflow1:f:n", "Not Found: Acme.SendParcel"), ($"{shown["id"]}", $"{shown["nodeId"]}", $"{shown["metadata"]!["displayText"]}"));
        shown["metadata"]!["designer"] = new JsonObject { ["position"] = new JsonObject { ["x"] = 12.5, ["y"] = 3 } };
        (await studio.SaveAsync()).Is(200);

        var stored = (await _server.GetAsync($"/api/workflows/{studio.DefinitionId}")).GetProperty("root").GetProperty("activities")[1];
        Assert.Equal(("Acme.SendParcel", "7", "12.5"), (stored.Text("type"), stored.Text("version"), stored.GetProperty("metadata").GetProperty("designer").GetProperty("position").Text("x")));
        Assert.Equal("""{"deep":[1,"2"]}""", JsonNode.Parse(stored.GetProperty("special").GetRawText())!.ToJsonString());
        Assert.False(stored.GetProperty("metadata").TryGetProperty("displayText", out _));
        Assert.Equal("n", $"{studio.Model["root"]!["connections"]![0]!["target"]!["activity"]}");
    }

    [Fact]
    public async Task KnownActivityOfAnotherVersion_IsShownInTheVersionThatRuns_AndKeepsItsOwnInTheStore()
    {
        var outer = Activity("If", "i", ("then", Write("w").With(("version", 9)))).With(("version", 4));
        var studio = await Studio.CreateAsync(_server, _id, Flowchart("f", [outer]));

        var shown = studio.Model["root"]!["activities"]![0]!;
        Assert.Equal(("1", "1"), ($"{shown["version"]}", $"{shown["then"]!["version"]}"));
        // Studio knows inputs as expressions only.
        Assert.Equal("""{"type":"Literal","value":"w"}""", shown["then"]!["text"]!["expression"]!.ToJsonString());
        (await studio.SaveAsync()).Is(200);

        var stored = (await _server.GetAsync($"/api/workflows/{studio.DefinitionId}")).GetProperty("root").GetProperty("activities")[0];
        Assert.Equal(("4", "9"), (stored.Text("version"), stored.GetProperty("then").Text("version")));
        Assert.DoesNotContain("Conclave:TypeVersion", stored.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Everything_WithoutKey_Is401WithoutBody()
    {
        using var nobody = new HttpClient { BaseAddress = _server.Http.BaseAddress };
        foreach (var path in (string[])[Path, $"{Path}/x", "/elsa/api/nothing", "/elsa/api/features/installed"])
        {
            var reply = await nobody.GetAsync(path);
            Assert.Equal((401, ""), ((int)reply.StatusCode, await reply.Content.ReadAsStringAsync()));
        }

        using var wrong = new HttpRequestMessage(HttpMethod.Get, Path) { Headers = { { "Authorization", "ApiKey nonsense" } } };
        Assert.Equal(401, (int)(await nobody.SendAsync(wrong)).StatusCode);
        using var right = new HttpRequestMessage(HttpMethod.Get, Path.ToUpperInvariant()) { Headers = { { "Authorization", $"ApiKey {_server.Http.DefaultRequestHeaders.Authorization!.Parameter}" } } };
        Assert.Equal(200, (int)(await nobody.SendAsync(right)).StatusCode);
        (await _server.CallAsync("GET /elsa/api/nothing")).Is(404);
    }

    internal static void AssertErrors(Reply refused, string about)
    {
        refused.Is(400);
        Assert.Equal("application/problem+json", refused.Message.Content.Headers.ContentType?.MediaType);
        Assert.Equal((400, "One or more errors occurred!"), (refused["statusCode"].GetInt32(), refused["message"].GetString()));
        var texts = refused["errors"].EnumerateObject().SelectMany(e => e.Value.EnumerateArray().Select(t => t.GetString()!)).ToList();
        Assert.NotEmpty(texts);
        Assert.Contains(texts, t => t.Contains(about, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Nulls break Studio where it expects a number or a list; the activities themselves may have them.</summary>
    private static void AssertNoNulls(JsonElement element, string path = "$")
    {
        Assert.True(element.ValueKind != JsonValueKind.Null, path);
        if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in element.EnumerateArray())
                AssertNoNulls(item, path + "[]");
        }
        else if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in element.EnumerateObject().Where(m => m.Name != "root"))
                AssertNoNulls(member.Value, $"{path}.{member.Name}");
        }
    }
}
