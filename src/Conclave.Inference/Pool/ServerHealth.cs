namespace Conclave.Inference.Pool;

/// <summary>How a server is, as this process sees it.</summary>
/// <param name="Status">How it is.</param>
/// <param name="Message">What is wrong; null when nothing is.</param>
/// <param name="Since">Since when it is so.</param>
/// <param name="CheckedAt">When it was asked last; null for never.</param>
/// <param name="Latency">How long its last answer took; null when it gave none.</param>
public sealed record ServerHealth(HealthStatus Status, string? Message, DateTimeOffset Since, DateTimeOffset? CheckedAt, TimeSpan? Latency);

/// <summary>How a server is.</summary>
public enum HealthStatus
{
    /// <summary>It has not been asked yet.</summary>
    Unknown,

    /// <summary>It answers.</summary>
    Healthy,

    /// <summary>It does not, or not as it should.</summary>
    Unhealthy,
}
