using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.OpenAI;

/// <summary>Reads messages as OpenAI's API has them.</summary>
internal static class ChatMessageReader
{
    /// <summary>Reads a message.</summary>
    /// <param name="message">It.</param>
    /// <param name="path">Where it stands, for errors.</param>
    public static ChatMessage Read(JsonElement message, string path)
    {
        if (message.ValueKind != JsonValueKind.Object)
            throw JsonReading.Bad(path, "must be an object");
        var role = message.Text("role", $"{path}.role") switch
        {
            "system" or "developer" => ChatRole.System,
            "user" => ChatRole.User,
            "assistant" => ChatRole.Assistant,
            "tool" or "function" => ChatRole.Tool,
            null => throw JsonReading.Bad($"{path}.role", "is missing"),
            var other => throw JsonReading.Bad($"{path}.role", $"must be system, developer, user, assistant or tool; it is '{other}'"),
        };
        var result = new ChatMessage(role, new List<AIContent>()) { AuthorName = message.Text("name", $"{path}.name") };
        if (role == ChatRole.Tool)
        {
            var call = message.Text("tool_call_id", $"{path}.tool_call_id") ?? message.Text("name") ?? throw JsonReading.Bad($"{path}.tool_call_id", "is missing");
            result.Contents.Add(new FunctionResultContent(call, string.Concat(Parts(message, path).OfType<TextContent>().Select(part => part.Text))));
            return result;
        }

        foreach (var part in Parts(message, path))
            result.Contents.Add(part);
        var index = 0;
        foreach (var call in message.Items("tool_calls", $"{path}.tool_calls"))
            result.Contents.Add(ReadCall(call, $"{path}.tool_calls[{index++}]"));
        if (result.Contents.Count == 0 && role != ChatRole.Assistant)
            throw JsonReading.Bad($"{path}.content", "is missing");
        return result;
    }

    private static IEnumerable<AIContent> Parts(JsonElement message, string path)
    {
        var content = message.Member("content");
        switch (content.ValueKind)
        {
            case JsonValueKind.Undefined:
                break;
            case JsonValueKind.String:
                yield return new TextContent(content.GetString());
                break;
            case JsonValueKind.Array:
                var index = 0;
                foreach (var part in content.EnumerateArray())
                    yield return ReadPart(part, $"{path}.content[{index++}]");
                break;
            default:
                throw JsonReading.Bad($"{path}.content", "must be a string or a list of parts");
        }
    }

    private static AIContent ReadPart(JsonElement part, string path)
    {
        if (part.ValueKind != JsonValueKind.Object)
            throw JsonReading.Bad(path, "must be an object");
        switch (part.Text("type", $"{path}.type"))
        {
            case "text" or "input_text" or "output_text":
                return new TextContent(part.Text("text", $"{path}.text") ?? throw JsonReading.Bad($"{path}.text", "is missing"));
            case "refusal":
                return new TextContent(part.Text("refusal", $"{path}.refusal") ?? "");
            case "image_url":
                var image = part.Object("image_url", $"{path}.image_url");
                return Picture(image.ValueKind == JsonValueKind.Object ? image.Text("url", $"{path}.image_url.url") : null, $"{path}.image_url.url");
            case "input_image":
                return Picture(part.Text("image_url", $"{path}.image_url"), $"{path}.image_url");
            case "input_audio":
                var audio = part.Object("input_audio", $"{path}.input_audio");
                if (audio.ValueKind == JsonValueKind.Undefined || !audio.Member("data").TryGetBytesFromBase64Safely(out var sound))
                    throw JsonReading.Bad($"{path}.input_audio.data", "must be base64");
                return new DataContent(sound, $"audio/{audio.Text("format", $"{path}.input_audio.format") ?? "wav"}");
            case null:
                throw JsonReading.Bad($"{path}.type", "is missing");
            case var other:
                throw JsonReading.Bad($"{path}.type", $"must be text, image_url or input_audio; it is '{other}'");
        }
    }

    /// <summary>A picture: its bytes as a <c>data:</c> URL, or an address that the model's server fetches, if it does such things.</summary>
    public static AIContent Picture(string? url, string path)
    {
        if (string.IsNullOrEmpty(url))
            throw JsonReading.Bad(path, "is missing");
        if (url.StartsWith("data:", StringComparison.OrdinalIgnoreCase))
        {
            try
            {
                return new DataContent(url);
            }
            catch (Exception exception) when (exception is ArgumentException or FormatException or UriFormatException)
            {
                throw JsonReading.Bad(path, "is no data: URL with base64");
            }
        }

        return Uri.TryCreate(url, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? new UriContent(address, "image/*")
            : throw JsonReading.Bad(path, "must be a data:, https: or http: URL");
    }

    private static FunctionCallContent ReadCall(JsonElement call, string path)
    {
        if (call.ValueKind != JsonValueKind.Object)
            throw JsonReading.Bad(path, "must be an object");
        var function = call.Object("function", $"{path}.function");
        if (function.ValueKind == JsonValueKind.Undefined)
            throw JsonReading.Bad($"{path}.function", "is missing");
        return ToolReader.Call(
            call.RequiredText("id", $"{path}.id"), function.RequiredText("name", $"{path}.function.name"), function.Text("arguments", $"{path}.function.arguments"), $"{path}.function.arguments");
    }

    private static bool TryGetBytesFromBase64Safely(this JsonElement element, out byte[] bytes)
    {
        bytes = [];
        return element.ValueKind == JsonValueKind.String && element.TryGetBytesFromBase64(out bytes!);
    }
}
