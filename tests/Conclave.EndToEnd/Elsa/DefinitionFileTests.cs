using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Tests.Conformance;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

[Collection(SharedServer.Name)]
public sealed class DefinitionFileTests(SharedServer shared)
{
    private const string Path = "/elsa/api/workflow-definitions";

    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Import_OldAndNew_IsADraft()
    {
        var created = (await _server.CallAsync($"POST {Path}/import", Flows.Short().With(("isPublished", true), ("definitionId", "")))).Is(201).Json;
        Assert.NotEqual("", created.Text("definitionId"));
        Assert.Equal(("1", "True", "False"), (created.Text("version"), created.Text("isLatest"), created.Text("isPublished")));

        foreach (var call in (string[])[$"POST {Path}/import", $"PUT {Path}/import", $"POST {Path}/{_id}/import", $"PUT {Path}/{_id}/import"])
        {
            var imported = (await _server.CallAsync(call, Flows.Short(call).With(("definitionId", call.Contains(_id, StringComparison.Ordinal) ? "other" : _id)))).Is(200).Json;
            Assert.Equal((_id, "1"), (imported.Text("definitionId"), imported.Text("version")));
            Assert.Contains(imported.GetProperty("links").EnumerateArray(), l => l.Text("rel") == "publish");
        }

        (await _server.CallAsync($"GET {Path}/other")).Is(404);
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}/import", """{"root":{"id":"no type"}}"""), "type");
    }

    [Fact]
    public async Task ImportFiles_JsonAndZip_CountsWhatCame()
    {
        using var zip = new MemoryStream();
        using (var archive = new ZipArchive(zip, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var number in (int[])[2, 3])
            {
                using var entry = archive.CreateEntry($"{number}.json").Open();
                entry.Write(Encoding.UTF8.GetBytes(Flows.Short().With(("definitionId", $"{_id}-{number}")).ToJsonString()));
            }
        }

        using var form = new MultipartFormDataContent();
        form.Add(Calls.Bytes(Encoding.UTF8.GetBytes(Flows.Short().With(("definitionId", $"{_id}-1"), ("isPublished", true)).ToJsonString()), "application/json"), "files", "one.json");
        form.Add(Calls.Bytes(zip.ToArray(), "application/zip"), "files", "more.zip");
        form.Add(Calls.Bytes("nonsense"u8.ToArray(), "application/json"), "files", "bad.json");

        var imported = (await _server.CallAsync($"POST {Path}/import-files", form)).Is(200);

        Assert.Equal(3, imported["count"].GetInt32());
        Assert.StartsWith("bad.json: ", Assert.Single(imported["refused"].EnumerateArray()).GetString(), StringComparison.Ordinal);
        Assert.Equal(3, (await _server.ItemsAsync($"{Path}?versionOptions=Draft&SearchTerm={_id}-")).Count);
        using var bad = new MultipartFormDataContent { { Calls.Bytes("[]"u8.ToArray(), "application/json"), "files", "bad.json" } };
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}/import-files", bad), "bad.json");
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}/import-files", "{}"), "form");
    }

    [Fact]
    public async Task Export_OneManyAndConsumers_AreFiles()
    {
        var used = $"Used{_id}";
        var first = (await _server.CallAsync($"POST {Path}/import", Flows.Of(used, Write("w")).With(("definitionId", _id), ("options", new JsonObject { ["usableAsActivity"] = true })))).Is(200).Json;
        (await _server.CallAsync($"POST {Path}/{_id}/publish")).Is(200);
        var use = new JsonObject { ["id"] = "u", ["type"] = used, ["version"] = 1, ["workflowDefinitionId"] = _id };
        (await _server.CallAsync($"POST {Path}/import", Flows.Of("Über \"Größe\"", Sequence("s", use)).With(("definitionId", $"{_id}-c")))).Is(200);

        var file = (await _server.CallAsync($"GET {Path}/{_id}/export?versionOptions=Latest&includeConsumingWorkflows=False")).Is(200);
        Assert.Equal($"attachment; filename=\"workflow-definition-{used.ToLowerInvariant()}-{_id}-{first.Text("id")}.json\"", file.Header("Content-Disposition"));
        Assert.StartsWith("https://elsaworkflows.io/schemas/workflow-definition", file["$schema"].GetString(), StringComparison.Ordinal);
        Assert.Equal((_id, true), (file["definitionId"].GetString(), file["isPublished"].GetBoolean()));
        Assert.False(file.Json.TryGetProperty("links", out _));
        Assert.Equal("1", (await _server.CallAsync($"POST {Path}/{_id}/export?versionOptions=1")).Is(200)["version"].ToString());
        (await _server.CallAsync($"GET {Path}/{_id}/export?versionOptions=9")).Is(404);
        Assert.Contains("filename=\"workflow-definition-ber-gr-e-", (await _server.CallAsync($"GET {Path}/{_id}-c/export")).Is(200).Header("Content-Disposition"), StringComparison.Ordinal);

        var zip = (await _server.CallAsync($"GET {Path}/{_id}/export?versionOptions=Latest&includeConsumingWorkflows=True")).Is(200);
        Assert.Equal("attachment; filename=workflow-definitions.zip", zip.Header("Content-Disposition")?.Replace("\"", "", StringComparison.Ordinal));
        Assert.Equal([_id, $"{_id}-c"], DefinitionIds(zip));
        Assert.Equal([_id], DefinitionIds((await _server.CallAsync("POST /elsa/api/bulk-actions/export/workflow-definitions", new JsonObject { ["ids"] = new JsonArray(first.Text("id"), "nothing"), ["includeConsumingWorkflows"] = false })).Is(200)));
        Assert.Equal("", (await _server.CallAsync("POST /elsa/api/bulk-actions/export/workflow-definitions", """{"ids":["nothing"]}""")).Is(204).Text);

        static string[] DefinitionIds(Reply reply)
        {
            using var archive = new ZipArchive(new MemoryStream(reply.Bytes));
            return [.. archive.Entries.Select(e => JsonNode.Parse(e.Open())!["definitionId"]!.GetValue<string>()).Order(StringComparer.Ordinal)];
        }
    }

    /// <summary>Each of Elsa's own definitions, imported, opened, saved as Studio does and exported, says what it said.</summary>
    [ElsaFact]
    public async Task RoundTrip_EveryDefinitionOfElsa_LosesNothing()
    {
        Assert.NotEmpty(ElsaData.Files);
        foreach (var file in ElsaData.Files)
        {
            var original = JsonNode.Parse(await File.ReadAllTextAsync(ElsaData.PathOf(file)))!.AsObject();
            original["definitionId"] = SharedServer.NewId();
            original.Remove("isReadonly");
            (await _server.CallAsync($"POST {Path}/import", original)).Is(200);
            var imported = (await _server.CallAsync($"GET {Path}/{original["definitionId"]}/export?versionOptions=Latest")).Is(200).Json;

            var studio = await Studio.OpenAsync(_server, original["definitionId"]!.GetValue<string>());
            AssertNodeIds(file, JsonElement.Parse(studio.Model["root"]!.ToJsonString(), new JsonDocumentOptions { MaxDepth = 256 }), []);
            studio.Model["description"] = "saved by Studio";
            (await studio.SaveAsync()).Is(200);
            (await studio.SaveAsync()).Is(200);

            var exported = (await _server.CallAsync($"GET {Path}/{studio.DefinitionId}/export?versionOptions=Latest")).Is(200).Json;
            Assert.Equal("saved by Studio", exported.Text("description"));
            foreach (var member in (string[])["root", "variables", "inputs", "outputs", "outcomes", "options"])
            {
                Assert.True(
                    JsonNode.DeepEquals(JsonNode.Parse(imported.GetProperty(member).GetRawText()), JsonNode.Parse(exported.GetProperty(member).GetRawText())),
                    $"{file}: {member} changed");
            }

            AssertKept(file, original["root"], JsonNode.Parse(exported.GetProperty("root").GetRawText()));
        }
    }

    /// <summary>Whatever the file says is still there; ids, today's shape of connections and the like may have been added.</summary>
    private static void AssertKept(string place, JsonNode? expected, JsonNode? actual)
    {
        switch (expected)
        {
            case JsonObject members:
                foreach (var (name, value) in members)
                {
                    if (name is "nodeId" or "_type" or "connections")
                        continue;
                    Assert.True(actual is JsonObject found && found.ContainsKey(name), $"{place}.{name} is gone");
                    AssertKept($"{place}.{name}", value, actual![name]);
                }

                break;
            case JsonArray items:
                var others = actual is JsonObject wrapper ? wrapper["$values"]?.AsArray() : actual as JsonArray;
                Assert.Equal(items.Count, others?.Count);
                for (var i = 0; i < items.Count; i++)
                    AssertKept($"{place}[{i}]", items[i], others![i]);
                break;
            default:
                Assert.True(JsonNode.DeepEquals(expected, actual), $"{place}: {expected?.ToJsonString()} became {actual?.ToJsonString()}");
                break;
        }
    }

    private static void AssertNodeIds(string file, JsonElement activity, HashSet<string> seen)
    {
        if (activity.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in activity.EnumerateArray())
                AssertNodeIds(file, item, seen);
            return;
        }

        if (activity.ValueKind != JsonValueKind.Object)
            return;
        if (activity.TryGetProperty("type", out _) && activity.TryGetProperty("version", out _) && activity.TryGetProperty("id", out var id))
            Assert.True(activity.TryGetProperty("nodeId", out var nodeId) && nodeId.GetString()!.EndsWith($":{id.GetString()}", StringComparison.Ordinal) && seen.Add(nodeId.GetString()!), $"{file}: node id of {id}");
        foreach (var member in activity.EnumerateObject().Where(m => m.Name is not ("metadata" or "customProperties" or "expression" or "variables")))
            AssertNodeIds(file, member.Value, seen);
    }
}
