using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Conclave.Server.Webhooks;
using Conclave.Workflows.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Conclave.Tests.Webhooks;

/// <summary>A real server that takes requests in as the webhooks do; answers <c>{*rest}</c> with what the test says.</summary>
internal sealed class WebhookServer : IAsyncDisposable
{
    private static readonly HttpRoutes<string> Routes = new HttpRoutes<string>().AddRange([new("{*rest}", "GET", ""), new("{*rest}", "POST", ""), new("orders/{id}", "POST", "")]);

    private readonly WebApplication _app;

    private WebhookServer(WebApplication app) => _app = app;

    public ConcurrentQueue<HttpReadResult> Results { get; } = new();

    public ConcurrentQueue<string?> Paths { get; } = new();

    public HttpRequestData Request => Assert.Single(Results).Request!;

    public Uri Address => new(_app.Urls.First());

    public static async Task<WebhookServer> StartAsync(
        WebhookOptions? options = null, bool keepsRawBody = false, Func<HttpReply, ValueTask>? answer = null, Func<HttpReply, HttpReply>? replay = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        builder.Logging.ClearProviders();
        var server = new WebhookServer(builder.Build());
        var reader = new HttpRequestReader(Options.Create(options ?? new WebhookOptions()), TimeProvider.System);
        server._app.Run(async context =>
        {
            var cancellationToken = context.RequestAborted;
            var path = reader.EncodedPath(context.Request);
            server.Paths.Enqueue(path);
            var match = path is null ? null : Routes.Find(context.Request.Method, path).Matches.FirstOrDefault();
            if (match is null)
            {
                context.Response.StatusCode = 404;
                return;
            }

            var result = await reader.ReadAsync(context.Request, match.RouteData, keepsRawBody, cancellationToken);
            server.Results.Enqueue(result);
            var reply = result.IsRefused ? HttpReply.Refuse(result.Refusal) : new HttpReply(result.Request);
            if (!result.IsRefused && answer is null)
                await reply.RespondAsync(204, null, new Dictionary<string, string[]>(), default, cancellationToken);
            else if (!result.IsRefused)
                await answer!(reply);
            await (replay?.Invoke(reply) ?? reply).WriteToAsync(context.Response, cancellationToken);
        });
        await server._app.StartAsync();
        return server;
    }

    public HttpClient Client() => new() { BaseAddress = new Uri(Address, "/workflows/") };

    /// <summary>Sends bytes that no client would, and reads until the server closes.</summary>
    /// <param name="request">What to send.</param>
    /// <param name="isCutOff">Whether the connection ends after that.</param>
    public async Task<string> SendAsync(string request, bool isCutOff = false)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Address.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes(request));
        if (isCutOff)
            client.Client.Shutdown(SocketShutdown.Send);
        try
        {
            return await new StreamReader(stream).ReadToEndAsync();
        }
        catch (IOException) when (isCutOff)
        {
            return "";
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
