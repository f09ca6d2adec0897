using System.Buffers;
using System.Text.Json;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Execution;

/// <summary>Writes and reads the state of an instance between bursts.</summary>
/// <remarks>
/// The first byte is the version of the format. Activities are named by their ids, so that state does not depend on how
/// a graph numbers its nodes. What a definition says (literals, defaults, types) is not repeated. The log is not part of the state.
/// </remarks>
public static class InstanceSerializer
{
    /// <summary>Version that this engine writes. It reads this and every older one.</summary>
    public const byte FormatVersion = 1;

    // Beside the mode, in the same byte: only instances that were retried after they had ended have it.
    private const byte ParentTold = 0x80;

    /// <summary>Writes the state of an instance.</summary>
    /// <param name="instance">The instance.</param>
    /// <param name="buffer">Receives the state.</param>
    /// <param name="large">Receives values too large for the state; null keeps everything in it.</param>
    public static void Write(WorkflowInstance instance, IBufferWriter<byte> buffer, LargeStateValues? large = null)
    {
        var writer = new StateWriter(buffer, large);
        writer.Byte(FormatVersion);
        writer.Byte((byte)instance.SubStatus);
        writer.Byte((byte)((byte)instance.FlowchartMode | (instance.IsParentTold ? ParentTold : 0)));
        writer.Text(instance.CorrelationId);
        writer.Text(instance.Name);
        writer.Text(instance.ParentInstanceId);
        writer.Text(instance.TriggerActivityId);
        writer.Bool(instance.IsTriggerTaken);
        writer.Value(instance.TriggerInput);
        writer.Long(instance.CreatedAt.UtcTicks);
        writer.Long(instance.UpdatedAt.UtcTicks);
        writer.Long(instance.FinishedAt?.UtcTicks ?? 0);
        writer.Int(instance.Bursts);
        writer.Int(instance.LastActivityInstance);
        writer.Int(instance.LastBookmark);
        writer.Long(instance.Log.Sequence);
        WriteValues(ref writer, instance.Input);
        WriteValues(ref writer, instance.Output);
        var contexts = new List<ActivityContext>();
        Collect(instance.RootContext, contexts);
        writer.Unsigned((ulong)contexts.Count);
        foreach (var context in contexts)
            WriteContext(ref writer, context);
        writer.Unsigned((ulong)instance.BookmarkList.Count);
        foreach (var bookmark in instance.BookmarkList)
            WriteBookmark(ref writer, bookmark);
        WriteScheduler(ref writer, instance);
        writer.Unsigned((ulong)instance.IncidentList.Count);
        foreach (var incident in instance.IncidentList)
            WriteIncident(ref writer, incident);
        WriteOutputs(ref writer, instance);
    }

    /// <summary>Reads the state of an instance.</summary>
    /// <param name="id">Id of the instance.</param>
    /// <param name="graph">The version that the instance runs.</param>
    /// <param name="state">What <see cref="Write"/> wrote.</param>
    /// <param name="time">The clock.</param>
    /// <param name="large">Values that <see cref="Write"/> put beside the state; null when they were not read.</param>
    /// <exception cref="InvalidDataException">The state is damaged, newer than this engine, or of another workflow.</exception>
    /// <exception cref="LargeValuesNeededException">The state refers to <paramref name="large"/>, which is null.</exception>
    public static WorkflowInstance Read(
        string id, WorkflowGraph graph, ReadOnlySpan<byte> state, TimeProvider time, IReadOnlyDictionary<string, byte[]>? large = null)
    {
        try
        {
            return ReadState(id, graph, state, time, large);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or OverflowException
                                              or JsonException or Expressions.ValueConversionException)
        {
            throw new InvalidDataException(StateReader.Corrupt().Message, exception);
        }
    }

