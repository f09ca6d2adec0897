using System.Text.Json;
using Conclave.Inference;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.OpenAI;

/// <summary>Reads tools and calls of tools.</summary>
internal static class ToolReader
{
    /// <summary>The tools of a body; null for none.</summary>
    /// <remarks>Both shapes are taken: the one of chat completions with a <c>function</c>, and the flat one of responses.</remarks>
    public static List<AITool>? Read(JsonElement body)
    {
        List<AITool>? tools = null;
        var index = 0;
        foreach (var tool in body.Items("tools"))
        {
            var path = $"tools[{index++}]";
            if (tool.ValueKind != JsonValueKind.Object)
                throw JsonReading.Bad(path, "must be an object");
            if (tool.Text("type", $"{path}.type") is { } type && type != "function")
                throw JsonReading.Bad($"{path}.type", $"must be function; it is '{type}', and this gateway runs no tools of its own");
            var function = tool.Object("function", $"{path}.function");
            (tools ??= []).Add(ReadFunction(function.ValueKind == JsonValueKind.Object ? function : tool, path));
        }

        index = 0;
        foreach (var function in body.Items("functions"))
            (tools ??= []).Add(ReadFunction(function, $"functions[{index++}]"));
        return tools;
    }

    /// <summary>Which tools the model may or must call.</summary>
    public static ChatToolMode? ReadChoice(JsonElement choice, IList<AITool>? tools)
    {
        switch (choice.ValueKind)
        {
            case JsonValueKind.Undefined:
                return null;
            case JsonValueKind.String:
                return choice.GetString() switch
                {
                    "none" => ChatToolMode.None,
                    "auto" => ChatToolMode.Auto,
                    "required" when tools is null => throw JsonReading.Bad("tool_choice", "requires a tool, but 'tools' has none"),
                    "required" => ChatToolMode.RequireAny,
                    var other => throw JsonReading.Bad("tool_choice", $"must be none, auto, required or a function; it is '{other}'"),
                };
            case JsonValueKind.Object:
                var function = choice.Object("function", "tool_choice.function");
                var name = (function.ValueKind == JsonValueKind.Object ? function : choice).RequiredText("name", "tool_choice.function.name");
                return tools?.Any(tool => tool.Name == name) == true
                    ? ChatToolMode.RequireSpecific(name)
                    : throw JsonReading.Bad("tool_choice", $"names the function '{name}', which is not among 'tools'");
            default:
                throw JsonReading.Bad("tool_choice", "must be a string or an object");
        }
    }

    /// <summary>A call of a tool.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="name">The tool.</param>
    /// <param name="arguments">JSON of an object; null or empty for none.</param>
    /// <param name="path">Where they stand, for errors.</param>
    public static FunctionCallContent Call(string id, string name, string? arguments, string path)
    {
        if (string.IsNullOrWhiteSpace(arguments))
            return new FunctionCallContent(id, name, new Dictionary<string, object?>());
        try
        {
            var parsed = JsonElement.Parse(arguments);
            return parsed.ValueKind == JsonValueKind.Object ? Call(id, name, parsed) : throw JsonReading.Bad(path, "must be the JSON of an object");
        }
        catch (JsonException)
        {
            throw JsonReading.Bad(path, "must be the JSON of an object");
        }
    }

    /// <summary>A call of a tool.</summary>
    public static FunctionCallContent Call(string id, string name, JsonElement arguments)
    {
        var values = new Dictionary<string, object?>();
        foreach (var argument in arguments.EnumerateObject())
            values[argument.Name] = argument.Value;
        return new FunctionCallContent(id, name, values);
    }

    private static ToolDeclaration ReadFunction(JsonElement function, string path)
    {
        if (function.ValueKind != JsonValueKind.Object)
            throw JsonReading.Bad(path, "must be an object");
        return new ToolDeclaration(
            function.RequiredText("name", $"{path}.function.name"),
            function.Text("description", $"{path}.function.description") ?? "",
            function.Object("parameters", $"{path}.function.parameters"),
            function.Member("strict").ValueKind == JsonValueKind.Undefined ? null : function.Flag("strict", false));
    }
}
