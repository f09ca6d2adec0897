namespace Conclave.Workflows.Runtime;

/// <summary>How this process runs instances. Bound from <c>Runtime</c>.</summary>
public sealed record RuntimeOptions
{
    /// <summary>Name of the section of the configuration.</summary>
    public const string Section = "Runtime";

    /// <summary>What this process holds instances and work as. Each start makes a new one.</summary>
    public Guid Owner { get; init; } = Guid.CreateVersion7();

    /// <summary>How long work and instances belong to a process that does not say that it lives.</summary>
    /// <value>2 seconds to 10 minutes; default 10 seconds. They are renewed each third of it.</value>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Most bursts that a worker runs at once.</summary>
    /// <value>1 to 10,000; default 128.</value>
    public int Concurrency { get; init; } = 128;

    /// <summary>Most items in one claim.</summary>
    /// <value>1 to 1,000; default 64.</value>
    public int ClaimSize { get; init; } = 64;

    /// <summary>Longest time between two looks at the queue when nobody wakes the worker.</summary>
    /// <value>10 milliseconds to 1 minute; default 1 second.</value>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How often work that fails for a reason outside the workflow is tried before it becomes a dead letter.</summary>
    /// <value>1 to 1,000; default 10.</value>
    public int MaxAttempts { get; init; } = 10;

    /// <summary>Bound of the first delay before such work is tried again; it doubles with each attempt.</summary>
    /// <value>Default 200 milliseconds.</value>
    public TimeSpan FirstRetryDelay { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Bound of every such delay.</summary>
    /// <value>Default 1 minute.</value>
    public TimeSpan LongestRetryDelay { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Most bursts in one transaction.</summary>
    /// <value>1 to 1,000; default 128.</value>
    public int LargestGroup { get; init; } = 128;

    /// <summary>Transactions that store bursts at the same time.</summary>
    /// <value>1 to 32; default 1: larger groups cost less than waiting for one another saves.</value>
    public int Writers { get; init; } = 1;

    /// <summary>How long a burst may run before it is stored between two activities.</summary>
    /// <value>Default 5 seconds.</value>
    public TimeSpan CommitInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Waits longer than this go through the timers instead of the queue.</summary>
    /// <value>Default 5 minutes.</value>
    public TimeSpan LongDelay { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Whether a worker starts workflows by the clock; without it, long waits stay in the queue and Timer, Cron and StartAt start nothing.</summary>
    /// <value>Default true.</value>
    public bool UseTimers { get; init; } = true;

    /// <summary>How long a stimulus that came before its bookmark waits, and how long ids and idempotency keys are remembered.</summary>
    /// <value>Default 24 hours.</value>
    public TimeSpan Keep { get; init; } = TimeSpan.FromHours(24);

    /// <summary>How long journal entries are kept; whole months are dropped.</summary>
    /// <value>Default null, which keeps them.</value>
    public TimeSpan? JournalRetention { get; init; }

    /// <summary>How long instances are kept after they ended.</summary>
    /// <value>Default null, which keeps them.</value>
    public TimeSpan? InstanceRetention { get; init; }

    /// <summary>How long approvals and tasks of people are kept, with their votes and their history, after they ended.</summary>
    /// <value>Default null, which keeps them.</value>
    public TimeSpan? ApprovalRetention { get; init; }

    /// <summary>How long running bursts may go on when the process is asked to stop.</summary>
    /// <value>Default 25 seconds.</value>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(25);

    /// <summary>Lists every setting that is out of range; empty when all are fine.</summary>
    public IReadOnlyList<string> Validate()
    {
        var problems = new List<string>();
        Check(Lease >= TimeSpan.FromSeconds(2) && Lease <= TimeSpan.FromMinutes(10), nameof(Lease), "2 seconds to 10 minutes", Lease);
        Check(Concurrency is >= 1 and <= 10_000, nameof(Concurrency), "1 to 10,000", Concurrency);
        Check(ClaimSize is >= 1 and <= 1_000, nameof(ClaimSize), "1 to 1,000", ClaimSize);
        Check(PollInterval >= TimeSpan.FromMilliseconds(10) && PollInterval <= TimeSpan.FromMinutes(1), nameof(PollInterval), "10 milliseconds to 1 minute", PollInterval);
        Check(MaxAttempts is >= 1 and <= 1_000, nameof(MaxAttempts), "1 to 1,000", MaxAttempts);
        Check(FirstRetryDelay > TimeSpan.Zero && FirstRetryDelay <= LongestRetryDelay, nameof(FirstRetryDelay), $"above zero and at most {nameof(LongestRetryDelay)}", FirstRetryDelay);
        Check(LargestGroup is >= 1 and <= 1_000, nameof(LargestGroup), "1 to 1,000", LargestGroup);
        Check(Writers is >= 1 and <= 32, nameof(Writers), "1 to 32", Writers);
        Check(CommitInterval > TimeSpan.Zero, nameof(CommitInterval), "above zero", CommitInterval);
        Check(LongDelay > TimeSpan.Zero, nameof(LongDelay), "above zero", LongDelay);
        Check(Keep > TimeSpan.Zero, nameof(Keep), "above zero", Keep);
        return problems;

        void Check(bool isValid, string name, string range, object value)
        {
            if (!isValid)
                problems.Add($"{Section}:{name} must be {range}; it is {value}.");
        }
    }
}