    private static WorkflowInstance ReadState(
        string id, WorkflowGraph graph, ReadOnlySpan<byte> state, TimeProvider time, IReadOnlyDictionary<string, byte[]>? large)
    {
        var reader = new StateReader(state, large);
        if (reader.Byte() is var version and not FormatVersion)
            throw new InvalidDataException($"The state of instance {id} has format {version}; this engine reads up to {FormatVersion}.");
        var subStatus = (WorkflowSubStatus)reader.Byte();
        var flags = reader.Byte();
        var mode = (FlowchartMode)(flags & ~ParentTold);
        if (!Enum.IsDefined(subStatus) || !Enum.IsDefined(mode))
            throw StateReader.Corrupt();
        var correlationId = reader.Text();
        var name = reader.Text();
        var instance = new WorkflowInstance(id, graph, time)
        {
            SubStatus = subStatus,
            FlowchartMode = mode,
            IsParentTold = (flags & ParentTold) != 0,
            CorrelationId = correlationId,
            Name = name,
            ParentInstanceId = reader.Text(),
            TriggerActivityId = reader.Text(),
            IsTriggerTaken = reader.Bool(),
            TriggerInput = reader.Value(),
            CreatedAt = new DateTimeOffset(reader.Long(), TimeSpan.Zero),
            UpdatedAt = new DateTimeOffset(reader.Long(), TimeSpan.Zero),
            FinishedAt = reader.Long() is > 0 and var finished ? new DateTimeOffset(finished, TimeSpan.Zero) : null,
            Bursts = reader.Int(),
            LastActivityInstance = reader.Int(),
            LastBookmark = reader.Int(),
        };
        instance.Log.Sequence = reader.Long();
        instance.Input = ReadValues(ref reader);
        foreach (var (output, value) in ReadValues(ref reader))
            instance.SetOutput(output, value);
        var contexts = new Dictionary<int, ActivityContext>();
        for (var count = reader.Count(); count > 0; count--)
            ReadContext(ref reader, instance, contexts);
        for (var count = reader.Count(); count > 0; count--)
            ReadBookmark(ref reader, instance, contexts);
        ReadScheduler(ref reader, instance, contexts);
        for (var count = reader.Count(); count > 0; count--)
            instance.IncidentList.Add(ReadIncident(ref reader));
        ReadOutputs(ref reader, instance);
        return instance;
    }

    /// <summary>Parents before children, siblings in order.</summary>
    private static void Collect(ActivityContext? context, List<ActivityContext> contexts)
    {
        if (context is null)
            return;
        contexts.Add(context);
        for (var child = context.FirstChild; child is not null; child = child.NextSibling)
            Collect(child, contexts);
    }

    private static void WriteContext(ref StateWriter writer, ActivityContext context)
    {
        writer.Int(context.Number);
        writer.Int(context.Parent?.Number ?? 0);
        writer.Text(context.Parent is null ? null : context.Node.Id);
        writer.Byte((byte)context.Status);
        writer.Int(context.Tag);
        writer.Int(context.Counter);
        writer.Int(context.Attempt);
        writer.Bool(context.IsBreaking);
        WriteArray(ref writer, context.Inputs);
        WriteArray(ref writer, context.Outputs);
        WriteVariables(ref writer, context);
        writer.Unsigned((ulong)(context.Dynamic?.Length ?? 0));
        foreach (var variable in context.Dynamic ?? [])
        {
            writer.Text(variable.Name);
            writer.Value(variable.Value);
        }

        writer.Bool(context.State is not null);
        context.State?.Write(ref writer);
    }

    private static void ReadContext(ref StateReader reader, WorkflowInstance instance, Dictionary<int, ActivityContext> contexts)
    {
        var number = reader.Int();
        var parentNumber = reader.Int();
        var nodeId = reader.Text();
        ActivityContext? parent = null;
        if ((parentNumber != 0 && !contexts.TryGetValue(parentNumber, out parent))
            || contexts.ContainsKey(number) || (parentNumber == 0 && contexts.Count > 0))
            throw StateReader.Corrupt();
        var node = parent is null
            ? instance.Graph.Root
            : parent.Node.FindChild(nodeId ?? "") ?? throw new InvalidDataException(
                $"Instance {instance.Id} is at activity '{nodeId}', which version {instance.Graph.Definition.Version} of workflow '{instance.Graph.Definition.DefinitionId}' does not have in {parent.Node}.");
        var context = new ActivityContext(instance);
        context.Begin(node, parent, number);
        if (parent is null)
            instance.RootContext = context;
        contexts[number] = context;
        context.Status = (ActivityStatus)reader.Byte();
        if (!Enum.IsDefined(context.Status))
            throw StateReader.Corrupt();
        if (context.Status == ActivityStatus.Faulted && parent is not null)
            parent.FaultedChildren++;
        context.Tag = reader.Int();
        context.Counter = reader.Int();
        context.Attempt = reader.Int();
        context.IsBreaking = reader.Bool();
        context.Inputs = ReadArray(ref reader);
        context.RestoreOutputs(ReadArray(ref reader));
        ReadVariables(ref reader, context);
        if (reader.Count() is > 0 and var dynamicCount)
        {
            context.Dynamic = new DynamicVariable[dynamicCount];
            for (var i = 0; i < dynamicCount; i++)
                context.Dynamic[i] = new DynamicVariable(reader.Text() ?? "", reader.Value());
        }

        if (reader.Bool())
            context.State = node.Activity.ReadState(ref reader);
    }

