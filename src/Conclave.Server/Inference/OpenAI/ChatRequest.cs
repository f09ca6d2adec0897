using System.Text.Json;
using Conclave.Inference;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.OpenAI;

/// <summary>The body of <c>POST /v1/chat/completions</c>.</summary>
/// <param name="Model">What was asked for.</param>
/// <param name="Messages">The conversation.</param>
/// <param name="Options">Everything else that a model is told.</param>
/// <param name="IsStream">Whether the answer comes in pieces.</param>
/// <param name="IncludesUsage">Whether a stream ends with a chunk about usage.</param>
/// <param name="Choices">Answers wanted.</param>
internal sealed record ChatRequest(string Model, IReadOnlyList<ChatMessage> Messages, ChatOptions Options, bool IsStream, bool IncludesUsage, int Choices)
{
    private const int MostChoices = 16;

    /// <summary>Members that are read here; others go on to the model's server as they are.</summary>
    private static readonly HashSet<string> Known = new(StringComparer.Ordinal)
    {
        "model", "messages", "stream", "stream_options", "n", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls", "response_format", "max_tokens", "max_completion_tokens",
        "temperature", "top_p", "top_k", "seed", "stop", "frequency_penalty", "presence_penalty", "prompt_cache_key", "metadata", "store", "service_tier", "safety_identifier",
    };

    /// <summary>The conversation's name, where the body has one.</summary>
    public string? Session { get; private init; }

    /// <summary>Reads a body.</summary>
    /// <exception cref="InferenceException">It makes no sense.</exception>
    public static ChatRequest Read(JsonElement body)
    {
        var messages = new List<ChatMessage>();
        var index = 0;
        foreach (var message in body.Items("messages"))
            messages.Add(ChatMessageReader.Read(message, $"messages[{index++}]"));
        if (messages.Count == 0)
            throw JsonReading.Bad("messages", "must have at least one message");
        var options = ReadOptions(body);
        options.Tools = ToolReader.Read(body);
        options.ToolMode = ToolReader.ReadChoice(body.Member("tool_choice"), options.Tools?.Count > 0 ? options.Tools : null);
        options.AllowMultipleToolCalls = body.Member("parallel_tool_calls").ValueKind == JsonValueKind.Undefined ? null : body.Flag("parallel_tool_calls", true);
        options.ResponseFormat = ReadFormat(body.Object("response_format"), options);
        return new ChatRequest(
            body.RequiredText("model"), messages, options, body.Flag("stream", false), body.Object("stream_options") is { ValueKind: JsonValueKind.Object } stream && stream.Flag("include_usage", false),
            body.Whole("n", 1, MostChoices) ?? 1)
        {
            Session = body.Text("prompt_cache_key"),
        };
    }

    /// <summary>Reads what this protocol and that of completions have in common.</summary>
    public static ChatOptions ReadOptions(JsonElement body)
    {
        var options = new ChatOptions
        {
            MaxOutputTokens = body.Whole("max_completion_tokens", 1, int.MaxValue) ?? body.Whole("max_tokens", 1, int.MaxValue),
            Temperature = body.Number("temperature", 0, 2),
            TopP = body.Number("top_p", 0, 1),
            TopK = body.Whole("top_k", -1, int.MaxValue),
            FrequencyPenalty = body.Number("frequency_penalty", -2, 2),
            PresencePenalty = body.Number("presence_penalty", -2, 2),
            StopSequences = body.Texts("stop"),
        };
        var seed = body.Member("seed");
        if (seed.ValueKind != JsonValueKind.Undefined)
            options.Seed = seed.ValueKind == JsonValueKind.Number && seed.TryGetInt64(out var number) ? number : throw JsonReading.Bad("seed", "must be a whole number");
        foreach (var member in body.EnumerateObject())
        {
            if (!Known.Contains(member.Name) && member.Value.ValueKind != JsonValueKind.Null)
                (options.AdditionalProperties ??= [])[member.Name] = member.Value;
        }

        return options;
    }

    private static ChatResponseFormat? ReadFormat(JsonElement format, ChatOptions options)
    {
        if (format.ValueKind == JsonValueKind.Undefined)
            return null;
        switch (format.Text("type", "response_format.type"))
        {
            case "text":
                return ChatResponseFormat.Text;
            case "json_object":
                return ChatResponseFormat.Json;
            case "json_schema":
                var described = format.Object("json_schema", "response_format.json_schema");
                if (described.ValueKind == JsonValueKind.Undefined)
                    throw JsonReading.Bad("response_format.json_schema", "is missing");
                var schema = described.Object("schema", "response_format.json_schema.schema");
                if (described.Member("strict").ValueKind is JsonValueKind.True or JsonValueKind.False)
                    (options.AdditionalProperties ??= [])["strict"] = described.GetProperty("strict");
                return schema.ValueKind == JsonValueKind.Undefined
                    ? ChatResponseFormat.Json
                    : ChatResponseFormat.ForJsonSchema(schema, described.Text("name", "response_format.json_schema.name"), described.Text("description", "response_format.json_schema.description"));
            default:
                throw JsonReading.Bad("response_format.type", "must be text, json_object or json_schema");
        }
    }
}
