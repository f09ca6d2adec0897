using System.Net;
using System.Net.WebSockets;
using System.Security.Claims;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Conclave.Server.Accounts;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Conclave.Tests.Accounts;

/// <summary>A real SignalR hub behind the policy, called the way Elsa Studio does.</summary>
public sealed class HubAccessTests : IAsyncLifetime
{
    private const string Path = "/elsa/hubs/test";
    private static readonly HttpClient Http = new(new SocketsHttpHandler { UseProxy = false });

    private WebApplication _app = null!;
    private Uri _address = null!;

    public async Task InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddAuthentication("test").AddScheme<AuthenticationSchemeOptions, ByHeader>("test", null);
        builder.Services.AddAuthorization();
        builder.Services.AddSignalR();
        _app = builder.Build();
        _app.UseAuthentication();
        _app.UseAuthorization();
        _app.MapHub<TestHub>(Path).RequireHubPermission(Permissions.ReadInstances);
        await _app.StartAsync();
        _address = new Uri(_app.Urls.First());
    }

    public async Task DisposeAsync() => await _app.DisposeAsync();

    [Theory]
    [InlineData(null, HttpStatusCode.Unauthorized)]
    [InlineData("write:queue", HttpStatusCode.Forbidden)]
    [InlineData("read:workflow-instances", HttpStatusCode.OK)]
    [InlineData("read:*", HttpStatusCode.OK)]
    [InlineData("*", HttpStatusCode.OK)]
    public async Task Negotiate_NeedsTheRight(string? right, HttpStatusCode status)
    {
        // An id of one's own invention is no way around it.
        foreach (var query in (string[])["?negotiateVersion=1", "?negotiateVersion=1&id=x", "?id="])
        {
            foreach (var path in (string[])["/negotiate", "/NEGOTIATE", "/negotiate/"])
                Assert.Equal(status, (await SendAsync(HttpMethod.Post, $"{path}{query}", right)).StatusCode);
        }
    }

    [Fact]
    public async Task WebSocket_WithTheIdOfItsNegotiation_NeedsNoHeader()
    {
        var id = await NegotiateAsync();
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(Address($"?id={Uri.EscapeDataString(id)}"), CancellationToken.None);
        await socket.SendAsync(Encoding.UTF8.GetBytes("{\"protocol\":\"json\",\"version\":1}\u001e"), WebSocketMessageType.Text, true, CancellationToken.None);
        var buffer = new byte[100];
        var received = await socket.ReceiveAsync(buffer, CancellationToken.None);

        Assert.Equal("{}\u001e", Encoding.UTF8.GetString(buffer, 0, received.Count));
    }

    [Theory]
    [InlineData("", HttpStatusCode.Unauthorized)]
    [InlineData("?id=", HttpStatusCode.Unauthorized)]
    [InlineData("?id=invented", HttpStatusCode.NotFound)]
    [InlineData("?id=&id=", HttpStatusCode.Unauthorized)]
    public async Task WebSocket_WithoutNegotiation_DoesNotConnect(string query, HttpStatusCode status)
    {
        await NegotiateAsync();
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;

        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(Address(query), CancellationToken.None));
        Assert.Equal(status, socket.HttpStatusCode);
    }

    private async Task<string> NegotiateAsync()
    {
        var answer = await SendAsync(HttpMethod.Post, "/negotiate?negotiateVersion=1", "read:*");
        return JsonElement.Parse(await answer.Content.ReadAsStringAsync()).GetProperty("connectionToken").GetString()!;
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? right)
    {
        using var request = new HttpRequestMessage(method, new Uri(_address, Path + path));
        if (right is not null)
            request.Headers.Add("X-Right", right);
        return await Http.SendAsync(request);
    }

    private Uri Address(string query) => new UriBuilder(_address) { Scheme = "ws", Path = Path, Query = query }.Uri;

    private sealed class TestHub : Hub;

    private sealed class ByHeader(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync() => Task.FromResult(Request.Headers["X-Right"].ToString() is { Length: > 0 } right
            ? AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity([new Claim(Permissions.ClaimType, right)], "test")), "test"))
            : AuthenticateResult.NoResult());
    }
}
