using System.Buffers;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Queue;

/// <summary>What work items carry, in the format of stored state.</summary>
internal static class WorkPayload
{
    private const byte FormatVersion = 1;

    /// <summary>What arrived for a bookmark; null for nothing.</summary>
    public static byte[]? Of(object? input)
    {
        if (input is null)
            return null;
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new StateWriter(buffer);
        writer.Byte(FormatVersion);
        writer.Value(input);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>How a child ended.</summary>
    public static byte[] Of(ChildWorkflowResult child)
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new StateWriter(buffer);
        writer.Byte(FormatVersion);
        writer.Text(child.InstanceId);
        writer.Text(child.DefinitionVersionId);
        writer.Text(child.CorrelationId);
        writer.Byte((byte)child.Status);
        writer.Byte((byte)child.SubStatus);
        writer.Unsigned((ulong)child.Output.Count);
        foreach (var (name, value) in child.Output)
        {
            writer.Text(name);
            writer.Value(value);
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Who cancels an instance, and why.</summary>
    /// <param name="order">The order.</param>
    public static byte[] Of(CancelOrder order)
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new StateWriter(buffer);
        writer.Byte(FormatVersion);
        writer.Text(order.Actor);
        writer.Text(order.Reason);
        writer.Text(order.ParentId);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>An event, and the id under which it is delivered once.</summary>
    public static byte[] Of(EventPublished published, string id)
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new StateWriter(buffer);
        writer.Byte(FormatVersion);
        writer.Text(id);
        writer.Text(published.EventName);
        writer.Text(published.CorrelationId);
        writer.Text(published.WorkflowInstanceId);
        writer.Value(published.Payload);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>A bookmark that is due much later.</summary>
    public static byte[] Of(string instanceId, int bookmark, DateTimeOffset dueAt)
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new StateWriter(buffer);
        writer.Byte(FormatVersion);
        writer.Text(instanceId);
        writer.Int(bookmark);
        writer.Long(dueAt.UtcTicks);
        return buffer.WrittenSpan.ToArray();
    }

    public static object? ReadInput(byte[]? payload) => payload is null ? null : Begin(payload).Value();

    public static CancelOrder? ReadCancel(byte[]? payload)
    {
        if (payload is null)
            return null;
        var reader = Begin(payload);
        return new CancelOrder(reader.Text() ?? "", reader.Text(), reader.Text());
    }

    public static ChildWorkflowResult ReadChild(byte[]? payload)
    {
        var reader = Begin(payload);
        var id = reader.Text() ?? "";
        var versionId = reader.Text() ?? "";
        var correlationId = reader.Text();
        var status = (WorkflowStatus)reader.Byte();
        var subStatus = (WorkflowSubStatus)reader.Byte();
        var output = new Dictionary<string, object?>(StringComparer.Ordinal);
        for (var count = reader.Count(); count > 0; count--)
            output[reader.Text() ?? ""] = reader.Value();
        return new ChildWorkflowResult(id, versionId, correlationId, status, subStatus, output);
    }

    public static (EventPublished Event, string Id) ReadEvent(byte[]? payload)
    {
        var reader = Begin(payload);
        var id = reader.Text() ?? "";
        return (new EventPublished(0, reader.Text() ?? "", reader.Text(), reader.Text(), reader.Value()), id);
    }

    public static (string InstanceId, int Bookmark, DateTimeOffset DueAt) ReadSchedule(byte[]? payload)
    {
        var reader = Begin(payload);
        return (reader.Text() ?? "", reader.Int(), new DateTimeOffset(reader.Long(), TimeSpan.Zero));
    }

    private static StateReader Begin(byte[]? payload)
    {
        var reader = new StateReader(payload);
        return reader.Byte() == FormatVersion ? reader : throw new InvalidDataException("The work was enqueued by a newer version of the program.");
    }
}

/// <summary>Who cancels an instance, and why.</summary>
/// <param name="Actor">Who.</param>
/// <param name="Reason">Why; null when nobody said.</param>
/// <param name="ParentId">The parent that was cancelled and takes this instance with it; null when the order is for the instance itself.</param>
internal sealed record CancelOrder(string Actor, string? Reason, string? ParentId);
