using System.Buffers;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Tests.Runtime.Journal;

public sealed class JournalChunkTests
{
    private static readonly object?[] Values =
    [
        null, true, false, 1, long.MaxValue, 1.5, 2.5f, 3.25m, "text", "", Guid.Parse("0197a0b0-0000-7000-8000-000000000001"), new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc),
        new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.FromHours(2)), TimeSpan.FromMinutes(-3), new byte[] { 1, 2, 3 }, JsonElement.Parse("""{"a":[1]}"""), new Uri("https://example.com/a"),
    ];

    private readonly WorkflowGraph _graph = new WorkflowEngine().Compile(Json.Workflow(Json.Sequence("s", Json.Write("w"))).Read());

    [Fact]
    public void SkipValue_EveryKind_EndsWhereReadingDoes()
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new StateWriter(buffer, new LargeStateValues());
        object?[] values = [.. Values, new string('x', LargeStateValues.Limit + 1)];
        foreach (var value in values)
        {
            writer.Value(value);
            writer.Int(4711);
        }

        var reader = new StateReader(buffer.WrittenSpan);
        foreach (var value in values)
        {
            reader.SkipValue();
            Assert.True(reader.Int() == 4711, $"after {value}");
        }

        Assert.True(reader.IsAtEnd);
    }

    [Fact]
    public void MoveNext_WithoutReadingDetails_ComesToTheNextEntry()
    {
        var details = new ActivityDetails(Values, Values, ["Done", "Other"]);
        var failure = new ExceptionState("Outer", "message", null, new ExceptionState("Inner", "inner", "trace", null));
        var chunk = JournalChunk.Write(_graph, 0, [Entry(1, ExecutionEvent.Started, null, 7), Entry(2, ExecutionEvent.Completed, details), Entry(3, ExecutionEvent.Faulted, failure), Entry(4, ExecutionEvent.Started, null, 2)], []);
        var reader = new JournalChunkReader(10, chunk);
        var passed = new List<(long, int, ExecutionEvent, int)>();

        while (reader.MoveNext())
            passed.Add((reader.Sequence, reader.ActivityInstance, reader.Event, reader.ParentInstance));

        Assert.Equal([(10, 1, ExecutionEvent.Started, 7), (11, 2, ExecutionEvent.Completed, 0), (12, 3, ExecutionEvent.Faulted, 0), (13, 4, ExecutionEvent.Started, 2)], passed);
        var read = new List<JournalEntry>();
        Assert.Equal("w:1", JournalChunk.Read(10, chunk, read));
        Assert.Equal(passed, read.Select(e => (e.Sequence, e.ActivityInstance, e.Event, e.ParentInstance)));
        Assert.Equal("inner", read[2].Exception!.Inner!.Message);
    }

    [Fact]
    public void Read_FirstFormat_HasNoParents()
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new StateWriter(buffer);
        writer.Byte(1);
        writer.Text("w:1");
        writer.Unsigned(1);
        writer.Text("Workflow1:s:w");
        writer.Unsigned(2);
        foreach (var executionEvent in (ExecutionEvent[])[ExecutionEvent.Started, ExecutionEvent.Completed])
        {
            writer.Long(5);
            writer.Unsigned(0);
            writer.Int(3);
            writer.Byte((byte)executionEvent);
            writer.Byte(0);
        }

        var read = new List<JournalEntry>();
        JournalChunk.Read(0, buffer.WrittenSpan, read);

        Assert.Equal([(ExecutionEvent.Started, 3, 0), (ExecutionEvent.Completed, 3, 0)], read.Select(e => (e.Event, e.ActivityInstance, e.ParentInstance)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    public void Read_UnknownFormat_IsRefused(byte format) =>
        Assert.Throws<InvalidDataException>(() => JournalChunk.Read(0, [format, 0, 0, 0], []));

    private LogEntry Entry(int number, ExecutionEvent executionEvent, object? details, int parent = 0) =>
        new(1_000 + number, _graph.FindNode("Workflow1:s:w")!.Index, number, executionEvent, details, parent);
}
