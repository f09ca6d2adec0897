namespace Conclave.Workflows.Execution;

/// <summary>What a note says. Numbers are part of the journal's format and never change.</summary>
internal enum LogNoteKind : byte
{
    /// <summary>A variable of the execution got a value.</summary>
    Variable = 0,

    /// <summary>An output of the workflow got a value.</summary>
    Output = 1,

    /// <summary>The instance waits or has ended, or one that had ended goes on; the value is the <see cref="WorkflowSubStatus"/>.</summary>
    Status = 2,

    /// <summary>The execution was resumed and waits on, for what is left of its bookmarks.</summary>
    StillWaiting = 3,

    /// <summary>The execution was taken back; its activity runs again under another number.</summary>
    TakenBack = 4,

    /// <summary>The instance goes on in another version of its workflow, whose id is the name.</summary>
    Version = 5,
}

/// <summary>What changed between two events of the execution log, so that the state at any of them can be told later.</summary>
/// <param name="Sequence">Number of events that came before.</param>
/// <param name="Kind">What changed.</param>
/// <param name="ActivityInstance">Number of the execution; 0 for the instance itself.</param>
/// <param name="Name">Name of what changed; null where there is none.</param>
/// <param name="Value">The new value; null when it must not be kept.</param>
/// <param name="IsKept">Whether the value may be kept.</param>
internal readonly record struct LogNote(
    long Sequence, LogNoteKind Kind, int ActivityInstance, string? Name = null, object? Value = null, bool IsKept = true);
