using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Conclave.Tests.Cli;

/// <summary>Commands about definitions.</summary>
public sealed class WorkflowCommandTests : IAsyncLifetime
{
    private const string Imported = """{"items":[{"file":"a.json","definitionId":"a","version":1,"outcome":"created","errors":[]},{"file":"b.json","definitionId":"b","version":3,"outcome":"unchanged","errors":[]}]}""";
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("conclave-test-");
    private FakeServer _server = null!;

    public async Task InitializeAsync() => _server = await FakeServer.StartAsync();

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Import_OneFile_SendsItAsItIs()
    {
        var document = Json.Workflow(Json.Write("hello")).ToJsonString();
        _server.On("POST /api/workflows/import?publish=true", """{"items":[{"definitionId":"a","version":1,"outcome":"created","errors":[]}]}""");

        var (code, output, _) = await _server.RunAsync("import", Save("a.json", document), "--publish");

        Assert.Equal(0, code);
        Assert.Contains("created", output, StringComparison.Ordinal);
        Assert.Contains("a.json", output, StringComparison.Ordinal);
        var request = Assert.Single(_server.Received);
        Assert.Equal("application/json", request.ContentType);
        Assert.Equal(document, request.Body);
    }

    [Fact]
    public async Task Import_Folder_SendsItsDefinitionsWithTheirPathsAndNothingElse()
    {
        Save("b.json", Json.Workflow(Json.Write("b")).ToJsonString());
        Save("deep/a.json", Json.Workflow(Json.Write("a")).ToJsonString());
        Save("package.json", """{"name":"no workflow"}""");
        _server.On("POST /api/workflows/import?publish=file", Imported);

        var (code, output, _) = await _server.RunAsync("import", _folder.FullName, "--json");

        Assert.Equal(0, code);
        Assert.Equal(Imported, output.Trim());
        var request = Assert.Single(_server.Received);
        Assert.StartsWith("multipart/form-data", request.ContentType, StringComparison.Ordinal);
        Assert.Contains("filename=deep/a.json", request.Body.Replace("\"", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotContain("package.json", request.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Import_Zip_SendsItAsZip()
    {
        _server.On("POST /api/workflows/import?publish=false", Imported);
        var file = Path.Combine(_folder.FullName, "all.zip");
        await File.WriteAllBytesAsync(file, Zip(("a.json", "{}")));

        Assert.Equal(0, (await _server.RunAsync("import", file, "--draft")).Code);

        Assert.Equal("application/zip", Assert.Single(_server.Received).ContentType);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(200)]
    public async Task Import_Refused_ExitsWith3AndNamesFileActivityAndCode(int status)
    {
        _server.On(
            "POST /api/workflows/import?publish=file",
            """{"title":"Nothing was imported","items":[{"file":"a.json","outcome":"refused","errors":[{"code":"input.missing","message":"Text is empty.","severity":"Error","activityId":"w1","property":"text"}]}]}""",
            status);

        var (code, output, errors) = await _server.RunAsync("import", Save("a.json", "{}"));

        Assert.Equal(3, code);
        Assert.Contains("refused", output, StringComparison.Ordinal);
        Assert.Contains("a.json: error: activity 'w1', property 'text': Text is empty. (input.missing)", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nowhere.json")]
    [InlineData(".", "--publish", "--draft")]
    [InlineData(".")]
    public async Task Import_NothingToImport_ExitsWith4AndAsksNothing(string source, params string[] options)
    {
        var (code, _, errors) = await _server.RunAsync(["import", Path.Combine(_folder.FullName, source), .. options]);

        Assert.Equal(4, code);
        Assert.NotEmpty(errors);
        Assert.Empty(_server.Received);
    }

    [Fact]
    public async Task Export_Folder_WritesEachFile()
    {
        _server.On("GET /api/workflows/export?ids=a%2Cb", Send(Zip(("a.json", "1"), ("sub/b.json", "2"))));

        var (code, output, _) = await _server.RunAsync("export", "a", "b", "--out", Path.Combine(_folder.FullName, "out"));

        Assert.Equal(0, code);
        Assert.Contains("2 files in", output, StringComparison.Ordinal);
        Assert.Equal("2", await File.ReadAllTextAsync(Path.Combine(_folder.FullName, "out", "sub", "b.json")));
    }

    [Theory]
    [InlineData("../evil.json")]
    [InlineData("/tmp/evil-conclave.json")]
    [InlineData("..\\evil.json")]
    public async Task Export_ZipThatLeavesTheFolder_WritesNothing(string name)
    {
        _server.On("GET /api/workflows/export", Send(Zip(("good.json", "1"), (name, "2"))));

        var (code, _, errors) = await _server.RunAsync("export", "--out", Path.Combine(_folder.FullName, "out"));

        Assert.Equal(1, code);
        Assert.Contains("outside", errors, StringComparison.Ordinal);
        Assert.Empty(_folder.GetFiles("*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Export_ZipFile_ReplacesItAsAWhole()
    {
        var file = Save("out.zip", "old");
        _server.On("GET /api/workflows/export", Send(Zip(("a.json", "1")))).On("GET /api/workflows/export?ids=bad", Send("no zip"u8.ToArray()));

        Assert.Equal(1, (await _server.RunAsync("export", "bad", "--out", file)).Code);
        Assert.Equal("old", await File.ReadAllTextAsync(file));
        Assert.Equal(0, (await _server.RunAsync("export", "--out", file)).Code);

        Assert.Equal("a.json", Assert.Single((await ZipFile.OpenReadAsync(file)).Entries).Name);
        Assert.Equal([file], _folder.GetFiles().Select(f => f.FullName));
    }

    [Fact]
    public async Task Export_Dash_WritesTheZipToStandardOutput()
    {
        _server.On("GET /api/workflows/export", Send("PK-plain"u8.ToArray()));

        Assert.Equal((0, "PK-plain", ""), await _server.RunAsync("export", "--out", "-"));
    }

    [Fact]
    public async Task Workflows_ManyPages_FollowsThemWithAll()
    {
        _server
            .On("GET /api/workflows?search=or&limit=100", """{"items":[{"definitionId":"orders","name":"Orders","version":2,"publishedVersion":1,"updatedAt":"2020-01-02T03:04:05Z"}],"next":"c 1"}""")
            .On("GET /api/workflows?search=or&cursor=c%201&limit=100", """{"items":[{"definitionId":"ordinary","name":"Odd [red]name[/]","version":1}],"next":null}""");

        var (code, output, errors) = await _server.RunAsync("workflows", "--search", "or", "--all");
        var (_, json, _) = await _server.RunAsync("workflows", "--search", "or", "--all", "--json");

        Assert.Equal(0, code);
        Assert.Empty(errors);
        Assert.Contains("orders", output, StringComparison.Ordinal);
        Assert.Contains("2020-01-02", output, StringComparison.Ordinal);
        Assert.Contains("Odd [red]name[/]", output, StringComparison.Ordinal);
        Assert.Equal(2, JsonElement.Parse(json).GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Workflows_MoreThanTheLimit_SaysSo()
    {
        _server.On("GET /api/workflows?limit=1", """{"items":[{"definitionId":"orders"}],"next":"c1"}""");

        var (_, _, errors) = await _server.RunAsync("workflows", "--limit", "1");

        Assert.Contains("--all", errors, StringComparison.Ordinal);
        Assert.Single(_server.Received);
    }

    [Fact]
    public async Task Workflows_None_SaysWhatToDo()
    {
        _server.On("GET /api/workflows?limit=50", """{"items":[],"next":null}""");

        Assert.Contains("conclave import", (await _server.RunAsync("workflows")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Versions_ListsThem()
    {
        _server.On("GET /api/workflows/orders/versions?limit=50", """{"items":[{"version":2,"isPublished":true,"id":"v2"},{"version":1,"isPublished":false,"id":"v1"}],"next":null}""");

        var (code, output, _) = await _server.RunAsync("versions", "orders");

        Assert.Equal(0, code);
        Assert.Contains("yes", output, StringComparison.Ordinal);
        Assert.Contains("v1", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POST /api/workflows/a%2Fb/publish", "Published a/b; its newest version is 4.", "publish", "a/b")]
    [InlineData("POST /api/workflows/orders/retract", "Retracted orders; its newest version is 4.", "retract", "orders")]
    [InlineData("POST /api/workflows/orders/revert?version=2", "Copied version 2 of orders; its newest version is 4.", "revert", "orders", "2")]
    [InlineData("DELETE /api/workflows/orders", "Deleted orders.", "delete", "orders")]
    [InlineData("DELETE /api/workflows/orders/versions/3?force=true", "Deleted version 3 of orders.", "delete", "orders", "--version", "3", "--force")]
    public async Task MovingAndDeleting_SayWhatTheyDid(string call, string said, params string[] arguments)
    {
        _server.On(call, """{"definitionId":"orders","version":4,"errors":[]}""");

        var (code, output, errors) = await _server.RunAsync(arguments);

        Assert.Equal((0, said, ""), (code, output.Trim(), errors));
        Assert.Equal(call.StartsWith("POST", StringComparison.Ordinal), Assert.Single(_server.Received).IdempotencyKey is not null);
    }

    [Fact]
    public async Task Publish_WithErrors_NamesEachActivity()
    {
        _server.On(
            "POST /api/workflows/orders/publish",
            """{"title":"The workflow has errors","status":400,"code":"definition.invalid","errors":[{"code":"input.missing","message":"Text is empty.","severity":"Error","activityId":"w1"},{"code":"x.y","message":"Odd.","severity":"Warning"}]}""",
            400);

        var (code, _, errors) = await _server.RunAsync("publish", "orders");

        Assert.Equal(3, code);
        Assert.Contains("The workflow has errors (definition.invalid)", errors, StringComparison.Ordinal);
        Assert.Contains("  error: activity 'w1': Text is empty. (input.missing)", errors, StringComparison.Ordinal);
        Assert.Contains("  warning: definition: Odd. (x.y)", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Delete_InUse_SaysWhatUsesIt()
    {
        _server.On("DELETE /api/workflows/orders", """{"title":"In use","code":"definition.in_use","consumers":[{"definitionId":"billing"},"shipping"]}""", 409);

        var (code, _, errors) = await _server.RunAsync("delete", "orders");

        Assert.Equal(3, code);
        Assert.Contains("consumers: billing, shipping", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("publish", "..")]
    [InlineData("publish", " ")]
    public async Task Id_ThatLeadsElsewhere_ExitsWith4(params string[] arguments)
    {
        Assert.Equal(4, (await _server.RunAsync(arguments)).Code);
        Assert.Empty(_server.Received);
    }

    private string Save(string name, string text)
    {
        var file = Path.Combine(_folder.FullName, name);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
        return file;
    }

    private static Func<HttpContext, Task> Send(byte[] content) => context =>
    {
        context.Response.ContentType = "application/zip";
        return context.Response.Body.WriteAsync(content).AsTask();
    };

    private static byte[] Zip(params (string Name, string Text)[] entries)
    {
        using var memory = new MemoryStream();
        using (var archive = new ZipArchive(memory, ZipArchiveMode.Create))
        {
            foreach (var (name, text) in entries)
            {
                using var stream = archive.CreateEntry(name).Open();
                stream.Write(Encoding.UTF8.GetBytes(text));
            }
        }

        return memory.ToArray();
    }
}
