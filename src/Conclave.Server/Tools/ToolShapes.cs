using System.Text.Json;
using System.Text.Json.Serialization;
using Conclave.Agents;
using Conclave.Agents.Tools;
using Conclave.Agents.Tools.Mcp;

namespace Conclave.Server.Tools;

#pragma warning disable CS1573    // most members say what they are by their names

/// <summary>A tool.</summary>
/// <param name="State">ready, disabled, changed or missing.</param>
/// <param name="Problem">Why it cannot be used.</param>
/// <param name="DefaultMode">What an agent may do when nobody said anything: allow, ask or deny.</param>
/// <param name="Score">How well it fits a search; null outside searches.</param>
internal sealed record ToolShape(
    string Name, string Version, string Category, string Description, string Kind, string Source, string State, string? Problem, IReadOnlyList<string> Missing, string Hash,
    string? ApprovedHash, string? ApprovedBy, DateTimeOffset? ApprovedAt, ToolRisk Risk, ToolMode DefaultMode, JsonElement Definition, double? Score)
{
    public static ToolShape Of(RegisteredTool tool, double? score = null) => new(
        tool.Name, tool.Definition.Version, tool.Definition.Category, tool.Definition.Description, tool.Definition.Kind, tool.Source, tool.State, tool.Problem, tool.Missing, tool.Hash,
        tool.ApprovedHash, tool.ApprovedBy, tool.ApprovedAt, tool.Definition.Risk, tool.Definition.DefaultMode, tool.Definition.ToJson(), score);
}

/// <summary>Which definition is approved.</summary>
/// <param name="Hash">Hash of the definition that was looked at; another one is refused.</param>
internal sealed record ToolApprovalRequest(string Hash);

/// <summary>A call of a tool.</summary>
/// <param name="AgentId">The agent whose permissions count and whose workspace is used; the caller's own without it.</param>
/// <param name="ApprovalId">An approval for exactly this call.</param>
internal sealed record ToolCallRequest(JsonElement Arguments, string? AgentId, string? ApprovalId);

/// <summary>What came of a call.</summary>
/// <param name="Status">completed, failed, refused or unknown.</param>
/// <param name="IsReplay">Whether it was recorded before and nothing ran this time.</param>
internal sealed record ToolResultShape(
    Guid RunId, ToolRunStatus Status, JsonElement? Output, string? ErrorCode, string? Error, bool IsReplay, ToolMode? Mode, string? Reason, string? Rule, double Milliseconds, ToolUsage Usage)
{
    public static ToolResultShape Of(ToolResult result) => new(
        result.RunId, result.Status, result.Output.ValueKind == JsonValueKind.Undefined ? null : result.Output, result.ErrorCode, result.Error, result.IsReplay,
        result.Decision?.Mode, result.Decision?.Reason, result.Decision?.Rule, result.Duration.TotalMilliseconds, result.Usage);
}

/// <summary>A call as the audit has it.</summary>
/// <param name="Arguments">Exactly what was asked for, as canonical JSON.</param>
internal sealed record ToolRunShape(
    Guid Id, string AgentId, string InstanceId, string? TurnId, string Tool, string ToolVersion, string ToolHash, string Arguments, string ActionHash, string IdempotencyKey,
    ToolMode? Mode, string? Reason, string? Rule, string? ApprovalId, string? Account, ToolRunStatus Status, string? ErrorCode, string? Error, JsonElement? Output, JsonElement? Limits,
    JsonElement? Usage, DateTimeOffset CreatedAt, DateTimeOffset? StartedAt, DateTimeOffset? EndedAt)
{
    public static ToolRunShape Of(ToolRunRecord run) => new(
        run.Id, run.AgentId, run.InstanceId, run.TurnId, run.Tool, run.ToolVersion, run.ToolHash, run.Arguments, run.ActionHash, run.IdempotencyKey, run.Mode, run.Reason, run.Rule,
        run.ApprovalId, run.Account, run.Status, run.ErrorCode, run.Error, Json(run.Output), Json(run.Limits), Json(run.Usage), run.CreatedAt, run.StartedAt, run.EndedAt);

    private static JsonElement? Json(string? text) => text is null ? null : JsonElement.Parse(text);
}

/// <summary>What calls of a tool came to.</summary>
internal sealed record ToolUseShape(
    string Tool, long Calls, long Completed, long Failed, long Refused, long Running, long Agents, DateTimeOffset LastAt, double MeanMilliseconds, double P95Milliseconds, double CpuSeconds)
{
    public static ToolUseShape Of(ToolUse use) => new(
        use.Tool, use.Calls, use.Completed, use.Failed, use.Refused, use.Running, use.Agents, use.LastAt, use.MeanMilliseconds, use.P95Milliseconds, use.CpuSeconds);
}

