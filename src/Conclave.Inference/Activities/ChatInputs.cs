using System.Text.Json;
using Conclave.Inference.StructuredOutput;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Activities;

/// <summary>Conversations and tools as authors write them: in the shape of OpenAI's API.</summary>
internal static class ChatInputs
{
    /// <summary>A conversation of its parts.</summary>
    /// <exception cref="WorkflowException"><c>ai.bad_messages</c>.</exception>
    public static IReadOnlyList<ChatMessage> Messages(string? system, object? given, string? prompt)
    {
        var messages = new List<ChatMessage>();
        if (!string.IsNullOrWhiteSpace(system))
            messages.Add(new ChatMessage(ChatRole.System, system));
        var json = AsJson(given);
        if (json.ValueKind == JsonValueKind.Array)
            messages.AddRange(json.EnumerateArray().Select(Message));
        else if (json.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Null))
            throw Bad("Messages must be a list of {role, content}.");
        if (!string.IsNullOrEmpty(prompt))
            messages.Add(new ChatMessage(ChatRole.User, prompt));
        return messages.Count > 0 ? messages : throw Bad("There is nothing to ask: write a prompt, or messages.");
    }

    /// <summary>Declarations of tools; null for none.</summary>
    /// <exception cref="WorkflowException"><c>ai.bad_tools</c>.</exception>
    public static IList<AITool>? Tools(object? given)
    {
        var json = AsJson(given);
        if (json.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
            return null;
        if (json.ValueKind != JsonValueKind.Array)
            throw new WorkflowException("ai.bad_tools", "Tools must be a list of {name, description, parameters}.") { IsPermanent = true };
        return [.. json.EnumerateArray().Select(Tool)];
    }

    /// <summary>The calls in an answer, as <c>[{id, name, arguments}]</c>.</summary>
    public static JsonElement ToolCalls(ChatResponse response) => ValueConverter.ToJson(response.Messages
        .SelectMany(m => m.Contents).OfType<FunctionCallContent>()
        .Select(c => new Dictionary<string, object?> { ["id"] = c.CallId, ["name"] = c.Name, ["arguments"] = c.Arguments is { } a ? new Dictionary<string, object?>(a) : null })
        .ToArray());

    /// <summary>What was found about an answer, as <c>{valid, wasRepaired, errors}</c>.</summary>
    public static JsonElement Describe(StructuredAnswer answer) => ValueConverter.ToJson(new Dictionary<string, object?>
    {
        ["valid"] = answer.Report.Valid,
        ["wasRepaired"] = answer.WasRepaired,
        ["errors"] = answer.Report.Errors.Select(e => new Dictionary<string, object?> { ["path"] = e.Path, ["keyword"] = e.Keyword, ["message"] = e.Message }).ToArray(),
    });

    private static JsonElement AsJson(object? given) => given switch
    {
        null => default,
        JsonElement { ValueKind: JsonValueKind.String } text => JsonInText.TryParse(text.GetString()!) ?? text,
        string { Length: 0 } => default,
        string text => JsonInText.TryParse(text) ?? throw Bad("Messages and tools must be lists."),
        _ => ValueConverter.ToJson(given),
    };

    private static ChatMessage Message(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object || Text(json, "role") is not { } role)
            throw Bad("Each message must be an object with a role.");
        var contents = new List<AIContent>();
        if (role == "tool")
            return new ChatMessage(ChatRole.Tool, [new FunctionResultContent(Text(json, "tool_call_id") ?? throw Bad("A message of the role tool needs a tool_call_id."), Text(json, "content") ?? "")]);
        if (json.TryGetProperty("content", out var content))
        {
            if (content.ValueKind == JsonValueKind.String)
                contents.Add(new TextContent(content.GetString()));
            else if (content.ValueKind == JsonValueKind.Array)
                contents.AddRange(content.EnumerateArray().Select(Part));
        }

        if (json.TryGetProperty("tool_calls", out var calls) && calls.ValueKind == JsonValueKind.Array)
        {
            foreach (var call in calls.EnumerateArray())
            {
                var function = call.TryGetProperty("function", out var inner) ? inner : call;
                contents.Add(new FunctionCallContent(Text(call, "id") ?? "", Text(function, "name") ?? "", Arguments(function)));
            }
        }

        return new ChatMessage(new ChatRole(role), contents);
    }

    private static AIContent Part(JsonElement part) => Text(part, "type") switch
    {
        "text" => new TextContent(Text(part, "text")),
        "image_url" when part.TryGetProperty("image_url", out var image) && Text(image, "url") is { } url =>
            url.StartsWith("data:", StringComparison.Ordinal) ? new DataContent(url) : new UriContent(url, "image/*"),
        _ => throw Bad("A part of a message is {type: text, text} or {type: image_url, image_url: {url}}."),
    };

    private static Dictionary<string, object?>? Arguments(JsonElement function)
    {
        if (!function.TryGetProperty("arguments", out var arguments))
            return null;
        var json = arguments.ValueKind == JsonValueKind.String ? JsonInText.TryParse(arguments.GetString()!) ?? default : arguments;
        return json.ValueKind == JsonValueKind.Object ? json.EnumerateObject().ToDictionary(p => p.Name, p => (object?)p.Value) : null;
    }

    private static AITool Tool(JsonElement json)
    {
        var function = json.ValueKind == JsonValueKind.Object && json.TryGetProperty("function", out var inner) ? inner : json;
        if (function.ValueKind != JsonValueKind.Object || Text(function, "name") is not { } name)
            throw new WorkflowException("ai.bad_tools", "Each tool must be an object with a name.") { IsPermanent = true };
        return new ToolDeclaration(name, Text(function, "description") ?? "", function.TryGetProperty("parameters", out var parameters) ? parameters : default);
    }

    private static string? Text(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static WorkflowException Bad(string message) => new("ai.bad_messages", message) { IsPermanent = true };
}
