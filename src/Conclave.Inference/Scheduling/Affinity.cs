namespace Conclave.Inference.Scheduling;

/// <summary>How long it is worth waiting for the server that has a conversation in its cache.</summary>
public static class Affinity
{
    // Reading a conversation again delays the caller once, and everybody else on the server that it moves to; and what it leaves behind is pushed out of that
    // one's cache. With once the time that reading takes, a busy pool tips over: calls move, so more is read, so more is busy. Three times is
    // enough, more gains nothing; see docs/performance.md, "Routing of agents' calls".
    private const double Factor = 3;

    /// <summary>Three times what another server would need to read the conversation.</summary>
    /// <param name="cachedTokens">Tokens of the conversation that are in the server's cache.</param>
    /// <param name="readPerSecond">Tokens that a server reads in a second.</param>
    public static TimeSpan WorthWaiting(double cachedTokens, double readPerSecond) => TimeSpan.FromSeconds(Factor * cachedTokens / readPerSecond);
}
