using System.Text;
using System.Text.Json.Nodes;
using Conclave.Inference;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.OpenAI.Responses;

/// <summary>
/// Puts together what a model says as a <c>response</c>: its output items, and the events that tell of them while they come. Source: OpenAI's API
/// reference, "Responses" and "Streaming events".
/// </summary>
internal sealed class ResponseAnswer(CallReport report, ResponseRequest request, DateTimeOffset createdAt)
{
    private readonly List<JsonObject> _output = [];
    private readonly StringBuilder _text = new();
    private JsonObject? _message;
    private ChatFinishReason? _reason;
    private UsageDetails? _usage;
    private int _sequence;
    private int _items;

    /// <summary>Its id.</summary>
    public string Id => $"resp_{report.CallId}";

    /// <summary>What the model read and wrote.</summary>
    public UsageDetails? Usage => _usage;

    /// <summary>The items that the model wrote.</summary>
    public IReadOnlyList<JsonObject> Output => _output;

    /// <summary>The events before the first words.</summary>
    public IEnumerable<JsonObject> Begin()
    {
        yield return Event("response.created", ("response", Describe("in_progress")));
        yield return Event("response.in_progress", ("response", Describe("in_progress")));
    }

    /// <summary>Takes an update.</summary>
    /// <returns>The events that tell of it.</returns>
    public IEnumerable<JsonObject> Take(ChatResponseUpdate update)
    {
        _reason = update.FinishReason ?? _reason;
        foreach (var content in update.Contents)
        {
            switch (content)
            {
                case TextContent { Text.Length: > 0 } text:
                    foreach (var happened in TakeText(text.Text))
                        yield return happened;
                    break;
                case FunctionCallContent call:
                    foreach (var happened in EndMessage().Concat(TakeCall(call)))
                        yield return happened;
                    break;
                case UsageContent counted:
                    (_usage ??= new UsageDetails()).Add(counted.Details);
                    break;
            }
        }
    }

    /// <summary>The events after the last words.</summary>
    public IEnumerable<JsonObject> End()
    {
        foreach (var happened in EndMessage())
            yield return happened;
        yield return IsCut
            ? Event("response.incomplete", ("response", Describe()))
            : Event("response.completed", ("response", Describe()));
    }

    /// <summary>The event of a failure.</summary>
    public JsonObject Fail(OpenAIError error)
    {
        var response = Describe("failed");
        response["error"] = new JsonObject { ["code"] = error.Code ?? "server_error", ["message"] = error.Message };
        return Event("response.failed", ("response", response));
    }

