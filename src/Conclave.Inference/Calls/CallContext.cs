namespace Conclave.Inference;

/// <summary>Who makes a call, and what the call may do.</summary>
public sealed record CallContext
{
    /// <summary>Owner of the call.</summary>
    public required string Tenant { get; init; }

    /// <summary>The agent that asks; null outside agents.</summary>
    public string? AgentId { get; init; }

    /// <summary>The workflow instance that asks; null outside workflows.</summary>
    public string? InstanceId { get; init; }

    /// <summary>Id of the API key that the call came with; null for calls of the platform itself.</summary>
    public string? ApiKeyId { get; init; }

    /// <summary>How urgent it is.</summary>
    /// <value>Default <see cref="CallPriority.P2"/>.</value>
    public CallPriority Priority { get; init; } = CallPriority.P2;

    /// <summary>The conversation, as far as the caller knows one: its next turn goes to the server that has its cache, if that is free soon.</summary>
    public string? SessionId { get; init; }

    /// <summary>Id of the call or conversation that this one was made for; its server is preferred like that of <see cref="SessionId"/>.</summary>
    public string? ParentId { get; init; }

    /// <summary>When the answer is of no use any more; null for never.</summary>
    public DateTimeOffset? Deadline { get; init; }

    /// <summary>A repeated call with this key gets the first one's answer and costs nothing; null for no such key. At most 255 characters.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>Where the content may go.</summary>
    public DataPolicy DataPolicy { get; init; }

    /// <summary>Whether an equal call's answer will do.</summary>
    public CachePolicy Cache { get; init; }

    /// <summary>Tags that a server must have; none by default.</summary>
    public IReadOnlyList<string> RequiredTags { get; init; } = [];

    /// <summary>A reservation that this call draws on instead of one of its own, such as that of a run; null for none.</summary>
    public Guid? Reservation { get; init; }

    /// <summary>The most that the call may cost, in the currency of the prices: models that could cost more are not asked; null for no such limit.</summary>
    public decimal? MaxCost { get; init; }

    /// <summary>Whose calls share fairly with each other: the agent, else the API key, else the workflow instance's tenant.</summary>
    public string Flow => AgentId ?? ApiKeyId ?? "";
}

/// <summary>How urgent a call is. Numbers are stored and never change.</summary>
public enum CallPriority : short
{
    /// <summary>At once: safety.</summary>
    P0 = 0,

    /// <summary>A person waits for the answer.</summary>
    P1 = 1,

    /// <summary>The ordinary.</summary>
    P2 = 2,

    /// <summary>Bulk.</summary>
    P3 = 3,
}

/// <summary>Where the content of a call may go. Numbers are stored and never change.</summary>
public enum DataPolicy : short
{
    /// <summary>Anywhere, local servers first.</summary>
    Any = 0,

    /// <summary>Only to servers of the house.</summary>
    LocalOnly = 1,
}

/// <summary>Whether the answer of an equal call will do. Numbers are stored and never change.</summary>
public enum CachePolicy : short
{
    /// <summary>Neither read nor kept.</summary>
    Off = 0,

    /// <summary>Read and kept.</summary>
    Use = 1,

    /// <summary>Not read, but kept for later calls.</summary>
    Refresh = 2,
}