/// <summary>What an agent may do with a tool.</summary>
/// <param name="Tool">The tool; * for all.</param>
/// <param name="Mode">allow, ask or deny, when no rule fits.</param>
/// <param name="Rules">Rules on arguments; the first that fits counts.</param>
internal sealed record ToolPermissionShape(string AgentId, string Tool, ToolMode Mode, IReadOnlyList<ToolRuleShape> Rules, int Version, DateTimeOffset UpdatedAt, string UpdatedBy)
{
    public static ToolPermissionShape Of(ToolPermission permission) => new(
        permission.AgentId, permission.Tool, permission.Mode, [.. permission.Rules.Select(r => new ToolRuleShape(r.Name, r.Mode, r.When))], permission.Version, permission.UpdatedAt, permission.UpdatedBy);
}

/// <summary>A rule on arguments.</summary>
/// <param name="When">JSON Schema that the arguments must fit.</param>
internal sealed record ToolRuleShape(string Name, ToolMode Mode, JsonElement When);

/// <summary>All permissions of an agent; those that are left out are deleted.</summary>
internal sealed record ToolPermissionsRequest(IReadOnlyList<ToolPermissionRequest> Permissions);

/// <summary>A permission to store.</summary>
/// <param name="Tool">The tool; * for all.</param>
internal sealed record ToolPermissionRequest(string Tool, ToolMode Mode, IReadOnlyList<ToolRuleShape>? Rules);

/// <summary>A call to decide on, without making it.</summary>
internal sealed record ToolCheckRequest(string Tool, JsonElement Arguments);

/// <summary>What was decided.</summary>
internal sealed record ToolDecisionShape(ToolMode Mode, string Reason, string? Rule);

/// <summary>An OpenAPI document to make tools of.</summary>
/// <param name="Name">What the tools' names begin with.</param>
/// <param name="Document">The document: an object, or a text of JSON or YAML.</param>
/// <param name="BaseUrl">Where the API is; the document's first server without it.</param>
/// <param name="DryRun">Whether only to say what would be made.</param>
internal sealed record OpenApiImportRequest(string Name, JsonElement Document, string? BaseUrl, bool? DryRun);

/// <summary>What an import made.</summary>
/// <param name="Problems">What was left out and why.</param>
internal sealed record ToolImportShape(IReadOnlyList<string> Tools, IReadOnlyList<string> Problems, bool DryRun);

/// <summary>An MCP server.</summary>
/// <param name="SecretNames">Names of its secret headers or variables; their values are never shown.</param>
/// <param name="Problem">Why its tools could not be read.</param>
internal sealed record ToolServerShape(string Name, JsonElement Settings, IReadOnlyList<string> SecretNames, string? Problem, DateTimeOffset? CheckedAt, DateTimeOffset UpdatedAt, string UpdatedBy)
{
    public static ToolServerShape Of(McpServer server) => new(server.Name, server.Settings, [.. server.Secrets.Keys], server.Problem, server.CheckedAt, server.UpdatedAt, server.UpdatedBy);
}

/// <summary>An MCP server to add or change.</summary>
/// <param name="Settings">transport stdio with command, environment, network, workspace; or http with url and headers.</param>
/// <param name="Secrets">Headers or variables that are kept encrypted; left out keeps those that are there.</param>
internal sealed record ToolServerRequest(JsonElement Settings, IReadOnlyDictionary<string, string>? Secrets);

/// <summary>The sandbox.</summary>
/// <param name="IsAvailable">Whether commands run.</param>
/// <param name="Problem">Why they do not, and what to do.</param>
/// <param name="Limits">How limits are kept: cgroup or rlimits.</param>
internal sealed record SandboxShape(bool IsAvailable, string? Problem, string Limits);

/// <summary>JSON of this API.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(ToolShape))]
[JsonSerializable(typeof(ToolCallRequest))]
[JsonSerializable(typeof(ToolResultShape))]
[JsonSerializable(typeof(ToolRunShape))]
[JsonSerializable(typeof(ToolUseShape))]
[JsonSerializable(typeof(ToolPermissionShape))]
[JsonSerializable(typeof(ToolPermissionsRequest))]
[JsonSerializable(typeof(ToolCheckRequest))]
[JsonSerializable(typeof(ToolDecisionShape))]
[JsonSerializable(typeof(OpenApiImportRequest))]
[JsonSerializable(typeof(ToolImportShape))]
[JsonSerializable(typeof(ToolServerShape))]
[JsonSerializable(typeof(ToolServerRequest))]
[JsonSerializable(typeof(SandboxShape))]
internal sealed partial class ToolApiJson : JsonSerializerContext;
