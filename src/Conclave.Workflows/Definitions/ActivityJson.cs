using System.Buffers;
using System.Text.Json;

namespace Conclave.Workflows.Definitions;

/// <summary>Rewrites the JSON of an activity tree: fills missing ids, computes node ids, brings old shapes up to date.</summary>
internal static class ActivityJson
{
    /// <summary>Id of the synthetic workflow activity above the root.</summary>
    public const string WorkflowNodeId = "Workflow1";

    /// <summary>The same tree with an id on every activity; the tree itself when none is missing, which is the rule.</summary>
    public static JsonElement WithIds(JsonElement root)
    {
        if (!MissesId(root, isActivity: true))
            return root;
        var ids = new HashSet<string>(StringComparer.Ordinal);
        CollectIds(root, isActivity: true, ids);
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
            new TreeWriter(writer, ids, withNodeIds: false).WriteActivity(root, "");
        return JsonElement.Parse(buffer.WrittenSpan);
    }

    /// <summary>Writes an activity with what is inside it, in today's form, with a node id on every activity.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="activity">The activity.</param>
    /// <param name="parentNodeId">Node id of the activity around it.</param>
    /// <param name="more">Writes more members of the activity; null for none.</param>
    public static void Write(Utf8JsonWriter writer, JsonElement activity, string parentNodeId, Action<Utf8JsonWriter>? more) =>
        new TreeWriter(writer, [], withNodeIds: true).WriteActivity(activity, parentNodeId, more);

    /// <summary>Whether a JSON object is an activity: it has a type, and an id or a version.</summary>
    public static bool IsActivity(JsonElement element) =>
        element.ValueKind == JsonValueKind.Object
        && element.TryGetProperty("type"u8, out var type) && type.ValueKind == JsonValueKind.String
        && (element.TryGetProperty("id"u8, out _) || element.TryGetProperty("version"u8, out _));

    internal static bool IsChild(JsonElement element, bool inActivityList) =>
        IsActivity(element) || (inActivityList && element.ValueKind == JsonValueKind.Object
            && element.TryGetProperty("type"u8, out var type) && type.ValueKind == JsonValueKind.String);

    /// <summary>Free-form values, in which nothing is an activity whatever it looks like.</summary>
    internal static bool IsOpaque(JsonProperty property) =>
        property.NameEquals("metadata"u8) || property.NameEquals("customProperties"u8)
        || property.NameEquals("applicationProperties"u8) || property.NameEquals("expression"u8)
        || property.NameEquals("condition"u8) || property.NameEquals("variables"u8)
        || property.NameEquals("connections"u8) || property.NameEquals("variable"u8);

    internal static bool HoldsActivities(JsonProperty property) =>
        property.NameEquals("activities"u8) || property.NameEquals("branches"u8);

    private static bool MissesId(JsonElement element, bool isActivity)
    {
        if (isActivity && IdOf(element) is null)
            return true;
        foreach (var property in element.EnumerateObject())
        {
            if (property.Value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array) || IsOpaque(property))
                continue;
            if (MissesIdInValue(property.Value, HoldsActivities(property)))
                return true;
        }

        return false;
    }

    private static bool MissesIdInValue(JsonElement value, bool inActivityList)
    {
        if (value.ValueKind == JsonValueKind.Object)
            return MissesId(value, IsChild(value, inActivityList));
        if (value.ValueKind != JsonValueKind.Array)
            return false;
        foreach (var item in value.EnumerateArray())
        {
            if (item.ValueKind is JsonValueKind.Object or JsonValueKind.Array && MissesIdInValue(item, inActivityList))
                return true;
        }

        return false;
    }

    private static void CollectIds(JsonElement element, bool isActivity, HashSet<string> ids)
    {
        if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in element.EnumerateArray())
                CollectIds(item, IsActivity(item), ids);
            return;
        }

        if (element.ValueKind != JsonValueKind.Object)
            return;
        if (isActivity && IdOf(element) is { } id)
            ids.Add(id);
        foreach (var property in element.EnumerateObject())
        {
            if (!IsOpaque(property))
                CollectIds(property.Value, IsActivity(property.Value), ids);
        }
    }

    private static string? IdOf(JsonElement activity) =>
        activity.TryGetProperty("id"u8, out var id) && id.ValueKind == JsonValueKind.String && id.GetString() is { Length: > 0 } text
            ? text
            : null;

    private sealed class TreeWriter(Utf8JsonWriter writer, HashSet<string> ids, bool withNodeIds)
    {
        public void WriteActivity(JsonElement activity, string parentNodeId, Action<Utf8JsonWriter>? more = null)
        {
            var id = IdOf(activity) ?? NewId(activity);
            var nodeId = $"{parentNodeId}:{id}";
            var version = activity.TryGetProperty("version"u8, out var given) && given.ValueKind == JsonValueKind.Number;
            writer.WriteStartObject();
            writer.WriteString("id"u8, id);
            if (withNodeIds)
                writer.WriteString("nodeId"u8, nodeId);
            if (!version)
                writer.WriteNumber("version"u8, 1);
            foreach (var property in activity.EnumerateObject())
            {
                if (property.NameEquals("id"u8) || property.NameEquals("nodeId"u8) || property.NameEquals("_type"u8)
                    || (!version && property.NameEquals("version"u8)))
                    continue;
                if (property.NameEquals("connections"u8))
                    WriteConnections(property.Value);
                else
                    WriteMember(property, nodeId);
            }

            more?.Invoke(writer);
            writer.WriteEndObject();
        }

        private void WriteMember(JsonProperty property, string nodeId)
        {
            if (IsOpaque(property))
            {
                property.WriteTo(writer);
                return;
            }

            writer.WritePropertyName(property.Name);
            WriteValue(HoldsActivities(property) ? JsonShapes.Unwrap(property.Value) : property.Value, nodeId, HoldsActivities(property));
        }

        private void WriteValue(JsonElement value, string nodeId, bool inActivityList)
        {
            switch (value.ValueKind)
            {
                case JsonValueKind.Object when IsChild(value, inActivityList):
                    WriteActivity(value, nodeId);
                    break;
                case JsonValueKind.Object:
                    writer.WriteStartObject();
                    foreach (var property in value.EnumerateObject())
                        WriteMember(property, nodeId);
                    writer.WriteEndObject();
                    break;
                case JsonValueKind.Array:
                    writer.WriteStartArray();
                    foreach (var item in value.EnumerateArray())
                        WriteValue(item, nodeId, inActivityList);
                    writer.WriteEndArray();
                    break;
                default:
                    value.WriteTo(writer);
                    break;
            }
        }

        private void WriteConnections(JsonElement connections)
        {
            writer.WriteStartArray("connections"u8);
            foreach (var connection in ConnectionJson.Read(connections))
                connection.WriteTo(writer);
            writer.WriteEndArray();
        }

        private string NewId(JsonElement activity)
        {
            var type = JsonShapes.GetString(activity, "type") ?? "Activity";
            var shortName = type[(type.LastIndexOf('.') + 1)..];
            for (var number = 1; ; number++)
            {
                var id = $"{shortName}{number}";
                if (ids.Add(id))
                    return id;
            }
        }
    }
}
