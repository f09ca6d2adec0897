using Conclave.Inference.Gateway;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Inference.Syscalls;

/// <summary>Keeps syscalls.</summary>
public sealed class SyscallStore(NpgsqlDataSource database, TimeProvider time)
{
    private const string Columns = """
        tenant, pid, aid, agent_name, action, query, priority, status, created_at, response, error, error_code, time_limit, started_at, ended_at,
        queued_times, start_times, end_times, slice_servers, slice_tokens, caller, instance_id
        """;

    /// <summary>Takes one in; <see cref="Bind"/> gives its parameters.</summary>
    internal const string Insert = """
        insert into conclave.inference_syscall (tenant, pid, aid, agent_name, action, query, priority, status, time_limit, created_at, caller, instance_id)
        values ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10, $11)
        """;

    /// <summary>Told that there is a new one, so that nobody has to look all the time.</summary>
    public event Action? Submitted;

    /// <summary>Takes one in.</summary>
    public async Task AddAsync(Syscall syscall, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(Insert);
        Bind(command.Parameters, syscall);
        await command.ExecuteNonQueryAsync(cancellationToken);
        Submitted?.Invoke();
    }

    /// <summary>Says that a workflow's burst has submitted some.</summary>
    public void TellSubmitted() => Submitted?.Invoke();

    /// <summary>One; null when there is none.</summary>
    public async Task<Syscall?> FindAsync(string tenant, string pid, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select {Columns} from conclave.inference_syscall where tenant = $1 and pid = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(pid);
        return (await ReadAsync(command, cancellationToken)).FirstOrDefault();
    }

    /// <summary>A page, the newest first.</summary>
    /// <param name="tenant">Owner.</param>
    /// <param name="caller">Only those that an account submitted; null for all.</param>
    /// <param name="status">Only those that are so far; null for all.</param>
    /// <param name="after">The last one of the page before; null for the first page.</param>
    /// <param name="limit">Most items.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<List<Syscall>> ListAsync(string tenant, string? caller, SyscallStatus? status, (DateTimeOffset Time, string Id)? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select {Columns} from conclave.inference_syscall
             where tenant = $1 and ($2::int is null or status = $2) and ($3::timestamptz is null or (created_at, pid) < ($3, $4)) and ($6::text is null or caller = $6)
             order by created_at desc, pid desc limit $5
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.Add(new NpgsqlParameter { Value = status is { } wanted ? (int)wanted : DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Integer });
        command.Parameters.AddTime(after?.Time);
        command.Parameters.AddText(after?.Id);
        command.Parameters.AddValue(limit);
        command.Parameters.AddText(caller);
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>Cancels one; what runs of it is stopped by the process that has it. False when it is done already, or not there.</summary>
    public async Task<bool> CancelAsync(string tenant, string pid, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            update conclave.inference_syscall set status = 3, is_cancelled = true, ended_at = $3, error = 'It was cancelled.', error_code = 'syscall.cancelled'
             where tenant = $1 and pid = $2 and status < 3
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(pid);
        command.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>Takes open ones that nobody has, the most urgent first.</summary>
    internal async Task<List<Syscall>> ClaimAsync(Guid owner, TimeSpan lease, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with open as (
                select tenant, pid from conclave.inference_syscall
                 where status < 3 and (lease_until is null or lease_until <= $2)
                 order by priority, created_at limit $4 for update skip locked)
            update conclave.inference_syscall s set owner = $1, lease_until = $3, started_at = coalesce(started_at, $2)
              from open where s.tenant = open.tenant and s.pid = open.pid
            returning {string.Join(", ", Columns.Split(',').Select(c => "s." + c.Trim()))}
            """);
        var now = time.GetUtcNow();
        command.Parameters.AddValue(owner);
        command.Parameters.AddValue(now.UtcDateTime);
        command.Parameters.AddValue((now + lease).UtcDateTime);
        command.Parameters.AddValue(limit);
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>Says that they still run; tells which of them do not have to any more.</summary>
    internal async Task<List<(string Tenant, string Pid)>> RenewAsync(Guid owner, TimeSpan lease, IReadOnlyList<Syscall> running, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            with mine as (select * from unnest($2::text[], $3::text[]) as m(tenant, pid)),
            renewed as (
                update conclave.inference_syscall s set lease_until = $4 from mine
                 where s.tenant = mine.tenant and s.pid = mine.pid and s.owner = $1 and s.status < 3 returning s.tenant, s.pid)
            select tenant, pid from mine except select tenant, pid from renewed
            """);
        command.Parameters.AddValue(owner);
        command.Parameters.AddArray(running, s => s.Tenant);
        command.Parameters.AddArray(running, s => s.Pid);
        command.Parameters.AddValue((time.GetUtcNow() + lease).UtcDateTime);
        var gone = new List<(string, string)>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            gone.Add((reader.GetString(0), reader.GetString(1)));
        return gone;
    }

