using System.Text;
using Conclave.Server.Webhooks;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Http;

namespace Conclave.Tests.Webhooks;

public sealed class HttpReplyTests
{
    private static readonly Dictionary<string, string[]> None = [];

    [Theory]
    [InlineData("GET", 200, true, "Hello")]
    [InlineData("HEAD", 200, true, "")]
    [InlineData("GET", 418, true, "Hello")]
    [InlineData("GET", 204, false, "")]
    [InlineData("GET", 304, false, "")]
    [InlineData("GET", 205, true, "")]
    public async Task WriteTo_Answer_IsSent(string method, int status, bool hasType, string body)
    {
        await using var server = await WebhookServer.StartAsync(
            answer: r => r.RespondAsync(status, "text/plain", new Dictionary<string, string[]> { ["X-A"] = ["1", "2"], ["Set-Cookie"] = ["a=1", "b=2"] }, "Hello"u8.ToArray(), CancellationToken.None),
            replay: r => HttpReply.Deserialize(r.Serialize()));
        using var client = server.Client();
        using var request = new HttpRequestMessage(new HttpMethod(method), "a");

        using var response = await client.SendAsync(request);

        Assert.Equal((status, body), ((int)response.StatusCode, await response.Content.ReadAsStringAsync()));
        Assert.Equal(hasType ? "text/plain" : null, response.Content.Headers.ContentType?.ToString());
        Assert.Equal(["a=1", "b=2"], response.Headers.GetValues("Set-Cookie"));
        Assert.Equal(["1", "2"], response.Headers.GetValues("X-A").SelectMany(v => v.Split(", ")));
        if (method == "HEAD")
            Assert.Equal(5, response.Content.Headers.ContentLength);
    }

    [Fact]
    public async Task Respond_ContentOfTheCaller_IsCopied()
    {
        var reply = new HttpReply();
        var content = "Hello"u8.ToArray();

        await reply.RespondAsync(200, null, None, content, CancellationToken.None);
        content[0] = (byte)'X';

        Assert.Equal("Hello"u8.ToArray(), reply.Content.ToArray());
        Assert.Equal((true, false), (reply.IsAnswered, reply.IsRefusal));
    }

    [Fact]
    public async Task Respond_ASecondTime_Throws()
    {
        var reply = new HttpReply();
        await reply.RespondAsync(201, null, None, default, CancellationToken.None);

        var exception = await Assert.ThrowsAsync<WorkflowException>(async () => await reply.RespondAsync(200, null, None, default, CancellationToken.None));

        Assert.Equal(("http.already_answered", true, 201), (exception.Code, exception.IsPermanent, reply.StatusCode));
        await Assert.ThrowsAsync<WorkflowException>(async () => await reply.RefuseAsync(401, "c", "d", None, CancellationToken.None));
        Assert.False(reply.IsRefusal);
    }

    [Theory]
    [InlineData("X-A", "ü")]
    [InlineData("X-A", "a\r\nb")]
    [InlineData("X-A", "a\u007fb")]
    public async Task Respond_HeaderThatCannotBeSent_ThrowsBeforeTheCommit(string name, string value)
    {
        var reply = new HttpReply();

        var exception = await Assert.ThrowsAsync<WorkflowException>(
            async () => await reply.RespondAsync(200, null, new Dictionary<string, string[]> { [name] = [value] }, default, CancellationToken.None));

        Assert.Equal(("http.bad_header", false), (exception.Code, reply.IsAnswered));
        await reply.RespondAsync(200, null, new Dictionary<string, string[]> { [name] = ["a\tb"] }, default, CancellationToken.None);
    }

    [Fact]
    public async Task Refuse_IsAProblem()
    {
        var reply = new HttpReply();

        await ((IHttpExchange)reply).RefuseAsync(401, "a.code", "Why \"not\".", None, CancellationToken.None);

        Assert.Equal((true, 401, "application/problem+json"), (reply.IsRefusal, reply.StatusCode, reply.ContentType));
        Assert.Equal(
            """{"type":"about:blank","title":"Unauthorized","status":401,"detail":"Why \u0022not\u0022.","code":"a.code"}""", Encoding.UTF8.GetString(reply.Content.Span));
        Assert.True(HttpReply.Deserialize(reply.Serialize()).IsRefusal);
    }

    [Fact]
    public void RequestHeader_IsThatOfTheRequest()
    {
        var request = new HttpRequestData { Method = "GET", Path = "a", Headers = new Dictionary<string, string[]> { ["If-None-Match"] = ["\"1\"", "\"2\""] } };

        Assert.Equal("\"1\",\"2\"", new HttpReply(request).RequestHeader("if-none-match"));
        Assert.Null(new HttpReply(request).RequestHeader("Range"));
        Assert.Null(new HttpReply().RequestHeader("Range"));
    }

    [Fact]
    public async Task Serialize_ReadsBackTheSame()
    {
        var reply = new HttpReply();
        await reply.RespondAsync(
            503, "application/json; charset=utf-8", new Dictionary<string, string[]> { ["Retry-After"] = ["1"], ["X"] = ["", "a, b"], ["Y"] = [] }, new byte[] { 0, 255, 1 }, CancellationToken.None);

        var read = HttpReply.Deserialize(reply.Serialize());

        Assert.Equal((503, "application/json; charset=utf-8", true), (read.StatusCode, read.ContentType, read.IsAnswered));
        Assert.Equal(["Retry-After", "X", "Y"], read.Headers.Keys.Order());
        Assert.Equal(["", "a, b"], read.Headers["x"]);
        Assert.Equal([0, 255, 1], read.Content.ToArray());
        Assert.Equal(reply.Serialize(), read.Serialize());
        await Assert.ThrowsAsync<WorkflowException>(async () => await read.RespondAsync(200, null, None, default, CancellationToken.None));
    }

    [Fact]
    public async Task Deserialize_AnythingElse_IsRefused()
    {
        var reply = new HttpReply();
        await reply.RespondAsync(200, "text/plain", new Dictionary<string, string[]> { ["A"] = ["b"] }, "Hello"u8.ToArray(), CancellationToken.None);
        var stored = reply.Serialize();

        for (var length = 0; length < stored.Length; length++)
            Assert.Throws<InvalidDataException>(() => HttpReply.Deserialize(stored[..length]));
        Assert.Throws<InvalidDataException>(() => HttpReply.Deserialize([.. stored, 0]));
        Assert.Throws<InvalidDataException>(() => HttpReply.Deserialize([9, .. stored[1..]]));
        Assert.Throws<InvalidDataException>(() => HttpReply.Deserialize([.. Enumerable.Repeat((byte)255, 40)]));
    }

    [Fact]
    public void NoAnswer_CannotBeStored() => Assert.Throws<InvalidOperationException>(() => new HttpReply().Serialize());
}
