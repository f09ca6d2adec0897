using System.Text;
using System.Text.Json;
using Conclave.Inference.Syscalls;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Stimuli;

namespace Conclave.Inference.Activities;

/// <summary>Submits a syscall and waits for its end at a bookmark: AIOS's <c>event.wait</c>, which no worker's place is held for and which survives any restart.</summary>
[Activity("Conclave", "AI", "Asks a model without holding a worker meanwhile: for answers that take long, and for hundreds at once. The question is queued; the workflow goes on when it is answered, whatever is restarted in between.",
    DisplayName = "Ask later", Icon = AIIcons.Chat, Color = AIIcons.Color)]
public sealed class AskLater : Activity
{
    private const string TypeName = "Conclave.AskLater";
    private const string PidName = "Pid";

    /// <summary>What is to be done.</summary>
    [Input(Description = "What is to be done: text, JSON under a schema, calls of tools as an output, an answer after tools were called, or after files of the workspace were read and written.", UIHint = InputUIHints.DropDown,
        Options = [SyscallAction.Chat, SyscallAction.ChatWithJsonOutput, SyscallAction.ChatWithToolCallOutput, SyscallAction.CallTool, SyscallAction.OperateFile])]
    public Input<string> Action { get; set; } = new(SyscallAction.Chat);

    /// <summary>The question.</summary>
    [Input(Description = "What to ask. With Messages, it comes after them.", UIHint = InputUIHints.MultiLine)]
    public Input<string> Prompt { get; set; } = new();

    /// <summary>A conversation.</summary>
    [Input(Description = "The conversation so far: a list of {role, content}, as in OpenAI's API.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object")]
    public Input<object> Messages { get; set; } = new();

    /// <summary>Tools.</summary>
    [Input(Description = "Tools, as a list of {name, description, parameters}; for actions that call them, a list of names of registered tools.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object")]
    public Input<object> Tools { get; set; } = new();

    /// <summary>JSON Schema of the answer.</summary>
    [Input(Description = "The JSON Schema that the answer is to fit, for JSON output.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object")]
    public Input<JsonElement> Schema { get; set; } = new();

    /// <summary>Which model.</summary>
    [Input(Description = "The model: an alias such as fast, smart or local-only, a model's name, or server/model.", Category = "Model")]
    public Input<string> Model { get; set; } = new("smart");

    /// <summary>How urgent it is.</summary>
    [Input(Description = "How urgent the call is: P1 when a person waits, P3 for bulk.", Category = "Model", UIHint = InputUIHints.DropDown, Options = ["P1", "P2", "P3"])]
    public Input<string> Priority { get; set; } = new("P2");

    /// <summary>How long it may take.</summary>
    [Input(Description = "How long it may take, the queue included; empty for as long as it takes.", Category = "Model")]
    public Input<TimeSpan?> TimeLimit { get; set; } = new();

    /// <summary>Id of the syscall.</summary>
    [Output(Description = "Id of the question, for /api/scheduler/status/{pid}.")]
    public Output<string>? Pid { get; set; }

    /// <summary>The answer.</summary>
    [Output(Description = "The answer: the text, or with JSON output the value.")]
    public Output<object>? Result { get; set; }

    /// <summary>The whole response.</summary>
    [Output(Description = "All of it: response_message, tool_calls, tool_results, finish_reason.")]
    public Output<JsonElement>? Response { get; set; }

    /// <summary>Whether an instance waits for a syscall.</summary>
    public static bool IsWaiting(WorkflowInstance instance) => instance.Bookmarks.Any(b => b.Name == TypeName);

    /// <summary>What tells an instance that a syscall has ended.</summary>
    internal static Stimulus Ended(Syscall syscall) => new(syscall.Tenant, TypeName, BookmarkKey.Of(TypeName, syscall.Pid))
    {
        InstanceId = syscall.InstanceId,
        Id = $"syscall/{syscall.Pid}/{syscall.EndedAt?.UtcTicks}",
        Input = new Dictionary<string, object?> { ["response"] = syscall.Response is { } response ? ValueConverter.FromJson(JsonElement.Parse(response)) : null, ["error"] = syscall.Error, ["code"] = syscall.ErrorCode },
    };

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var action = context.Get(Action) is { Length: > 0 } given ? given : SyscallAction.Chat;
        if (!SyscallAction.Known.Contains(action))
            throw Bad(context, "syscall.unknown", $"there is no action '{action}'. There are {string.Join(", ", SyscallAction.Known)}.");
        var query = Query(context);
        try
        {
            SyscallQuery.Check(action, JsonElement.Parse(query));
        }
        catch (InferenceException exception)
        {
            throw Bad(context, exception.Code, exception.Message);
        }

        // From the execution, so that a burst that is repeated submits the same one.
        var pid = $"{context.Instance.Id}-{context.Number}";
        var definition = context.Instance.Graph.Definition;
        context.Set(Pid, pid);
        context.Request(new SyscallSubmitted(context.Number, new Syscall(
            context.Host.Tenant, pid, $"workflow:{definition.DefinitionId}", definition.Name ?? definition.DefinitionId, action, query,
            Enum.TryParse<CallPriority>(context.Get(Priority), ignoreCase: true, out var priority) && priority != CallPriority.P0 ? priority : CallPriority.P2,
            SyscallStatus.Active, context.Time.GetUtcNow())
        {
            TimeLimit = context.Get(TimeLimit),
            InstanceId = context.Instance.Id,
        }));
        context.CreateBookmark(null, new BookmarkPayload("SyscallStimulus", (PidName, pid)));
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input)
    {
        var end = ValueConverter.ToJson(input);
        if (end.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.String)
            throw Bad(context, end.GetProperty("code").GetString() ?? "inference.failed", error.GetString()!);
        var response = end.GetProperty("response");
        context.Set(Response, response);
        context.Set(Result, ValueConverter.FromJson(response.TryGetProperty("value", out var value) ? value : response.GetProperty("response_message")));
        context.Complete();
        return ValueTask.CompletedTask;
    }

    private string Query(ActivityContext context)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("model", context.Get(Model));
            writer.WriteStartArray("messages");
            if (ValueConverter.ToJson(context.Get(Messages)) is { ValueKind: JsonValueKind.Array } messages)
            {
                foreach (var message in messages.EnumerateArray())
                    message.WriteTo(writer);
            }

            if (context.Get(Prompt) is { Length: > 0 } prompt)
            {
                writer.WriteStartObject();
                writer.WriteString("role", "user");
                writer.WriteString("content", prompt);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            if (ValueConverter.ToJson(context.Get(Tools)) is { ValueKind: JsonValueKind.Array } tools)
            {
                writer.WritePropertyName("tools");
                tools.WriteTo(writer);
            }

            if (context.Get(Schema) is { ValueKind: JsonValueKind.Object } schema)
            {
                writer.WriteStartObject("response_format");
                writer.WriteString("type", "json_schema");
                writer.WriteStartObject("json_schema");
                writer.WriteString("name", "answer");
                writer.WritePropertyName("schema");
                schema.WriteTo(writer);
                writer.WriteEndObject();
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    private static WorkflowException Bad(ActivityContext context, string code, string message) => new(code, $"{context.Node}: {message}");
}
