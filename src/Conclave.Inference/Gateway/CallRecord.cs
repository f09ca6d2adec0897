namespace Conclave.Inference.Gateway;

/// <summary>A call that has ended, as it is kept.</summary>
public sealed record CallRecord
{
    /// <summary>Id of the call.</summary>
    public required string Id { get; init; }

    /// <summary>Who asked, and what the call might do.</summary>
    public required CallContext Context { get; init; }

    /// <summary><c>chat</c> or <c>embeddings</c>.</summary>
    public required string Operation { get; init; }

    /// <summary>What the caller named.</summary>
    public required string Requested { get; init; }

    /// <summary>The model that answered last; null when none did.</summary>
    public string? Model { get; init; }

    /// <summary>The server that answered last, by name; null when none did.</summary>
    public string? Server { get; init; }

    /// <summary>Kind of that server.</summary>
    public string? Provider { get; init; }

    /// <summary>Whether it is one of the house.</summary>
    public bool IsLocal { get; init; }

    /// <summary>How it ended: <see cref="CallPhase.Completed"/>, <see cref="CallPhase.Failed"/> or <see cref="CallPhase.Cancelled"/>.</summary>
    public required CallPhase Outcome { get; init; }

    /// <summary>Code of the failure; null for none.</summary>
    public string? Error { get; init; }

    /// <summary>When the call came.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it ended.</summary>
    public required DateTimeOffset EndedAt { get; init; }

    /// <summary>Its stays on servers.</summary>
    public required IReadOnlyList<CallSlice> Slices { get; init; }

    /// <summary>Tokens read.</summary>
    public long InputTokens { get; init; }

    /// <summary>Tokens written.</summary>
    public long OutputTokens { get; init; }

    /// <summary>Tokens read from the server's cache.</summary>
    public long CachedInputTokens { get; init; }

    /// <summary>What it cost.</summary>
    public decimal Cost { get; init; }

    /// <summary>Where the answer came from.</summary>
    public CacheOutcome Cache { get; init; }

    /// <summary>From the call to its first token; null when there was none.</summary>
    public TimeSpan? TimeToFirstToken { get; init; }

    /// <summary>The gateway's own time.</summary>
    public TimeSpan Overhead { get; init; }

    /// <summary>Why it went where it went; null when it went nowhere.</summary>
    public RouteDecision? Decision { get; init; }
}
