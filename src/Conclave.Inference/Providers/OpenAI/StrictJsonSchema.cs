using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Inference.Providers.OpenAI;

/// <summary>
/// Turns a JSON Schema into the strict subset that OpenAI decodes by: every property required, no others allowed, no references.
/// What was optional may be null instead; <see cref="Prune(JsonNode?, JsonElement)"/> takes those nulls out of the answer again.
/// </summary>
/// <remarks>Rules of lengths, ranges and formats are left out: whoever asked checks the answer against the whole schema.</remarks>
public static class StrictJsonSchema
{
    /// <summary>Levels of objects that OpenAI accepts. Source: its documentation of structured outputs, as of 2026.</summary>
    public const int MaxDepth = 5;

    private static readonly string[] Kept = ["type", "description", "title", "enum", "const"];

    /// <summary>Converts a schema.</summary>
    /// <param name="schema">The schema; left as it is.</param>
    /// <param name="strict">The strict schema, or <paramref name="schema"/> when there is none.</param>
    /// <returns>Whether the subset can say it: no recursion, no objects with free names, not too deep, an object at the root.</returns>
    public static bool TryConvert(JsonElement schema, out JsonElement strict)
    {
        strict = schema;
        if (new Converter(schema).Convert(schema, 0, []) is not JsonObject converted || converted["type"] is not JsonValue type || type.GetValueKind() != JsonValueKind.String || type.GetValue<string>() != "object")
            return false;
        strict = JsonSerializer.SerializeToElement(converted);
        return true;
    }

    /// <summary>Takes out the members of an answer that are null because the subset made them required.</summary>
    /// <param name="value">The answer; changed.</param>
    /// <param name="schema">The schema as it was before <see cref="TryConvert"/>.</param>
    public static void Prune(JsonNode? value, JsonElement schema) => Prune(value, schema, schema);

    private static void Prune(JsonNode? value, JsonElement schema, JsonElement root)
    {
        schema = Resolve(schema, root);
        if (schema.ValueKind != JsonValueKind.Object)
            return;
        if (value is JsonArray array && schema.TryGetProperty("items", out var items))
        {
            foreach (var item in array)
                Prune(item, items, root);
        }

        if (value is JsonObject members && schema.ObjectOf("properties") is { ValueKind: JsonValueKind.Object } properties)
        {
            var required = schema.ItemsOf("required").Select(r => r.GetString()).ToHashSet(StringComparer.Ordinal);
            foreach (var property in properties.EnumerateObject())
            {
                if (!members.TryGetPropertyValue(property.Name, out var member))
                    continue;
                if (member is null && !required.Contains(property.Name) && !AllowsNull(Resolve(property.Value, root)))
                    members.Remove(property.Name);
                else
                    Prune(member, property.Value, root);
            }
        }

        foreach (var name in (ReadOnlySpan<string>)["anyOf", "oneOf", "allOf"])
        {
            foreach (var alternative in schema.ItemsOf(name))
                Prune(value, alternative, root);
        }
    }

    private static bool AllowsNull(JsonElement schema) =>
        schema.ValueKind == JsonValueKind.Object
        && (schema.TextOf("type") == "null"
            || schema.ItemsOf("type").Any(t => t.ValueEquals("null"))
            || schema.ItemsOf("enum").Any(e => e.ValueKind == JsonValueKind.Null)
            || schema.ItemsOf("anyOf").Any(AllowsNull)
            || schema.ItemsOf("oneOf").Any(AllowsNull));

    private static JsonElement Resolve(JsonElement schema, JsonElement root)
    {
        for (var hops = 0; hops < 32 && schema.TextOf("$ref") is { } reference; hops++)
        {
            if (Find(reference, root) is not { } target)
                return schema;
            schema = target;
        }

        return schema;
    }

    private static JsonElement? Find(string reference, JsonElement root)
    {
        if (reference == "#")
            return root;
        if (!reference.StartsWith("#/", StringComparison.Ordinal))
            return null;
        var current = root;
        foreach (var part in reference[2..].Split('/'))
        {
            var name = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (current.ValueKind != JsonValueKind.Object || !current.TryGetProperty(name, out current))
                return null;
        }

        return current;
    }

