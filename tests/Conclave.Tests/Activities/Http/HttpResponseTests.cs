using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;
using static Conclave.Tests.Json;

namespace Conclave.Tests.Activities.Http;

public sealed class HttpResponseTests
{
    [Theory]
    [InlineData("WriteHttpResponse")]
    [InlineData("WriteFileHttpResponse")]
    public async Task Write_WithoutARequest_Faults(string type) =>
        (await HttpTest.RunAsync(Activity(type, "out", ("content", Literal("x"))))).Faulted("no HTTP request to answer");

    [Theory]
    [InlineData("Literal", "hello", null, "hello", "text/plain; charset=utf-8")]
    [InlineData("Literal", "<p>", "text/html", "<p>", "text/html")]
    [InlineData("Object", """{"a":1}""", null, """{"a":1}""", "application/json")]
    [InlineData("Object", "[1]", "", "[1]", "application/json")]
    public async Task Write_Content_IsWrittenByItsKind(string syntax, string content, string? contentType, string written, string type)
    {
        var (exchange, instance) = await AnswerAsync("WriteHttpResponse", ("content", Expression(syntax, content)), ("contentType", Literal(contentType)));

        Assert.Equal(WorkflowSubStatus.Finished, instance.SubStatus);
        Assert.Equal((200, type, written), (exchange.StatusCode, exchange.ContentType, exchange.Text));
    }

    [Theory]
    [InlineData("NotFound", 404)]
    [InlineData("418", 418)]
    [InlineData("NoContent", 204)]
    public async Task Write_StatusAndHeaders_AreWritten(string status, int expected)
    {
        var (exchange, _) = await AnswerAsync(
            "WriteHttpResponse", ("statusCode", Literal(status)), ("content", Literal("x")), ("responseHeaders", Literal("""{"X-A": ["1", "2"], "content-type": "text/css"}""")));

        Assert.Equal(expected, exchange.StatusCode);
        Assert.Equal(["1", "2"], exchange.Headers["X-A"]);
        Assert.Equal(expected == 204 ? (null, "") : ("text/css", "x"), (exchange.ContentType, exchange.Text));
    }

    [Theory]
    [InlineData("responseHeaders", """{"X": "1\r\nY: 2"}""", "U+000D")]
    [InlineData("responseHeaders", """{"Content-Length": "1"}""", "Content-Length")]
    [InlineData("statusCode", "100", "200 to 599")]
    [InlineData("contentType", "a\nb", "media type")]
    public async Task Write_BadInput_Faults(string input, string value, string message)
    {
        var (exchange, instance) = await AnswerAsync("WriteHttpResponse", ("content", Literal("x")), (input, Literal(value)));

        Assert.Contains(message, Assert.Single(instance.Incidents).Message, StringComparison.Ordinal);
        Assert.Equal(0, exchange.StatusCode);
    }

    [Fact]
    public async Task WriteFile_OneFile_IsSentWithItsName()
    {
        var (exchange, _) = await AnswerAsync(
            "WriteFileHttpResponse", ("content", Expression("Object", """{"fileName": "a.png", "contentType": "image/png", "content": "AQID"}""")), ("entityTag", Literal("v1")));

        Assert.Equal((200, "image/png"), (exchange.StatusCode, exchange.ContentType));
        Assert.Equal([1, 2, 3], exchange.Body);
        Assert.Equal("a.png", ContentDispositionHeaderValue.Parse(exchange.Headers["Content-Disposition"][0]).FileNameStar);
        Assert.Equal(["\"v1\""], exchange.Headers["ETag"]);
    }

    [Fact]
    public async Task WriteFile_NameAndType_OverrideThoseOfTheFile()
    {
        var (exchange, _) = await AnswerAsync(
            "WriteFileHttpResponse", ("content", Literal("hello")), ("filename", Literal("../Übersicht\r\n\".txt")), ("contentType", Literal("text/markdown")));

        Assert.Equal(("text/markdown", "hello"), (exchange.ContentType, exchange.Text));
        var disposition = exchange.Headers["Content-Disposition"][0];
        Assert.Equal("Übersicht.txt", ContentDispositionHeaderValue.Parse(disposition).FileNameStar);
        Assert.DoesNotContain('\n', disposition);
    }

