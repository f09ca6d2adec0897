using System.IO.Compression;
using System.Net;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Http;

namespace Conclave.Tests.Activities.Http;

public sealed class OutboundHttpTests
{
    [Theory]
    [InlineData("http://127.0.0.1:{0}/")]
    [InlineData("http://2130706433:{0}/")]
    [InlineData("http://0177.0.0.1:{0}/")]
    [InlineData("http://0x7f.0.0.1:{0}/")]
    [InlineData("http://0x7f000001:{0}/")]
    [InlineData("http://127.1:{0}/")]
    [InlineData("http://[::1]:{0}/")]
    [InlineData("http://[::ffff:127.0.0.1]:{0}/")]
    [InlineData("http://[::ffff:7f00:1]:{0}/")]
    [InlineData("http://[64:ff9b::7f00:1]:{0}/")]
    [InlineData("http://[2002:7f00:1::]:{0}/")]
    [InlineData("http://[::127.0.0.1]:{0}/")]
    [InlineData("http://0.0.0.0:{0}/")]
    [InlineData("http://0:{0}/")]
    [InlineData("http://[::]:{0}/")]
    [InlineData("http://localhost:{0}/")]
    [InlineData("http://LOCALHOST:{0}/")]
    [InlineData("http://169.254.169.254/latest/meta-data/")]
    [InlineData("http://10.0.0.1/")]
    [InlineData("http://172.31.255.255/")]
    [InlineData("http://192.168.1.1/")]
    [InlineData("http://100.64.0.1/")]
    [InlineData("http://224.0.0.1/")]
    [InlineData("http://255.255.255.255/")]
    [InlineData("http://[fd00::1]/")]
    [InlineData("http://[fe80::1]/")]
    [InlineData("http://[ff02::1]/")]
    public async Task Send_AddressThatIsNotPublic_IsRefused(string url)
    {
        await using var server = await HttpServer.StartAsync("secret");
        using var http = new OutboundHttp();

        var failure = await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, url.Replace("{0}", $"{server.Port}", StringComparison.Ordinal)));

        Assert.Equal("http.address_refused", failure.Code);
        Assert.True(failure.IsPermanent);
        Assert.Contains("OutboundHttp:AllowedHosts", failure.Message, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
    }

    [Theory]
    [InlineData("127.0.0.1.")]
    [InlineData("localhost.")]
    public async Task Send_TrailingDot_NeverArrives(string host)
    {
        await using var server = await HttpServer.StartAsync("secret");
        using var http = new OutboundHttp();

        await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, $"http://{host}:{server.Port}/"));

        Assert.Empty(server.Requests);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::ffff:10.0.0.1")]
    [InlineData("64:ff9b::a00:1")]
    [InlineData("fd12:3456::1")]
    public async Task Send_NameThatResolvesToPrivateAddress_IsRefused(string address)
    {
        using var http = Resolving(new OutboundHttpOptions(), address);

        var failure = await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, "http://public.example/"));

        Assert.Equal("http.address_refused", failure.Code);
    }

    [Theory]
    [InlineData("inner.example")]
    [InlineData("*.example")]
    [InlineData("INNER.example:{0}")]
    public async Task Send_HostIsAllowed_MayBePrivate(string allowed)
    {
        await using var server = await HttpServer.StartAsync("hello");
        using var http = Resolving(new OutboundHttpOptions { AllowedHosts = [allowed.Replace("{0}", $"{server.Port}", StringComparison.Ordinal)] }, "127.0.0.1");

        var response = await Get(http, $"http://inner.example.:{server.Port}/");

        Assert.Equal("hello"u8.ToArray(), response.Body);
    }

    [Theory]
    [InlineData("example")]
    [InlineData("*.inner.example")]
    [InlineData("inner.example:1")]
    [InlineData("ner.example")]
    public async Task Send_AnotherHostIsAllowed_IsRefused(string allowed)
    {
        await using var server = await HttpServer.StartAsync("hello");
        using var http = Resolving(new OutboundHttpOptions { AllowedHosts = [allowed] }, "127.0.0.1");

        await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, $"http://inner.example:{server.Port}/"));

        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task Send_NetworkIsAllowed_ReachesIt()
    {
        await using var server = await HttpServer.StartAsync("hello");
        using var http = new OutboundHttp(new OutboundHttpOptions { AllowedNetworks = ["127.0.0.0/8"] });
        using var all = new OutboundHttp(new OutboundHttpOptions { AllowPrivateAddresses = true });

        Assert.Equal(200, (await Get(http, server.Url())).StatusCode);
        Assert.Equal(200, (await Get(http, $"http://[::ffff:127.0.0.1]:{server.Port}/")).StatusCode);
        Assert.Equal(200, (await Get(all, server.Url())).StatusCode);
    }

    [Fact]
    public async Task Send_RedirectToLoopback_IsRefused()
    {
        await using var secret = await HttpServer.StartAsync("secret");
        await using var server = await Redirecting(_ => $"http://localhost:{secret.Port}/", 302);
        using var http = HttpTest.Loopback();

        var failure = await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, server.Url()));

        Assert.Equal("http.address_refused", failure.Code);
        Assert.Empty(secret.Requests);
    }

    [Theory]
    [InlineData("file:///etc/passwd", "http.bad_url")]
    [InlineData("ftp://example.org/", "http.bad_url")]
    [InlineData("http://user:pass@127.0.0.1/", "http.bad_url")]
    [InlineData("http://[", "http.bad_redirect")]
    public async Task Send_RedirectElsewhere_IsRefused(string location, string code)
    {
        await using var server = await Redirecting(_ => location, 302);
        using var http = HttpTest.Loopback();

        Assert.Equal(code, (await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, server.Url()))).Code);
    }

    [Fact]
    public async Task Send_RedirectsWithoutEnd_StopsAtTheLimit()
    {
        await using var server = await Redirecting(r => $"/{r.Length}{r}", 302);
        using var http = HttpTest.Loopback(new OutboundHttpOptions { MaxRedirects = 3 });

        var failure = await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, server.Url()));

        Assert.Equal("http.too_many_redirects", failure.Code);
        Assert.Contains("OutboundHttp:MaxRedirects", failure.Message, StringComparison.Ordinal);
        Assert.Equal(4, server.Requests.Count);
    }

    [Fact]
    public async Task Send_NoRedirectsAllowed_ReturnsTheRedirect()
    {
        await using var server = await Redirecting(_ => "/next", 302);
        using var http = HttpTest.Loopback(new OutboundHttpOptions { MaxRedirects = 0 });

        Assert.Equal(302, (await Get(http, server.Url())).StatusCode);
    }

    [Theory]
    [InlineData(301, "POST", "GET", "")]
    [InlineData(302, "POST", "GET", "")]
    [InlineData(302, "PUT", "PUT", "body")]
    [InlineData(303, "PUT", "GET", "")]
    [InlineData(307, "POST", "POST", "body")]
    [InlineData(308, "POST", "POST", "body")]
    public async Task Send_Redirect_RewritesTheMethodAsBrowsersDo(int status, string method, string then, string body)
    {
        await using var server = await Redirecting(path => path == "/" ? "/next" : null, status);
        using var http = HttpTest.Loopback();

        await http.SendAsync(new OutboundRequest(method, new Uri(server.Url())) { Body = "body"u8.ToArray(), ContentType = "text/plain" }, CancellationToken.None);

        var last = server.Requests.Last();
        Assert.Equal(("/next", then, body), (last.Path, last.Method, last.Body));
    }

    [Fact]
    public async Task Send_RedirectToAnotherOrigin_DropsCredentials()
    {
        await using var other = await HttpServer.StartAsync("hello");
        await using var server = await Redirecting(path => path == "/" ? "/again" : other.Url(), 307);
        using var http = HttpTest.Loopback();

        await http.SendAsync(
            new OutboundRequest("GET", new Uri(server.Url())) { Headers = [new("Authorization", "Bearer t"), new("Cookie", "a=b"), new("X-Trace", "1")] },
            CancellationToken.None);

        Assert.Equal("Bearer t", server.Requests.Last().Headers["Authorization"]);
        var last = Assert.Single(other.Requests).Headers;
        Assert.False(last.ContainsKey("Authorization"));
        Assert.False(last.ContainsKey("Cookie"));
        Assert.Equal("1", last["X-Trace"]);
    }

    [Fact]
    public void Follow_HttpsToHttp_IsRefused()
    {
        var request = new OutboundRequest("GET", new Uri("https://example.org/a"));

        var failure = Assert.Throws<OutboundHttpException>(() => Redirects.Follow(request, 302, "http://example.org/a"));

        Assert.Equal("http.insecure_redirect", failure.Code);
        Assert.Equal("https://example.org/b", Redirects.Follow(request, 302, "/b").Url.ToString());
        Assert.Equal("https://example.com/", Redirects.Follow(request, 302, "//example.com/").Url.ToString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Send_AnswerIsTooLarge_IsRefused(bool saysSo)
    {
        await using var server = await HttpServer.StartAsync(async context =>
        {
            if (saysSo)
                context.Response.ContentLength = 2000;
            await context.Response.Body.WriteAsync(new byte[1000]);
            await context.Response.Body.WriteAsync(new byte[1000]);
        });
        using var http = HttpTest.Loopback(new OutboundHttpOptions { MaxResponseBytes = 1999 });
        using var enough = HttpTest.Loopback(new OutboundHttpOptions { MaxResponseBytes = 2000 });

        var failure = await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, server.Url()));

        Assert.Equal("http.too_large", failure.Code);
        Assert.Contains("OutboundHttp:MaxResponseBytes", failure.Message, StringComparison.Ordinal);
        Assert.Equal(2000, (await Get(enough, server.Url())).Body.Length);
    }

    [Fact]
    public async Task Send_GzipBomb_IsRefusedByItsUnpackedSize()
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
            gzip.Write(new byte[4 * 1024 * 1024]);
        await using var server = await HttpServer.StartAsync(context =>
        {
            context.Response.Headers.ContentEncoding = "gzip";
            return context.Response.Body.WriteAsync(packed.ToArray()).AsTask();
        });
        using var http = HttpTest.Loopback(new OutboundHttpOptions { MaxResponseBytes = 100_000 });
        using var enough = HttpTest.Loopback();

        Assert.Equal("http.too_large", (await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, server.Url()))).Code);
        Assert.Equal(4 * 1024 * 1024, (await Get(enough, server.Url())).Body.Length);
    }

    [Theory]
    [InlineData("Host", "evil")]
    [InlineData("content-length", "5")]
    [InlineData("Transfer-Encoding", "chunked")]
    [InlineData("Connection", "close")]
    [InlineData("X-A", "1\r\nX-B: 2")]
    [InlineData("X-A", "1\nX-B: 2")]
    [InlineData("X-A", "1\0")]
    [InlineData("X-A: 1\r\nX-B", "2")]
    [InlineData("X A", "2")]
    [InlineData("", "2")]
    public async Task Send_HeaderThatIsNotAllowed_IsRefused(string name, string value)
    {
        await using var server = await HttpServer.StartAsync("hello");
        using var http = HttpTest.Loopback();

        var failure = await Assert.ThrowsAsync<WorkflowException>(() => http.SendAsync(
            new OutboundRequest("GET", new Uri(server.Url())) { Headers = [new(name, value)] }, CancellationToken.None));

        Assert.Equal("http.bad_header", failure.Code);
        Assert.Empty(server.Requests);
    }

    [Theory]
    [InlineData("CONNECT")]
    [InlineData("GET /x HTTP/1.1\r\nHost: evil\r\n\r\n")]
    public async Task Send_MethodThatIsNotAllowed_IsRefused(string method)
    {
        using var http = HttpTest.Loopback();

        var failure = await Assert.ThrowsAsync<OutboundHttpException>(() => http.SendAsync(new OutboundRequest(method, new Uri("http://127.0.0.1:1/")), CancellationToken.None));

        Assert.Equal("http.bad_method", failure.Code);
    }

    [Fact]
    public async Task Send_Cookies_AreNotKept()
    {
        await using var server = await HttpServer.StartAsync(context =>
        {
            context.Response.Headers.SetCookie = "session=1";
            return Task.CompletedTask;
        });
        using var http = HttpTest.Loopback();

        await Get(http, server.Url());
        await Get(http, server.Url());

        Assert.DoesNotContain(server.Requests, r => r.Headers.ContainsKey("Cookie"));
    }

    [Fact]
    public async Task Send_NobodyListens_SaysThatTheConnectionFailed()
    {
        using var http = HttpTest.Loopback();

        var failure = await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, "http://127.0.0.1:1/?token=secret"));

        Assert.Equal(("http.connection_failed", OutboundHttpFailure.ConnectionFailed), (failure.Code, failure.Failure));
        Assert.DoesNotContain("secret", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Send_NoAnswer_TimesOut()
    {
        await using var server = await HttpServer.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        using var http = HttpTest.Loopback(new OutboundHttpOptions { Timeout = TimeSpan.FromMilliseconds(100) });

        var failure = await Assert.ThrowsAsync<OutboundHttpException>(() => Get(http, server.Url()));

        Assert.Equal(("http.timeout", OutboundHttpFailure.Timeout), (failure.Code, failure.Failure));
    }

    [Fact]
    public async Task Send_Cancelled_IsNoFailure()
    {
        await using var server = await HttpServer.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        using var http = HttpTest.Loopback();
        using var stop = new CancellationTokenSource();

        var sending = http.SendAsync(new OutboundRequest("GET", new Uri(server.Url())), stop.Token);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
    }

    [Fact]
    public void Options_WithMistakes_AreReportedTogether()
    {
        var options = new OutboundHttpOptions
        {
            AllowedHosts = ["ok.example", "*.ok.example:443", "[::1]:80", "::1", "10.0.0.1", "a b", "*", "host:0", "http://host"],
            AllowedNetworks = ["10.0.0.0/8", "10.0.0.0/33", "x"],
            MaxRedirects = -1,
            MaxResponseBytes = 0,
            Timeout = TimeSpan.Zero,
        };

        Assert.Equal(9, options.Validate().Count);
        Assert.Throws<ArgumentException>(() => new OutboundHttp(options));
        Assert.Empty(new OutboundHttpOptions().Validate());
    }

    [Theory]
    [InlineData("8.8.8.8")]
    [InlineData("172.32.0.1")]
    [InlineData("100.128.0.1")]
    [InlineData("2606:4700::1111")]
    [InlineData("64:ff9b::808:808")]
    [InlineData("2002:808:808::1")]
    [InlineData("::ffff:8.8.8.8")]
    public void IsPublic_PublicAddress_IsTrue(string address) => Assert.True(AddressRules.IsPublic(IPAddress.Parse(address)));

    private static OutboundHttp Resolving(OutboundHttpOptions options, string address) =>
        new(options, null, (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse(address)]));

    private static Task<OutboundResponse> Get(OutboundHttp http, string url) =>
        http.SendAsync(new OutboundRequest("GET", new Uri(url)), CancellationToken.None);

    private static Task<HttpServer> Redirecting(Func<string, string?> to, int status) => HttpServer.StartAsync(context =>
    {
        if (to(context.Request.Path) is { } location)
        {
            context.Response.StatusCode = status;
            context.Response.Headers.Location = location;
        }

        return Task.CompletedTask;
    });
}
