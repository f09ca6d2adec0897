using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Conclave.EndToEnd.Faults;

/// <summary>What workflows call: counts requests by idempotency key, and may hold its answers.</summary>
internal sealed class HttpTarget : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private HttpTarget(WebApplication app) => _app = app;

    /// <summary>Where it listens.</summary>
    public string Url => _app.Urls.First();

    /// <summary>Requests by idempotency key.</summary>
    public ConcurrentDictionary<string, int> Requests { get; } = new();

    /// <summary>Requests whose answers are held: the first ones.</summary>
    public int Holds { get; init; }

    /// <summary>All requests.</summary>
    public int Count => Requests.Values.Sum();

    /// <summary>Starts one.</summary>
    /// <param name="holds">How many requests are answered only after <see cref="Release"/>.</param>
    public static async Task<HttpTarget> StartAsync(int holds)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var target = new HttpTarget(builder.Build()) { Holds = holds };
        target._app.Run(target.AnswerAsync);
        await target._app.StartAsync();
        return target;
    }

    /// <summary>Lets held answers go.</summary>
    public void Release() => _open.TrySetResult();

    public async ValueTask DisposeAsync()
    {
        Release();
        await _app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var key = context.Request.Headers["Idempotency-Key"].ToString();
        int place;
        lock (Requests)
        {
            Requests.AddOrUpdate(key, 1, (_, count) => count + 1);
            place = Count;
        }

        if (place <= Holds)
            await _open.Task.WaitAsync(context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await context.Response.WriteAsync($"{place}");
    }
}
