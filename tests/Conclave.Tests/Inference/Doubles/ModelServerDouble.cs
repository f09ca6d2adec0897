using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Conclave.Tests.Inference.Doubles;

/// <summary>
/// A model server that is none: a real HTTP server on a free port that speaks a protocol and answers as it is told. Other test projects
/// link these files, so they use nothing of the rest.
/// </summary>
public abstract class ModelServerDouble : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _abortedSignal = new(0);
    private readonly SemaphoreSlim _chatSignal = new(0);
    private WebApplication? _app;
    private int _active;
    private int _aborted;
    private int _peak;

    /// <summary>Where it listens.</summary>
    public Uri Address { get; private set; } = null!;

    /// <summary>Its models.</summary>
    public IList<DoubleModel> Models { get; } =
    [
        new("small") { CanCallTools = true, CanSee = true, CanThink = true },
        new("embedder") { IsEmbedding = true },
    ];

    /// <summary>What it answers to a chat; by default what <see cref="DoubleAnswer.For"/> makes up.</summary>
    public Func<DoubleRequest, DoubleAnswer> Answer { get; set; } = DoubleAnswer.For;

    /// <summary>Whether it keeps what it was asked; off for long benchmarks.</summary>
    public bool KeepsRequests { get; set; } = true;

    /// <summary>The key that it wants; null for none.</summary>
    public string? ApiKey { get; set; }

    /// <summary>What it was asked, every path, oldest first.</summary>
    public ConcurrentQueue<DoubleRequest> Requests { get; } = new();

    /// <summary>The last request for a chat.</summary>
    public DoubleRequest LastChat => Requests.Last(r => r.IsChat);

    /// <summary>Chats that run now.</summary>
    public int Active => Volatile.Read(ref _active);

    /// <summary>Most chats that ran at once.</summary>
    public int Peak => Volatile.Read(ref _peak);

    /// <summary>Requests whose caller went away before the end.</summary>
    public int Aborted => Volatile.Read(ref _aborted);

    /// <summary>Waits until a chat has begun; each wait is for one.</summary>
    public Task WaitForChatAsync() => WaitAsync(_chatSignal);

    /// <summary>Waits until a caller has gone away; each wait is for one.</summary>
    public Task WaitForAbortAsync() => WaitAsync(_abortedSignal);

    /// <summary>Starts it.</summary>
    /// <param name="port">A port; 0 for a free one.</param>
    public async Task StartAsync(int port = 0)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http1);
            options.AddServerHeader = false;
            options.Limits.MaxRequestBodySize = 64 * 1024 * 1024;
        });
        builder.Services.AddSingleton<ILoggerFactory>(Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance);
        // Hanging requests must not hold up the end of a test.
        builder.Services.Configure<Microsoft.Extensions.Hosting.HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromMilliseconds(100));
        _app = builder.Build();
        _app.Run(HandleAsync);
        await _app.StartAsync();
        Address = new Uri(_app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First());
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        if (_app is not null)
            await _app.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Answers a request.</summary>
    /// <summary>The path by which a request is handled.</summary>
    protected virtual string PathOf(HttpRequest request) => request.Path.Value ?? "";

    protected abstract Task HandleAsync(HttpContext context, DoubleRequest request, CancellationToken cancellationToken);

    /// <summary>Writes an error in the protocol's shape.</summary>
    protected abstract Task WriteErrorAsync(HttpContext context, int status, string type, string message);

    /// <summary>Reads the key of a request.</summary>
    protected virtual string? KeyOf(HttpRequest request) =>
        request.Headers.Authorization.ToString() is { } value && value.StartsWith("Bearer ", StringComparison.Ordinal) ? value[7..] : null;

    /// <summary>Does what an answer says about failing before its first token.</summary>
    /// <returns>Whether the request is over.</returns>
    protected async Task<bool> FailsAtOnceAsync(HttpContext context, DoubleAnswer answer, CancellationToken cancellationToken)
    {
        switch (answer.Failure)
        {
            case DoubleFailure.Hang:
                await Task.Delay(Timeout.Infinite, cancellationToken);
                return true;
            case DoubleFailure.Close:
                context.Abort();
                return true;
            case DoubleFailure.Garbage:
                context.Response.ContentType = "text/html";
                await context.Response.WriteAsync("<html>It works!</html>\n{\"what\": \n\n", cancellationToken);
                return true;
            case DoubleFailure.Error:
                if (answer.RetryAfter is { } wait)
                    context.Response.Headers.RetryAfter = ((int)wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
                await WriteErrorAsync(context, answer.Status, answer.ErrorType, answer.ErrorMessage);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Does what an answer says about failing after some tokens, and waits as long as a token takes.</summary>
    /// <returns>Whether the request is over.</returns>
    protected static async Task<bool> FailsBeforeTokenAsync(HttpContext context, DoubleAnswer answer, int token, Func<Task> writeError, CancellationToken cancellationToken)
    {
        if (answer.BeforeToken is { } wait)
            await wait(token).WaitAsync(cancellationToken);
        if (token == answer.FailAfter)
        {
            switch (answer.Failure)
            {
                case DoubleFailure.DieMidStream:
                    await context.Response.Body.FlushAsync(cancellationToken);
                    context.Abort();
                    return true;
                case DoubleFailure.HangMidStream:
                    await context.Response.Body.FlushAsync(cancellationToken);
                    await Task.Delay(Timeout.Infinite, cancellationToken);
                    return true;
                case DoubleFailure.EndMidStream:
                    return true;
                case DoubleFailure.ErrorMidStream:
                    await writeError();
                    return true;
                case DoubleFailure.GarbageMidStream:
                    await context.Response.WriteAsync("data: {\"oh\": no\n\n", cancellationToken);
                    return true;
            }
        }

        var delay = token == 0 ? answer.FirstTokenDelay : answer.TokenDelay;
        if (delay > TimeSpan.Zero)
            await Task.Delay(delay, cancellationToken);
        return false;
    }

    /// <summary>Writes JSON.</summary>
    protected static async Task WriteJsonAsync(HttpContext context, JsonNode body, int status = 200, string contentType = "application/json; charset=utf-8")
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(body.ToJsonString()), context.RequestAborted);
    }

    /// <summary>A vector of a text: the same for the same text, different for others, of length 1.</summary>
    protected static float[] Embed(string text, int dimensions)
    {
        var vector = new float[dimensions];
        var state = 2166136261u;
        foreach (var c in text)
            state = (state ^ c) * 16777619;
        for (var i = 0; i < dimensions; i++)
        {
            state = (state * 1664525) + 1013904223;
            vector[i] = (state / (float)uint.MaxValue) - 0.5f;
        }

        var length = MathF.Sqrt(vector.Sum(x => x * x));
        for (var i = 0; i < dimensions; i++)
            vector[i] /= length;
        return vector;
    }

    private async Task HandleAsync(HttpContext context)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _stopping.Token);
        var request = await DoubleRequest.ReadAsync(context.Request, PathOf(context.Request), ending.Token);
        if (KeepsRequests)
            Requests.Enqueue(request);
        if (ApiKey is not null && KeyOf(context.Request) is var key && key != ApiKey)
        {
            await WriteErrorAsync(context, 401, "authentication_error", $"Incorrect API key provided: {key}.");
            return;
        }

        if (request.IsChat)
        {
            Count(Interlocked.Increment(ref _active));
            _chatSignal.Release();
        }

        var isAborted = false;
        try
        {
            await HandleAsync(context, request, ending.Token);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            isAborted = true;
            // What was stopped must not look finished to the other side.
            context.Abort();
        }
        finally
        {
            if (request.IsChat)
                Interlocked.Decrement(ref _active);
            if (isAborted && !_stopping.IsCancellationRequested)
            {
                Interlocked.Increment(ref _aborted);
                _abortedSignal.Release();
            }
        }
    }

    private static async Task WaitAsync(SemaphoreSlim signal)
    {
        if (!await signal.WaitAsync(TimeSpan.FromMinutes(1)))
            throw new TimeoutException("What the test waits for did not happen within a minute.");
    }

    private void Count(int active)
    {
        for (var peak = Peak; active > peak; peak = Peak)
            Interlocked.CompareExchange(ref _peak, active, peak);
    }
}

