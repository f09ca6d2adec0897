using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Conclave.Tests.Cli;

/// <summary>A request that the commands made.</summary>
internal sealed record Received(string Call, string? Key, string? IdempotencyKey, string? ContentType, string Body)
{
    public JsonElement Json => JsonElement.Parse(Body);
}

/// <summary>Answers as <c>docs/api.md</c> says a server does, and remembers what it was asked.</summary>
internal sealed class FakeServer : IAsyncDisposable
{
    public const string ApiKey = "key-of-the-fake-server";

    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, Queue<Func<HttpContext, Task>>> _answers = [];
    private readonly ConcurrentQueue<Received> _received = [];

    private FakeServer(WebApplication app) => _app = app;

    public string Address => _app.Urls.First();

    public IReadOnlyList<Received> Received => [.. _received];

    public static async Task<FakeServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var server = new FakeServer(builder.Build());
        server._app.Run(server.HandleAsync);
        await server._app.StartAsync();
        return server;
    }

    /// <summary>Answers a call, such as <c>GET /api/queue?limit=1</c>; given several times, in order, the last for ever.</summary>
    public FakeServer On(string call, string json, int status = 200, params (string Name, string Value)[] headers) => On(call, async context =>
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = status < 400 ? "application/json" : "application/problem+json";
        foreach (var (name, value) in headers)
            context.Response.Headers[name] = value;
        await context.Response.WriteAsync(json);
    });

    public FakeServer On(string call, Func<HttpContext, Task> answer)
    {
        _answers.GetOrAdd(call, _ => new()).Enqueue(answer);
        return this;
    }

    /// <summary>Runs the command against this server, with the right key in the data folder.</summary>
    public async Task<(int Code, string Output, string Errors)> RunAsync(params string[] arguments)
    {
        var folder = Directory.CreateTempSubdirectory("conclave-test-");
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "server-url"), Address + "\n");
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "api-key"), ApiKey + "\n");
            return await ConclaveProcess.RunAsync(arguments, Environment(folder.FullName));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    public static Dictionary<string, string?> Environment(string data) => new()
    {
        ["CONCLAVE_DATA"] = data,
        ["CONCLAVE_SERVER"] = null,
        ["CONCLAVE_API_KEY"] = null,
    };

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task HandleAsync(HttpContext context)
    {
        var request = context.Request;
        var call = $"{request.Method} {context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestFeature>()!.RawTarget}";
        using var reader = new StreamReader(request.Body, Encoding.Latin1);
        var key = request.Headers.Authorization.ToString() is { Length: > 7 } header ? header[7..] : null;
        _received.Enqueue(new Received(call, key, request.Headers["Idempotency-Key"], request.ContentType, await reader.ReadToEndAsync()));
        if (key != ApiKey)
            await ProblemAsync(context, 401, "auth.key_invalid", "Unauthorized", "The API key is missing or wrong.");
        else if (_answers.TryGetValue(call, out var answers))
            await Next(answers)(context);
        else
            await ProblemAsync(context, 404, "api.not_found", "Not found", $"Nothing answers {call}.");
    }

    private static Func<HttpContext, Task> Next(Queue<Func<HttpContext, Task>> answers)
    {
        lock (answers)
            return answers.Count > 1 ? answers.Dequeue() : answers.Peek();
    }

    private static Task ProblemAsync(HttpContext context, int status, string code, string title, string detail)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/problem+json";
        return context.Response.WriteAsync(string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"type":"about:blank","title":"{{title}}","status":{{status}},"detail":"{{detail}}","code":"{{code}}"}"""));
    }
}
