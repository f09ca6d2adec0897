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
/// <param name="Exception">The exception of a faulted activity; null for none.</param>
public sealed record JournalEntry(
    long Sequence,
    DateTimeOffset Timestamp,
    string NodeId,
    int ActivityInstance,
    ExecutionEvent Event,
    ActivityDetails? Details,
    ExceptionState? Exception);

/// <summary>Log entries of one burst, or a part of them, as one value.</summary>
/// <remarks>
/// The first byte is the version of the format, then the id of the definition's version, the node ids that occur, and the entries.
/// Times are differences to the entry before.
/// </remarks>
public static class JournalChunk
{
    private const byte FormatVersion = 1;

    private enum DetailsTag : byte
    {
        None,
        Values,
        Exception,
    }

    /// <summary>Writes entries.</summary>
    /// <param name="graph">What runs.</param>
    /// <param name="entries">The entries, oldest first.</param>
    public static byte[] Write(WorkflowGraph graph, ReadOnlySpan<LogEntry> entries)
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
            WriteDetails(ref writer, graph.Nodes[entry.NodeIndex], entry.Details);
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
        var reader = new StateReader(chunk);
        if (reader.Byte() != FormatVersion)
            throw StateReader.Corrupt();
        var versionId = reader.Text() ?? "";
        var nodeIds = new string[reader.Count()];
        for (var i = 0; i < nodeIds.Length; i++)
            nodeIds[i] = reader.Text() ?? "";
        var count = reader.Count();
        long time = 0;
        for (var i = 0; i < count; i++)
        {
            time += reader.Long();
            var place = reader.Unsigned();
            if (place >= (ulong)nodeIds.Length)
                throw StateReader.Corrupt();
            var activityInstance = reader.Int();
            var executionEvent = (ExecutionEvent)reader.Byte();
            var (details, exception) = ReadDetails(ref reader);
            entries.Add(new JournalEntry(
                firstSequence + i, new DateTimeOffset(time, TimeSpan.Zero), nodeIds[place], activityInstance, executionEvent, details, exception));
        }

        return versionId;
    }

    private static void WriteDetails(ref StateWriter writer, ActivityNode node, object? details)
    {
        switch (details)
        {
            case ActivityDetails values:
                writer.Byte((byte)DetailsTag.Values);
                WriteValues(ref writer, values.Inputs, slot => JournalValues.IsInputKept(node, slot));
                WriteValues(ref writer, values.Outputs, index => JournalValues.IsOutputKept(node, index));
                writer.Unsigned((ulong)(values.Outcomes is null ? 0 : values.Outcomes.Count + 1));
                foreach (var outcome in values.Outcomes ?? [])
                    writer.Text(outcome);
                break;
            case ExceptionState exception:
                writer.Byte((byte)DetailsTag.Exception);
                StateExceptions.Write(ref writer, exception);
                break;
            default:
                writer.Byte((byte)DetailsTag.None);
                break;
        }
    }

    private static void WriteValues(ref StateWriter writer, object?[]? values, Func<int, bool> isKept)
    {
        writer.Unsigned((ulong)(values is null ? 0 : values.Length + 1));
        for (var i = 0; i < values?.Length; i++)
            writer.Value(isKept(i) ? LargeValues.Shorten(values[i]) : null);
    }

    private static (ActivityDetails? Details, ExceptionState? Exception) ReadDetails(ref StateReader reader)
    {
        switch ((DetailsTag)reader.Byte())
        {
            case DetailsTag.None:
                return (null, null);
            case DetailsTag.Exception:
                return (null, StateExceptions.Read(ref reader));
            case DetailsTag.Values:
                var inputs = ReadValues(ref reader);
                var outputs = ReadValues(ref reader);
                var count = reader.Count();
                string[]? outcomes = count == 0 ? null : new string[count - 1];
                for (var i = 0; i < outcomes?.Length; i++)
                    outcomes[i] = reader.Text() ?? "";
                return (new ActivityDetails(inputs, outputs, outcomes), null);
            default:
                throw StateReader.Corrupt();
        }
    }

    private static object?[]? ReadValues(ref StateReader reader)
    {
        var count = reader.Count();
        if (count == 0)
            return null;
        var values = new object?[count - 1];
        for (var i = 0; i < values.Length; i++)
            values[i] = reader.Value();
        return values;
    }
}
