using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Inference;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.OpenAI.Responses;

/// <summary>The body of <c>POST /v1/responses</c>.</summary>
/// <param name="Model">What was asked for.</param>
/// <param name="Items">What the caller adds to the conversation, as items.</param>
/// <param name="Instructions">What the model is told before the conversation; not kept with it.</param>
/// <param name="PreviousId">The response that this one follows; null for a new conversation.</param>
/// <param name="Options">Everything else that a model is told.</param>
/// <param name="IsStream">Whether the answer comes as events.</param>
/// <param name="IsStored">Whether the answer can be fetched and followed later.</param>
/// <param name="Body">The whole of it, for what the answer repeats.</param>
internal sealed record ResponseRequest(
    string Model, IReadOnlyList<JsonElement> Items, string? Instructions, string? PreviousId, ChatOptions Options, bool IsStream, bool IsStored, JsonElement Body)
{
    /// <summary>Reads a body.</summary>
    /// <exception cref="InferenceException">It makes no sense.</exception>
    public static ResponseRequest Read(JsonElement body)
    {
        if (body.Flag("background", false))
            throw JsonReading.Bad("background", "is not offered; submit long work to /api/scheduler/submit");
        var tools = ToolReader.Read(body);
        var options = new ChatOptions
        {
            MaxOutputTokens = body.Whole("max_output_tokens", 1, int.MaxValue),
            Temperature = body.Number("temperature", 0, 2),
            TopP = body.Number("top_p", 0, 1),
            Tools = tools,
            ToolMode = ToolReader.ReadChoice(body.Member("tool_choice"), tools),
            AllowMultipleToolCalls = body.Member("parallel_tool_calls").ValueKind == JsonValueKind.Undefined ? null : body.Flag("parallel_tool_calls", true),
            ResponseFormat = ReadFormat(body.Object("text")),
        };
        if (body.Object("reasoning") is { ValueKind: JsonValueKind.Object } reasoning && reasoning.Member("effort") is { ValueKind: JsonValueKind.String } effort)
            (options.AdditionalProperties ??= [])["reasoning_effort"] = effort;
        return new ResponseRequest(
            body.RequiredText("model"), ReadInput(body.Member("input")), body.Text("instructions"), body.Text("previous_response_id"), options,
            body.Flag("stream", false), body.Flag("store", true), body);
    }

    /// <summary>The conversation that a model is shown.</summary>
    /// <param name="earlier">Items of the responses before.</param>
    public List<ChatMessage> Messages(IEnumerable<JsonElement> earlier)
    {
        var messages = new List<ChatMessage>();
        if (!string.IsNullOrEmpty(Instructions))
            messages.Add(new ChatMessage(ChatRole.System, Instructions));
        foreach (var item in earlier)
            Add(messages, item, "input");
        var index = 0;
        foreach (var item in Items)
            Add(messages, item, $"input[{index++}]");
        if (!messages.Exists(message => message.Role != ChatRole.System))
            throw JsonReading.Bad("input", "must have something to answer");
        return messages;
    }

    private static List<JsonElement> ReadInput(JsonElement input) => input.ValueKind switch
    {
        JsonValueKind.Undefined => throw JsonReading.Bad("input", "is missing"),
        JsonValueKind.String => [JsonSerializer.SerializeToElement(new JsonObject { ["type"] = "message", ["role"] = "user", ["content"] = input.GetString() }, ResponseJson.Default.JsonObject)],
        JsonValueKind.Array => [.. input.EnumerateArray()],
        _ => throw JsonReading.Bad("input", "must be a string or a list of items"),
    };

    private static void Add(List<ChatMessage> messages, JsonElement item, string path)
    {
        if (item.ValueKind != JsonValueKind.Object)
            throw JsonReading.Bad(path, "must be an object");
        switch (item.Text("type", $"{path}.type"))
        {
            case null or "message":
                messages.Add(ChatMessageReader.Read(item, path));
                break;
            case "function_call":
                var call = ToolReader.Call(
                    item.RequiredText("call_id", $"{path}.call_id"), item.RequiredText("name", $"{path}.name"), item.Text("arguments", $"{path}.arguments"), $"{path}.arguments");
                // Calls that were made together are one message.
                if (messages.Count > 0 && messages[^1].Role == ChatRole.Assistant)
                    messages[^1].Contents.Add(call);
                else
                    messages.Add(new ChatMessage(ChatRole.Assistant, [call]));
                break;
            case "function_call_output":
                var output = item.Member("output");
                messages.Add(new ChatMessage(ChatRole.Tool,
                    [new FunctionResultContent(item.RequiredText("call_id", $"{path}.call_id"), output.ValueKind == JsonValueKind.String ? output.GetString() : output.ValueKind == JsonValueKind.Undefined ? "" : output.GetRawText())]));
                break;
            case "reasoning":
                // Thoughts of other models mean nothing to this one.
                break;
            case var other:
                throw JsonReading.Bad($"{path}.type", $"must be message, function_call or function_call_output; it is '{other}'");
        }
    }

    private static ChatResponseFormat? ReadFormat(JsonElement text)
    {
        var format = text.ValueKind == JsonValueKind.Object ? text.Object("format", "text.format") : default;
        if (format.ValueKind == JsonValueKind.Undefined)
            return null;
        switch (format.Text("type", "text.format.type"))
        {
            case "text":
                return ChatResponseFormat.Text;
            case "json_object":
                return ChatResponseFormat.Json;
            case "json_schema":
                var schema = format.Object("schema", "text.format.schema");
                return schema.ValueKind == JsonValueKind.Undefined
                    ? throw JsonReading.Bad("text.format.schema", "is missing")
                    : ChatResponseFormat.ForJsonSchema(schema, format.Text("name", "text.format.name"), format.Text("description", "text.format.description"));
            default:
                throw JsonReading.Bad("text.format.type", "must be text, json_object or json_schema");
        }
    }
}
