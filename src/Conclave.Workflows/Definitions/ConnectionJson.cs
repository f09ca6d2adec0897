using System.Text.Json;

namespace Conclave.Workflows.Definitions;

/// <summary>One connection of a flowchart as its JSON says it, whatever the age of the document.</summary>
internal readonly record struct ConnectionJson(string Source, string SourcePort, string Target, string TargetPort, JsonElement Vertices)
{
    /// <summary>Reads connections: a list, a wrapped list or a single one; items without a source or target are dropped.</summary>
    public static IEnumerable<ConnectionJson> Read(JsonElement connections)
    {
        var list = JsonShapes.Unwrap(connections);
        if (list.ValueKind == JsonValueKind.Object)
        {
            if (ReadOne(list) is { } single)
                yield return single;
            yield break;
        }

        if (list.ValueKind != JsonValueKind.Array)
            yield break;
        foreach (var item in list.EnumerateArray())
        {
            if (item.ValueKind == JsonValueKind.Object && ReadOne(item) is { } connection)
                yield return connection;
        }
    }

    public void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        WriteEnd(writer, "source"u8, Source, SourcePort);
        WriteEnd(writer, "target"u8, Target, TargetPort);
        writer.WritePropertyName("vertices"u8);
        if (Vertices.ValueKind == JsonValueKind.Array)
            Vertices.WriteTo(writer);
        else
        {
            writer.WriteStartArray();
            writer.WriteEndArray();
        }

        writer.WriteEndObject();
    }

    private static void WriteEnd(Utf8JsonWriter writer, ReadOnlySpan<byte> name, string activity, string port)
    {
        writer.WriteStartObject(name);
        writer.WriteString("activity"u8, activity);
        writer.WriteString("port"u8, port);
        writer.WriteEndObject();
    }

    private static ConnectionJson? ReadOne(JsonElement item)
    {
        var source = ReadEnd(item, "source", "sourcePort", "Done");
        var target = ReadEnd(item, "target", "targetPort", "In");
        if (source.Activity is null || target.Activity is null)
            return null;
        JsonShapes.TryGet(item, "vertices", out var vertices);
        return new ConnectionJson(source.Activity, source.Port, target.Activity, target.Port, vertices);
    }

    private static (string? Activity, string Port) ReadEnd(JsonElement item, string name, string portName, string defaultPort)
    {
        if (!JsonShapes.TryGet(item, name, out var end))
            return (null, defaultPort);
        return end.ValueKind == JsonValueKind.Object
            ? (JsonShapes.GetString(end, "activity"), JsonShapes.GetString(end, "port") ?? defaultPort)
            : (end.ValueKind == JsonValueKind.String ? end.GetString() : null, JsonShapes.GetString(item, portName) ?? defaultPort);
    }
}