    /// <summary>Says how far one is.</summary>
    internal async Task SetStatusAsync(Syscall syscall, Guid owner, SyscallStatus status, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("update conclave.inference_syscall set status = $4 where tenant = $1 and pid = $2 and owner = $3 and status < 3");
        command.Parameters.AddValue(syscall.Tenant);
        command.Parameters.AddValue(syscall.Pid);
        command.Parameters.AddValue(owner);
        command.Parameters.AddValue((short)status);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Ends one.</summary>
    internal async Task EndAsync(Syscall syscall, Guid owner, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            update conclave.inference_syscall set status = 3, response = $4, error = $5, error_code = $6, ended_at = $7,
                queued_times = $8, start_times = $9, end_times = $10, slice_servers = $11, slice_tokens = $12, lease_until = null
             where tenant = $1 and pid = $2 and owner = $3 and status < 3
            """);
        command.Parameters.AddValue(syscall.Tenant);
        command.Parameters.AddValue(syscall.Pid);
        command.Parameters.AddValue(owner);
        command.Parameters.AddText(syscall.Response);
        command.Parameters.AddText(syscall.Error);
        command.Parameters.AddText(syscall.ErrorCode);
        command.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
        command.Parameters.AddArray(syscall.Slices, s => s.QueuedAt);
        command.Parameters.AddArray(syscall.Slices, s => s.StartedAt);
        command.Parameters.AddArray(syscall.Slices, s => s.EndedAt);
        command.Parameters.AddArray(syscall.Slices, s => s.Server);
        command.Parameters.AddArray(syscall.Slices, s => s.Tokens);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Gives one back, so that another process takes it up at once.</summary>
    internal async Task ReleaseAsync(Syscall syscall, Guid owner, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("update conclave.inference_syscall set lease_until = null, status = 0 where tenant = $1 and pid = $2 and owner = $3 and status < 3");
        command.Parameters.AddValue(syscall.Tenant);
        command.Parameters.AddValue(syscall.Pid);
        command.Parameters.AddValue(owner);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Those that have ended and whose instances have not been told so.</summary>
    internal async Task<List<Syscall>> FindUntoldAsync(int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select {Columns} from conclave.inference_syscall where status = 3 and instance_id is not null and not is_told order by ended_at limit $1");
        command.Parameters.AddValue(limit);
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>Notes that the instance of one has been told.</summary>
    internal async Task SetToldAsync(Syscall syscall, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("update conclave.inference_syscall set is_told = true where tenant = $1 and pid = $2 and status = 3 and ended_at = $3");
        command.Parameters.AddValue(syscall.Tenant);
        command.Parameters.AddValue(syscall.Pid);
        command.Parameters.AddValue(syscall.EndedAt!.Value.UtcDateTime);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The parameters of <see cref="Insert"/>.</summary>
    internal static void Bind(NpgsqlParameterCollection parameters, Syscall syscall)
    {
        parameters.AddValue(syscall.Tenant);
        parameters.AddValue(syscall.Pid);
        parameters.AddValue(syscall.Aid);
        parameters.AddValue(syscall.AgentName);
        parameters.AddValue(syscall.Action);
        parameters.AddValue(syscall.Query);
        parameters.AddValue((short)syscall.Priority);
        parameters.AddInterval(syscall.TimeLimit);
        parameters.AddValue(syscall.CreatedAt.UtcDateTime);
        parameters.AddText(syscall.Caller);
        parameters.AddText(syscall.InstanceId);
    }

    private static async Task<List<Syscall>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var found = new List<Syscall>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add(new Syscall(
                reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), reader.GetString(4), reader.GetString(5),
                (CallPriority)reader.GetInt16(6), (SyscallStatus)reader.GetInt16(7), reader.GetFieldValue<DateTimeOffset>(8))
            {
                Response = reader.IsDBNull(9) ? null : reader.GetString(9),
                Error = reader.IsDBNull(10) ? null : reader.GetString(10),
                ErrorCode = reader.IsDBNull(11) ? null : reader.GetString(11),
                TimeLimit = reader.IsDBNull(12) ? null : reader.GetFieldValue<TimeSpan>(12),
                StartedAt = reader.IsDBNull(13) ? null : reader.GetFieldValue<DateTimeOffset>(13),
                EndedAt = reader.IsDBNull(14) ? null : reader.GetFieldValue<DateTimeOffset>(14),
                Slices = CallSlices.Read(reader, 15),
                Caller = reader.IsDBNull(20) ? null : reader.GetString(20),
                InstanceId = reader.IsDBNull(21) ? null : reader.GetString(21),
            });
        }

        return found;
    }
}
