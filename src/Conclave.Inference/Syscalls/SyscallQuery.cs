using System.Text.Json;
using Conclave.Inference.Activities;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Syscalls;

/// <summary>Questions of syscalls as JSON, and answers.</summary>
public static class SyscallQuery
{
    /// <summary>The model when the question names none.</summary>
    private const string UsualModel = "smart";

    /// <summary>Says what is wrong with a question, by throwing.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceFailure.BadRequest"/>.</exception>
    public static void Check(string action, JsonElement query)
    {
        if (query.ValueKind != JsonValueKind.Object)
            throw Bad("'query' must be an object with messages.", "query");
        _ = ChatInputs.Messages(null, Member(query, "messages"), null);
        if (SyscallAction.UsesTools(action))
            _ = ToolNames(query);
        else
            _ = ChatInputs.Tools(Member(query, "tools"));
        if (action == SyscallAction.ChatWithJsonOutput)
            _ = Schema(query);
    }

    internal static ChatCall Read(JsonElement query, Syscall syscall) => new(
        new CallContext
        {
            Tenant = syscall.Tenant,
            AgentId = syscall.Aid,
            InstanceId = syscall.InstanceId,
            Priority = syscall.Priority,
            SessionId = syscall.Aid,
            // Whoever takes it up goes on where it was, and nobody pays twice.
            IdempotencyKey = $"syscall/{syscall.Pid}",
            Deadline = syscall.CreatedAt + syscall.TimeLimit,
        },
        Member(query, "model") is { ValueKind: JsonValueKind.String } model ? model.GetString()! : UsualModel,
        ChatInputs.Messages(null, Member(query, "messages"), null),
        new ChatOptions
        {
            Tools = SyscallAction.UsesTools(syscall.Action) ? null : ChatInputs.Tools(Member(query, "tools")),
            Temperature = Member(query, "temperature") is { ValueKind: JsonValueKind.Number } temperature ? temperature.GetSingle() : null,
            MaxOutputTokens = Member(query, "max_tokens") is { ValueKind: JsonValueKind.Number } most && most.TryGetInt32(out var tokens) ? tokens : null,
        });

    internal static JsonElement Schema(JsonElement query)
    {
        var format = Member(query, "response_format");
        var schema = Member(Member(format, "json_schema"), "schema");
        return schema.ValueKind == JsonValueKind.Object ? schema
            : format.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null || Member(format, "type") is { ValueKind: JsonValueKind.String } type && type.ValueEquals("json_object")
                ? JsonElement.Parse("""{"type":"object"}""")
                : throw Bad("'query.response_format' must be {type: json_schema, json_schema: {name, schema}}.", "response_format");
    }

    /// <summary>The tools that a question names: <c>["calculator"]</c>, or as objects with a name, as in OpenAI's API. Empty for none.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceFailure.BadRequest"/>.</exception>
    public static IReadOnlyList<string> ToolNames(JsonElement query)
    {
        var tools = Member(query, "tools");
        if (tools.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
            return [];
        if (tools.ValueKind != JsonValueKind.Array)
            throw Bad("'query.tools' must be a list of names.", "tools");
        return [.. tools.EnumerateArray().Select(tool => Member(Member(tool, "function"), "name") is { ValueKind: JsonValueKind.String } inner ? inner : Member(tool, "name") is { ValueKind: JsonValueKind.String } name ? name : tool)
            .Select(name => name.ValueKind == JsonValueKind.String ? name.GetString()! : throw Bad("Each of 'query.tools' must be a name, or an object with a name.", "tools")).Distinct(StringComparer.Ordinal)];
    }

    internal static string Write(ChatResponse response, JsonElement value = default, IReadOnlyList<SyscallToolRun>? runs = null)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("response_message", response.Text);
            if (value.ValueKind != JsonValueKind.Undefined)
            {
                writer.WritePropertyName("value");
                value.WriteTo(writer);
            }

            writer.WritePropertyName("tool_calls");
            ChatInputs.ToolCalls(response).WriteTo(writer);
            if (runs is not null)
                WriteRuns(writer, runs);
            writer.WriteString("finish_reason", response.FinishReason?.Value);
            writer.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    private static void WriteRuns(Utf8JsonWriter writer, IReadOnlyList<SyscallToolRun> runs)
    {
        writer.WriteStartArray("tool_results");
        foreach (var run in runs)
        {
            writer.WriteStartObject();
            writer.WriteString("run_id", run.Id);
            writer.WriteString("name", run.Tool);
            writer.WritePropertyName("arguments");
            run.Arguments.WriteTo(writer);
            writer.WriteString("status", run.Status);
            writer.WriteString("result", run.Text);
            writer.WriteString("error_code", run.ErrorCode);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static JsonElement Member(JsonElement json, string name) => json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) ? value : default;

    private static InferenceException Bad(string message, string parameter) => new(InferenceFailure.BadRequest, "syscall.bad_query", message) { Parameter = parameter };
}
