using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Journal;

/// <summary>Goes through the entries of a chunk. Values are read only when somebody asks for them, so that passing over an entry makes nothing.</summary>
public ref struct JournalChunkReader
{
    private readonly byte _format;
    private readonly long _firstSequence;
    private readonly int _count;
    private StateReader _reader;
    private long _ticks;
    private int _index = -1;
    private bool _isAtDetails;

    /// <summary>Begins before the first entry.</summary>
    /// <param name="firstSequence">Place of the first entry in the instance's log.</param>
    /// <param name="chunk">What <see cref="JournalChunk.Write"/> wrote.</param>
    /// <exception cref="InvalidDataException">The chunk is damaged or was written by a newer program.</exception>
    public JournalChunkReader(long firstSequence, ReadOnlySpan<byte> chunk)
    {
        _firstSequence = firstSequence;
        _reader = new StateReader(chunk);
        _format = _reader.Byte();
        if (_format is 0 or > JournalChunk.FormatVersion)
            throw StateReader.Corrupt();
        VersionId = _reader.Text() ?? "";
        NodeIds = new string[_reader.Count()];
        for (var i = 0; i < NodeIds.Length; i++)
            NodeIds[i] = _reader.Text() ?? "";
        _count = _reader.Count();
    }

    /// <summary>Id of the definition's version that the entries are from.</summary>
    public string VersionId { get; }

    /// <summary>Node ids of the activities that occur.</summary>
    public string[] NodeIds { get; }

    /// <summary>Place of the entry in the instance's log.</summary>
    public readonly long Sequence => _firstSequence + _index;

    /// <summary>Place of the entry's activity in <see cref="NodeIds"/>.</summary>
    public int Node { get; private set; }

    /// <summary>Number of the activity's execution.</summary>
    public int ActivityInstance { get; private set; }

    /// <summary>Number of the execution that scheduled this one; 0 for the workflow itself, and for events other than <see cref="ExecutionEvent.Started"/>.</summary>
    public int ParentInstance { get; private set; }

    /// <summary>What happened.</summary>
    public ExecutionEvent Event { get; private set; }

    /// <summary>When it happened.</summary>
    public readonly DateTimeOffset Timestamp => new(_ticks, TimeSpan.Zero);

    /// <summary>Goes to the next entry.</summary>
    /// <returns>Whether there is one.</returns>
    public bool MoveNext()
    {
        if (_isAtDetails)
            SkipDetails();
        if (++_index >= _count)
            return false;
        _ticks += _reader.Long();
        var node = _reader.Unsigned();
        if (node >= (ulong)NodeIds.Length)
            throw StateReader.Corrupt();
        Node = (int)node;
        ActivityInstance = _reader.Int();
        Event = (ExecutionEvent)_reader.Byte();
        ParentInstance = _format > 1 && Event == ExecutionEvent.Started ? _reader.Int() : 0;
        _isAtDetails = true;
        return true;
    }

    /// <summary>Reads the values of the entry; once.</summary>
    public (ActivityDetails? Details, ExceptionState? Exception) ReadDetails()
    {
        _isAtDetails = false;
        switch ((JournalDetails)_reader.Byte())
        {
            case JournalDetails.None:
                return (null, null);
            case JournalDetails.Exception:
                return (null, StateExceptions.Read(ref _reader));
            case JournalDetails.Values:
                var inputs = ReadValues();
                var outputs = ReadValues();
                var count = _reader.Count();
                string[]? outcomes = count == 0 ? null : new string[count - 1];
                for (var i = 0; i < outcomes?.Length; i++)
                    outcomes[i] = _reader.Text() ?? "";
                return (new ActivityDetails(inputs, outputs, outcomes), null);
            default:
                throw StateReader.Corrupt();
        }
    }

    /// <summary>Reads what changed between the entries, once all of them were passed.</summary>
    internal List<LogNote> ReadNotes()
    {
        var notes = new List<LogNote>();
        for (var left = _format < 3 ? 0 : _reader.Count(); left > 0; left--)
        {
            notes.Add(new LogNote(
                _firstSequence + (long)_reader.Unsigned(), (LogNoteKind)_reader.Byte(), _reader.Int(), _reader.Text(), IsKept: _reader.Bool(), Value: _reader.Value()));
        }

        return notes;
    }

    /// <summary>Reads the whole entry.</summary>
    public JournalEntry ReadEntry()
    {
        var (details, exception) = ReadDetails();
        return new JournalEntry(Sequence, Timestamp, NodeIds[Node], ActivityInstance, Event, details, exception, ParentInstance);
    }

    private object?[]? ReadValues()
    {
        var count = _reader.Count();
        if (count == 0)
            return null;
        var values = new object?[count - 1];
        for (var i = 0; i < values.Length; i++)
            values[i] = _reader.Value();
        return values;
    }

    private void SkipDetails()
    {
        _isAtDetails = false;
        switch ((JournalDetails)_reader.Byte())
        {
            case JournalDetails.None:
                break;
            case JournalDetails.Exception:
                for (; _reader.Bool();)
                {
                    for (var text = 0; text < 3; text++)
                        _reader.SkipText();
                }

                break;
            case JournalDetails.Values:
                for (var list = 0; list < 2; list++)
                {
                    for (var count = _reader.Count(); count > 1; count--)
                        _reader.SkipValue();
                }

                for (var count = _reader.Count(); count > 1; count--)
                    _reader.SkipText();
                break;
            default:
                throw StateReader.Corrupt();
        }
    }
}
