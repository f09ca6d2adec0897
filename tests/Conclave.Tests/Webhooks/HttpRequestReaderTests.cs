using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Conclave.Server.Webhooks;

namespace Conclave.Tests.Webhooks;

public sealed class HttpRequestReaderTests
{
    [Fact]
    public async Task Read_Json_HasEverything()
    {
        await using var server = await WebhookServer.StartAsync();
        using var client = server.Client();
        using var request = new HttpRequestMessage(HttpMethod.Post, "Orders/A%2Fb%20c?x=1&x=2&Y=%C3%A9&z") { Content = new StringContent("""{"a":1}""", Encoding.UTF8, "application/json") };
        request.Headers.Add("X-A", ["1", "2"]);
        var before = DateTimeOffset.UtcNow;

        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        var read = server.Request;
        Assert.Equal(("POST", "Orders/A%2Fb c", "?x=1&x=2&Y=%C3%A9&z"), (read.Method, read.Path, read.QueryString));
        Assert.Equal("A/b c", read.RouteData["id"]);
        Assert.Equal(["1", "2"], read.Query["X"]);
        Assert.Equal(["é"], read.Query["y"]);
        Assert.Equal([""], read.Query["z"]);
        Assert.Equal("1,2", string.Join(',', read.Headers["x-a"].SelectMany(v => v.Split(", "))));
        Assert.Equal("application/json; charset=utf-8", read.ContentType);
        Assert.Equal("""{"a":1}""", Encoding.UTF8.GetString(read.Body));
        Assert.InRange(read.ReceivedAt!.Value, before, DateTimeOffset.UtcNow);
        Assert.Null(read.RawBody);
    }

    [Fact]
    public async Task Read_WithoutABody_IsEmpty()
    {
        await using var server = await WebhookServer.StartAsync();
        using var client = server.Client();

        await client.GetAsync("");

        Assert.Equal(("GET", "", "", 0), (server.Request.Method, server.Request.Path, server.Request.QueryString, server.Request.Body.Length));
    }

