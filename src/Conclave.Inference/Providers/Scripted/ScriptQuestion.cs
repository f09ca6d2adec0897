using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Scripted;

/// <summary>What a script is asked: the parts of a conversation that rules look at.</summary>
internal sealed partial class ScriptQuestion
{
    private ScriptQuestion()
    {
    }

    /// <summary>Text of the last message that is not of the assistant.</summary>
    public string Last { get; private init; } = "";

    public string System { get; private init; } = "";

    /// <summary>The last result of a tool; null when there is none.</summary>
    public string? ToolResult { get; private init; }

    public bool IsAfterTool { get; private init; }

    /// <summary>Text of the assistant that is to be continued; empty for none.</summary>
    public string Begun { get; private init; } = "";

    public IReadOnlyDictionary<string, JsonElement> Tools { get; private init; } = new Dictionary<string, JsonElement>();

    public JsonElement? Schema { get; private init; }

    /// <summary>Tokens of the conversation, by the rule of thumb of four characters each.</summary>
    public int InputTokens { get; private init; }

    public static ScriptQuestion From(IEnumerable<ChatMessage> messages, ChatOptions options)
    {
        List<ChatMessage> all = [.. messages];
        var begun = all.LastOrDefault() is { } end && end.Role == ChatRole.Assistant && !end.Contents.Any(c => c is FunctionCallContent) ? end.Text : "";
        var last = all.FindLast(m => m.Role != ChatRole.Assistant && m.Role != ChatRole.System);
        var result = all.SelectMany(m => m.Contents).OfType<FunctionResultContent>().LastOrDefault();
        var isAfterTool = last?.Contents.Any(c => c is FunctionResultContent) == true;
        var system = string.Join("\n\n", new[] { options.Instructions }.Concat(all.Where(m => m.Role == ChatRole.System).Select(m => m.Text)).Where(t => !string.IsNullOrEmpty(t)));
        return new ScriptQuestion
        {
            Begun = begun,
            // A result of a tool is not what somebody said: the question before it still stands.
            Last = (isAfterTool ? all.FindLast(m => m.Role == ChatRole.User && m.Text.Length > 0) : last)?.Text ?? "",
            System = system,
            ToolResult = result is null ? null : WireJson.ToText(result.Result),
            IsAfterTool = isAfterTool,
            Tools = (options.ToolMode is NoneChatToolMode ? [] : options.Tools ?? []).OfType<AIFunctionDeclaration>().DistinctBy(t => t.Name).ToDictionary(t => t.Name, t => t.JsonSchema),
            Schema = (options.ResponseFormat as ChatResponseFormatJson)?.Schema,
            InputTokens = (system.Length + all.Sum(m => m.Text.Length) + 3) / 4,
        };
    }

    /// <summary>Replaces <c>{{name}}</c> in a text; what is not known stays.</summary>
    public string Fill(string text, IReadOnlyDictionary<string, string> groups, string model, JsonElement? schema) =>
        Placeholder().Replace(text, match => match.Groups[1].Value switch
        {
            "last" => Last,
            "system" => System,
            "tool_result" => ToolResult ?? "",
            "model" => model,
            "example" => schema is { } wanted ? Example(wanted, wanted, 0)?.ToJsonString() ?? "null" : "{}",
            var name => groups.GetValueOrDefault(name, match.Value),
        });

    /// <summary>
    /// Arguments of a tool call with their placeholders replaced. One that is only <c>{{example}}</c> becomes a value that fits the tool's schema; one that is only another
    /// placeholder a number, where the schema wants one.
    /// </summary>
    public object? FillArgument(object? value, IReadOnlyDictionary<string, string> groups, string model, JsonElement schema) => value switch
    {
        "{{example}}" => Example(schema, schema, 0),
        string text => Number(text, Fill(text, groups, model, schema), schema) ?? (object)Fill(text, groups, model, schema),
        IDictionary<object, object?> members => members.ToDictionary(m => m.Key.ToString()!, m => FillArgument(m.Value, groups, model, schema.ObjectOf("properties").ObjectOf(m.Key.ToString()!))),
        IEnumerable<object?> items => items.Select(i => FillArgument(i, groups, model, schema.ObjectOf("items"))).ToList(),
        _ => value,
    };

    private static decimal? Number(string text, string filled, JsonElement schema) =>
        schema.TextOf("type") is "number" or "integer" && Placeholder().Match(text) is { Success: true } match && match.Length == text.Trim().Length
        && decimal.TryParse(filled, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>A value that fits a schema, as far as types, choices and lower bounds go.</summary>
    private static JsonNode? Example(JsonElement schema, JsonElement root, int depth)
    {
        if (schema.ValueKind != JsonValueKind.Object || depth > 8)
            return null;
        if (schema.TryGetProperty("const", out var constant))
            return JsonNode.Parse(constant.GetRawText());
        if (schema.ItemsOf("enum") is var choices && choices.Any())
            return JsonNode.Parse(choices.First().GetRawText());
        if (schema.TextOf("$ref") is { } reference && reference.StartsWith("#/", StringComparison.Ordinal))
            return Example(reference[2..].Split('/').Aggregate(root, (at, name) => at.ObjectOf(name)), root, depth + 1);
        if (schema.ItemsOf("anyOf") is var any && any.Any())
            return Example(any.First(), root, depth + 1);
        switch (schema.TextOf("type") ?? schema.ItemsOf("type").Select(t => t.GetString()).FirstOrDefault())
        {
            case "string":
                return "example";
            case "integer":
                return schema.NumberOf("minimum") ?? 1;
            case "number":
                return schema.NumberOf("minimum") ?? 1.5;
            case "boolean":
                return true;
            case "array":
                return new JsonArray(Example(schema.ObjectOf("items"), root, depth + 1));
            case "null":
                return null;
        }

        var value = new JsonObject();
        if (schema.ObjectOf("properties") is { ValueKind: JsonValueKind.Object } properties)
        {
            foreach (var property in properties.EnumerateObject())
                value[property.Name] = Example(property.Value, root, depth + 1);
        }

        return value;
    }

    [GeneratedRegex(@"\{\{\s*([A-Za-z0-9_]+)\s*\}\}", RegexOptions.CultureInvariant)]
    private static partial Regex Placeholder();
}
