namespace Conclave.Inference.Pool;

/// <summary>A model on its way to a server.</summary>
public sealed record ModelPull
{
    /// <summary>Its id.</summary>
    public required string Id { get; init; }

    /// <summary>The server, by name.</summary>
    public required string Server { get; init; }

    /// <summary>The model.</summary>
    public required string Model { get; init; }

    /// <summary>What the server does now, in its words; <c>success</c> at the end.</summary>
    public required string Status { get; init; }

    /// <summary>Bytes of all parts that are known so far; null before there are any.</summary>
    public long? TotalBytes { get; init; }

    /// <summary>Bytes that are there.</summary>
    public long? CompletedBytes { get; init; }

    /// <summary>Why it failed; null when it did not.</summary>
    public string? Error { get; init; }

    /// <summary>When it was asked for.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>By whom.</summary>
    public required string StartedBy { get; init; }

    /// <summary>When it ended; null while it runs.</summary>
    public DateTimeOffset? EndedAt { get; init; }
}
