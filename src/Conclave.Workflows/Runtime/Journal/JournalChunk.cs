using System.Buffers;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Journal;

/// <summary>An event of an instance as the journal keeps it. Values that must not be kept are left out when it is written.</summary>
/// <param name="Sequence">Place in the instance's log, from 0.</param>
/// <param name="Timestamp">When it happened.</param>
/// <param name="NodeId">Node id of the activity.</param>
/// <param name="ActivityInstance">Number of the activity's execution within the instance.</param>
/// <param name="Event">What happened.</param>
/// <param name="Details">Values of a completed activity; null for none.</param>
/// <param name="Exception">The exception of a faulted activity, or of the attempt before a retry; null for none.</param>
/// <param name="ParentInstance">Number of the execution that scheduled a started one; 0 for the workflow itself and for other events.</param>
public sealed record JournalEntry(
    long Sequence,
    DateTimeOffset Timestamp,
    string NodeId,
    int ActivityInstance,
    ExecutionEvent Event,
    ActivityDetails? Details,
    ExceptionState? Exception,
    int ParentInstance = 0);

/// <summary>What follows an entry. Numbers are part of the format and never change.</summary>
internal enum JournalDetails : byte
{
    None,
    Values,
    Exception,
}

/// <summary>Log entries of one burst, or a part of them, as one value.</summary>
/// <remarks>
/// The first byte is the version of the format, then the id of the definition's version, the node ids that occur, and the entries.
/// Times are differences to the entry before. Started entries name the execution that scheduled them (from format 2 on). After the entries
/// come notes of what changed between them (from format 3 on).
/// </remarks>
public static class JournalChunk
{
    /// <summary>Version that this program writes. It reads this and every older one.</summary>
    internal const byte FormatVersion = 3;

    /// <summary>Writes entries with the notes between them, and right after the last.</summary>
    /// <param name="graph">What runs.</param>
    /// <param name="firstSequence">Place of the first in the instance's log.</param>
    /// <param name="entries">The entries, oldest first.</param>
    /// <param name="notes">The notes, oldest first.</param>
    internal static byte[] Write(WorkflowGraph graph, long firstSequence, ReadOnlySpan<LogEntry> entries, IReadOnlyList<LogNote> notes)
    {
        var buffer = new ArrayBufferWriter<byte>(64 + (entries.Length * 12));
        var writer = new StateWriter(buffer);
        writer.Byte(FormatVersion);
        writer.Text(graph.Definition.Id);
        var places = new Dictionary<int, int>();
        foreach (var entry in entries)
            places.TryAdd(entry.NodeIndex, places.Count);
        writer.Unsigned((ulong)places.Count);
        foreach (var index in places.Keys)
            writer.Text(graph.Nodes[index].NodeId);
        writer.Unsigned((ulong)entries.Length);
        long last = 0;
        foreach (var entry in entries)
        {
            writer.Long(entry.Timestamp - last);
            last = entry.Timestamp;
            writer.Unsigned((ulong)places[entry.NodeIndex]);
            writer.Int(entry.ActivityInstance);
            writer.Byte((byte)entry.Event);
            if (entry.Event == ExecutionEvent.Started)
                writer.Int(entry.ParentInstance);
            WriteDetails(ref writer, graph.Nodes[entry.NodeIndex], entry.Details);
        }

        writer.Unsigned((ulong)notes.Count);
        foreach (var note in notes)
        {
            writer.Unsigned((ulong)(note.Sequence - firstSequence));
            writer.Byte((byte)note.Kind);
            writer.Int(note.ActivityInstance);
            writer.Text(note.Name);
            writer.Bool(note.IsKept);
            writer.Value(LargeValues.Shorten(note.Value));
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Reads entries.</summary>
    /// <param name="firstSequence">Place of the first in the instance's log.</param>
    /// <param name="chunk">What <see cref="Write"/> wrote.</param>
    /// <param name="entries">Receives them.</param>
    /// <returns>Id of the definition's version that they are from.</returns>
    /// <exception cref="InvalidDataException">The chunk is damaged or was written by a newer program.</exception>
    public static string Read(long firstSequence, ReadOnlySpan<byte> chunk, List<JournalEntry> entries)
    {
        var reader = new JournalChunkReader(firstSequence, chunk);
        while (reader.MoveNext())
            entries.Add(reader.ReadEntry());
        return reader.VersionId;
    }

    private static void WriteDetails(ref StateWriter writer, ActivityNode node, object? details)
    {
        switch (details)
        {
            case ActivityDetails values:
                writer.Byte((byte)JournalDetails.Values);
                WriteValues(ref writer, values.Inputs, slot => JournalValues.IsInputKept(node, slot));
                WriteValues(ref writer, values.Outputs, index => JournalValues.IsOutputKept(node, index));
                writer.Unsigned((ulong)(values.Outcomes is null ? 0 : values.Outcomes.Count + 1));
                foreach (var outcome in values.Outcomes ?? [])
                    writer.Text(outcome);
                break;
            case ExceptionState exception:
                writer.Byte((byte)JournalDetails.Exception);
                StateExceptions.Write(ref writer, exception);
                break;
            default:
                writer.Byte((byte)JournalDetails.None);
                break;
        }
    }

    private static void WriteValues(ref StateWriter writer, object?[]? values, Func<int, bool> isKept)
    {
        writer.Unsigned((ulong)(values is null ? 0 : values.Length + 1));
        for (var i = 0; i < values?.Length; i++)
            writer.Value(isKept(i) ? LargeValues.Shorten(values[i]) : null);
    }
}
