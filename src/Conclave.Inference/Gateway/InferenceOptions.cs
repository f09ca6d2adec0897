namespace Conclave.Inference.Gateway;

/// <summary>How the gateway treats calls: settings under <c>Inference</c>.</summary>
public sealed record InferenceOptions
{
    /// <summary>Whether running calls may be stopped and continued later for more urgent ones.</summary>
    /// <value><c>Inference:Preemption</c>; default true.</value>
    public bool Preemption { get; init; } = true;

    /// <summary>The longest that a call without a deadline waits for a slot.</summary>
    /// <value><c>Inference:LongestWait</c>: 1 second to 1 day; default 10 minutes.</value>
    public TimeSpan LongestWait { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How often the text so far of a call with an idempotency key is stored, so that a repeated call goes on from there after a crash.</summary>
    /// <value><c>Inference:SnapshotInterval</c>: 100 milliseconds to 1 hour; default 5 seconds.</value>
    public TimeSpan SnapshotInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long answers are kept under their idempotency key.</summary>
    /// <value><c>Inference:IdempotencyRetention</c>: 1 minute to 30 days; default 1 day.</value>
    public TimeSpan IdempotencyRetention { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How long a call with a key belongs to a process that says nothing, before a repeated one may take it over.</summary>
    /// <value><c>Inference:IdempotencyLease</c>: 2 seconds to 10 minutes; default 15 seconds.</value>
    public TimeSpan IdempotencyLease { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long cached answers are good.</summary>
    /// <value><c>Inference:CacheRetention</c>: 1 second to 365 days; default 1 day.</value>
    public TimeSpan CacheRetention { get; init; } = TimeSpan.FromDays(1);

    /// <summary>The most bytes of cached answers and vectors in memory.</summary>
    /// <value><c>Inference:CacheMegabytes</c>: 1 to 16,384; default 64.</value>
    public long CacheBytes { get; init; } = 64L << 20;

    /// <summary>How long texts to embed are collected before they are sent together.</summary>
    /// <value><c>Inference:EmbeddingWindow</c>: 0 to 1 second; default 5 milliseconds.</value>
    public TimeSpan EmbeddingWindow { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>The most texts of one request to a server.</summary>
    /// <value><c>Inference:EmbeddingBatch</c>: 1 to 2,048; default 64.</value>
    public int EmbeddingBatch { get; init; } = 64;

    /// <summary>How long records of calls are kept; whole months are dropped.</summary>
    /// <value><c>Inference:CallRetention</c>: 1 day to 10,000 days; default null, which keeps them.</value>
    public TimeSpan? CallRetention { get; init; }
}
