using System.Text.Json;
using Conclave.Server.Inference.OpenAI;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.Ollama;

/// <summary>Reads what <c>/api/chat</c> and <c>/api/generate</c> have in common.</summary>
internal static class OllamaRequest
{
    /// <summary>Members of <c>options</c> with a property of their own; others go on to the model's server as they are.</summary>
    private static readonly HashSet<string> KnownOptions = new(StringComparer.Ordinal)
    {
        "temperature", "top_p", "top_k", "seed", "stop", "num_predict", "presence_penalty", "frequency_penalty",
    };

    /// <summary>Reads <c>options</c>, <c>format</c>, <c>think</c> and <c>keep_alive</c>.</summary>
    public static ChatOptions ReadOptions(JsonElement body)
    {
        var given = body.Object("options");
        var options = new ChatOptions();
        if (given.ValueKind == JsonValueKind.Object)
        {
            options.Temperature = given.Number("temperature", 0, 100);
            options.TopP = given.Number("top_p", 0, 1);
            options.TopK = given.Whole("top_k", 0, int.MaxValue);
            options.PresencePenalty = given.Number("presence_penalty", -100, 100);
            options.FrequencyPenalty = given.Number("frequency_penalty", -100, 100);
            options.Seed = given.Whole("seed", int.MinValue, int.MaxValue);
            options.StopSequences = given.Texts("stop");
            // -1 and -2 mean "until it stops" to Ollama.
            options.MaxOutputTokens = given.Whole("num_predict", -2, int.MaxValue) is > 0 and var most ? most : null;
            foreach (var option in given.EnumerateObject())
            {
                if (!KnownOptions.Contains(option.Name))
                    (options.AdditionalProperties ??= [])[option.Name] = option.Value;
            }
        }

        foreach (var name in (ReadOnlySpan<string>)["think", "keep_alive"])
        {
            if (body.Member(name) is { ValueKind: not JsonValueKind.Undefined } value)
                (options.AdditionalProperties ??= [])[name] = value;
        }

        var format = body.Member("format");
        options.ResponseFormat = format.ValueKind switch
        {
            JsonValueKind.Undefined => null,
            JsonValueKind.String when format.GetString() == "" => null,
            JsonValueKind.String when format.GetString() == "json" => ChatResponseFormat.Json,
            JsonValueKind.Object => ChatResponseFormat.ForJsonSchema(format),
            _ => throw JsonReading.Bad("format", "must be \"json\" or a JSON Schema"),
        };
        return options;
    }

    /// <summary>The pictures of a message or a prompt.</summary>
    public static IEnumerable<AIContent> Images(JsonElement holder, string path)
    {
        var index = 0;
        foreach (var image in holder.Items("images", $"{path}images"))
        {
            if (image.ValueKind != JsonValueKind.String || !image.TryGetBytesFromBase64(out var bytes))
                throw JsonReading.Bad($"{path}images[{index}]", "must be base64");
            index++;
            yield return new DataContent(bytes, MediaType(bytes));
        }
    }

    /// <summary>Reads messages of <c>/api/chat</c>.</summary>
    public static List<ChatMessage> Messages(JsonElement body)
    {
        var messages = new List<ChatMessage>();
        // Ollama's calls have no ids; a result belongs to the next open call of its tool.
        var open = new List<FunctionCallContent>();
        var index = 0;
        foreach (var message in body.Items("messages"))
        {
            var path = $"messages[{index++}].";
            if (message.ValueKind != JsonValueKind.Object)
                throw JsonReading.Bad(path.TrimEnd('.'), "must be an object");
            messages.Add(Message(message, path, open, messages.Count));
        }

        return messages;
    }

    private static ChatMessage Message(JsonElement message, string path, List<FunctionCallContent> open, int number)
    {
        var text = message.Text("content", $"{path}content") ?? "";
        switch (message.Text("role", $"{path}role"))
        {
            case "system":
                return new ChatMessage(ChatRole.System, text);
            case "user":
                return new ChatMessage(ChatRole.User, [new TextContent(text), .. Images(message, path)]);
            case "assistant":
                var contents = new List<AIContent>();
                if (message.Text("thinking", $"{path}thinking") is { Length: > 0 } thinking)
                    contents.Add(new TextReasoningContent(thinking));
                if (text.Length > 0)
                    contents.Add(new TextContent(text));
                var call = 0;
                foreach (var item in message.Items("tool_calls", $"{path}tool_calls"))
                {
                    var function = item.ValueKind == JsonValueKind.Object ? item.Object("function", $"{path}tool_calls[{call}].function") : default;
                    if (function.ValueKind != JsonValueKind.Object)
                        throw JsonReading.Bad($"{path}tool_calls[{call}].function", "is missing");
                    var arguments = function.Object("arguments", $"{path}tool_calls[{call}].function.arguments");
                    var id = item.Text("id") is { Length: > 0 } given ? given : $"call_{number}_{call}";
                    var content = ToolReader.Call(id, function.RequiredText("name", $"{path}tool_calls[{call}].function.name"), arguments.ValueKind == JsonValueKind.Object ? arguments : JsonElement.Parse("{}"));
                    open.Add(content);
                    contents.Add(content);
                    call++;
                }

                return new ChatMessage(ChatRole.Assistant, contents);
            case "tool":
                var name = message.Text("tool_name", $"{path}tool_name") ?? message.Text("name", $"{path}name");
                var answered = message.Text("tool_call_id", $"{path}tool_call_id") is { Length: > 0 } wanted
                    ? open.Find(c => c.CallId == wanted)
                    : open.Find(c => name is null || c.Name == name) ?? open.FirstOrDefault();
                if (answered is not null)
                    open.Remove(answered);
                return new ChatMessage(ChatRole.Tool, [new FunctionResultContent(answered?.CallId ?? name ?? $"call_{number}", text)]);
            case null:
                throw JsonReading.Bad($"{path}role", "is missing");
            case var other:
                throw JsonReading.Bad($"{path}role", $"must be system, user, assistant or tool; it is '{other}'");
        }
    }

    // The first bytes of the formats that models take.
    private static string MediaType(ReadOnlySpan<byte> image) =>
        image.Length > 3 && image[0] == 0x89 && image[1] == (byte)'P' ? "image/png"
        : image.StartsWith("GIF8"u8) ? "image/gif"
        : image.Length > 12 && image.StartsWith("RIFF"u8) && image[8..].StartsWith("WEBP"u8) ? "image/webp"
        : "image/jpeg";
}