    private sealed class Converter(JsonElement root)
    {
        /// <summary>The strict form of a schema; null when there is none.</summary>
        public JsonObject? Convert(JsonElement schema, int depth, HashSet<string> open)
        {
            if (depth > MaxDepth || schema.ValueKind != JsonValueKind.Object)
                return null;
            if (schema.TextOf("$ref") is { } reference)
            {
                if (Find(reference, root) is not { } target || !open.Add(reference))
                    return null;
                var inlined = Convert(target, depth, open);
                open.Remove(reference);
                if (inlined is not null && schema.TextOf("description") is { } description)
                    inlined["description"] = description;
                return inlined;
            }

            if (schema.TryGetProperty("allOf", out _) || schema.TryGetProperty("not", out _) || schema.TryGetProperty("if", out _) || schema.TryGetProperty("patternProperties", out _) || schema.TryGetProperty("prefixItems", out _))
                return null;
            var strict = new JsonObject();
            foreach (var name in Kept)
            {
                if (schema.TryGetProperty(name, out var value))
                    strict[name] = ToNode(value);
            }

            if (schema.TryGetProperty("anyOf", out var alternatives) || schema.TryGetProperty("oneOf", out alternatives))
                return ConvertAlternatives(strict, alternatives, depth, open);
            if (IsType(schema, "object") || schema.TryGetProperty("properties", out _))
                return ConvertObject(strict, schema, depth, open);
            if (!IsType(schema, "array"))
                return strict.ContainsKey("type") || strict.ContainsKey("enum") || strict.ContainsKey("const") ? strict : null;
            if (!schema.TryGetProperty("items", out var items) || Convert(items, depth, open) is not { } item)
                return null;
            strict["items"] = item;
            return strict;
        }

        private JsonObject? ConvertAlternatives(JsonObject strict, JsonElement alternatives, int depth, HashSet<string> open)
        {
            var converted = new JsonArray();
            foreach (var alternative in alternatives.EnumerateArray())
            {
                if (Convert(alternative, depth, open) is not { } one)
                    return null;
                converted.Add(one);
            }

            strict["anyOf"] = converted;
            return strict;
        }

        private JsonObject? ConvertObject(JsonObject strict, JsonElement schema, int depth, HashSet<string> open)
        {
            // Free names cannot be said; an object that merely does not forbid them is closed.
            if (schema.TryGetProperty("additionalProperties", out var additional) && additional.ValueKind == JsonValueKind.Object)
                return null;
            if (schema.ObjectOf("properties") is not { ValueKind: JsonValueKind.Object } members || !members.EnumerateObject().Any())
                return null;
            var required = schema.ItemsOf("required").Select(r => r.GetString()).ToHashSet(StringComparer.Ordinal);
            var properties = new JsonObject();
            var names = new JsonArray();
            foreach (var member in members.EnumerateObject())
            {
                if (Convert(member.Value, depth + 1, open) is not { } converted)
                    return null;
                properties[member.Name] = required.Contains(member.Name) || AllowsNull(Resolve(member.Value, root)) ? converted : OrNull(converted);
                names.Add(member.Name);
            }

            strict["type"] ??= "object";
            strict["properties"] = properties;
            strict["required"] = names;
            strict["additionalProperties"] = false;
            return strict;
        }

        private static JsonObject OrNull(JsonObject schema)
        {
            if (schema["type"] is JsonValue type && !schema.ContainsKey("enum") && !schema.ContainsKey("const"))
            {
                schema["type"] = new JsonArray(type.DeepClone(), "null");
                return schema;
            }

            return new JsonObject { ["anyOf"] = new JsonArray(schema, new JsonObject { ["type"] = "null" }) };
        }

        private static bool IsType(JsonElement schema, string type) => schema.TextOf("type") == type || schema.ItemsOf("type").Any(t => t.ValueEquals(type));

        private static JsonNode? ToNode(JsonElement element) => element.ValueKind switch
        {
            JsonValueKind.Object => JsonObject.Create(element),
            JsonValueKind.Array => JsonArray.Create(element),
            JsonValueKind.Null => null,
            _ => JsonValue.Create(element),
        };
    }
}
