using System.Text.Json;
using Conclave.Inference;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.OpenAI;

/// <summary>Writes what models say as <c>chat.completion</c> and <c>chat.completion.chunk</c>.</summary>
internal sealed class ChatAnswer(CallReport report, ChatRequest request, DateTimeOffset createdAt)
{
    private readonly string _id = $"chatcmpl-{report.CallId}";
    private readonly long _created = createdAt.ToUnixTimeSeconds();

    private string Model => report.Model ?? request.Model;

    /// <summary>Writes a whole answer.</summary>
    public void Write(Utf8JsonWriter writer, IReadOnlyList<ChatResponse> choices)
    {
        Begin(writer, "chat.completion");
        writer.WriteStartArray("choices");
        for (var index = 0; index < choices.Count; index++)
        {
            var choice = choices[index];
            var contents = choice.Messages.SelectMany(message => message.Contents).ToList();
            writer.WriteStartObject();
            writer.WriteNumber("index", index);
            writer.WriteStartObject("message");
            writer.WriteString("role", "assistant");
            var text = string.Concat(contents.OfType<TextContent>().Select(content => content.Text));
            var calls = contents.OfType<FunctionCallContent>().ToList();
            if (text.Length == 0 && calls.Count > 0)
                writer.WriteNull("content");
            else
                writer.WriteString("content", text);
            writer.WriteNull("refusal");
            if (string.Concat(contents.OfType<TextReasoningContent>().Select(content => content.Text)) is { Length: > 0 } reasoning)
                writer.WriteString("reasoning_content", reasoning);
            if (calls.Count > 0)
            {
                writer.WriteStartArray("tool_calls");
                foreach (var call in calls)
                    WriteCall(writer, call, null);
                writer.WriteEndArray();
            }

            writer.WriteEndObject();
            WriteLogProbabilities(writer, choice.AdditionalProperties);
            writer.WriteString("finish_reason", FinishReason(choice.FinishReason, calls.Count > 0));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        WriteUsage(writer, Sum(choices.Select(choice => choice.Usage)));
        writer.WriteNull("system_fingerprint");
        WriteExtras(writer, choices.Any(choice => IsScripted(choice.AdditionalProperties)));
        writer.WriteEndObject();
    }

    /// <summary>Writes a piece of an answer.</summary>
    public void WriteChunk(Utf8JsonWriter writer, Chunk chunk)
    {
        Begin(writer, "chat.completion.chunk");
        writer.WriteStartArray("choices");
        writer.WriteStartObject();
        writer.WriteNumber("index", chunk.Choice);
        writer.WriteStartObject("delta");
        if (chunk.IsFirst)
            writer.WriteString("role", "assistant");
        if (chunk.Text is { } text)
            writer.WriteString("content", text);
        else if (chunk.IsFirst)
            writer.WriteString("content", "");
        if (chunk.Reasoning is { } reasoning)
            writer.WriteString("reasoning_content", reasoning);
        if (chunk.Calls is { Count: > 0 } calls)
        {
            writer.WriteStartArray("tool_calls");
            foreach (var (call, index) in calls)
                WriteCall(writer, call, index);
            writer.WriteEndArray();
        }

        writer.WriteEndObject();
        WriteLogProbabilities(writer, chunk.Properties);
        writer.WriteString("finish_reason", chunk.FinishReason);
        writer.WriteEndObject();
        writer.WriteEndArray();
        if (request.IncludesUsage)
            writer.WriteNull("usage");
        WriteExtras(writer, IsScripted(chunk.Properties));
        writer.WriteEndObject();
    }

    /// <summary>Writes the last chunk, which has usage and no choices.</summary>
    public void WriteUsageChunk(Utf8JsonWriter writer, UsageDetails? usage)
    {
        Begin(writer, "chat.completion.chunk");
        writer.WriteStartArray("choices");
        writer.WriteEndArray();
        WriteUsage(writer, usage);
        writer.WriteEndObject();
    }

    /// <summary>The word for why a model stopped.</summary>
    public static string FinishReason(ChatFinishReason? reason, bool hasCalls) =>
        reason is { } given && given != ChatFinishReason.Stop ? given.Value : hasCalls ? "tool_calls" : "stop";

    /// <summary>Usage of several answers.</summary>
    public static UsageDetails? Sum(IEnumerable<UsageDetails?> parts)
    {
        UsageDetails? sum = null;
        foreach (var part in parts)
        {
            if (part is not null)
                (sum ??= new UsageDetails()).Add(part);
        }

        return sum;
    }

    /// <summary>Writes <c>usage</c>; null where nothing is known.</summary>
    public static void WriteUsage(Utf8JsonWriter writer, UsageDetails? usage)
    {
        if (usage is null)
        {
            writer.WriteNull("usage");
            return;
        }

        writer.WriteStartObject("usage");
        writer.WriteNumber("prompt_tokens", usage.InputTokenCount ?? 0);
        writer.WriteNumber("completion_tokens", usage.OutputTokenCount ?? 0);
        writer.WriteNumber("total_tokens", usage.TotalTokenCount ?? (usage.InputTokenCount ?? 0) + (usage.OutputTokenCount ?? 0));
        writer.WriteStartObject("prompt_tokens_details");
        writer.WriteNumber("cached_tokens", usage.CachedInputTokenCount ?? 0);
        writer.WriteEndObject();
        writer.WriteStartObject("completion_tokens_details");
        writer.WriteNumber("reasoning_tokens", usage.ReasoningTokenCount ?? 0);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    /// <summary>Arguments of a call as the JSON text that the protocol has for them.</summary>
    public static string Arguments(FunctionCallContent call)
    {
        if (call.Arguments is not { Count: > 0 } arguments)
            return "{}";
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
            WriteArguments(writer, arguments);
        return System.Text.Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    /// <summary>Arguments of a call as an object.</summary>
    public static void WriteArguments(Utf8JsonWriter writer, IDictionary<string, object?>? arguments)
    {
        writer.WriteStartObject();
        foreach (var (name, value) in arguments ?? new Dictionary<string, object?>())
        {
            writer.WritePropertyName(name);
            if (value is JsonElement element)
                element.WriteTo(writer);
            else
                Workflows.Expressions.ValueConverter.ToJson(value).WriteTo(writer);
        }

        writer.WriteEndObject();
    }

    private static void WriteCall(Utf8JsonWriter writer, FunctionCallContent call, int? index)
    {
        writer.WriteStartObject();
        if (index is { } number)
            writer.WriteNumber("index", number);
        writer.WriteString("id", call.CallId);
        writer.WriteString("type", "function");
        writer.WriteStartObject("function");
        writer.WriteString("name", call.Name);
        writer.WriteString("arguments", Arguments(call));
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteLogProbabilities(Utf8JsonWriter writer, AdditionalPropertiesDictionary? properties)
    {
        if (properties?.TryGetValue("logprobs", out var value) == true && value is JsonElement element)
        {
            writer.WritePropertyName("logprobs");
            element.WriteTo(writer);
        }
        else
        {
            writer.WriteNull("logprobs");
        }
    }

    private static bool IsScripted(AdditionalPropertiesDictionary? properties) => properties?.ContainsKey("conclave.scripted") == true;

    // Nobody shall take a script for a model.
    private static void WriteExtras(Utf8JsonWriter writer, bool isScripted)
    {
        if (!isScripted)
            return;
        writer.WriteStartObject("conclave");
        writer.WriteBoolean("scripted", true);
        writer.WriteEndObject();
    }

    private void Begin(Utf8JsonWriter writer, string kind)
    {
        writer.WriteStartObject();
        writer.WriteString("id", _id);
        writer.WriteString("object", kind);
        writer.WriteNumber("created", _created);
        writer.WriteString("model", Model);
    }
}

/// <summary>A piece of an answer.</summary>
/// <param name="Choice">Which answer it belongs to.</param>
internal readonly record struct Chunk(int Choice)
{
    /// <summary>Whether it is the first of its answer.</summary>
    public bool IsFirst { get; init; }

    /// <summary>Text.</summary>
    public string? Text { get; init; }

    /// <summary>Thoughts.</summary>
    public string? Reasoning { get; init; }

    /// <summary>Calls of tools, each with its number within the answer.</summary>
    public IReadOnlyList<(FunctionCallContent Call, int Index)>? Calls { get; init; }

    /// <summary>Why the model stopped; null before it has.</summary>
    public string? FinishReason { get; init; }

    /// <summary>What else came with it.</summary>
    public AdditionalPropertiesDictionary? Properties { get; init; }
}
