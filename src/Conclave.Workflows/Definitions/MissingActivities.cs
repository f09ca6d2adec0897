using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Definitions;

/// <summary>
/// Activities whose type is not installed, as Elsa shows them to designers: a placeholder that holds the original as text. Stored
/// definitions keep the originals, so that nothing has to be brought back once the type is there.
/// </summary>
public static class MissingActivities
{
    private const string Original = "originalActivityJson";

    private static readonly JsonDocumentOptions Deep = new() { MaxDepth = 512 };

    /// <summary>The activities with a placeholder for each whose type the engine does not know.</summary>
    public static JsonElement Hide(JsonElement root, WorkflowEngine engine) => Replace(root, activity => IsUnknown(activity, engine) ? Placeholder(activity) : null);

    /// <summary>The activities with the original for each placeholder; what people changed around it stays: its place, name and connections.</summary>
    public static JsonElement Restore(JsonElement root) => Replace(root, FindOriginal);

    private static bool IsUnknown(JsonElement activity, WorkflowEngine engine)
    {
        var type = JsonShapes.GetString(activity, "type") ?? "";
        return type.Length > 0 && engine.Catalog.Find(type) is null && engine.Library.FindForActivity(activity, type, VersionOf(activity)) is null;
    }

    private static int VersionOf(JsonElement activity) =>
        activity.TryGetProperty("version"u8, out var version) && version.ValueKind == JsonValueKind.Number && version.TryGetInt32(out var number) ? number : 1;

    private static JsonObject Placeholder(JsonElement activity)
    {
        var type = JsonShapes.GetString(activity, "type")!;
        var metadata = activity.TryGetProperty("metadata"u8, out var given) && given.ValueKind == JsonValueKind.Object ? JsonObject.Create(given)! : [];
        metadata["displayText"] = $"Not Found: {type}";
        metadata["description"] = $"The activity type '{type}' is not known here. Install the module that brings it, or replace the activity.";
        var placeholder = new JsonObject
        {
            ["id"] = JsonShapes.GetString(activity, "id"),
            ["type"] = NotFoundActivity.TypeName,
            ["version"] = 1,
            ["missingTypeName"] = type,
            ["missingTypeVersion"] = VersionOf(activity),
            [Original] = activity.GetRawText(),
            ["metadata"] = metadata,
        };
        if (JsonShapes.GetString(activity, "name") is { } name)
            placeholder["name"] = name;
        if (activity.TryGetProperty("customProperties"u8, out var custom) && custom.ValueKind == JsonValueKind.Object)
            placeholder["customProperties"] = JsonObject.Create(custom);
        return placeholder;
    }

    private static JsonObject? FindOriginal(JsonElement activity)
    {
        if (JsonShapes.GetString(activity, "type") != NotFoundActivity.TypeName || JsonShapes.GetString(activity, Original) is not { Length: > 0 } text)
            return null;
        JsonObject? original;
        try
        {
            original = JsonNode.Parse(text, documentOptions: Deep) as JsonObject;
        }
        catch (JsonException)
        {
            // Somebody else's placeholder: it stays as it is.
            return null;
        }

        if (original is null || original["type"] is not JsonValue type || type.GetValueKind() != JsonValueKind.String)
            return null;
        original["id"] = JsonShapes.GetString(activity, "id");
        if (JsonShapes.GetString(activity, "name") is { } name)
            original["name"] = name;
        if (activity.TryGetProperty("metadata"u8, out var metadata) && metadata.ValueKind == JsonValueKind.Object && metadata.TryGetProperty("designer"u8, out var designer))
        {
            if (original["metadata"] is not JsonObject)
                original["metadata"] = new JsonObject();
            original["metadata"]!["designer"] = JsonNode.Parse(designer.GetRawText(), documentOptions: Deep);
        }

        return original;
    }

    /// <summary>The same tree with other activities in some places; the tree itself when there are none, which is the rule.</summary>
    private static JsonElement Replace(JsonElement root, Func<JsonElement, JsonNode?> other)
    {
        try
        {
            return Within(root, isChild: true, other) is { } changed ? JsonElement.Parse(changed.ToJsonString(), Deep) : root;
        }
        catch (Exception exception) when (exception is ArgumentException or JsonException)
        {
            // An object with the same member twice cannot be changed, only copied.
            return root;
        }
    }

    /// <returns>The changed element; null when nothing in it changes.</returns>
    private static JsonNode? Within(JsonElement element, bool isChild, Func<JsonElement, JsonNode?> other)
    {
        if (element.ValueKind == JsonValueKind.Array)
            return WithinArray(element, isChild, other);
        if (element.ValueKind != JsonValueKind.Object)
            return null;
        if (ActivityJson.IsChild(element, isChild) && other(element) is { } replacement)
            return replacement;
        JsonObject? changed = null;
        foreach (var property in element.EnumerateObject())
        {
            if (property.Value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array) || ActivityJson.IsOpaque(property)
                || Within(property.Value, ActivityJson.HoldsActivities(property), other) is not { } value)
                continue;
            changed ??= JsonObject.Create(element)!;
            changed[property.Name] = value;
        }

        return changed;
    }

    private static JsonArray? WithinArray(JsonElement array, bool isChild, Func<JsonElement, JsonNode?> other)
    {
        JsonArray? changed = null;
        var place = 0;
        foreach (var item in array.EnumerateArray())
        {
            if (Within(item, isChild, other) is { } value)
            {
                changed ??= JsonArray.Create(array)!;
                changed[place] = value;
            }

            place++;
        }

        return changed;
    }
}
