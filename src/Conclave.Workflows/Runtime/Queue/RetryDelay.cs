namespace Conclave.Workflows.Runtime.Queue;

/// <summary>How long failed work waits before it is tried again.</summary>
public static class RetryDelay
{
    /// <summary>Exponential back-off with full jitter.</summary>
    /// <param name="attempt">The attempt that failed, from 1.</param>
    /// <param name="initial">Bound of the first delay.</param>
    /// <param name="max">Bound of every delay.</param>
    /// <param name="random">Where the jitter comes from.</param>
    /// <returns>From zero up to the bound of this attempt.</returns>
    /// <remarks>Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.</remarks>
    public static TimeSpan After(int attempt, TimeSpan initial, TimeSpan max, Random random)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(attempt, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(max, initial);
        var bound = Math.Min(initial.TotalSeconds * Math.Pow(2, Math.Min(attempt - 1, 60)), max.TotalSeconds);
        return TimeSpan.FromSeconds(random.NextDouble() * bound);
    }
}
