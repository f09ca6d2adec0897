namespace Conclave.Benchmarks.Inference.Simulation;

/// <summary>A model server on one GPU, as far as time goes.</summary>
/// <remarks>
/// Assumed: a model of 8 billion parameters in 16 bits on a GPU of 80 GB. It reads 8,000 tokens a second, one prompt after the other (chunked
/// prefill keeps decoding going meanwhile); each of up to 16 answers is written at 60 tokens a second alone and 2 % slower for each other one. 40 GB hold the
/// keys and values of 300,000 tokens (128 KB each: 32 layers × 8 heads × 128 × 2 × 2 bytes); what is there of a conversation, or of an agent's system prompt,
/// is not read again. What was not used for longest makes room.
/// </remarks>
internal sealed class GpuServer(string id)
{
    public const int Slots = 16;
    public const double PrefillPerSecond = 8_000;
    private const double DecodePerSecond = 60;
    private const double SlowerPerOther = 0.02;
    private const int CacheTokens = 300_000;

    private readonly Dictionary<(bool IsAgent, int Id), LinkedListNode<Cached>> _cached = [];
    private readonly LinkedList<Cached> _byUse = new();
    private int _tokens;
    private DateTimeOffset _prefillFree;

    public string Id { get; } = id;

    /// <summary>Answers that it writes, or is about to.</summary>
    public int Running { get; set; }

    /// <summary>Calls that wait for it alone.</summary>
    public int Waiting { get; set; }

    public long ReadTokens { get; private set; }

    public long InputTokens { get; private set; }

    /// <summary>Starts a call.</summary>
    /// <returns>When its first token comes, and its last.</returns>
    public (DateTimeOffset First, DateTimeOffset Last) Start(AgentSession session, AgentTurn turn, DateTimeOffset now)
    {
        var toRead = Math.Max(1, turn.Input - CachedOf(session, turn));
        InputTokens += turn.Input;
        ReadTokens += toRead;
        var read = (_prefillFree > now ? _prefillFree : now) + TimeSpan.FromSeconds(toRead / PrefillPerSecond);
        _prefillFree = read;
        var perToken = (1 + (SlowerPerOther * (Running - 1))) / DecodePerSecond;
        Keep((true, session.Agent), session.SystemTokens);
        Keep((false, session.Id), turn.Input + turn.Output - session.SystemTokens);
        return (read + TimeSpan.FromSeconds(perToken), read + TimeSpan.FromSeconds(perToken * turn.Output));
    }

    /// <summary>Time that the call takes here when nobody else is here and nothing of it is cached but the system prompt.</summary>
    public static double AloneSeconds(AgentSession session, AgentTurn turn) =>
        ((turn.Input - session.SystemTokens) / PrefillPerSecond) + (turn.Output / DecodePerSecond);

    private int CachedOf(AgentSession session, AgentTurn turn)
    {
        if (!_cached.TryGetValue((true, session.Agent), out var system)) return 0;
        var own = _cached.TryGetValue((false, session.Id), out var node) ? node.Value.Tokens : 0;
        return Math.Min(turn.Input, system.Value.Tokens + own);
    }

    private void Keep((bool, int) key, int tokens)
    {
        if (_cached.Remove(key, out var old))
        {
            _tokens -= old.Value.Tokens;
            _byUse.Remove(old);
        }

        _cached[key] = _byUse.AddLast(new Cached(key, tokens));
        _tokens += tokens;
        while (_tokens > CacheTokens && _byUse.First is { } least)
        {
            _tokens -= least.Value.Tokens;
            _cached.Remove(least.Value.Key);
            _byUse.RemoveFirst();
        }
    }

    private sealed record Cached((bool, int) Key, int Tokens);
}
