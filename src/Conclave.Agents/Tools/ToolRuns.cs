using System.Text.Json;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Agents.Tools;

/// <summary>The audit of calls, which is also what keeps a call from being made twice.</summary>
public sealed class ToolRuns(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>How long a run belongs to a process that says nothing.</summary>
    internal static readonly TimeSpan Lease = TimeSpan.FromSeconds(15);

    private const string Columns = """
        id, agent_id, instance_id, turn_id, tool, tool_version, tool_hash, arguments, action_hash, idempotency_key, mode, reason, rule, approval_id, account,
        status, error_code, error, output, limits::text, usage::text, created_at, started_at, ended_at
        """;

    /// <summary>This process, as the owner of what it runs.</summary>
    internal Guid Owner { get; } = Guid.CreateVersion7();

    /// <summary>Begins a run; see <c>conclave.begin_tool_run</c> for the answers.</summary>
    internal async Task<(string Outcome, Guid? Id)> BeginAsync(Guid id, ToolCall call, ToolDefinition tool, string hash, ToolDecision decision, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "select outcome, r_id from conclave.begin_tool_run($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)");
        var parameters = command.Parameters;
        AddIdentity(parameters, id, call, tool.Version, hash, decision);
        parameters.Add(Json(JsonSerializer.Serialize(tool.Limits, ToolJson.Default.ToolLimits)));
        parameters.AddValue(Owner);
        parameters.AddValue(Lease);
        parameters.AddValue(tool.Concurrency);
        parameters.AddValue(tool.IsRepeatable);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return (reader.GetString(0), reader.IsDBNull(1) ? null : reader.GetGuid(1));
    }

    /// <summary>Ends a run that this process began.</summary>
    internal async Task EndAsync(string tenant, Guid id, ToolResult result, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            update conclave.tool_run set status = $4, error_code = $5, error = $6, output = $7, usage = $8, lease_until = null, ended_at = $9
             where tenant = $1 and id = $2 and owner = $3 and status = 'running'
            """);
        var parameters = command.Parameters;
        parameters.AddValue(tenant);
        parameters.AddValue(id);
        parameters.AddValue(Owner);
        AddOutcome(parameters, result);
        parameters.AddTime(time.GetUtcNow());
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Records a call that has ended already: one that was refused, or one that may be repeated and need not be known before it ends.</summary>
    /// <returns>Whether it was recorded: not when another one with its key was.</returns>
    internal async Task<bool> RecordAsync(
        Guid id, ToolCall call, string version, string hash, ToolLimits? limits, ToolDecision? decision, DateTimeOffset? startedAt, ToolResult result, CancellationToken cancellationToken)
    {
        var recorded = await SharedBatches.Of(database).ExecuteAsync(
            """
            insert into conclave.tool_run (tenant, id, agent_id, instance_id, turn_id, tool, tool_version, tool_hash, arguments, action_hash, idempotency_key,
                                           mode, reason, rule, approval_id, account, limits, status, error_code, error, output, usage, created_at, started_at, ended_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $23)
                on conflict do nothing
            """,
            parameters =>
            {
                AddIdentity(parameters, id, call, version, hash, decision);
                parameters.Add(Json(limits is null ? null : JsonSerializer.Serialize(limits, ToolJson.Default.ToolLimits)));
                AddOutcome(parameters, result);
                parameters.AddTime(time.GetUtcNow());
                parameters.AddTime(startedAt);
            },
            cancellationToken);
        return recorded == 1;
    }

    /// <summary>Says that this process lives: what it runs stays its own.</summary>
    internal async Task RenewAsync(Guid[] running, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("update conclave.tool_run set lease_until = now() + $2 where owner = $1 and status = 'running' and id = any($3)");
        command.Parameters.AddValue(Owner);
        command.Parameters.AddValue(Lease);
        command.Parameters.AddValue(running);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Deletes runs that ended before a time, and says of those whose process died that nobody knows their outcome.</summary>
    internal async Task TidyAsync(DateTimeOffset before, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            with old as (delete from conclave.tool_run where ended_at < $1)
            update conclave.tool_run set status = 'unknown', ended_at = now(), error_code = 'tool.outcome_unknown', error = 'The process that ran it has died.'
             where status = 'running' and lease_until < now() - interval '1 hour'
            """);
        command.Parameters.AddTime(before);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The run that a key was used for; null when none was, or it was refused.</summary>
    public async Task<ToolRunRecord?> FindByKeyAsync(string tenant, string key, CancellationToken cancellationToken)
    {
        var found = await SharedBatches.Of(database).QueryAsync(
            $"select {Columns} from conclave.tool_run where tenant = $1 and idempotency_key = $2 and status <> 'refused'",
            parameters =>
            {
                parameters.AddValue(tenant);
                parameters.AddValue(key);
            },
            static reader => ReadAsync(reader, CancellationToken.None),
            cancellationToken);
        return found is [var run] ? run : null;
    }

    /// <summary>One run; null when there is none.</summary>
    public async Task<ToolRunRecord?> FindAsync(string tenant, Guid id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select {Columns} from conclave.tool_run where tenant = $1 and id = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        return await ReadAsync(command, cancellationToken) is [var run] ? run : null;
    }

    /// <summary>Runs, the newest first.</summary>
    /// <param name="tenant">Owner.</param>
    /// <param name="filter">Which.</param>
    /// <param name="before">Only those before this place; null from the newest on.</param>
    /// <param name="limit">Most items.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IReadOnlyList<ToolRunRecord>> ListAsync(
        string tenant, ToolRunFilter filter, (DateTimeOffset At, Guid Id)? before, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select {Columns} from conclave.tool_run
             where tenant collate "C" = $1 and ($2 is null or agent_id = $2) and ($3 is null or tool = $3) and ($4 is null or status = $4) and ($5 is null or instance_id = $5)
               and ($6 is null or (created_at, id) < ($6, $7))
             order by created_at desc, id desc limit $8
            """);
        var parameters = command.Parameters;
        parameters.AddValue(tenant);
        parameters.AddText(filter.AgentId);
        parameters.AddText(filter.Tool);
        parameters.AddText(filter.Status is { } status ? NameOf(status) : null);
        parameters.AddText(filter.InstanceId);
        parameters.AddTime(before?.At);
        parameters.AddUuid(before?.Id);
        parameters.AddValue(limit);
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>What calls came to since a time, a line for each tool.</summary>
    /// <param name="tenant">Owner.</param>
    /// <param name="from">The time.</param>
    /// <param name="tool">Only those of a tool; null for all.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IReadOnlyList<ToolUse>> SumAsync(string tenant, DateTimeOffset from, string? tool, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select tool, count(*), count(*) filter (where status = 'completed'), count(*) filter (where status = 'failed'), count(*) filter (where status = 'refused'),
                   count(*) filter (where status = 'running'), count(distinct agent_id), max(created_at),
                   coalesce(avg((usage->>'milliseconds')::float8), 0), coalesce(percentile_cont(0.95) within group (order by (usage->>'milliseconds')::float8), 0),
                   coalesce(sum((usage->>'cpuSeconds')::float8), 0)
              from conclave.tool_run where tenant collate "C" = $1 and created_at >= $2 and ($3 is null or tool = $3) group by tool order by count(*) desc, tool
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddTime(from);
        command.Parameters.AddText(tool);
        var uses = new List<ToolUse>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            uses.Add(new ToolUse(
                reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5), reader.GetInt64(6),
                reader.GetFieldValue<DateTimeOffset>(7), reader.GetDouble(8), reader.GetDouble(9), reader.GetDouble(10)));
        }

        return uses;
    }

    internal static string NameOf(ToolRunStatus status) => status switch
    {
        ToolRunStatus.Running => "running",
        ToolRunStatus.Completed => "completed",
        ToolRunStatus.Failed => "failed",
        ToolRunStatus.Refused => "refused",
        _ => "unknown",
    };

    private static ToolRunStatus StatusOf(string name) => name switch
    {
        "running" => ToolRunStatus.Running,
        "completed" => ToolRunStatus.Completed,
        "failed" => ToolRunStatus.Failed,
        "refused" => ToolRunStatus.Refused,
        _ => ToolRunStatus.Unknown,
    };

    private static void AddIdentity(NpgsqlParameterCollection parameters, Guid id, ToolCall call, string version, string hash, ToolDecision? decision)
    {
        var (arguments, actionHash) = ArgumentsOf(call, hash);
        parameters.AddValue(call.Tenant);
        parameters.AddValue(id);
        parameters.AddValue(call.AgentId);
        parameters.AddValue(call.InstanceId);
        parameters.AddText(call.TurnId);
        parameters.AddValue(call.Tool);
        parameters.AddValue(version);
        parameters.AddValue(hash);
        parameters.AddValue(arguments);
        parameters.AddValue(actionHash);
        parameters.AddValue(call.IdempotencyKey);
        parameters.AddText(decision is null ? null : ToolStore.NameOf(decision.Mode));
        parameters.AddText(decision?.Reason);
        parameters.AddText(decision?.Rule);
        parameters.AddText(call.ApprovalId);
        parameters.AddText(call.Account);
    }

    // What has no canonical form is kept as it came, with no hash: it never runs.
    private static (string Arguments, string Hash) ArgumentsOf(ToolCall call, string hash)
    {
        try
        {
            return (Actions.CanonicalJson.Text(call.Arguments), call.Action(hash).Hash);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return (call.Arguments.ValueKind == JsonValueKind.Undefined ? "" : call.Arguments.GetRawText(), "");
        }
    }

    private static void AddOutcome(NpgsqlParameterCollection parameters, ToolResult result)
    {
        parameters.AddValue(NameOf(result.Status));
        parameters.AddText(result.ErrorCode);
        parameters.AddText(result.Error?.Replace("\0", "", StringComparison.Ordinal));
        parameters.AddText(result.Output.ValueKind == JsonValueKind.Undefined ? null : result.Output.GetRawText());
        parameters.Add(Json(JsonSerializer.Serialize(result.Usage, ToolJson.Default.ToolUsage)));
    }

    private static NpgsqlParameter Json(string? json) => new() { Value = (object?)json ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Jsonb };

    private static async Task<IReadOnlyList<ToolRunRecord>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await ReadAsync(reader, cancellationToken);
    }

    private static async Task<IReadOnlyList<ToolRunRecord>> ReadAsync(NpgsqlDataReader reader, CancellationToken cancellationToken)
    {
        var runs = new List<ToolRunRecord>();
        while (await reader.ReadAsync(cancellationToken))
        {
            runs.Add(new ToolRunRecord(
                reader.GetGuid(0), reader.GetString(1), reader.GetString(2), Text(3), reader.GetString(4), reader.GetString(5), reader.GetString(6), reader.GetString(7),
                reader.GetString(8), reader.GetString(9), Text(10) is { } mode ? ToolStore.ModeOf(mode) : null, Text(11), Text(12), Text(13), Text(14),
                StatusOf(reader.GetString(15)), Text(16), Text(17), Text(18), Text(19), Text(20),
                reader.GetFieldValue<DateTimeOffset>(21), Time(22), Time(23)));

            string? Text(int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
            DateTimeOffset? Time(int column) => reader.IsDBNull(column) ? null : reader.GetFieldValue<DateTimeOffset>(column);
        }

        return runs;
    }
}

/// <summary>Which runs are listed; null stands for all.</summary>
public sealed record ToolRunFilter(string? AgentId = null, string? Tool = null, ToolRunStatus? Status = null, string? InstanceId = null);

/// <summary>A call of a tool, as the audit has it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="AgentId">The agent, or <c>user:</c> and a name.</param>
/// <param name="InstanceId">The workflow instance that asked; empty outside workflows.</param>
/// <param name="TurnId">The turn; null outside turns.</param>
/// <param name="Tool">Name of the tool.</param>
/// <param name="ToolVersion">Version of its definition; empty when there was no such tool.</param>
/// <param name="ToolHash">Hash of its definition; empty when there was no such tool.</param>
/// <param name="Arguments">Exactly what was asked for, as canonical JSON.</param>
/// <param name="ActionHash">Hash of the action; empty for arguments that have no canonical form.</param>
/// <param name="IdempotencyKey">Key of the call.</param>
/// <param name="Mode">What was decided; null where it did not come to that.</param>
/// <param name="Reason">Why.</param>
/// <param name="Rule">By which rule.</param>
/// <param name="ApprovalId">The approval that it was made with.</param>
/// <param name="Account">The account on whose behalf it was made.</param>
/// <param name="Status">How it ended.</param>
/// <param name="ErrorCode">Stable code of what went wrong.</param>
/// <param name="Error">What went wrong.</param>
/// <param name="Output">What came of it, as JSON; null for nothing.</param>
/// <param name="Limits">The limits that it ran under, as JSON; null when it did not run.</param>
/// <param name="Usage">What it used, as JSON.</param>
/// <param name="CreatedAt">When it was asked for.</param>
/// <param name="StartedAt">When it began; null when it did not.</param>
/// <param name="EndedAt">When it ended.</param>
public sealed record ToolRunRecord(
    Guid Id, string AgentId, string InstanceId, string? TurnId, string Tool, string ToolVersion, string ToolHash, string Arguments, string ActionHash, string IdempotencyKey,
    ToolMode? Mode, string? Reason, string? Rule, string? ApprovalId, string? Account, ToolRunStatus Status, string? ErrorCode, string? Error, string? Output, string? Limits, string? Usage,
    DateTimeOffset CreatedAt, DateTimeOffset? StartedAt, DateTimeOffset? EndedAt)
{
    /// <summary>The result that a repeated call gets.</summary>
    internal ToolResult ToResult() => new(Status, Output is null ? default : JsonElement.Parse(Output))
    {
        RunId = Id,
        ErrorCode = ErrorCode,
        Error = Error,
        IsReplay = true,
        Decision = Mode is { } mode ? new ToolDecision(mode, Reason ?? "", Rule) : null,
        Usage = Usage is null ? new ToolUsage() : JsonSerializer.Deserialize(Usage, ToolJson.Default.ToolUsage) ?? new ToolUsage(),
        Duration = EndedAt - StartedAt ?? TimeSpan.Zero,
    };
}

/// <summary>What calls of a tool came to.</summary>
/// <param name="Tool">The tool.</param>
/// <param name="Calls">How many there were.</param>
/// <param name="Completed">Those that gave an output.</param>
/// <param name="Failed">Those that failed.</param>
/// <param name="Refused">Those that did not run.</param>
/// <param name="Running">Those that run.</param>
/// <param name="Agents">How many agents made them.</param>
/// <param name="LastAt">When the last one was made.</param>
/// <param name="MeanMilliseconds">How long they took on average.</param>
/// <param name="P95Milliseconds">How long all but one in twenty took at most.</param>
/// <param name="CpuSeconds">Processor time of commands, as far as it was measured.</param>
public sealed record ToolUse(
    string Tool, long Calls, long Completed, long Failed, long Refused, long Running, long Agents, DateTimeOffset LastAt, double MeanMilliseconds, double P95Milliseconds, double CpuSeconds);
