using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa.Descriptors;

[Collection(SharedServer.Name)]
public sealed class ActivityDescriptorTests(SharedServer shared)
{
    private const string List = "GET /elsa/api/descriptors/activities?Refresh=True";

    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task List_HasExactlyTheMembersThatStudioReads()
    {
        var list = (await _server.CallAsync(List)).Is(200).Json;

        Assert.Equal(["items", "count"], Names(list));
        Assert.Equal(list.GetProperty("items").GetArrayLength(), list.GetProperty("count").GetInt32());
        AssertNoNulls(list);
        foreach (var item in list.GetProperty("items").EnumerateArray())
        {
            Assert.Equal(
                ["typeName", "namespace", "name", "version", "category", "displayName", "description", "kind", "isBrowsable", "isContainer", "isStart", "isTerminal",
                    "inputs", "outputs", "ports", "customProperties", "constructionProperties"],
                Names(item));
            Assert.Contains(item.Text("kind"), (string[])["Action", "Trigger", "Job", "Task"]);
            Assert.All(item.GetProperty("inputs").EnumerateArray(), CheckInput);
            Assert.All(item.GetProperty("outputs").EnumerateArray(), o => Assert.Equal(
                ["name", "typeName", "displayName", "order", "isBrowsable", "isSerializable", "isSynthetic"], Names(o).Where(n => n != "description")));
            Assert.All(item.GetProperty("ports").EnumerateArray(), p =>
            {
                Assert.Equal(["name", "displayName", "type", "isBrowsable"], Names(p));
                Assert.Contains(p.Text("type"), (string[])["Flow", "Embedded"]);
            });
        }
    }

    [Fact]
    public async Task List_TypeAndVersion_AreUniqueAndNothingThatStudioNeedsIsMissing()
    {
        var items = await ItemsAsync();

        var types = items.Select(i => (i.Text("typeName"), i.Text("version"))).ToList();
        Assert.Equal(types.Count, types.Distinct().Count());
        Assert.All(
            (string[])["Elsa.Flowchart", "Elsa.Sequence", "Elsa.Workflow", "Elsa.NotFoundActivity", "Elsa.StateMachine", "Elsa.HttpEndpoint", "Elsa.RunJavaScript", "Conclave.ValidateJson"],
            type => Assert.Contains((type, "1"), types));
    }

    [Fact]
    public async Task List_Editors_GetTheirSettings()
    {
        var items = await ItemsAsync();

        var methods = Input(items, "Elsa.HttpEndpoint", "SupportedMethods");
        Assert.Equal(("checklist", "Object", """["GET"]"""), (methods.Text("uiHint"), methods.Text("defaultSyntax"), methods.GetProperty("defaultValue").GetRawText()));
        Assert.Equal(
            ["GET True", "POST False", "PUT False", "HEAD False", "DELETE False"],
            methods.GetProperty("uiSpecifications").GetProperty("checklist").GetProperty("checkList").GetProperty("items").EnumerateArray().Select(i => $"{i.Text("value")} {i.Text("isChecked")}"));
        var mode = Input(items, "Elsa.FlowJoin", "Mode");
        Assert.Equal("WaitAny", mode.Text("defaultValue"));
        Assert.Equal(["WaitAll", "WaitAllActive", "WaitAny"], DropDown(mode).Select(o => o.Text("value")));
        Assert.Equal(("", "Chosen to fit the content"), DropDown(Input(items, "Elsa.SendHttpRequest", "ContentType")).Select(o => (o.Text("value"), o.Text("text"))).First());
        Assert.Contains(("NotFound", "404 Not found"), DropDown(Input(items, "Elsa.WriteHttpResponse", "StatusCode")).Select(o => (o.Text("value"), o.Text("text"))));
        Assert.Equal("javascript", Input(items, "Elsa.RunJavaScript", "Script").GetProperty("uiSpecifications").GetProperty("code-editor").Text("language"));
        Assert.Equal("json", Input(items, "Elsa.SendHttpRequest", "RequestHeaders").GetProperty("uiSpecifications").GetProperty("code-editor").Text("language"));
        Assert.Equal("00:01:00", Input(items, "Elsa.Delay", "TimeSpan").Text("defaultValue"));
        Assert.Equal("True", Input(items, "Elsa.HttpEndpoint", "SignatureSecret").Text("isSensitive"));
        Assert.Equal("False", Input(items, "Elsa.While", "Condition").Text("autoEvaluate"));
        var send = items.Single(i => i.Text("typeName") == "Elsa.FlowSendHttpRequest").GetProperty("customProperties");
        var own = items.Single(i => i.Text("typeName") == "Conclave.ValidateJson").GetProperty("customProperties");
        Assert.StartsWith("<svg ", own.Text("Icon"), StringComparison.Ordinal);
        Assert.StartsWith("#", own.Text("Color"), StringComparison.Ordinal);
        Assert.Equal(("True", "HTTP"), (send.Text("Resilient"), send.Text("ResilienceCategory")));
    }