    [Fact]
    public async Task Read_UrlEncodedForm_IsLeftToBeDecoded()
    {
        await using var server = await WebhookServer.StartAsync();
        using var client = server.Client();

        await client.PostAsync("a", new FormUrlEncodedContent([new("a", "1"), new("b", "x y")]));

        Assert.Empty(server.Request.Form);
        Assert.Equal("a=1&b=x+y", Encoding.UTF8.GetString(server.Request.Body));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Read_Multipart_HasFieldsAndFiles(bool keepsRawBody)
    {
        await using var server = await WebhookServer.StartAsync(keepsRawBody: keepsRawBody);
        using var client = server.Client();
        using var form = new MultipartFormDataContent("a-boundary");
        form.Add(new StringContent("Plän"), "title");
        form.Add(new StringContent("1"), "tag");
        form.Add(new StringContent("2"), "TAG");
        form.Add(new StringContent("Ü", Encoding.Latin1), "latin");
        using var image = new ByteArrayContent([1, 2, 3]);
        image.Headers.ContentType = MediaTypeHeaderValue.Parse("image/png");
        form.Add(image, "f", "../x\\a.png");
        form.Add(new ByteArrayContent([]), "g", "Übersicht.txt");
        var raw = await form.ReadAsByteArrayAsync();

        using var response = await client.PostAsync("a", form);

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        var read = server.Request;
        Assert.Equal(["Plän"], read.Form["title"]);
        Assert.Equal(["1", "2"], read.Form["tag"]);
        Assert.Equal(["Ü"], read.Form["latin"]);
        Assert.Equal([("f", "a.png", "image/png", 3), ("g", "Übersicht.txt", null, 0)], read.Files.Select(f => (f.Name, f.FileName!, f.ContentType, f.Content.Length)));
        Assert.Empty(read.Body);
        Assert.Equal(keepsRawBody ? raw : null, read.RawBody);
    }

    [Theory]
    [InlineData("multipart/form-data", "x")]
    [InlineData("multipart/form-data; boundary=", "x")]
    [InlineData("multipart/form-data; boundary=b", "")]
    [InlineData("multipart/form-data; boundary=b", "garbage")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n--b--")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\n\r\n1\r\n--b--")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nno colon\r\n\r\n1\r\n--b--")]
    [InlineData("multipart/form-data; boundary=1234567890123456789012345678901234567890123456789012345678901234567890x", "x")]
    public async Task Read_GarbageForm_IsABadRequest(string contentType, string body) =>
        await RefusedAsync(400, "http_request.bad_form", Content(body, contentType));

    [Fact]
    public async Task Read_FormBeyondTheLimits_IsRefused()
    {
        static string Part(string headers) => $"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n{headers}\r\n1\r\n";
        var options = new WebhookOptions { MaxParts = 3, MaxPartHeaderBytes = 300 };
        var three = Part("") + Part("") + Part("");

        await TakenAsync(Content($"{three}--b--", "multipart/form-data; boundary=b"), options);
        await RefusedAsync(413, "http_request.too_many_parts", Content($"{three}{Part("")}--b--", "multipart/form-data; boundary=b"), options);
        await RefusedAsync(400, "http_request.bad_form", Content($"{Part($"X: {new string('x', 300)}\r\n")}--b--", "multipart/form-data; boundary=b"), options);
        await RefusedAsync(400, "http_request.bad_form", Content($"{Part(string.Concat(Enumerable.Range(0, 20).Select(i => $"X{i}: 1\r\n")))}--b--", "multipart/form-data; boundary=b"), options);
        await TakenAsync(Content("a=1&b=2&c=3", "application/x-www-form-urlencoded"), options);
        await RefusedAsync(413, "http_request.too_many_parts", Content("a=1&b=2&c=3&d=4", "application/x-www-form-urlencoded"), options);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("identity, gzip")]
    [InlineData("unknown")]
    public async Task Read_EncodedBody_IsRefused(string encoding)
    {
        using var packed = new MemoryStream();
        await using (var gzip = new GZipStream(packed, CompressionMode.Compress, leaveOpen: true))
            gzip.Write("{}"u8);
        var content = new ByteArrayContent(packed.ToArray());
        content.Headers.TryAddWithoutValidation("Content-Encoding", encoding);

        using var response = await RefusedAsync(415, "http_request.unsupported_encoding", content);

        Assert.Equal("identity", response.Headers.GetValues("Accept-Encoding").Single());
    }

    [Fact]
    public async Task Read_IdentityEncoding_IsTaken()
    {
        var content = Content("{}", "application/json");
        content.Headers.TryAddWithoutValidation("Content-Encoding", "identity");

        await TakenAsync(content);
    }

    [Theory]
    [InlineData(1024, false, false)]
    [InlineData(1025, false, true)]
    [InlineData(1024, true, false)]
    [InlineData(1025, true, true)]
    [InlineData(5_000_000, true, true)]
    public async Task Read_Size_IsLimited(int size, bool isChunked, bool isRefused)
    {
        var options = new WebhookOptions { MaxRequestBytes = 1024 };
        var content = new ByteArrayContent(new byte[size]);

        if (isRefused)
            await RefusedAsync(413, "http_request.too_large", content, options, isChunked);
        else
            await TakenAsync(content, options, isChunked);
    }

    [Fact]
    public async Task Read_LargeBody_IsWhole()
    {
        var bytes = new byte[40_000_000];
        new Random(1).NextBytes(bytes);
        await using var server = await WebhookServer.StartAsync(new WebhookOptions { MaxRequestBytes = 50_000_000 });
        using var client = server.Client();

        using var response = await client.PostAsync("a", new ByteArrayContent(bytes));

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.True(bytes.AsSpan().SequenceEqual(server.Request.Body));
    }

    [Fact]
    public async Task Read_ClaimsToBeTooLarge_IsRefusedBeforeItIsSent()
    {
        await using var server = await WebhookServer.StartAsync();

        var answer = await server.SendAsync("POST /workflows/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 413", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Transfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400", false)]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nab", "", true)]
    [InlineData("Content-Length: 5\r\n\r\nab", "", true)]
    public async Task Read_BrokenBody_IsNotTaken(string rest, string status, bool isCutOff)
    {
        await using var server = await WebhookServer.StartAsync();

        var answer = await server.SendAsync($"POST /workflows/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{rest}", isCutOff);

        Assert.StartsWith(status, answer, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Results, r => !r.IsRefused);
    }

    [Theory]
    [InlineData("/workflows", "")]
    [InlineData("/workflows/", "")]
    [InlineData("/WORKFLOWS/a%20B/?x=/y", "a%20B/")]
    [InlineData("http://host/workflows/a%2fb?x", "a%2fb")]
    [InlineData("/workflowsx/a", null)]
    [InlineData("/workflows%2Fa", null)]
    [InlineData("/x/../workflows/a", null)]
    [InlineData("/api", null)]
    [InlineData("/workflows/../api", "../api")]
    [InlineData("/workflows/%2e%2e/api", "%2e%2e/api")]
    [InlineData("/workflows//a", "/a")]
    public async Task EncodedPath_IsThatOfTheRequestLine(string target, string? expected)
    {
        await using var server = await WebhookServer.StartAsync();

        await server.SendAsync($"GET {target} HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n");

        Assert.Equal(expected, Assert.Single(server.Paths));
    }

    [Theory]
    [InlineData("/workflows/../api")]
    [InlineData("/workflows/a/%2e%2e/b")]
    [InlineData("/workflows/..%2f..%2fb")]
    [InlineData("/workflows/a%0db")]
    [InlineData("/workflows/a%zz")]
    [InlineData("/workflows/a%C3")]
    [InlineData("/workflows/a%00")]
    public async Task Read_HostilePath_IsNotFound(string target)
    {
        await using var server = await WebhookServer.StartAsync();

        var answer = await server.SendAsync($"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        Assert.Matches("^HTTP/1.1 40[04] ", answer);
        Assert.Empty(server.Results);
    }

    private static StringContent Content(string body, string contentType)
    {
        var content = new StringContent(body);
        content.Headers.Remove("Content-Type");
        content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        return content;
    }

    private static async Task TakenAsync(HttpContent content, WebhookOptions? options = null, bool isChunked = false)
    {
        using var response = await SendAsync(content, options, isChunked);
        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
    }

    private static async Task<HttpResponseMessage> RefusedAsync(int status, string code, HttpContent content, WebhookOptions? options = null, bool isChunked = false)
    {
        var response = await SendAsync(content, options, isChunked);
        Assert.Equal((status, "application/problem+json"), ((int)response.StatusCode, response.Content.Headers.ContentType?.ToString()));
        var problem = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal((status, code), (problem.GetProperty("status").GetInt32(), problem.GetProperty("code").GetString()));
        Assert.NotEmpty(problem.GetProperty("detail").GetString()!);
        return response;
    }

    private static async Task<HttpResponseMessage> SendAsync(HttpContent content, WebhookOptions? options, bool isChunked)
    {
        await using var server = await WebhookServer.StartAsync(options);
        using var client = server.Client();
        using var request = new HttpRequestMessage(HttpMethod.Post, "a") { Content = content };
        request.Headers.TransferEncodingChunked = isChunked;
        // A server that refuses at once may close while the client still sends; with this the client waits to be asked.
        request.Headers.ExpectContinue = true;
        var response = await client.SendAsync(request);
        await response.Content.LoadIntoBufferAsync();
        return response;
    }
}
