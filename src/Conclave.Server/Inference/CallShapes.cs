using System.Text.Json;
using System.Text.Json.Serialization;
using Conclave.Inference;
using Conclave.Inference.Gateway;
using Conclave.Inference.Scheduling;
using Conclave.Inference.Syscalls;

namespace Conclave.Server.Inference;

/// <summary>A model call that has ended.</summary>
internal sealed record CallShape(
    string Id, string Operation, string Requested, string? Model, string? Server, string? Provider, bool IsLocal, string? AgentId, string? InstanceId, string? ApiKeyId,
    string? SessionId, string? ParentId, CallPriority Priority, CallPhase Outcome, string? Error, DateTimeOffset CreatedAt, DateTimeOffset EndedAt,
    IReadOnlyList<double> WaitingTimes, IReadOnlyList<double> TurnaroundTimes, IReadOnlyList<SliceShape> Slices, long InputTokens, long OutputTokens, long CachedInputTokens,
    decimal Cost, CacheOutcome Cache, double? TimeToFirstTokenMs, double OverheadMs, DecisionShape? Decision)
{
    public static CallShape Of(CallRecord call) => new(
        call.Id, call.Operation, call.Requested, call.Model, call.Server, call.Provider, call.IsLocal, call.Context.AgentId, call.Context.InstanceId, call.Context.ApiKeyId,
        call.Context.SessionId, call.Context.ParentId, call.Context.Priority, call.Outcome, call.Error, call.CreatedAt, call.EndedAt,
        [.. call.Slices.Select(s => (s.StartedAt - s.QueuedAt).TotalSeconds)], [.. call.Slices.Select(s => (s.EndedAt - s.QueuedAt).TotalSeconds)],
        [.. call.Slices.Select(s => new SliceShape(s.QueuedAt, s.StartedAt, s.EndedAt, s.Server, s.Tokens))], call.InputTokens, call.OutputTokens, call.CachedInputTokens,
        call.Cost, call.Cache, call.TimeToFirstToken?.TotalMilliseconds, call.Overhead.TotalMilliseconds,
        call.Decision is { } d ? new DecisionShape(d.Requested, d.Rule, d.Complexity, d.Reasons) : null);
}

/// <summary>A stay of a call on a server.</summary>
internal sealed record SliceShape(DateTimeOffset QueuedAt, DateTimeOffset StartedAt, DateTimeOffset EndedAt, string Server, long Tokens);

/// <summary>Why a call went where it went.</summary>
internal sealed record DecisionShape(string Requested, string? Rule, double? Complexity, IReadOnlyList<string> Reasons);

/// <summary>Who runs and who waits now, in this process.</summary>
internal sealed record CallQueueShape(IReadOnlyList<RunningShape> Running, IReadOnlyList<WaitingShape> Waiting, IReadOnlyList<LoadShape> Servers)
{
    public static CallQueueShape Of(QueueSnapshot snapshot, Func<string, string> name) => new(
        [.. snapshot.Running.Select(r => new RunningShape(r.CallId, r.Flow, r.Priority, name(r.Server), r.QueuedAt, r.StartedAt, r.Tokens, r.YieldRequested))],
        [.. snapshot.Waiting.Select(w => new WaitingShape(w.CallId, w.Flow, w.Priority, w.Class, w.QueuedAt, w.Place.Position, w.Place.ExpectedWait?.TotalSeconds, [.. w.Servers.Select(name)]))],
        [.. snapshot.Servers.Select(s => new LoadShape(name(s.Server), s.Slots, s.Running, s.Waiting, s.Accepts, s.MeanOccupancy?.TotalSeconds))]);
}

/// <summary>A call that has a slot.</summary>
internal sealed record RunningShape(string Id, string Flow, CallPriority Priority, string Server, DateTimeOffset QueuedAt, DateTimeOffset StartedAt, long Tokens, bool YieldRequested);

/// <summary>A call that waits.</summary>
internal sealed record WaitingShape(
    string Id, string Flow, CallPriority Priority, CallPriority AgedPriority, DateTimeOffset QueuedAt, int Position, double? ExpectedWaitSeconds, IReadOnlyList<string> Servers);