    private static void WriteVariables(ref StateWriter writer, ActivityContext context)
    {
        // Only what differs from the definition's defaults.
        var declared = context.Node.Variables;
        var values = context.Variables;
        var changed = 0;
        for (var i = 0; i < declared.Count; i++)
        {
            if (IsWritten(declared[i], values![i]))
                changed++;
        }

        writer.Unsigned((ulong)changed);
        if (changed == 0)
            return;
        for (var i = 0; i < declared.Count; i++)
        {
            if (!IsWritten(declared[i], values![i]))
                continue;
            writer.Text(declared[i].Definition.Id);
            writer.Value(values[i]);
        }

        static bool IsWritten(ScopeVariable variable, object? value) => !variable.IsInMemory && !Equals(value, variable.Default);
    }

    private static void ReadVariables(ref StateReader reader, ActivityContext context)
    {
        for (var count = reader.Count(); count > 0; count--)
        {
            var id = reader.Text();
            var value = reader.Value();
            var declared = context.Node.Variables;
            for (var i = 0; i < declared.Count; i++)
            {
                if (declared[i].Definition.Id == id)
                    context.Variables![i] = Expressions.ValueConverter.Convert(value, declared[i].Type);
            }
        }
    }

    private static void WriteBookmark(ref StateWriter writer, Bookmark bookmark)
    {
        writer.Int(bookmark.Number);
        writer.Int(bookmark.Context.Number);
        writer.Text(bookmark.Name == bookmark.Context.Node.Type ? null : bookmark.Name);
        writer.Bool(bookmark.AutoBurn);
        writer.Long(bookmark.CreatedAt.UtcTicks);
        writer.Text(bookmark.Payload.Type);
        writer.Unsigned((ulong)bookmark.Payload.Members.Length);
        foreach (var (name, value) in bookmark.Payload.Members)
        {
            writer.Text(name);
            writer.Value(value);
        }
    }

    private static void ReadBookmark(ref StateReader reader, WorkflowInstance instance, Dictionary<int, ActivityContext> contexts)
    {
        var number = reader.Int();
        if (!contexts.TryGetValue(reader.Int(), out var context))
            throw StateReader.Corrupt();
        var name = reader.Text() ?? context.Node.Type;
        var autoBurn = reader.Bool();
        var createdAt = new DateTimeOffset(reader.Long(), TimeSpan.Zero);
        var type = reader.Text() ?? "";
        var members = new (string, object?)[reader.Count()];
        for (var i = 0; i < members.Length; i++)
            members[i] = (reader.Text() ?? "", reader.Value());
        instance.BookmarkList.Add(new Bookmark(number, name, new BookmarkPayload(type, members), context, createdAt, autoBurn));
        context.BookmarkCount++;
    }

    private static void WriteScheduler(ref StateWriter writer, WorkflowInstance instance)
    {
        writer.Unsigned((ulong)instance.Scheduler.Count(IsLive));
        foreach (var item in instance.Scheduler)
        {
            if (!IsLive(item))
                continue;
            writer.Int(item.OwnerNumber);
            writer.Text(item.Owner is null ? null : item.Node.Id);
            writer.Int(item.Tag);
            writer.Unsigned((ulong)(item.Dynamic?.Length ?? 0));
            foreach (var variable in item.Dynamic ?? [])
            {
                writer.Text(variable.Name);
                writer.Value(variable.Value);
            }
        }

        static bool IsLive(WorkItem item) =>
            item.Owner is not { } owner || (owner.Number == item.OwnerNumber && owner.Status == ActivityStatus.Running);
    }

