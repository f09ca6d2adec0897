using System.Text.Json;
using System.Text.Json.Serialization;
using Conclave.Agents.Actions;

namespace Conclave.Agents.Tools;

/// <summary>A call of a tool, as an agent or a person asks for it.</summary>
/// <param name="Tenant">Whose agent.</param>
/// <param name="AgentId">The agent; for a call by a person <c>user:</c> and the name.</param>
/// <param name="InstanceId">The workflow instance that asks; empty outside workflows.</param>
/// <param name="Tool">Name of the tool.</param>
/// <param name="ToolHash">Hash of the definition that was decided on: with another one the call is refused. Null for the current one.</param>
/// <param name="Arguments">Arguments as a JSON object.</param>
/// <param name="IdempotencyKey">A repeated call with this key gets the first one's result, and nothing runs again. At most 255 characters.</param>
public sealed record ToolCall(string Tenant, string AgentId, string InstanceId, string Tool, string? ToolHash, JsonElement Arguments, string IdempotencyKey)
{
    /// <summary>The turn; null outside turns.</summary>
    public string? TurnId { get; init; }

    /// <summary>The approval that allows it; null when none was asked for.</summary>
    public string? ApprovalId { get; init; }

    /// <summary>The account on whose behalf it is made; null for the agent's own.</summary>
    public string? Account { get; init; }

    /// <summary>The action, which is what is approved, run and audited.</summary>
    /// <param name="hash">Hash of the tool's definition.</param>
    public ProposedAction Action(string hash) => new(Tenant, AgentId, Tool, hash, Arguments);
}

/// <summary>How a call ended.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ToolRunStatus>))]
public enum ToolRunStatus
{
    /// <summary>It runs.</summary>
    [JsonStringEnumMemberName("running")]
    Running,

    /// <summary>It ran and gave an output.</summary>
    [JsonStringEnumMemberName("completed")]
    Completed,

    /// <summary>It ran, or began to, and failed.</summary>
    [JsonStringEnumMemberName("failed")]
    Failed,

    /// <summary>It did not run: arguments, permission or approval did not allow it.</summary>
    [JsonStringEnumMemberName("refused")]
    Refused,

    /// <summary>It began in a process that has died; nobody knows what it did.</summary>
    [JsonStringEnumMemberName("unknown")]
    Unknown,
}

/// <summary>What came of a call.</summary>
/// <param name="Status">How it ended.</param>
/// <param name="Output">What the tool gave; undefined when it gave nothing.</param>
public sealed record ToolResult(ToolRunStatus Status, JsonElement Output)
{
    /// <summary>Id of the audit row.</summary>
    public Guid RunId { get; init; }

    /// <summary>Stable code of what went wrong, listed in <c>docs/errors.md</c>; null when nothing did.</summary>
    public string? ErrorCode { get; init; }

    /// <summary>What went wrong and what to do; fit for the model.</summary>
    public string? Error { get; init; }

    /// <summary>Whether it was recorded before and nothing ran this time.</summary>
    public bool IsReplay { get; init; }

    /// <summary>What was decided; null where it did not come to that.</summary>
    public ToolDecision? Decision { get; init; }

    /// <summary>What it used.</summary>
    public ToolUsage Usage { get; init; } = new();

    /// <summary>How long it took, without waiting.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>Whether the tool did its work.</summary>
    public bool IsSuccess => Status == ToolRunStatus.Completed;

    /// <summary>What the model is told.</summary>
    public string Text => Output.ValueKind switch
    {
        JsonValueKind.Undefined => Error ?? "",
        JsonValueKind.String when Error is null => Output.GetString()!,
        _ when Error is null => Output.GetRawText(),
        _ => $"{Error}\n{Output.GetRawText()}",
    };
}

/// <summary>What a call used; null for what was not measured.</summary>
public sealed record ToolUsage
{
    /// <summary>Milliseconds from start to end.</summary>
    public double Milliseconds { get; set; }

    /// <summary>Processor time of a command in seconds.</summary>
    public double? CpuSeconds { get; set; }

    /// <summary>Most memory of a command in bytes.</summary>
    public long? MemoryBytes { get; set; }

    /// <summary>Bytes of output before it was cut.</summary>
    public long? OutputBytes { get; set; }

    /// <summary>Requests that went out.</summary>
    public int? Requests { get; set; }

    /// <summary>What it was kept from, such as hosts that are not on its list.</summary>
    public IReadOnlyList<string>? Refused { get; set; }

    /// <summary>What was taken out of its output, such as <c>secrets</c>.</summary>
    public IReadOnlyList<string>? Masked { get; set; }
}

/// <summary>Whether an agent may make a call.</summary>
/// <param name="Mode">Allow, ask or deny.</param>
/// <param name="Reason">Why, for people and for the model.</param>
/// <param name="Rule">The rule that decided, such as <c>permission a1/refund: small</c>; null for the tool's default.</param>
public sealed record ToolDecision(ToolMode Mode, string Reason, string? Rule);

/// <summary>A tool did not do its work; the message is told to the model.</summary>
/// <param name="code">Stable code, listed in <c>docs/errors.md</c>.</param>
/// <param name="message">What happened and what to do.</param>
/// <param name="inner">What caused it.</param>
public sealed class ToolException(string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Stable code.</summary>
    public string Code { get; } = code;

    /// <summary>What there is of an output all the same; undefined for none.</summary>
    public JsonElement Output { get; init; }

    /// <summary>What was used.</summary>
    public ToolUsage? Usage { get; init; }
}