/// <summary>A server's slots as this process has them.</summary>
internal sealed record LoadShape(string Server, int Slots, int Running, int Waiting, bool Accepts, double? MeanOccupancySeconds);

/// <summary>What calls of a time came to.</summary>
internal sealed record CallStatsShape(
    DateTimeOffset From, DateTimeOffset Until, long Calls, long Failed, double? LocalShare, long InputTokens, long OutputTokens, decimal Cost, IReadOnlyList<CallSumShape> Models);

/// <summary>What calls of one model on one server came to.</summary>
internal sealed record CallSumShape(string? Server, string? Model, bool IsLocal, long Calls, long Failed, long InputTokens, long OutputTokens, decimal Cost);

/// <summary>A syscall, by AIOS's names. Times are seconds.</summary>
internal sealed record SyscallShape(
    string Pid, string Aid, [property: JsonPropertyName("agent_name")] string AgentName, string Action, JsonElement Query, SyscallStatus Status, JsonElement? Response, string? Error, [property: JsonPropertyName("error_code")] string? ErrorCode,
    CallPriority Priority, [property: JsonPropertyName("time_limit")] double? TimeLimit, [property: JsonPropertyName("created_time")] DateTimeOffset CreatedTime, [property: JsonPropertyName("start_time")] DateTimeOffset? StartTime, [property: JsonPropertyName("end_time")] DateTimeOffset? EndTime,
    [property: JsonPropertyName("start_times")] IReadOnlyList<DateTimeOffset> StartTimes, [property: JsonPropertyName("end_times")] IReadOnlyList<DateTimeOffset> EndTimes, [property: JsonPropertyName("waiting_times")] IReadOnlyList<double> WaitingTimes, [property: JsonPropertyName("turnaround_times")] IReadOnlyList<double> TurnaroundTimes)
{
    public static SyscallShape Of(Syscall s) => new(
        s.Pid, s.Aid, s.AgentName, s.Action, JsonElement.Parse(s.Query), s.Status, s.Response is { } response ? JsonElement.Parse(response) : null, s.Error, s.ErrorCode,
        s.Priority, s.TimeLimit?.TotalSeconds, s.CreatedAt, s.StartedAt, s.EndedAt,
        [.. s.Slices.Select(x => x.StartedAt)], [.. s.Slices.Select(x => x.EndedAt)],
        [.. s.Slices.Select(x => (x.StartedAt - x.QueuedAt).TotalSeconds)], [.. s.Slices.Select(x => (x.EndedAt - x.QueuedAt).TotalSeconds)]);
}

/// <summary>A question to be answered whether or not somebody waits.</summary>
/// <param name="AgentName">Name of the agent that asks.</param>
/// <param name="QueryType">What is to be done: llm_chat, llm_chat_with_json_output, llm_chat_with_tool_call_output, llm_call_tool or llm_operate_file.</param>
/// <param name="QueryData">The question: messages, and as wanted model, tools, response_format, temperature, max_tokens.</param>
internal sealed record SubmitShape(
    [property: JsonPropertyName("agent_name")] string AgentName, [property: JsonPropertyName("query_type")] string QueryType, [property: JsonPropertyName("query_data")] JsonElement QueryData)
{
    /// <summary>Id of the agent in whose name it is; that needs the right to talk to agents. Without it, it is in the caller's own: <c>user:</c> and the account.</summary>
    public string? Aid { get; init; }

    /// <summary>P1, P2 or P3; P2 without it.</summary>
    public string? Priority { get; init; }

    /// <summary>Seconds that it may take in all.</summary>
    [JsonPropertyName("time_limit")]
    public double? TimeLimit { get; init; }
}

/// <summary>JSON of the operators' API about calls.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(CallShape))]
[JsonSerializable(typeof(CallQueueShape))]
[JsonSerializable(typeof(CallStatsShape))]
internal sealed partial class CallJson : JsonSerializerContext;

/// <summary>JSON of syscalls, with AIOS's names.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(SyscallShape))]
internal sealed partial class SyscallJson : JsonSerializerContext;
