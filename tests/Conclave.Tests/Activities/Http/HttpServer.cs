using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Conclave.Tests.Activities.Http;

/// <summary>A server on the loopback interface that answers as the test says and remembers what it was asked.</summary>
internal sealed class HttpServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private HttpServer(WebApplication app, Func<HttpContext, Task> answer)
    {
        _app = app;
        app.Run(async context =>
        {
            var body = await new StreamReader(context.Request.Body).ReadToEndAsync(context.RequestAborted);
            Requests.Enqueue(new Received(
                context.Request.Method,
                context.Request.Path,
                context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase),
                body));
            await answer(context);
        });
    }

    public ConcurrentQueue<Received> Requests { get; } = new();

    public int Port => new Uri(_app.Urls.First()).Port;

    public string Url(string path = "/") => $"http://127.0.0.1:{Port}{path}";

    public static async Task<HttpServer> StartAsync(Func<HttpContext, Task> answer)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.Protocols = HttpProtocols.Http1));
        builder.Logging.ClearProviders();
        var server = new HttpServer(builder.Build(), answer);
        await server._app.StartAsync();
        return server;
    }

    public static Task<HttpServer> StartAsync(string answer, string contentType = "text/plain", int status = 200) => StartAsync(context =>
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        return context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(answer)).AsTask();
    });

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    internal sealed record Received(string Method, string Path, Dictionary<string, string> Headers, string Body);
}

/// <summary>What tests of HTTP activities share.</summary>
internal static class HttpTest
{
    public static OutboundHttp Loopback(OutboundHttpOptions? options = null) =>
        new((options ?? new OutboundHttpOptions()) with { AllowedHosts = ["127.0.0.1"] });

    public static WorkflowEngine Engine(OutboundHttp? http = null, TimeProvider? time = null) => new(
        expressions: ExpressionSyntaxes.BuiltIn.With(new TestSyntax()), http: http ?? Loopback(), time: time);

    /// <summary>Runs an activity whose outputs go to workflow outputs of the same names.</summary>
    public static Task<LocalRun> RunAsync(JsonNode root, WorkflowEngine? engine = null, params string[] outputs) =>
        (engine ?? Engine()).RunAsync(Declare(root, outputs));

    public static JsonObject Declare(JsonNode root, params string[] outputs)
    {
        var workflow = Json.Workflow(root);
        workflow["outputs"] = new JsonArray([.. outputs.Select(o => new JsonObject { ["name"] = o, ["type"] = "Object" })]);
        return workflow;
    }

    public static JsonObject Send(string url, params (string Name, JsonNode? Value)[] members) =>
        Json.Activity("SendHttpRequest", "send", [("url", Json.Literal(url)), .. members]);

    public static JsonObject Case(int status, JsonNode activity) => new() { ["statusCode"] = status, ["activity"] = activity };

    /// <summary>A retry policy.</summary>
    public static (string Name, JsonNode? Value) Retry(int attempts) =>
        ("customProperties", new JsonObject { ["retry"] = new JsonObject { ["maxRetryAttempts"] = attempts, ["delay"] = "00:00:10", ["useJitter"] = false, ["backoffType"] = "Constant" } });
}

/// <summary>A clock whose timers are due at once; remembers how long they would have taken.</summary>
internal sealed class InstantTime : TimeProvider
{
    public ConcurrentQueue<TimeSpan> Waits { get; } = new();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (dueTime != Timeout.InfiniteTimeSpan)
            Waits.Enqueue(dueTime);
        return base.CreateTimer(callback, state, dueTime == Timeout.InfiniteTimeSpan ? dueTime : TimeSpan.Zero, period);
    }
}

/// <summary>An exchange that remembers the answer.</summary>
internal sealed class FakeExchange(params (string Name, string Value)[] headers) : IHttpExchange
{
    public int StatusCode { get; private set; }

    public string? ContentType { get; private set; }

    public IReadOnlyDictionary<string, string[]> Headers { get; private set; } = new Dictionary<string, string[]>();

    public byte[] Body { get; private set; } = [];

    public string Text => Encoding.UTF8.GetString(Body);

    public string? RequestHeader(string name) =>
        Array.Find(headers, h => h.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    public ValueTask RespondAsync(
        int statusCode, string? contentType, IReadOnlyDictionary<string, string[]> headers, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        (StatusCode, ContentType, Headers, Body) = (statusCode, contentType, headers, content.ToArray());
        return ValueTask.CompletedTask;
    }
}

/// <summary>A host that handles a request.</summary>
internal sealed class ExchangeHost(IHttpExchange exchange) : WorkflowHost
{
    public override IHttpExchange? HttpExchange => exchange;
}