    /// <summary>The whole response as it stands.</summary>
    public JsonObject Describe(string? status = null)
    {
        var body = request.Body;
        var response = new JsonObject
        {
            ["id"] = Id,
            ["object"] = "response",
            ["created_at"] = createdAt.ToUnixTimeSeconds(),
            ["status"] = status ?? (IsCut ? "incomplete" : "completed"),
            ["error"] = null,
            ["incomplete_details"] = status is null && IsCut ? new JsonObject { ["reason"] = _reason == ChatFinishReason.Length ? "max_output_tokens" : "content_filter" } : null,
            ["instructions"] = request.Instructions,
            ["max_output_tokens"] = request.Options.MaxOutputTokens,
            ["model"] = report.Model ?? request.Model,
            ["output"] = new JsonArray([.. _output.Select(item => item.DeepClone())]),
            ["parallel_tool_calls"] = request.Options.AllowMultipleToolCalls ?? true,
            ["previous_response_id"] = request.PreviousId,
            ["store"] = request.IsStored,
        };
        foreach (var (name, normal) in (ReadOnlySpan<(string, string)>)
            [("temperature", "1"), ("top_p", "1"), ("tool_choice", "\"auto\""), ("tools", "[]"), ("text", """{"format":{"type":"text"}}"""), ("reasoning", """{"effort":null,"summary":null}"""), ("truncation", "\"disabled\""), ("metadata", "{}"), ("user", "null")])
        {
            response[name] = JsonNode.Parse(body.Member(name) is { ValueKind: not System.Text.Json.JsonValueKind.Undefined } given ? given.GetRawText() : normal);
        }

        response["usage"] = status is null && _usage is { } usage
            ? new JsonObject
            {
                ["input_tokens"] = usage.InputTokenCount ?? 0,
                ["input_tokens_details"] = new JsonObject { ["cached_tokens"] = usage.CachedInputTokenCount ?? 0 },
                ["output_tokens"] = usage.OutputTokenCount ?? 0,
                ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = usage.ReasoningTokenCount ?? 0 },
                ["total_tokens"] = usage.TotalTokenCount ?? (usage.InputTokenCount ?? 0) + (usage.OutputTokenCount ?? 0),
            }
            : null;
        return response;
    }

    private bool IsCut => _reason == ChatFinishReason.Length || _reason == ChatFinishReason.ContentFilter;

    private IEnumerable<JsonObject> TakeText(string text)
    {
        if (_message is null)
        {
            _message = new JsonObject { ["id"] = $"msg_{report.CallId}_{_items++}", ["type"] = "message", ["status"] = "in_progress", ["role"] = "assistant", ["content"] = new JsonArray() };
            yield return Event("response.output_item.added", ("output_index", _output.Count), ("item", _message.DeepClone()));
            yield return Event("response.content_part.added", ("item_id", MessageId), ("output_index", _output.Count), ("content_index", 0), ("part", Part("")));
        }

        _text.Append(text);
        yield return Event("response.output_text.delta", ("item_id", MessageId), ("output_index", _output.Count), ("content_index", 0), ("delta", text), ("logprobs", new JsonArray()));
    }

    private IEnumerable<JsonObject> EndMessage()
    {
        if (_message is not { } message)
            yield break;
        var text = _text.ToString();
        yield return Event("response.output_text.done", ("item_id", MessageId), ("output_index", _output.Count), ("content_index", 0), ("text", text), ("logprobs", new JsonArray()));
        yield return Event("response.content_part.done", ("item_id", MessageId), ("output_index", _output.Count), ("content_index", 0), ("part", Part(text)));
        message["status"] = IsCut ? "incomplete" : "completed";
        message["content"] = new JsonArray(Part(text));
        yield return Event("response.output_item.done", ("output_index", _output.Count), ("item", message.DeepClone()));
        _output.Add(message);
        _message = null;
        _text.Clear();
    }

    private IEnumerable<JsonObject> TakeCall(FunctionCallContent call)
    {
        var id = $"fc_{report.CallId}_{_items++}";
        var arguments = ChatAnswer.Arguments(call);
        var item = new JsonObject { ["id"] = id, ["type"] = "function_call", ["status"] = "in_progress", ["call_id"] = call.CallId, ["name"] = call.Name, ["arguments"] = "" };
        yield return Event("response.output_item.added", ("output_index", _output.Count), ("item", item.DeepClone()));
        yield return Event("response.function_call_arguments.delta", ("item_id", id), ("output_index", _output.Count), ("delta", arguments));
        yield return Event("response.function_call_arguments.done", ("item_id", id), ("output_index", _output.Count), ("name", call.Name), ("arguments", arguments));
        item["status"] = "completed";
        item["arguments"] = arguments;
        yield return Event("response.output_item.done", ("output_index", _output.Count), ("item", item.DeepClone()));
        _output.Add(item);
    }

    private string MessageId => (string)_message!["id"]!;

    private static JsonObject Part(string text) => new() { ["type"] = "output_text", ["text"] = text, ["annotations"] = new JsonArray(), ["logprobs"] = new JsonArray() };

    private JsonObject Event(string type, params ReadOnlySpan<(string Name, JsonNode? Value)> members)
    {
        var happened = new JsonObject { ["type"] = type, ["sequence_number"] = _sequence++ };
        foreach (var (name, value) in members)
            happened[name] = value;
        return happened;
    }
}
