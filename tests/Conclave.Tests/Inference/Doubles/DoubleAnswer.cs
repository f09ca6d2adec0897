using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Tests.Inference.Doubles;

/// <summary>What a double answers.</summary>
public sealed record DoubleAnswer
{
    /// <summary>The words that it says one by one.</summary>
    public IReadOnlyList<string> Tokens { get; init; } = [];

    /// <summary>What it thinks before; null for nothing.</summary>
    public string? Thinking { get; init; }

    /// <summary>Tools that it calls: name and arguments as JSON.</summary>
    public IReadOnlyList<(string Name, string Arguments)> ToolCalls { get; init; } = [];

    /// <summary>Why it ends, in OpenAI's words; null for what follows from the rest.</summary>
    public string? FinishReason { get; init; }

    public TimeSpan FirstTokenDelay { get; init; }

    public TimeSpan TokenDelay { get; init; }

    /// <summary>Awaited before each token; null for nothing. So a test decides when a token comes.</summary>
    public Func<int, Task>? BeforeToken { get; init; }

    public int InputTokens { get; init; } = 11;

    public int CachedTokens { get; init; }

    public int ReasoningTokens { get; init; }

    /// <summary>How it fails.</summary>
    public DoubleFailure Failure { get; init; }

    /// <summary>After how many tokens it fails, for failures in the middle.</summary>
    public int FailAfter { get; init; } = 2;

    /// <summary>Status of <see cref="DoubleFailure.Error"/>.</summary>
    public int Status { get; init; } = 500;

    public string ErrorType { get; init; } = "server_error";

    public string ErrorMessage { get; init; } = "The double was told to fail.";

    public TimeSpan? RetryAfter { get; init; }

    /// <summary>An answer that says something.</summary>
    public static DoubleAnswer Say(string text) => new() { Tokens = Split(text) };

    /// <summary>An answer that is an error.</summary>
    public static DoubleAnswer Fail(int status, string type = "server_error", string message = "The double was told to fail.", TimeSpan? retryAfter = null) =>
        new() { Failure = DoubleFailure.Error, Status = status, ErrorType = type, ErrorMessage = message, RetryAfter = retryAfter };

    /// <summary>An answer that goes wrong after some words.</summary>
    public static DoubleAnswer Fail(DoubleFailure failure, int after = 2) => Say("one two three four five six") with { Failure = failure, FailAfter = after };

    /// <summary>
    /// What a sensible model would say: calls the first tool when there are tools and no result yet, fills the schema when there is one,
    /// and repeats what it was told otherwise. <c>slow</c> in the text makes it talk until it is stopped; <c>misfit once</c> and <c>misfit always</c> make it say
    /// no JSON where a schema wants some.
    /// </summary>
    public static DoubleAnswer For(DoubleRequest request)
    {
        var text = request.LastText;
        if (request.Body.TryGetProperty("tools", out var tools) && tools.ValueKind == JsonValueKind.Array && tools.GetArrayLength() > 0 && !IsToolResult(request.LastMessage))
        {
            var tool = tools[0].TryGetProperty("function", out var function) ? function : tools[0];
            var parameters = tool.TryGetProperty("parameters", out var p) || tool.TryGetProperty("input_schema", out p) ? p : default;
            return new DoubleAnswer { ToolCalls = [(tool.GetProperty("name").GetString()!, Example(parameters)?.ToJsonString() ?? "{}")] };
        }

        if (SchemaOf(request.Body) is { } schema)
        {
            if (text.Contains("misfit once", StringComparison.Ordinal) || request.Body.GetProperty("messages").GetRawText().Contains("misfit always", StringComparison.Ordinal))
                return Say("I would rather not.");
            return Say(Example(schema)?.ToJsonString() ?? "{}");
        }

        if (text.Contains("slow", StringComparison.Ordinal))
            return new DoubleAnswer { Tokens = [.. Enumerable.Repeat("tick ", 100_000)], TokenDelay = TimeSpan.FromMilliseconds(20) };
        return Say("You said: " + text);
    }

    /// <summary>Words with the space after each.</summary>
    public static IReadOnlyList<string> Split(string text)
    {
        List<string> tokens = [];
        for (var start = 0; start < text.Length;)
        {
            var space = text.IndexOf(' ', start);
            var end = space < 0 ? text.Length : space + 1;
            tokens.Add(text[start..end]);
            start = end;
        }

        return tokens;
    }

    private static bool IsToolResult(JsonElement message) =>
        message.ValueKind == JsonValueKind.Object
        && (message.GetProperty("role").ValueEquals("tool")
            || (message.GetProperty("content") is { ValueKind: JsonValueKind.Array } content && content.EnumerateArray().Any(c => c.GetProperty("type").ValueEquals("tool_result"))));

    private static JsonElement? SchemaOf(JsonElement body)
    {
        if (body.TryGetProperty("format", out var format) && format.ValueKind != JsonValueKind.Null)
            return format;
        if (!body.TryGetProperty("response_format", out var response))
            return null;
        return response.TryGetProperty("json_schema", out var schema) ? schema.GetProperty("schema") : response.GetProperty("type").ValueEquals("json_object") ? response : null;
    }

    /// <summary>A value that fits a schema.</summary>
    private static JsonNode? Example(JsonElement schema)
    {
        if (schema.ValueKind != JsonValueKind.Object)
            return new JsonObject { ["ok"] = true };
        if (schema.TryGetProperty("enum", out var choices))
            return JsonNode.Parse(choices[0].GetRawText());
        if (schema.TryGetProperty("anyOf", out var alternatives))
            return Example(alternatives[0]);
        var type = schema.TryGetProperty("type", out var t) ? t.ValueKind == JsonValueKind.Array ? t[0].GetString() : t.GetString() : "object";
        switch (type)
        {
            case "string":
                return "text";
            case "integer":
                return 42;
            case "number":
                return 4.5;
            case "boolean":
                return true;
            case "null":
                return null;
            case "array":
                return schema.TryGetProperty("items", out var items) ? new JsonArray(Example(items)) : [];
        }

        var example = new JsonObject();
        if (schema.TryGetProperty("properties", out var properties))
        {
            foreach (var property in properties.EnumerateObject())
                example[property.Name] = Example(property.Value);
        }
        else if (type is "json_object")
        {
            example["ok"] = true;
        }

        return example;
    }
}

/// <summary>How a double fails.</summary>
public enum DoubleFailure
{
    None,

    /// <summary>An error as the protocol says it.</summary>
    Error,

    /// <summary>No answer at all.</summary>
    Hang,

    /// <summary>The connection is closed before any answer.</summary>
    Close,

    /// <summary>Something that is not the protocol.</summary>
    Garbage,

    /// <summary>The connection is torn in the middle.</summary>
    DieMidStream,

    /// <summary>The answer ends in the middle as if it were complete.</summary>
    EndMidStream,

    /// <summary>Nothing more comes.</summary>
    HangMidStream,

    /// <summary>An error inside the stream.</summary>
    ErrorMidStream,

    /// <summary>Something that is not the protocol inside the stream.</summary>
    GarbageMidStream,
}
