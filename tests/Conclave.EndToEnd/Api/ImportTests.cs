using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Api;

[Collection(SharedServer.Name)]
public sealed class ImportTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task One_IsCreatedUpdatedOrUnchanged()
    {
        Assert.Equal([$"{_id} 1 created"], Outcomes(await ImportAsync(Definition(_id).ToJsonString())));
        Assert.Equal([$"{_id} 1 unchanged"], Outcomes(await ImportAsync(Definition(_id).ToJsonString())));
        Assert.Equal([$"{_id} 1 updated"], Outcomes(await ImportAsync(Definition(_id, "2").ToJsonString())));
        Assert.Equal([$"{_id} 1 updated"], Outcomes(await ImportAsync(Definition(_id, "3").ToJsonString(), "?publish=true")));
        Assert.Equal([$"{_id} 2 updated"], Outcomes(await ImportAsync(Definition(_id, "4").With(("isPublished", true)).ToJsonString(), "?publish=false")));
        Assert.Equal("1", (await _server.GetAsync($"/api/workflows/{_id}?version=published")).Text("version"));
        Assert.Equal([$"{_id} 2 updated"], Outcomes(await ImportAsync(Definition(_id, "5").With(("isPublished", true)).ToJsonString(), "?publish=file")));
        Assert.Equal("2", (await _server.GetAsync($"/api/workflows/{_id}?version=published")).Text("version"));
        (await _server.CallAsync("POST /api/workflows/import?publish=maybe", Definition(_id))).IsProblem(400, "request.invalid");
    }

    [Fact]
    public async Task Array_GoodOnesAreImportedAndTheOthersNamed()
    {
        var reply = (await ImportAsync(new JsonArray(Definition($"{_id}-1"), new JsonObject { ["x"] = 1 }, Definition($"{_id}-2")).ToJsonString())).Is(200);

        Assert.Equal([$"{_id}-1 1 created", "  refused", $"{_id}-2 1 created"], Outcomes(reply));
        Assert.Equal("package.not_a_definition", reply["items"][1].GetProperty("errors")[0].Text("code"));
        Assert.EndsWith("[1]", reply["items"][1].Text("file"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Zip_HasItsFilesImported()
    {
        var zip = Zip(("a.json", Definition($"{_id}-1").ToJsonString()), ("folder/b.json", Definition($"{_id}-2").ToJsonString()));

        var reply = (await _server.CallAsync("POST /api/workflows/import", Calls.Bytes(zip, "application/zip"))).Is(200);

        Assert.Equal([$"{_id}-1 1 created", $"{_id}-2 1 created"], Outcomes(reply));
    }

    [Theory]
    [InlineData("files")]
    [InlineData("anything")]
    public async Task Multipart_HasEachFileImported(string field)
    {
        using var form = new MultipartFormDataContent
        {
            { Calls.Bytes(Encoding.UTF8.GetBytes(Definition($"{_id}-1").ToJsonString()), "application/json"), field, "a.json" },
            { Calls.Bytes(Zip(("c.json", Definition($"{_id}-2").ToJsonString())), "application/zip"), field, "b.zip" },
            { new StringContent("no file"), "comment" },
        };

        var reply = (await _server.CallAsync("POST /api/workflows/import", form)).Is(200);

        Assert.Equal([$"{_id}-1 1 created", $"{_id}-2 1 created"], Outcomes(reply));
        Assert.Equal("a.json", reply["items"][0].Text("file"));
    }

    [Fact]
    public async Task Multipart_WithoutFile_IsRefused()
    {
        using var form = new MultipartFormDataContent { { new StringContent("x"), "field" } };
        (await _server.CallAsync("POST /api/workflows/import", form)).IsProblem(400, "request.invalid");
        (await _server.CallAsync("POST /api/workflows/import", Calls.Bytes("--x\r\ngarbage"u8.ToArray(), "multipart/form-data; boundary=x"))).Is(400);
        (await _server.CallAsync("POST /api/workflows/import", Calls.Bytes("garbage"u8.ToArray(), "multipart/form-data"))).Is(400);
    }

    [Fact]
    public async Task Garbage_IsRefusedAndChangesNothing()
    {
        byte[][] bodies =
        [
            [], "not json"u8.ToArray(), "{}"u8.ToArray(), "[]"u8.ToArray(), "null"u8.ToArray(), [0xff, 0xfe, 0, 1], "PK\u0003\u0004garbage"u8.ToArray(),
            Encoding.UTF8.GetBytes("""{"definitionId":"ID","root":{"type":"Elsa.WriteLine","id":"\ud800"}}""".Replace("ID", _id, StringComparison.Ordinal)),
            Encoding.UTF8.GetBytes("""{"definitionId":"ID\u0000","root":{"type":"Elsa.WriteLine","id":"w"}}""".Replace("ID", _id, StringComparison.Ordinal)),
            Encoding.UTF8.GetBytes($$"""{"definitionId":"{{_id}}","root":{{string.Concat(Enumerable.Repeat("[", 5000))}}"""),
        ];
        foreach (var body in bodies)
        {
            var reply = (await _server.CallAsync("POST /api/workflows/import", Calls.Bytes(body, "application/json"))).IsProblem(400, "import.nothing");
            Assert.All(reply["items"].EnumerateArray(), i => Assert.NotEmpty(i.GetProperty("errors").EnumerateArray()));
        }

        Assert.Empty(await _server.ItemsAsync($"/api/workflows?search={_id}"));
    }

    [Fact]
    public async Task ZipBomb_IsRefused()
    {
        var bomb = Zip(("bomb.json", new string(' ', 100_000_000)));

        var reply = (await _server.CallAsync("POST /api/workflows/import", Calls.Bytes(bomb, "application/zip"))).IsProblem(400, "import.nothing");

        Assert.Contains(reply["items"][0].GetProperty("errors")[0].Text("code"), (string[])["package.too_large", "package.too_compressed"]);
    }

    [Theory]
    [InlineData("../evil.json")]
    [InlineData("/etc/evil.json")]
    [InlineData("a/../../evil.json")]
    [InlineData("..\\evil.json")]
    public async Task Zip_NamesThatLeadElsewhere_AreRefused(string name)
    {
        var zip = Zip((name, Definition(_id).ToJsonString()));

        var reply = (await _server.CallAsync("POST /api/workflows/import", Calls.Bytes(zip, "application/zip"))).IsProblem(400, "import.nothing");

        Assert.Equal("package.unsafe_name", reply["items"][0].GetProperty("errors")[0].Text("code"));
        (await _server.CallAsync($"GET /api/workflows/{_id}")).IsProblem(404, "workflow.not_found");
        Assert.Empty(Directory.EnumerateFiles(Path.GetTempPath(), "evil.json", new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true, MaxRecursionDepth = 2 }));
    }

    [Fact]
    public async Task Import_ToPublishWithErrors_RefusesIt()
    {
        var broken = Definition(_id).With(("root", Sequence("s", Activity("Nothing", "a"))), ("isPublished", true));

        var reply = (await ImportAsync(broken.ToJsonString())).IsProblem(400, "import.nothing");

        Assert.Contains("import.not_published", reply["items"][0].GetProperty("errors").EnumerateArray().Select(e => e.Text("code")));
        (await _server.CallAsync($"GET /api/workflows/{_id}")).IsProblem(404, "workflow.not_found");
        Assert.Equal([$"{_id} 1 created"], Outcomes(await ImportAsync(broken.ToJsonString(), "?publish=false")));
    }

    [Fact]
    public async Task Import_OfARouteThatIsTaken_NamesWhoHasIt()
    {
        await _server.PublishAsync($"{_id}-1", Flows.WebEcho(_id));

        var reply = (await ImportAsync(Flows.WebEcho(_id).With(("definitionId", _id)).ToJsonString(), "?publish=true")).IsProblem(400, "import.nothing");

        Assert.Equal(["http_endpoint.route_taken", "import.not_published"], reply["items"][0].GetProperty("errors").EnumerateArray().Select(e => e.Text("code")));
    }

    [Fact]
    public async Task Export_GoesIntoAnotherServerAndUnderOtherIds()
    {
        string[] ids = [$"{_id}-1", $"{_id}-2"];
        foreach (var id in ids)
            (await _server.CallAsync($"PUT /api/workflows/{id}?publish=true", Flows.Short(id))).Is(200);
        var export = (await _server.CallAsync($"GET /api/workflows/export?ids={ids[0]},{ids[1]}")).Is(200);
        Assert.Equal("application/zip", export.Message.Content.Headers.ContentType?.MediaType);

        await using (var other = await ServerProcess.StartAsync())
        {
            var imported = (await other.CallAsync("POST /api/workflows/import", Calls.Bytes(export.Bytes, "application/zip"))).Is(200);
            Assert.Equal(ids.Select(id => $"{id} 1 created"), Outcomes(imported).Order(StringComparer.Ordinal));
            Assert.Equal((await _server.CallAsync($"GET /api/workflows/{ids[0]}")).Header("ETag"), (await other.CallAsync($"GET /api/workflows/{ids[0]}")).Header("ETag"));
            var ended = (await other.CallAsync($"POST /api/workflows/{ids[1]}/start", """{"wait":30}""")).Is(200);
            Assert.Equal("Finished", ended["subStatus"].GetString());
        }

        // A copy: the same files with other ids, which keep the ids of the versions.
        var copies = Unzip(export.Bytes).Select((f, i) => ($"{i}.json", f.With(("definitionId", $"{_id}-copy-{i}")).ToJsonString())).ToArray();
        Assert.Equal(
            [$"{_id}-copy-0 1 created", $"{_id}-copy-1 1 created"],
            Outcomes((await _server.CallAsync("POST /api/workflows/import", Calls.Bytes(Zip(copies), "application/zip"))).Is(200)));
        Assert.Equal(4, (await _server.ItemsAsync($"/api/workflows?search={_id}")).Count);
        (await _server.CallAsync("GET /api/workflows/export?ids=nobody")).IsProblem(404, "workflow.not_found");
        Assert.NotEmpty(Unzip((await _server.CallAsync("GET /api/workflows/export")).Is(200).Bytes));
    }

    private Task<Reply> ImportAsync(string json, string query = "") => _server.CallAsync($"POST /api/workflows/import{query}", json);

    private static JsonObject Definition(string id, string text = "1") => Flows.Short(text).With(("definitionId", id));

    private static IEnumerable<string> Outcomes(Reply reply) =>
        reply.Is(200)["items"].EnumerateArray().Select(i => $"{i.Text("definitionId")} {i.Text("version")} {i.Text("outcome")}");

    private static byte[] Zip(params (string Name, string Content)[] files)
    {
        using var buffer = new MemoryStream();
        using (var archive = new ZipArchive(buffer, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, content) in files)
            {
                using var writer = new StreamWriter(archive.CreateEntry(name).Open());
                writer.Write(content);
            }
        }

        return buffer.ToArray();
    }

    private static List<JsonObject> Unzip(byte[] zip)
    {
        using var archive = new ZipArchive(new MemoryStream(zip));
        return [.. archive.Entries.Select(e =>
        {
            using var content = e.Open();
            return JsonNode.Parse(content)!.AsObject();
        })];
    }
}