    [Fact]
    public async Task Options_OfThePath_ShowWhereThisServerListens()
    {
        var path = Input(await ItemsAsync(), "Elsa.HttpEndpoint", "Path");
        Assert.Equal("""{"Refresh":true}""", path.GetProperty("uiSpecifications").GetRawText());

        var asked = (await _server.CallAsync("POST /elsa/api/descriptors/activities/Elsa.HttpEndpoint/options/path", """{"version": null, "context": {}}""")).Is(200)["items"];

        Assert.Equal(new Uri(_server.Http.BaseAddress!, "/workflows/").ToString(), asked.GetProperty("singleline").Text("adornmentText"));
        Assert.Equal("True", asked.Text("Refresh"));
        (await _server.CallAsync("POST /elsa/api/descriptors/activities/Elsa.HttpEndpoint/options/none", "{}")).Is(404);
        (await _server.CallAsync("POST /elsa/api/descriptors/activities/Elsa.None/options/path", "{}")).Is(404);
        (await _server.CallAsync("POST /elsa/api/descriptors/activities/Elsa.HttpEndpoint/options/path", """{"version": "x"}""")).Is(400);
        (await _server.CallAsync("POST /elsa/api/descriptors/activities/Elsa.HttpEndpoint/options/path", "[1]")).Is(400);
    }

    [Fact]
    public async Task Get_OneType_IsAsInTheList()
    {
        var listed = (await ItemsAsync()).Single(i => i.Text("typeName") == "Elsa.If");

        Assert.Equal(listed.GetRawText(), (await _server.CallAsync("GET /elsa/api/descriptors/activities/Elsa.If")).Is(200).Text);
        Assert.Equal(listed.GetRawText(), (await _server.CallAsync("GET /elsa/api/descriptors/activities/Elsa.If?version=1")).Is(200).Text);
        (await _server.CallAsync("GET /elsa/api/descriptors/activities/Elsa.If?version=2")).Is(404);
        (await _server.CallAsync("GET /elsa/api/descriptors/activities/Elsa.None")).Is(404);
        (await _server.CallAsync("GET /elsa/api/descriptors/activities/Elsa.If?version=x")).Is(400);
    }

    [Fact]
    public async Task List_AskedAgain_IsNotSentAgain()
    {
        // Other tests publish workflows that change the list in between.
        var first = (await _server.CallAsync(List)).Is(200);
        var again = await _server.CallAsync(List, content: null, $"If-None-Match: {first.Header("ETag")}");
        Assert.True(again.Status == 304 ? again.Bytes.Length == 0 : again.Header("ETag") != first.Header("ETag"));
        (await _server.CallAsync(List, content: null, "If-None-Match: \"other\"")).Is(200);
        (await _server.CallAsync(List, content: null, "If-None-Match: *")).Is(304);

        var compressed = (await _server.CallAsync(List, content: null, "Accept-Encoding: gzip, br")).Is(200);
        Assert.Equal("br", compressed.Header("Content-Encoding"));
        Assert.True(compressed.Message.Headers.CacheControl is { Private: true, NoCache: true });
        Assert.EndsWith("-br\"", compressed.Header("ETag"), StringComparison.Ordinal);
        using var plain = new MemoryStream();
        await using (var brotli = new BrotliStream(new MemoryStream(compressed.Bytes), CompressionMode.Decompress))
            await brotli.CopyToAsync(plain);
        Assert.True(JsonElement.Parse(plain.ToArray()).GetProperty("count").GetInt32() > 40);
        Assert.Null((await _server.CallAsync(List, content: null, "Accept-Encoding: br;q=0")).Is(200).Header("Content-Encoding"));
    }

