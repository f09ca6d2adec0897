using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Workflows.Runtime.Replay;

/// <summary>Up to where a journal is replayed.</summary>
public abstract record ReplayPoint
{
    /// <summary>All that the journal has.</summary>
    public static ReplayPoint End { get; } = new AtPosition(long.MaxValue);

    /// <summary>Right after an event of the log, and whatever people did before it.</summary>
    /// <param name="Position">Sequence number of the event.</param>
    public sealed record AtPosition(long Position) : ReplayPoint
    {
        internal override bool Includes(JournalEntry entry) => entry.Sequence <= Position;

        internal override bool Includes(InstanceOperation operation) => operation.Sequence <= Position;
    }

    /// <summary>At a time.</summary>
    /// <param name="Time">What happened at this time is included.</param>
    public sealed record AtTime(DateTimeOffset Time) : ReplayPoint
    {
        internal override bool Includes(JournalEntry entry) => entry.Timestamp <= Time;

        internal override bool Includes(InstanceOperation operation) => operation.CreatedAt <= Time;
    }

    internal abstract bool Includes(JournalEntry entry);

    internal abstract bool Includes(InstanceOperation operation);
}

/// <summary>One event or operation of a replay, and how the instance stood after it.</summary>
/// <param name="Entry">The event; null for an operation.</param>
/// <param name="Operation">What somebody did; null for an event.</param>
/// <param name="Changes">Variables and outputs that got a value from here until the next step.</param>
/// <param name="State">The instance after the step; the same object for every step, which goes on changing.</param>
public sealed record ReplayStep(StoredJournalEntry? Entry, InstanceOperation? Operation, IReadOnlyList<ReplayChange> Changes, ReplayState State)
{
    /// <summary>Place in the log: of the event, or of the event that the operation came before.</summary>
    public long Sequence => Entry?.Entry.Sequence ?? Operation!.Sequence;
}

/// <summary>A variable or output that got a value.</summary>
/// <param name="ActivityInstance">Number of the execution whose variable it is; 0 for an output of the workflow.</param>
/// <param name="Name">Its name.</param>
/// <param name="Value">The value.</param>
public sealed record ReplayChange(int ActivityInstance, string Name, RecordedValue Value);