/// <summary>A model of a double.</summary>
/// <param name="Name">Its name.</param>
public sealed record DoubleModel(string Name)
{
    public bool CanCallTools { get; init; }

    public bool CanSee { get; init; }

    public bool CanThink { get; init; }

    public bool IsEmbedding { get; init; }

    public int ContextSize { get; init; } = 8192;

    public int Dimensions { get; init; } = 8;

    public bool IsLoaded { get; set; }

    /// <summary>Whether it is listed and yet not there when it is asked.</summary>
    public bool IsLie { get; set; }

    /// <summary>Such as what Ollama knows a model by.</summary>
    public string Digest { get; init; } = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(Name)));
}

/// <summary>What a double was asked.</summary>
/// <param name="Method">Such as POST.</param>
/// <param name="Path">Such as <c>/api/chat</c>.</param>
/// <param name="Body">The JSON; an empty object when there is none.</param>
/// <param name="Headers">The headers.</param>
/// <param name="Connection">The connection that it came on.</param>
public sealed record DoubleRequest(string Method, string Path, JsonElement Body, IReadOnlyDictionary<string, string> Headers, string Connection)
{
    private static readonly JsonElement Nothing = JsonElement.Parse("{}");

    public bool IsChat => Path is "/api/chat" or "/api/generate" or "/v1/chat/completions" or "/v1/messages";

    public string Model => Text("model") ?? Text("name") ?? "";

    /// <summary>Text of the last message, or the prompt.</summary>
    public string LastText => LastMessage is { ValueKind: JsonValueKind.Object } message ? TextOf(message) : Text("prompt") ?? "";

    /// <summary>The last message; undefined when there is none.</summary>
    public JsonElement LastMessage => Body.TryGetProperty("messages", out var messages) && messages.GetArrayLength() > 0 ? messages[messages.GetArrayLength() - 1] : default;

    internal static async Task<DoubleRequest> ReadAsync(HttpRequest request, string path, CancellationToken cancellationToken)
    {
        var body = Nothing;
        if (request.ContentLength is not 0 && request.Method is not ("GET" or "HEAD"))
        {
            using var buffer = new MemoryStream();
            await request.Body.CopyToAsync(buffer, cancellationToken);
            if (buffer.Length > 0)
                body = JsonElement.Parse(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
        }

        return new DoubleRequest(request.Method, path, body, request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase), request.HttpContext.Connection.Id);
    }

    /// <summary>A member that is text.</summary>
    public string? Text(string name) => Body.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>The text of a message, in parts or whole.</summary>
    public static string TextOf(JsonElement message)
    {
        if (!message.TryGetProperty("content", out var content))
            return "";
        if (content.ValueKind == JsonValueKind.String)
            return content.GetString()!;
        if (content.ValueKind != JsonValueKind.Array)
            return "";
        return string.Concat(content.EnumerateArray().Select(p =>
            p.TryGetProperty("text", out var text) ? text.GetString() : p.TryGetProperty("content", out var inner) ? inner.ToString() : ""));
    }
}
