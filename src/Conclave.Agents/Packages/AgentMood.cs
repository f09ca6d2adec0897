namespace Conclave.Agents.Packages;

/// <summary>How an agent feels, which changes with what happens to it. What has happened decides it: it is stored nowhere.</summary>
public sealed record AgentMood
{
    /// <summary>The mood that it begins with.</summary>
    public required string Initial { get; set; }

    /// <summary>Each mood and what it adds to the system prompt.</summary>
    public required IReadOnlyDictionary<string, string> Values { get; set; }

    /// <summary>What changes it; of several that apply, the first one counts.</summary>
    public IReadOnlyList<MoodRule> Rules { get; set; } = [];

    /// <summary>The mood after events, the oldest first.</summary>
    /// <param name="events">Names as <see cref="MoodRule.On"/> has them; others change nothing.</param>
    /// <returns>One of <see cref="Values"/>.</returns>
    public string After(IEnumerable<string> events)
    {
        var mood = Initial;
        var inARow = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var happened in events)
        {
            // A turn that completes ends a row of failures, and a tool's success one of its own kind.
            var kind = Kind(happened);
            foreach (var other in inARow.Keys.Where(e => e != happened && Kind(e) == kind).ToList())
                inARow.Remove(other);
            var times = inARow[happened] = inARow.GetValueOrDefault(happened) + 1;
            if (Rules.FirstOrDefault(r => r.On == happened && times >= r.Times && (r.From is null || r.From == mood)) is not { } rule)
                continue;
            mood = rule.To;
            inARow[happened] = 0;
        }

        return mood;
    }

    private static string Kind(string happened) => happened[..Math.Max(0, happened.IndexOf('.', StringComparison.Ordinal))];
}

/// <summary>Something that changes a mood.</summary>
public sealed record MoodRule
{
    /// <summary>What happens: <c>turn.completed</c>, <c>turn.failed</c>, <c>tool.denied</c>, <c>approval.approved</c> and so on.</summary>
    public required string On { get; set; }

    /// <summary>How often in a row, 1 to 100.</summary>
    public int Times { get; set; } = 1;

    /// <summary>Only in this mood; null for any.</summary>
    public string? From { get; set; }

    /// <summary>The mood after it.</summary>
    public required string To { get; set; }
}