    [Fact]
    public async Task WriteFile_SeveralFiles_AreSentAsAZip()
    {
        var files = """[{"fileName": "../a.txt", "text": "one"}, {"fileName": "a.txt", "content": "dHdv"}, "three", {"any": "json"}]""";

        var (exchange, _) = await AnswerAsync("WriteFileHttpResponse", ("content", Expression("Object", files)), ("enableResumableDownloads", Literal(true)));
        var (again, _) = await AnswerAsync("WriteFileHttpResponse", ("content", Expression("Object", files)), ("enableResumableDownloads", Literal(true)));

        Assert.Equal("application/zip", exchange.ContentType);
        Assert.Equal(exchange.Headers["ETag"], again.Headers["ETag"]);
        using var archive = new ZipArchive(new MemoryStream(exchange.Body));
        Assert.Equal(["a.txt", "a-2.txt", "file3.bin", "file4.bin"], archive.Entries.Select(e => e.FullName));
        Assert.Equal(["one", "two", "three", """{"any": "json"}"""], archive.Entries.Select(e => new StreamReader(e.Open()).ReadToEnd()));
    }

    [Fact]
    public async Task WriteFile_NothingToSend_IsNoContent()
    {
        var (exchange, _) = await AnswerAsync("WriteFileHttpResponse");

        Assert.Equal(204, exchange.StatusCode);
    }

    [Fact]
    public async Task WriteFile_BrokenBase64_Faults()
    {
        var (_, instance) = await AnswerAsync("WriteFileHttpResponse", ("content", Expression("Object", """{"fileName": "a", "content": "no base64!"}""")));

        Assert.Contains("base64", Assert.Single(instance.Incidents).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Range", "bytes=2-3", 206, "cd", "bytes 2-3/6")]
    [InlineData("Range", "bytes=4-", 206, "ef", "bytes 4-5/6")]
    [InlineData("Range", "bytes=-2", 206, "ef", "bytes 4-5/6")]
    [InlineData("Range", "bytes=4-99", 206, "ef", "bytes 4-5/6")]
    [InlineData("Range", "bytes=6-", 416, "", "bytes */6")]
    [InlineData("Range", "bytes=0-0,2-3", 200, "abcdef", null)]
    [InlineData("Range", "nonsense", 200, "abcdef", null)]
    [InlineData("If-None-Match", "\"x\", \"v1\"", 304, "", null)]
    public async Task WriteFile_PartOfADownload_IsSent(string header, string value, int status, string body, string? range)
    {
        var exchange = new FakeExchange((header, value));

        await AnswerAsync(exchange, "WriteFileHttpResponse", ("content", Literal("abcdef")), ("entityTag", Literal("v1")), ("enableResumableDownloads", Literal("true")));

        Assert.Equal((status, body), (exchange.StatusCode, exchange.Text));
        Assert.Equal(range, exchange.Headers.TryGetValue("Content-Range", out var values) ? values[0] : null);
    }

    [Fact]
    public async Task WriteFile_Url_IsDownloadedWithinTheRules()
    {
        await using var server = await HttpServer.StartAsync("hello", "text/csv");
        var root = Sequence(
            "s", Activity("WriteFileHttpResponse", "out", ("content", Variable("v"))));

        async Task<(FakeExchange, WorkflowInstance)> Download(string url)
        {
            var exchange = new FakeExchange();
            return (exchange, await RunAsync(exchange, Workflow(root.DeepClone(), Variable("v", "Uri", url))));
        }

        var (sent, _) = await Download(server.Url("/list.csv"));
        var (refused, instance) = await Download("http://127.0.0.2/");

        Assert.Equal(("text/csv", "hello"), (sent.ContentType, sent.Text));
        Assert.Equal("list.csv", ContentDispositionHeaderValue.Parse(sent.Headers["Content-Disposition"][0]).FileNameStar);
        Assert.Equal(0, refused.StatusCode);
        Assert.Contains("AllowedHosts", Assert.Single(instance.Incidents).Message, StringComparison.Ordinal);
    }

    private static async Task<(FakeExchange Exchange, WorkflowInstance Instance)> AnswerAsync(string type, params (string Name, JsonNode? Value)[] members)
    {
        var exchange = new FakeExchange();
        return (exchange, await AnswerAsync(exchange, type, members));
    }

    private static Task<WorkflowInstance> AnswerAsync(FakeExchange exchange, string type, params (string Name, JsonNode? Value)[] members) =>
        RunAsync(exchange, Workflow(Activity(type, "out", members)));

    private static async Task<WorkflowInstance> RunAsync(FakeExchange exchange, JsonObject workflow)
    {
        var engine = HttpTest.Engine();
        var instance = engine.CreateInstance(engine.Compile(workflow.Read()));
        await engine.RunAsync(instance, new ExchangeHost(exchange), CancellationToken.None);
        return instance;
    }
}
