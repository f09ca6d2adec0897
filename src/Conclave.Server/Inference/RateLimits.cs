using System.Collections.Concurrent;
using System.Globalization;
using Conclave.Inference;

namespace Conclave.Server.Inference;

/// <summary>How much one caller may ask for in a minute. Bound from <c>Inference:RateLimits</c>.</summary>
public sealed record RateLimitOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Inference:RateLimits";

    /// <summary>Requests of one API key, or of one account without a key, in a minute; 0 for any number.</summary>
    /// <value>0 to 10,000,000; default 0.</value>
    public int RequestsPerMinute { get; init; }

    /// <summary>Tokens, read and written, of one API key or account in a minute; 0 for any number.</summary>
    /// <value>0 to 1,000,000,000; default 0.</value>
    public long TokensPerMinute { get; init; }
}

/// <summary>
/// Counts what callers ask for, in windows of one minute that begin with a caller's first request. Each process counts for itself. Tokens are
/// counted when an answer is done, so that the last call of a window may go over its tokens; the window after it then begins with the excess.
/// </summary>
internal sealed class RateLimits(RateLimitOptions options, TimeProvider time)
{
    private static readonly TimeSpan Length = TimeSpan.FromMinutes(1);
    private readonly ConcurrentDictionary<string, Window> _windows = new(StringComparer.Ordinal);
    private long _sweptAt;

    /// <summary>Lets a request in, and says in its headers what is left: <c>x-ratelimit-*</c>, as OpenAI's API does.</summary>
    /// <exception cref="InferenceException"><c>inference.rate_limited</c>: the caller has used its share of this minute.</exception>
    public RateLimitHold Enter(HttpContext context, CallContext caller)
    {
        if (options is { RequestsPerMinute: 0, TokensPerMinute: 0 } || caller.ApiKeyId is not { } key)
            return default;
        Sweep();
        var window = _windows.GetOrAdd($"{caller.Tenant} {key}", _ => new Window());
        lock (window)
        {
            var now = time.GetTimestamp();
            if (window.StartedAt == 0 || time.GetElapsedTime(window.StartedAt, now) >= Length)
            {
                // What the last answers of a window took beyond its limit counts against the next one.
                window.Tokens = options.TokensPerMinute == 0 || window.StartedAt == 0 ? 0 : Math.Max(0, window.Tokens - options.TokensPerMinute);
                (window.StartedAt, window.Requests) = (now, 0);
            }

            var reset = Length - time.GetElapsedTime(window.StartedAt, now);
            var isOver = (options.RequestsPerMinute > 0 && window.Requests >= options.RequestsPerMinute) || (options.TokensPerMinute > 0 && window.Tokens >= options.TokensPerMinute);
            if (!isOver)
                window.Requests++;
            Write(context.Response.Headers, window, reset);
            if (isOver)
            {
                throw new InferenceException(InferenceFailure.QueueFull, "inference.rate_limited",
                    string.Create(CultureInfo.InvariantCulture, $"This key may make {Limit(options.RequestsPerMinute)} requests and use {Limit(options.TokensPerMinute)} tokens in a minute, and has. Try again in {Math.Ceiling(reset.TotalSeconds)} seconds."))
                {
                    RetryAfter = reset,
                };
            }
        }

        return new RateLimitHold(window);
    }

    private static string Limit(long number) => number == 0 ? "any number of" : number.ToString("N0", CultureInfo.InvariantCulture);

    private void Write(IHeaderDictionary headers, Window window, TimeSpan reset)
    {
        // OpenAI writes times as Go does: 6.2s.
        var resetText = string.Create(CultureInfo.InvariantCulture, $"{reset.TotalSeconds:0.###}s");
        if (options.RequestsPerMinute > 0)
        {
            headers["x-ratelimit-limit-requests"] = options.RequestsPerMinute.ToString(CultureInfo.InvariantCulture);
            headers["x-ratelimit-remaining-requests"] = Math.Max(0, options.RequestsPerMinute - window.Requests).ToString(CultureInfo.InvariantCulture);
            headers["x-ratelimit-reset-requests"] = resetText;
        }

        if (options.TokensPerMinute > 0)
        {
            headers["x-ratelimit-limit-tokens"] = options.TokensPerMinute.ToString(CultureInfo.InvariantCulture);
            headers["x-ratelimit-remaining-tokens"] = Math.Max(0, options.TokensPerMinute - window.Tokens).ToString(CultureInfo.InvariantCulture);
            headers["x-ratelimit-reset-tokens"] = resetText;
        }
    }

    /// <summary>Forgets, once a minute, who has not been here for two.</summary>
    private void Sweep()
    {
        var now = time.GetTimestamp();
        var last = Volatile.Read(ref _sweptAt);
        if (time.GetElapsedTime(last, now) < Length || Interlocked.CompareExchange(ref _sweptAt, now, last) != last)
            return;
        foreach (var (key, window) in _windows)
        {
            if (window.StartedAt != 0 && time.GetElapsedTime(window.StartedAt, now) >= 2 * Length && window.Tokens <= options.TokensPerMinute)
                _windows.TryRemove(key, out _);
        }
    }

    /// <summary>What a caller used in its minute.</summary>
    internal sealed class Window
    {
        public long StartedAt { get; set; }

        public int Requests { get; set; }

        public long Tokens { get; set; }
    }
}

/// <summary>A request that was let in.</summary>
internal readonly struct RateLimitHold
{
    private readonly RateLimits.Window? _window;

    public RateLimitHold(RateLimits.Window window) => _window = window;

    /// <summary>Counts tokens that it took.</summary>
    public void Spend(long tokens)
    {
        if (_window is not { } window)
            return;
        lock (window)
            window.Tokens += tokens;
    }
}
