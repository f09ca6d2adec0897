using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Definitions;

/// <summary>
/// Activities whose type is not installed, as Elsa shows them to designers: a placeholder that holds the original as text. Those whose type is there in
/// other versions only are shown in the version that runs instead, because designers fail over one that has no descriptor. Stored definitions keep the
/// originals, so that nothing has to be brought back once the type is there.
/// </summary>
public static class MissingActivities
{
    private const string Original = "originalActivityJson";
    private const string OriginalVersion = "Conclave:TypeVersion";
    // Designers leave an input alone that nobody has edited, and write a new one without this member otherwise.
    private const string OriginalInput = "Conclave:Input";

    private static readonly JsonDocumentOptions Deep = new() { MaxDepth = 512 };

    /// <summary>
    /// The activities with a placeholder for each whose type the engine does not know, with the versions that it has, and with each input that is no
    /// expression as what it counts as: a literal, or unset.
    /// </summary>
    public static JsonElement Hide(JsonElement root, WorkflowEngine engine) => Replace(root, new Change(
        activity => IsUnknown(activity, engine) ? Placeholder(activity) : null,
        activity => FindDifferences(activity, engine)));

    /// <summary>The activities with the original for each placeholder; what people changed around it stays: its place, name and connections.</summary>
    public static JsonElement Restore(JsonElement root) => Replace(root, new Change(FindOriginal, FindOriginals));

    private static bool IsUnknown(JsonElement activity, WorkflowEngine engine)
    {
        var type = JsonShapes.GetString(activity, "type") ?? "";
        return type.Length > 0 && engine.Catalog.Find(type) is null && engine.Library.FindForActivity(activity, type, VersionOf(activity)) is null;
    }

    private static Action<JsonObject>? FindDifferences(JsonElement activity, WorkflowEngine engine)
    {
        var version = FindOtherVersion(activity, engine);
        var inputs = engine.Catalog.Find(JsonShapes.GetString(activity, "type") ?? "", VersionOf(activity))?.Descriptor.Inputs ?? [];
        var bare = inputs.Where(i => i.IsWrapped).Select(i => (Name: JsonNamingPolicy.CamelCase.ConvertName(i.Name), i.TypeName))
            .Where(i => activity.TryGetProperty(i.Name, out var value) && IsBare(value))
            .ToList();
        if (version is null && bare.Count == 0)
            return null;
        return copy =>
        {
            if (version is { } shown)
                ShowVersion(copy, shown, VersionOf(activity));
            foreach (var (name, typeName) in bare)
            {
                var original = copy[name]!.DeepClone();
                var value = original is JsonValue ? original.DeepClone() : null;
                copy[name] = new JsonObject { ["typeName"] = typeName, ["expression"] = new JsonObject { ["type"] = "Literal", ["value"] = value }, [OriginalInput] = original };
            }
        };
    }

    /// <summary>The version that runs instead of the one that the activity names; null when it is that one.</summary>
    private static int? FindOtherVersion(JsonElement activity, WorkflowEngine engine)
    {
        var type = JsonShapes.GetString(activity, "type") ?? "";
        var named = VersionOf(activity);
        var version = engine.Catalog.Find(type, named)?.Descriptor.Version ?? engine.Library.FindForActivity(activity, type, named)?.Version;
        return version == named ? null : version;
    }

    private static bool IsBare(JsonElement value) => value.ValueKind == JsonValueKind.Object ? !WrappedValue.TryRead(value, out _) : value.ValueKind != JsonValueKind.Null;

    private static void ShowVersion(JsonObject activity, int version, int named)
    {
        activity["version"] = version;
        if (activity["customProperties"] is not JsonObject)
            activity["customProperties"] = new JsonObject();
        activity["customProperties"]![OriginalVersion] = named;
    }

    /// <summary>Takes back what <see cref="FindDifferences"/> changed.</summary>
    private static Action<JsonObject>? FindOriginals(JsonElement activity)
    {
        var bare = activity.EnumerateObject().Where(p => p.Value.ValueKind == JsonValueKind.Object && p.Value.TryGetProperty(OriginalInput, out _)).Select(p => p.Name).ToList();
        int? named = activity.TryGetProperty("customProperties"u8, out var custom) && custom.ValueKind == JsonValueKind.Object
            && custom.TryGetProperty(OriginalVersion, out var version) && version.ValueKind == JsonValueKind.Number && version.TryGetInt32(out var number) ? number : null;
        if (named is null && bare.Count == 0)
            return null;
        return copy =>
        {
            foreach (var name in bare)
                copy[name] = copy[name]![OriginalInput]?.DeepClone();
            if (named is null)
                return;
            copy["version"] = named;
            copy["customProperties"]!.AsObject().Remove(OriginalVersion);
        };
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
    private static JsonElement Replace(JsonElement root, Change change)
    {
        try
        {
            return Within(root, isChild: true, change) is { } changed ? JsonElement.Parse(changed.ToJsonString(), Deep) : root;
        }
        catch (Exception exception) when (exception is ArgumentException or JsonException)
        {
            // An object with the same member twice cannot be changed, only copied.
            return root;
        }
    }

    /// <returns>The changed element; null when nothing in it changes.</returns>
    private static JsonNode? Within(JsonElement element, bool isChild, Change change)
    {
        if (element.ValueKind == JsonValueKind.Array)
            return WithinArray(element, isChild, change);
        if (element.ValueKind != JsonValueKind.Object)
            return null;
        var isActivity = ActivityJson.IsChild(element, isChild);
        if (isActivity && change.Replacement(element) is { } replacement)
            return replacement;
        JsonObject? changed = null;
        foreach (var property in element.EnumerateObject())
        {
            if (property.Value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array) || ActivityJson.IsOpaque(property)
                || Within(property.Value, ActivityJson.HoldsActivities(property), change) is not { } value)
                continue;
            changed ??= JsonObject.Create(element)!;
            changed[property.Name] = value;
        }

        if (isActivity && change.Edit(element) is { } edit)
            edit(changed ??= JsonObject.Create(element)!);
        return changed;
    }

    private static JsonArray? WithinArray(JsonElement array, bool isChild, Change change)
    {
        JsonArray? changed = null;
        var place = 0;
        foreach (var item in array.EnumerateArray())
        {
            if (Within(item, isChild, change) is { } value)
            {
                changed ??= JsonArray.Create(array)!;
                changed[place] = value;
            }

            place++;
        }

        return changed;
    }

    /// <summary>What happens to an activity.</summary>
    /// <param name="Replacement">What comes in its place; null for nothing.</param>
    /// <param name="Edit">What is changed in a copy of it, when what it contains has been looked at; null for nothing.</param>
    private sealed record Change(Func<JsonElement, JsonNode?> Replacement, Func<JsonElement, Action<JsonObject>?> Edit);
}
