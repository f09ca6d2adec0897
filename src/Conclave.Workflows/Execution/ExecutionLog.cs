using System.Diagnostics.CodeAnalysis;

namespace Conclave.Workflows.Execution;

/// <summary>Events of the execution log. The names are Elsa's.</summary>
public enum ExecutionEvent : byte
{
    /// <summary>An activity begins.</summary>
    Started,

    /// <summary>An activity goes on because one of its bookmarks was resumed.</summary>
    Resumed,

    /// <summary>An activity returned and waits for a bookmark.</summary>
    Suspended,

    /// <summary>An activity completed.</summary>
    Completed,

    /// <summary>An activity threw.</summary>
    Faulted,

    /// <summary>An activity was cancelled.</summary>
    Canceled,

    /// <summary>An activity threw and is tried again.</summary>
    Retried,
}

/// <summary>One event of the execution log. The sequence number is the place in the log.</summary>
/// <param name="Timestamp">UTC ticks.</param>
/// <param name="NodeIndex">Place of the activity among the graph's nodes.</param>
/// <param name="ActivityInstance">Number of the activity's execution within the instance.</param>
/// <param name="Event">What happened.</param>
/// <param name="Details">Values that belong to the event; null when there are none.</param>
/// <param name="ParentInstance">Number of the execution that scheduled this one; 0 for the workflow itself.</param>
public readonly record struct LogEntry(
    long Timestamp, int NodeIndex, int ActivityInstance, ExecutionEvent Event, object? Details, int ParentInstance = 0);

/// <summary>Values of a completed activity as the journal keeps them.</summary>
/// <param name="Inputs">Evaluated inputs by slot; null when all were literal or excluded.</param>
/// <param name="Outputs">Outputs by index; null when none were set or they are excluded.</param>
/// <param name="Outcomes">Outcomes; null for the default <c>Done</c>.</param>
public sealed record ActivityDetails(object?[]? Inputs, object?[]? Outputs, IReadOnlyList<string>? Outcomes);

/// <summary>Receives log entries when they are taken out of an instance's log.</summary>
public interface IExecutionLogSink
{
    /// <summary>Takes entries over; the memory is reused afterwards.</summary>
    void Write(WorkflowInstance instance, ReadOnlySpan<LogEntry> entries);
}

/// <summary>The execution log of one instance since it was last drained. Appending copies nothing.</summary>
[SuppressMessage("Naming", "CA1710", Justification = "A log, not a collection that callers fill.")]
public sealed class ExecutionLog
{
    private const int FirstBlock = 16;
    private const int LargestBlock = 1024;

    private readonly List<LogEntry[]> _full = [];
    private LogEntry[] _block = [];
    private int _used;
    private int _fullCount;
    private List<LogNote>? _notes;

    /// <summary>Number of entries not yet drained.</summary>
    public int Count => _fullCount + _used;

    /// <summary>Number of entries ever written, drained ones included; the next entry's sequence number.</summary>
    public long Sequence { get; internal set; }

    /// <summary>Whether notes are taken: by instances that are stored, so that their journal can be replayed.</summary>
    internal bool KeepsNotes { get; set; }

    /// <summary>All entries not yet drained, oldest first.</summary>
    public IEnumerable<LogEntry> Entries
    {
        get
        {
            foreach (var block in _full)
            {
                foreach (var entry in block)
                    yield return entry;
            }

            for (var i = 0; i < _used; i++)
                yield return _block[i];
        }
    }

    /// <summary>Hands every entry to a sink and forgets it.</summary>
    public void Drain(WorkflowInstance instance, IExecutionLogSink sink)
    {
        foreach (var block in _full)
            sink.Write(instance, block);
        if (_used > 0)
            sink.Write(instance, _block.AsSpan(0, _used));
        Clear();
    }

    /// <summary>Notes what changed since the last entry.</summary>
    internal void Note(LogNoteKind kind, int activityInstance = 0, string? name = null, object? value = null, bool isKept = true)
    {
        if (KeepsNotes)
            (_notes ??= []).Add(new LogNote(Sequence, kind, activityInstance, name, isKept ? value : null, isKept));
    }

    /// <summary>Takes out the notes that came before an entry, or right after the last one.</summary>
    /// <param name="end">Sequence number of the entry.</param>
    internal IReadOnlyList<LogNote> TakeNotes(long end = long.MaxValue)
    {
        if (_notes is not { Count: > 0 } notes)
            return [];
        var later = notes.FindIndex(n => n.Sequence > end);
        _notes = later < 0 ? null : notes[later..];
        return later < 0 ? notes : notes[..later];
    }

    /// <summary>Forgets an execution that began after an entry; nothing of it was drained.</summary>
    /// <param name="sequence">Number of entries to keep.</param>
    /// <param name="activityInstance">Number of the execution.</param>
    internal void TakeBack(long sequence, int activityInstance)
    {
        for (; Sequence > sequence; Sequence--)
        {
            if (_used == 0)
            {
                _block = _full[^1];
                _used = _block.Length;
                _full.RemoveAt(_full.Count - 1);
                _fullCount -= _used;
            }

            _block[--_used] = default;
        }

        if (_notes is null)
            return;
        // What it set in others' variables stays: it sets it again.
        _notes.RemoveAll(n => n.Sequence > sequence && n.ActivityInstance == activityInstance);
        for (var i = _notes.Count - 1; i >= 0 && _notes[i].Sequence > sequence; i--)
            _notes[i] = _notes[i] with { Sequence = sequence };
    }

    internal void Clear()
    {
        _full.Clear();
        _fullCount = 0;
        Array.Clear(_block, 0, _used);
        _used = 0;
    }

    internal void Add(long timestamp, int nodeIndex, int activityInstance, ExecutionEvent executionEvent, object? details, int parentInstance)
    {
        if (_used == _block.Length)
            Grow();
        _block[_used++] = new LogEntry(timestamp, nodeIndex, activityInstance, executionEvent, details, parentInstance);
        Sequence++;
    }

    private void Grow()
    {
        if (_block.Length > 0)
        {
            _full.Add(_block);
            _fullCount += _block.Length;
        }

        _block = new LogEntry[_block.Length == 0 ? FirstBlock : Math.Min(_block.Length * 2, LargestBlock)];
        _used = 0;
    }
}
