namespace Conclave.Inference;

/// <summary>What a caller is told about its call. Filled by the gateway while the call proceeds; read by one reader.</summary>
public sealed class CallReport
{
    /// <summary>Id of the call, known from the beginning.</summary>
    public string CallId { get; init; } = Guid.CreateVersion7().ToString("N");

    /// <summary>Told whenever <see cref="Phase"/>, place or expected wait change; null when nobody wants to know.</summary>
    public Action<CallReport>? Changed { get; init; }

    /// <summary>How far the call is.</summary>
    public CallPhase Phase { get; set; }

    /// <summary>Calls that will be served before this one, while it waits; else 0.</summary>
    public int QueuePosition { get; set; }

    /// <summary>How long it will probably wait; null where that is not known.</summary>
    public TimeSpan? ExpectedWait { get; set; }

    /// <summary>The server that answers, by name; null before one does and for cached answers.</summary>
    public string? Server { get; set; }

    /// <summary>The kind of that server, such as <c>ollama</c>.</summary>
    public string? Provider { get; set; }

    /// <summary>The model that answers.</summary>
    public string? Model { get; set; }

    /// <summary>Whether that server is one of the house.</summary>
    public bool IsLocal { get; set; }

    /// <summary>Where the answer came from when no model was asked.</summary>
    public CacheOutcome Cache { get; set; }

    /// <summary>When each slice was due, began and ended.</summary>
    public IList<CallSlice> Slices { get; } = [];

    /// <summary>Time in the queue, of all slices.</summary>
    public TimeSpan Waited => Slices.Aggregate(TimeSpan.Zero, (sum, slice) => sum + (slice.StartedAt - slice.QueuedAt));

    /// <summary>The gateway's own time: neither in the queue nor at the model server.</summary>
    public TimeSpan Overhead { get; set; }

    /// <summary>From the call to its first token; null before there is one.</summary>
    public TimeSpan? TimeToFirstToken { get; set; }

    /// <summary>Tokens read by the model.</summary>
    public long InputTokens { get; set; }

    /// <summary>Tokens written by the model.</summary>
    public long OutputTokens { get; set; }

    /// <summary>Tokens of <see cref="InputTokens"/> that came from the server's cache.</summary>
    public long CachedInputTokens { get; set; }

    /// <summary>What the call cost, in the currency of the prices.</summary>
    public decimal Cost { get; set; }

    /// <summary>Why the call went where it went.</summary>
    public RouteDecision? Decision { get; set; }
}

/// <summary>How far a call is.</summary>
public enum CallPhase
{
    /// <summary>Being routed and checked against budgets.</summary>
    Accepted,

    /// <summary>Waits for a slot.</summary>
    Queued,

    /// <summary>Sent to a server that has not answered yet.</summary>
    Running,

    /// <summary>Tokens come.</summary>
    Streaming,

    /// <summary>Done.</summary>
    Completed,

    /// <summary>Failed or refused.</summary>
    Failed,

    /// <summary>The caller went away.</summary>
    Cancelled,
}

/// <summary>Where an answer came from.</summary>
public enum CacheOutcome
{
    /// <summary>From a model.</summary>
    Miss,

    /// <summary>From the response cache.</summary>
    Hit,

    /// <summary>From an earlier call with the same idempotency key.</summary>
    Replay,
}

/// <summary>One stay of a call on a server, as AIOS reports them: waiting time is start − queued, turnaround is end − queued.</summary>
/// <param name="QueuedAt">When it was queued.</param>
/// <param name="StartedAt">When it got its slot.</param>
/// <param name="EndedAt">When it gave the slot back.</param>
/// <param name="Server">The server.</param>
/// <param name="Tokens">Tokens written in it.</param>
public sealed record CallSlice(DateTimeOffset QueuedAt, DateTimeOffset StartedAt, DateTimeOffset EndedAt, string Server, long Tokens);
