using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Tests;
using Conclave.Tests.Conformance;

namespace Conclave.EndToEnd;

/// <summary>
/// What Elsa's own engine did with its own definitions, again: through the server's API, on PostgreSQL, the server killed between
/// any two bursts.
/// </summary>
public sealed class ReferenceCaseTests
{
    private static readonly string[] Fields =
    [
        "stdout", "status", "subStatus", "output", "variables", "correlationId", "instanceName", "incidents", "bursts", "childInstances", "trace",
    ];

    [ElsaTheory]
    [InlineData("counter")]
    [InlineData("token")]
    public async Task Run_EveryReferenceCase_TellsWhatElsaTells(string mode)
    {
        var folder = ServerProcess.NewFolder();
        string[] settings = [$"Workflows:FlowchartMode={mode}", "Scripting:AllowCSharp=true"];
        var cases = ElsaData.Cases.Where(c => Text(c, "mode") == mode).Select(c => new Case(c)).ToList();
        var lines = new List<JsonElement>();
        try
        {
            var server = await ServerProcess.StartAsync(folder, settings);
            await PublishAllAsync(server);
            foreach (var one in cases)
                await StartAsync(server, one);
            var rounds = 0;
            for (var open = await OpenAsync(server, cases); open.Count > 0; open = await OpenAsync(server, cases))
            {
                Assert.True(++rounds < 10, $"Still waiting: {string.Join("; ", open)} {await server.GetAsync($"/api/instances/{open[0].Id}")}");
                await server.KillAsync();
                lines.AddRange(Written(server));
                await server.DisposeAsync();
                server = await ServerProcess.StartAsync(folder, settings);
                foreach (var (id, bookmark) in open)
                    await ResumeAsync(server, id, bookmark);
            }

            lines.AddRange(Written(server));
            foreach (var one in cases)
                AssertSame(one, await ReportAsync(server, one.InstanceId, lines));
            await server.DisposeAsync();
        }
        finally
        {
            await ServerProcess.RemoveAsync(folder);
        }
    }

    /// <summary>Every definition, children before those that use them; a workflow that comes twice is published again for its case.</summary>
    private static async Task PublishAllAsync(ServerProcess server)
    {
        using var form = new MultipartFormDataContent();
        foreach (var file in ElsaData.Files)
            form.Add(new ByteArrayContent(await File.ReadAllBytesAsync(ElsaData.PathOf(file))), "files", file.Replace('/', '_'));
        var imported = await ServerProcess.ReadAsync(await server.Http.PostAsync("/api/workflows/import?publish=true", form));
        Assert.Contains(imported.GetProperty("items").EnumerateArray(), i => Text(i, "outcome") == "created");
    }

    private static async Task StartAsync(ServerProcess server, Case one)
    {
        var json = JsonNode.Parse(await File.ReadAllTextAsync(ElsaData.PathOf(one.File)))!;
        var definitionId = json["definitionId"]!.GetValue<string>();
        await server.PublishAsync(Uri.EscapeDataString(definitionId), json.ToJsonString());
        var body = new JsonObject { ["wait"] = 30 };
        if (one.Expected.TryGetProperty("input", out var input))
            body["input"] = JsonNode.Parse(input.GetRawText());
        one.InstanceId = Text(await server.PostAsync($"/api/workflows/{Uri.EscapeDataString(definitionId)}/start", body.ToJsonString()), "id");
    }

