namespace Conclave.Inference.Syscalls;

/// <summary>A question that is answered whether or not somebody waits, with the fields of AIOS's syscalls.</summary>
/// <param name="Tenant">Its owner.</param>
/// <param name="Pid">Its id.</param>
/// <param name="Aid">Id of the agent.</param>
/// <param name="AgentName">Name of the agent.</param>
/// <param name="Action">What is to be done, see <see cref="SyscallAction"/>.</param>
/// <param name="Query">The question as JSON: <c>{model, messages, tools, response_format, temperature, max_tokens}</c>, as in OpenAI's API.</param>
/// <param name="Priority">How urgent it is.</param>
/// <param name="Status">How far it is.</param>
/// <param name="CreatedAt">When it was submitted.</param>
public sealed record Syscall(
    string Tenant, string Pid, string Aid, string AgentName, string Action, string Query, CallPriority Priority, SyscallStatus Status, DateTimeOffset CreatedAt)
{
    /// <summary>The account that submitted it; null for those of workflows and of earlier versions.</summary>
    public string? Caller { get; init; }

    /// <summary>The workflow instance that waits for it; null when none does.</summary>
    public string? InstanceId { get; init; }

    /// <summary>The answer as JSON; null before it is done, and when it failed.</summary>
    public string? Response { get; init; }

    /// <summary>What went wrong; null for nothing.</summary>
    public string? Error { get; init; }

    /// <summary>Code of what went wrong.</summary>
    public string? ErrorCode { get; init; }

    /// <summary>How long it may take since it was submitted; null for as long as it takes.</summary>
    public TimeSpan? TimeLimit { get; init; }

    /// <summary>When it was taken up first.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    /// <summary>When it was done.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>Its stays on servers, the last one included.</summary>
    public IReadOnlyList<CallSlice> Slices { get; init; } = [];
}

/// <summary>How far a syscall is, by AIOS's words. Numbers are stored and never change.</summary>
public enum SyscallStatus : short
{
    /// <summary>Waits to be taken up.</summary>
    Active = 0,

    /// <summary>A server has it.</summary>
    Executing = 1,

    /// <summary>Gave its slot away, and waits to go on.</summary>
    Suspending = 2,

    /// <summary>Answered, failed or cancelled.</summary>
    Done = 3,
}

/// <summary>What syscalls may ask for, by AIOS's names.</summary>
public static class SyscallAction
{
    /// <summary>Text.</summary>
    public const string Chat = "llm_chat";

    /// <summary>JSON under a schema.</summary>
    public const string ChatWithJsonOutput = "llm_chat_with_json_output";

    /// <summary>Calls of tools, which the caller runs.</summary>
    public const string ChatWithToolCallOutput = "llm_chat_with_tool_call_output";

    /// <summary>Text, after tools were called as the model wanted.</summary>
    public const string CallTool = "llm_call_tool";

    /// <summary>Text, after files of the workspace were read and written as the model wanted.</summary>
    public const string OperateFile = "llm_operate_file";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<string> Known { get; } = [Chat, ChatWithJsonOutput, ChatWithToolCallOutput, CallTool, OperateFile];

    /// <summary>Whether an action calls tools.</summary>
    public static bool UsesTools(string action) => action is CallTool or OperateFile;
}