    private static void ReadScheduler(ref StateReader reader, WorkflowInstance instance, Dictionary<int, ActivityContext> contexts)
    {
        for (var count = reader.Count(); count > 0; count--)
        {
            var ownerNumber = reader.Int();
            var nodeId = reader.Text();
            var tag = reader.Int();
            var dynamic = reader.Count() is > 0 and var length ? new DynamicVariable[length] : null;
            for (var i = 0; i < dynamic?.Length; i++)
                dynamic[i] = new DynamicVariable(reader.Text() ?? "", reader.Value());
            if (ownerNumber == 0)
            {
                instance.Scheduler.Enqueue(new WorkItem(instance.Graph.Root, null, 0, tag, dynamic));
                continue;
            }

            if (!contexts.TryGetValue(ownerNumber, out var owner) || owner.Node.FindChild(nodeId ?? "") is not { } node)
                throw StateReader.Corrupt();
            owner.ScheduledChildren++;
            instance.Scheduler.Enqueue(new WorkItem(node, owner, ownerNumber, tag, dynamic));
        }
    }

    private static void WriteIncident(ref StateWriter writer, Incident incident)
    {
        writer.Text(incident.ActivityId);
        writer.Text(incident.ActivityNodeId);
        writer.Text(incident.ActivityType);
        writer.Int(incident.ActivityInstance);
        writer.Text(incident.Message);
        writer.Long(incident.Timestamp.UtcTicks);
        StateExceptions.Write(ref writer, incident.Exception);
    }

    private static Incident ReadIncident(ref StateReader reader)
    {
        var activityId = reader.Text() ?? "";
        var nodeId = reader.Text() ?? "";
        var type = reader.Text() ?? "";
        var number = reader.Int();
        var message = reader.Text() ?? "";
        var timestamp = new DateTimeOffset(reader.Long(), TimeSpan.Zero);
        var exception = StateExceptions.Read(ref reader);
        return new Incident(activityId, nodeId, type, number, message, exception, timestamp);
    }

    private static void WriteOutputs(ref StateWriter writer, WorkflowInstance instance)
    {
        var kept = instance.ActivityOutputs;
        writer.Bool(kept is not null);
        if (kept is null)
            return;
        writer.Value(instance.LastResult);
        writer.Unsigned((ulong)kept.Count(k => k is not null));
        for (var i = 0; i < kept.Length; i++)
        {
            if (kept[i] is not { } outputs)
                continue;
            writer.Text(instance.Graph.Nodes[i].NodeId);
            WriteArray(ref writer, outputs);
        }
    }

    private static void ReadOutputs(ref StateReader reader, WorkflowInstance instance)
    {
        if (instance.Graph.KeepsOutputs)
            instance.ActivityOutputs = new object?[]?[instance.Graph.Nodes.Count];
        if (!reader.Bool())
            return;
        instance.LastResult = reader.Value();
        for (var count = reader.Count(); count > 0; count--)
        {
            var node = instance.Graph.FindNode(reader.Text() ?? "");
            var outputs = ReadArray(ref reader);
            if (node is not null && instance.ActivityOutputs is { } kept)
                kept[node.Index] = outputs;
        }
    }

    private static void WriteValues(ref StateWriter writer, IReadOnlyDictionary<string, object?> values)
    {
        writer.Unsigned((ulong)values.Count);
        foreach (var (name, value) in values)
        {
            writer.Text(name);
            writer.Value(value);
        }
    }

    private static IReadOnlyDictionary<string, object?> ReadValues(ref StateReader reader)
    {
        var count = reader.Count();
        if (count == 0)
            return WorkflowInstance.EmptyValues;
        var values = new Dictionary<string, object?>(count, StringComparer.Ordinal);
        for (; count > 0; count--)
            values[reader.Text() ?? ""] = reader.Value();
        return values;
    }

    private static void WriteArray(ref StateWriter writer, object?[]? values)
    {
        writer.Unsigned((ulong)(values?.Length ?? 0));
        foreach (var value in values ?? [])
            writer.Value(value);
    }

    private static object?[]? ReadArray(ref StateReader reader)
    {
        var count = reader.Count();
        if (count == 0)
            return null;
        var values = new object?[count];
        for (var i = 0; i < count; i++)
            values[i] = reader.Value();
        return values;
    }
}