    [Fact]
    public async Task List_WorkflowUsableAsActivity_IsThereInAllVersions()
    {
        var before = (await _server.CallAsync(List)).Is(200).Header("ETag");
        var first = await _server.PublishAsync(_id, Usable());
        var list = (await _server.CallAsync(List)).Is(200);
        Assert.NotEqual(before, list.Header("ETag"));

        (await _server.CallAsync($"PUT /api/workflows/{_id}", Usable().With(("description", "The second version.")))).Is(200);
        var versions = (await ItemsAsync()).Where(i => i.Text("typeName") == Pascal).ToList();

        Assert.Equal(["1 True", "2 False"], versions.Select(v => $"{v.Text("version")} {v.Text("isBrowsable")}"));
        Assert.Equal(("Action", "Checks"), (versions[0].Text("kind"), versions[0].Text("category")));
        var custom = versions[0].GetProperty("customProperties");
        Assert.Equal(("WorkflowDefinitionActivity", _id, first["id"].GetString()), (custom.Text("RootType"), custom.Text("WorkflowDefinitionId"), custom.Text("WorkflowDefinitionVersionId")));
        var construction = versions[0].GetProperty("constructionProperties");
        Assert.Equal((_id, first["id"].GetString(), JsonValueKind.Number), (construction.Text("WorkflowDefinitionId"), construction.Text("WorkflowDefinitionVersionId"), construction.GetProperty("Version").ValueKind));
        Assert.Equal(["Root Embedded False", "Yes Flow True", "No Flow True"], versions[0].GetProperty("ports").EnumerateArray().Select(p => $"{p.Text("name")} {p.Text("type")} {p.Text("isBrowsable")}"));
        Assert.Equal("True", Assert.Single(versions[0].GetProperty("inputs").EnumerateArray()).Text("isSynthetic"));
        (await _server.CallAsync($"GET /elsa/api/descriptors/activities/{Pascal}?version=2")).Is(200);

        (await _server.CallAsync($"PUT /api/workflows/{_id}?publish=true", Usable().With(("options", new JsonObject { ["usableAsActivity"] = false })))).Is(200);
        Assert.Equal(["1"], (await ItemsAsync()).Where(i => i.Text("typeName") == Pascal).Select(v => v.Text("version")));
    }

    [Fact]
    public async Task List_WithoutKey_IsRefused()
    {
        using var client = new HttpClient { BaseAddress = _server.Http.BaseAddress };

        Assert.Equal(401, (int)(await client.GetAsync("/elsa/api/descriptors/activities")).StatusCode);
    }

    private string Pascal => char.ToUpperInvariant(_id[0]) + _id[1..];

    private JsonObject Usable() => Workflow(Sequence("s")).With(
        ("id", null),
        ("name", _id),
        ("outcomes", new JsonArray("Yes", "No")),
        ("options", new JsonObject { ["usableAsActivity"] = true, ["activityCategory"] = "Checks" }),
        ("inputs", new JsonArray(new JsonObject { ["name"] = "Order", ["type"] = "ObjectDictionary" })));

    private Task<List<JsonElement>> ItemsAsync() => _server.ItemsAsync("/elsa/api/descriptors/activities");

    private static JsonElement Input(List<JsonElement> items, string type, string name) =>
        items.Single(i => i.Text("typeName") == type).GetProperty("inputs").EnumerateArray().Single(i => i.Text("name") == name);

    private static JsonElement.ArrayEnumerator DropDown(JsonElement input) =>
        input.GetProperty("uiSpecifications").GetProperty("dropdown").GetProperty("selectList").GetProperty("items").EnumerateArray();

    private static void CheckInput(JsonElement input)
    {
        string[] always = ["name", "typeName", "displayName", "order", "isBrowsable", "isSerializable", "isSynthetic", "isWrapped", "uiHint", "defaultSyntax", "isReadOnly", "isSensitive", "autoEvaluate"];
        string[] sometimes = ["description", "category", "defaultValue", "storageDriverType", "uiSpecifications"];
        Assert.Empty(always.Except(Names(input)));
        Assert.Empty(Names(input).Except(always).Except(sometimes));
        Assert.Equal(JsonValueKind.Number, input.GetProperty("order").ValueKind);
        Assert.All((string[])["isBrowsable", "isSynthetic", "isWrapped", "isSensitive"], name =>
            Assert.True(input.GetProperty(name).ValueKind is JsonValueKind.True or JsonValueKind.False));
    }

    private static IEnumerable<string> Names(JsonElement element) => element.EnumerateObject().Select(p => p.Name);

    private static void AssertNoNulls(JsonElement element)
    {
        Assert.NotEqual(JsonValueKind.Null, element.ValueKind);
        if (element.ValueKind == JsonValueKind.Object)
            Assert.All(element.EnumerateObject(), p => AssertNoNulls(p.Value));
        else if (element.ValueKind == JsonValueKind.Array)
            Assert.All(element.EnumerateArray(), AssertNoNulls);
    }
}