    /// <summary>The reference resumes at once. Short delays may have been over by themselves.</summary>
    private static async Task ResumeAsync(ServerProcess server, string id, int bookmark)
    {
        var body = new StringContent($$"""{ "bookmark": {{bookmark}}, "reason": "the reference resumes at once" }""", Encoding.UTF8, "application/json");
        var answer = await server.Http.PostAsync($"/api/instances/{id}/resume", body);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode || text.Contains("instance.bookmark_unknown", StringComparison.Ordinal) || text.Contains("instance.ended", StringComparison.Ordinal), text);
    }

    /// <summary>The next bookmark of each instance that waits, by due time and then by activity; children go on by themselves.</summary>
    private static async Task<List<(string Id, int Bookmark)>> OpenAsync(ServerProcess server, List<Case> cases)
    {
        var open = new List<(string, int)>();
        foreach (var one in cases)
        {
            await ServerProcess.UntilAsync(async () => await IsQuietAsync(server, one.InstanceId), $"{one.File} waits or ends");
            var instance = await server.GetAsync($"/api/instances/{one.InstanceId}");
            // A delay may end between the look at the row and that at the state.
            if (instance.GetProperty("bookmarks").GetArrayLength() == 0)
                instance = await server.GetAsync($"/api/instances/{one.InstanceId}");
            // Some cases of the reference end waiting for nothing: a join that a branch never reaches.
            if (Text(instance, "status") == "Finished" || instance.GetProperty("bookmarks").GetArrayLength() == 0)
                continue;
            var next = instance.GetProperty("bookmarks").EnumerateArray()
                .OrderBy(b => b.TryGetProperty("dueAt", out var due) ? due.GetDateTimeOffset() : DateTimeOffset.MinValue)
                .ThenBy(b => Text(b, "activityId"), StringComparer.Ordinal).First();
            open.Add((one.InstanceId, next.GetProperty("number").GetInt32()));
        }

        return open;
    }

    /// <summary>Whether an instance and its children have ended, or wait for something that only a test brings.</summary>
    private static async Task<bool> IsQuietAsync(ServerProcess server, string id)
    {
        var instance = await server.GetAsync($"/api/instances/{id}");
        if (Text(instance, "subStatus") is "Pending" or "Executing")
            return false;
        foreach (var child in await ChildrenAsync(server, id))
        {
            if (!await IsQuietAsync(server, Text(child, "id")))
                return false;
        }

        var isWaitingForChild = instance.GetProperty("bookmarks").EnumerateArray().Any(b => Text(b, "payload").Contains("ChildInstanceId", StringComparison.Ordinal) || Text(b, "payload").StartsWith("BulkDispatch", StringComparison.Ordinal));
        return !isWaitingForChild;
    }

    private static async Task<List<JsonElement>> ChildrenAsync(ServerProcess server, string id) =>
        [.. (await server.GetAsync($"/api/instances?parentId={id}&limit=500")).GetProperty("items").EnumerateArray().Reverse()];

    private static async Task<JsonObject> ReportAsync(ServerProcess server, string id, List<JsonElement> lines)
    {
        var instance = await server.GetAsync($"/api/instances/{id}");
        var family = new List<string> { id };
        var children = new JsonArray();
        await AddChildrenAsync(server, id, family, children);
        var journal = new List<JsonElement>();
        for (var path = $"/api/instances/{id}/journal?limit=500"; ;)
        {
            var page = await server.GetAsync(path);
            journal.AddRange(page.GetProperty("items").EnumerateArray().Where(e => Text(e, "event") != "Operation"));
            if (page.GetProperty("next").GetString() is not { } next)
                break;
            path = $"/api/instances/{id}/journal?limit=500&after={next}";
        }

        return new JsonObject
        {
            ["stdout"] = new JsonArray([.. lines.Where(l => family.Contains(Text(l, "InstanceId"))).Select(l => (JsonNode?)Text(l, "Line"))]),
            ["status"] = Text(instance, "status"),
            ["subStatus"] = Text(instance, "subStatus"),
            ["output"] = Node(instance, "output"),
            ["variables"] = Node(instance, "variables"),
            ["correlationId"] = Node(instance, "correlationId"),
            ["instanceName"] = Node(instance, "name"),
            ["bursts"] = instance.GetProperty("bursts").GetInt32(),
            ["incidents"] = new JsonArray([.. instance.GetProperty("incidents").EnumerateArray().Select(i => (JsonNode?)Text(i, "message"))]),
            ["childInstances"] = children,
            ["trace"] = new JsonArray([.. journal.Where(e => Text(e, "event") is not ("Started" or "Resumed" or "Retried")).Select(e => (JsonNode?)$"{ShortType(e)}:{Text(e, "activityId")}:{Text(e, "event")}")]),
        };
    }

    private static async Task AddChildrenAsync(ServerProcess server, string id, List<string> family, JsonArray children)
    {
        foreach (var child in await ChildrenAsync(server, id))
        {
            family.Add(Text(child, "id"));
            children.Add(new JsonObject
            {
                ["DefinitionId"] = Text(child, "definitionId"),
                ["Status"] = Text(child, "status"),
                ["SubStatus"] = Text(child, "subStatus"),
                ["CorrelationId"] = Node(child, "correlationId"),
                ["hasParent"] = Text(child, "parentId").Length > 0,
            });
            await AddChildrenAsync(server, Text(child, "id"), family, children);
        }
    }

    private static IEnumerable<JsonElement> Written(ServerProcess server)
    {
        foreach (var line in server.Output.Where(l => l.Contains("\"EventId\":{\"Id\":3003", StringComparison.Ordinal)))
            yield return JsonElement.Parse(line).GetProperty("properties");
    }

    private static void AssertSame(Case one, JsonObject actual)
    {
        foreach (var field in Fields)
            Assert.Equal($"{one.File} {field}: {Field(one.Expected, field, one)}", $"{one.File} {field}: {Field(JsonElement.Parse(actual.ToJsonString()), field, one)}");
    }

    private static string Field(JsonElement report, string field, Case one)
    {
        if (!report.TryGetProperty(field, out var value))
            return "none";
        // The reference shows defaults for variables without a storage driver, which it forgets; ours are kept.
        if (field == "variables" && value.ValueKind == JsonValueKind.Object)
            return string.Join(',', value.EnumerateObject().Where(v => one.StoredVariables.Contains(v.Name)).OrderBy(v => v.Name, StringComparer.Ordinal).Select(v => $"{v.Name}={Same.Canonical(v.Value)}")) is { Length: > 0 } named ? named : "none";
        return Same.Canonical(value) is var text and not ("null" or "[]" or "{}" or "\"\"") ? text : "none";
    }

    private static string ShortType(JsonElement entry) => Text(entry, "activityType") is var type ? type[(type.LastIndexOf('.') + 1)..] : "";

    private static JsonNode? Node(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? JsonNode.Parse(value.GetRawText()) : null;

    private static string Text(JsonElement element, string name) => element.GetProperty(name).ToString();

    private sealed class Case(JsonElement expected)
    {
        public JsonElement Expected { get; } = expected;

        public string File { get; } = expected.GetProperty("file").GetString()!;

        public string InstanceId { get; set; } = "";

        public HashSet<string> StoredVariables { get; } =
        [
            .. (JsonNode.Parse(System.IO.File.ReadAllText(ElsaData.PathOf(expected.GetProperty("file").GetString()!)))!["variables"]?.AsArray() ?? [])
                .Where(v => v!["storageDriverTypeName"]?.GetValue<string>() is { } driver && !driver.Contains("Memory", StringComparison.Ordinal))
                .Select(v => v!["name"]!.GetValue<string>()),
        ];
    }
}
