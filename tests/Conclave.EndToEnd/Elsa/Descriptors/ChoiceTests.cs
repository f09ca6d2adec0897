namespace Conclave.EndToEnd.Elsa.Descriptors;

[Collection(SharedServer.Name)]
public sealed class ChoiceTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [Theory]
    [InlineData("descriptors/storage-drivers", "typeName,displayName,priority,deprecated")]
    [InlineData("descriptors/variables", "typeName,displayName,category,description")]
    [InlineData("descriptors/workflow-activation-strategies", "typeName,displayName,description")]
    [InlineData("descriptors/incident-strategies", "typeName,displayName,description")]
    [InlineData("descriptors/log-persistence-strategies", "typeName,displayName,description")]
    [InlineData("descriptors/commit-strategies/workflows", "name,displayName,description")]
    [InlineData("descriptors/commit-strategies/activities", "name,displayName,description")]
    [InlineData("descriptors/expression-descriptors", "type,displayName,isBrowsable,isSerializable,properties")]
    public async Task List_IsAsStudioReadsIt(string path, string members)
    {
        var list = (await _server.CallAsync($"GET /elsa/api/{path}")).Is(200).Json;

        var items = list.GetProperty("items").EnumerateArray().ToList();
        Assert.NotEmpty(items);
        Assert.Equal(items.Count, list.GetProperty("count").GetInt32());
        Assert.All(items, item => Assert.Equal(members, string.Join(',', item.EnumerateObject().Select(p => p.Name))));
        var key = members.Split(',')[0];
        Assert.Equal(items.Count, items.Select(i => i.Text(key)).Distinct().Count());
    }

    [Theory]
    [InlineData("descriptors/output-converters")]
    [InlineData("descriptors/output-converters?sourceType=String&destinationType=List<Int32>")]
    [InlineData("workflow-contexts/provider-descriptors")]
    public async Task List_OfWhatTheEngineDoesNotHave_IsEmpty(string path) =>
        Assert.Equal("""{"items":[],"count":0}""", (await _server.CallAsync($"GET /elsa/api/{path}")).Is(200).Text);

    [Fact]
    public async Task OutputConverters_UnknownType_IsRefused()
    {
        var reply = (await _server.CallAsync("GET /elsa/api/descriptors/output-converters?sourceType=Nonsense")).Is(400);

        Assert.Contains("Nonsense", reply["errors"].GetProperty("generalErrors")[0].GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Expressions_WithoutCSharp_OfferWhatTheServerRuns()
    {
        var items = await _server.ItemsAsync("/elsa/api/descriptors/expression-descriptors");

        Assert.Equal(["Literal", "Json", "Object", "JavaScript", "Liquid", "Variable", "Input"], items.Select(i => i.Text("type")));
        Assert.Equal("""{"MonacoLanguage":"javascript"}""", items[3].GetProperty("properties").GetRawText());
        Assert.Equal(["False", "False", "False", "True", "True", "True", "True"], items.Select(i => i.Text("isBrowsable")));
    }

    [Fact]
    public async Task Features_ListAndSingle_Agree()
    {
        var list = (await _server.CallAsync("GET /elsa/api/features/installed")).Is(200).Json;

        Assert.Equal(list.GetProperty("items").GetArrayLength(), list.GetProperty("count").GetInt32());
        foreach (var feature in list.GetProperty("items").EnumerateArray())
        {
            Assert.Equal(["name", "namespace", "fullName", "displayName", "description"], feature.EnumerateObject().Select(p => p.Name));
            Assert.Equal(feature.Text("fullName"), $"{feature.Text("namespace")}.{feature.Text("name")}");
            Assert.Equal(feature.GetRawText(), (await _server.CallAsync($"GET /elsa/api/features/installed/{feature.Text("fullName")}")).Is(200).Text);
        }

        (await _server.CallAsync("GET /elsa/api/features/installed/Elsa.Nothing")).Is(404);
    }

    /// <summary>A feature makes Studio ask for more: it is listed when that is answered, and only then.</summary>
    [Theory]
    [InlineData("Elsa.RealTimeWorkflowUpdates", "POST /elsa/hubs/workflow-instance/negotiate?negotiateVersion=1")]
    [InlineData("Elsa.Resilience", "GET /elsa/api/resilience/strategies?category=HTTP")]
    public async Task Feature_IsInstalled_WhenWhatItNeedsIsThere(string feature, string call)
    {
        var installed = (await _server.CallAsync($"GET /elsa/api/features/installed/{feature}")).Status == 200;
        var answered = (await _server.CallAsync(call)).Status == 200;

        Assert.Equal(answered, installed);
    }
}
