using System.Text.Json;
using Conclave.Agents.Actions;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Agents.Approvals;

/// <summary>Approvals: what people have to agree to, and what they said.</summary>
/// <remarks>Rows are made by the commit of the burst that asks, see <see cref="ApprovalRequested"/>.</remarks>
public sealed partial class ApprovalStore(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>Name of the stimulus that a workflow waits for; the SQL knows it, too.</summary>
    internal const string Stimulus = "Conclave.Approval";

    /// <summary>Longest comment.</summary>
    public const int LongestComment = 4_000;

    private const string Columns = """
        a.tenant, a.id, a.kind, a.status, a.title, a.description, a.instance_id, a.activity_id, a.agent_id, a.turn_id, a.action, a.current_action, a.current_hash,
        a.is_editable, a.arguments_schema, a.form, a.form_data, a.requester, a.requester_id, a.allow_self, a.assignees, a.groups, a.quorum, a.denial_is_final,
        a.priority, a.due_at, a.escalate_at, a.escalated_at, a.reminders, a.decided_at, a.valid_until, a.used_at, a.created_at,
        array(select coalesce(c.user_name, x) from unnest(a.assignees) x left join conclave.account c on c.tenant = a.tenant and c.id = x order by 1)
        """;

    // Whether an approval waits for the account $3 at the time $4.
    private const string WaitsForSql = """
        a.status = 'pending' and (a.due_at is null or a.due_at > $4) and (a.allow_self or a.requester_id is distinct from $3)
        and (cardinality(a.assignees) + cardinality(a.groups) = 0 or $3 = any(a.assignees)
             or a.groups && (select c.roles from conclave.account c where c.tenant = a.tenant and c.id = $3))
        and not exists (
            select from conclave.approval_decision d
             where d.tenant = a.tenant and d.approval_id = a.id and d.account_id = $3 and d.action_hash = coalesce(a.current_hash, ''))
        """;

    /// <summary>Whether the roles of an account let it decide. The server says so.</summary>
    public required Func<IReadOnlyList<string>, bool> MayDecide { get; init; }

    /// <summary>What of a value does not fit a JSON Schema; nothing when all does.</summary>
    public required Func<JsonElement, JsonElement, CancellationToken, ValueTask<IReadOnlyList<string>>> Validate { get; init; }

    /// <summary>
    /// Whether an agent may still do what was approved, asked when it is about to: why not, or null when it may. The server asks the tools; null asks nobody.
    /// </summary>
    public Func<ProposedAction, CancellationToken, ValueTask<string?>>? Recheck { get; set; }

    /// <summary>The address at which people find an approval, for messages; null when there is none.</summary>
    public Func<string, string, string?>? Link { get; set; }

    /// <summary>Told when a decision has put work into the queue.</summary>
    public Action? Enqueued { get; init; }

    /// <summary>One approval with its votes; null when there is none.</summary>
    public async Task<Approval?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        return await FindAsync(connection, tenant, id, isLocked: false, cancellationToken);
    }

    /// <summary>A page, the newest first, without votes.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="filter">Which.</param>
    /// <param name="after">The last one that was shown; null begins with the newest.</param>
    /// <param name="limit">Most approvals.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<List<Approval>> ListAsync(
        string tenant, ApprovalFilter filter, (DateTimeOffset Time, string Id)? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select {Columns} from conclave.approval a
             where a.tenant = $1 and ($2::text is null or a.status = $2) and ($3::text is null or ({WaitsForSql}))
               and ($5::text is null or a.agent_id = $5) and ($6::text is null or a.instance_id = $6)
               and ($7::timestamptz is null or (a.created_at, a.id) < ($7, $8))
             order by a.created_at desc, a.id desc limit $9
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddText(filter.WaitsFor is not null ? "pending" : filter.Status is { } status ? NameOf(status) : null);
        command.Parameters.AddText(filter.WaitsFor);
        command.Parameters.AddValue(Now);
        command.Parameters.AddText(filter.AgentId);
        command.Parameters.AddText(filter.InstanceId);
        command.Parameters.AddTime(after?.Time);
        command.Parameters.AddValue(after?.Id ?? "");
        command.Parameters.AddValue(limit);
        var found = new List<Approval>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            found.Add(Read(reader));
        return found;
    }

    /// <summary>Whether an approval waits for an account.</summary>
    public async Task<bool> WaitsForAsync(string tenant, string id, string accountId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select exists (select from conclave.approval a where a.tenant = $1 and a.id = $2 and {WaitsForSql})");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        command.Parameters.AddValue(accountId);
        command.Parameters.AddValue(Now);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    /// <summary>How many wait for an account, at most 100.</summary>
    public async Task<int> CountAsync(string tenant, string accountId, CancellationToken cancellationToken) =>
        (await ListAsync(tenant, new ApprovalFilter { WaitsFor = accountId }, null, 100, cancellationToken)).Count;

    /// <summary>What happened to an approval, the first first; null when there is no such approval.</summary>
    public async Task<List<ApprovalEvent>?> HistoryAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select e.id, e.kind, e.actor, e.data, e.created_at from conclave.approval a
              left join conclave.approval_event e on e.tenant = a.tenant and e.approval_id = a.id
             where a.tenant = $1 and a.id = $2 order by e.id
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        List<ApprovalEvent>? events = null;
        while (await reader.ReadAsync(cancellationToken))
        {
            events ??= [];
            if (!reader.IsDBNull(0))
                events.Add(new ApprovalEvent(reader.GetInt64(0), reader.GetString(1), Text(reader, 2), JsonElement.Parse(reader.GetString(3)), reader.GetFieldValue<DateTimeOffset>(4)));
        }

        return events;
    }

    /// <summary>Does what is due of an approval whose workflow woke up, and says how it stands and when to wake up next.</summary>
    /// <returns>How it stands, null when there is none; when to wake up next; and what happened: <c>reminded</c>, <c>escalated</c> or null.</returns>
    internal async Task<(ApprovalStatus? Status, DateTimeOffset? WakeAt, string? Happened)> WakeAsync(string tenant, string id, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select * from conclave.wake_approval($1, $2, $3)");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        command.Parameters.AddValue(now.UtcDateTime);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return (
            reader.IsDBNull(0) ? null : Enum.Parse<ApprovalStatus>(reader.GetString(0), ignoreCase: true),
            reader.IsDBNull(1) ? null : reader.GetFieldValue<DateTimeOffset>(1),
            Text(reader, 2));
    }

    /// <summary>Mends approvals and bookmarks that do not fit each other, which nothing is known to cause.</summary>
    /// <returns>How many.</returns>
    public async Task<int> MendAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select conclave.mend_approvals($1)");
        command.Parameters.AddValue(Now);
        var mended = (int)(await command.ExecuteScalarAsync(cancellationToken))!;
        if (mended > 0)
            Enqueued?.Invoke();
        return mended;
    }

    /// <summary>A status as it is stored and shown.</summary>
    internal static string NameOf<TEnum>(TEnum value)
        where TEnum : struct, Enum => value.ToString().ToLowerInvariant();

    private DateTime Now => time.GetUtcNow().UtcDateTime;

    private static async Task<Approval?> FindAsync(NpgsqlConnection connection, string tenant, string id, bool isLocked, CancellationToken cancellationToken)
    {
        Approval? found = null;
        await using (var command = new NpgsqlCommand($"select {Columns} from conclave.approval a where a.tenant = $1 and a.id = $2{(isLocked ? " for update of a" : "")}", connection))
        {
            command.Parameters.AddValue(tenant);
            command.Parameters.AddValue(id);
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            if (await reader.ReadAsync(cancellationToken))
                found = Read(reader);
        }

        if (found is null)
            return null;
        await using var votes = new NpgsqlCommand("""
            select account_id, account_name, decision, action_hash, comment, created_at from conclave.approval_decision
             where tenant = $1 and approval_id = $2 order by created_at, account_id
            """, connection);
        votes.Parameters.AddValue(tenant);
        votes.Parameters.AddValue(id);
        var said = new List<ApprovalVote>();
        await using (var reader = await votes.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                said.Add(new ApprovalVote(
                    new Person(reader.GetString(0), reader.GetString(1)),
                    Enum.Parse<ApprovalVerdict>(reader.GetString(2), ignoreCase: true),
                    reader.GetString(3),
                    Text(reader, 4),
                    reader.GetFieldValue<DateTimeOffset>(5)));
            }
        }

        return found with { Votes = said };
    }

    private static Approval Read(NpgsqlDataReader row) => new()
    {
        Tenant = row.GetString(0),
        Id = row.GetString(1),
        Kind = Enum.Parse<ApprovalKind>(row.GetString(2), ignoreCase: true),
        Status = Enum.Parse<ApprovalStatus>(row.GetString(3), ignoreCase: true),
        Title = row.GetString(4),
        Description = row.GetString(5),
        InstanceId = row.GetString(6),
        ActivityId = row.GetString(7),
        AgentId = Text(row, 8),
        TurnId = Text(row, 9),
        Action = Text(row, 10),
        CurrentAction = Text(row, 11),
        CurrentHash = Text(row, 12),
        IsEditable = row.GetBoolean(13),
        ArgumentsSchema = Text(row, 14),
        Form = Text(row, 15),
        FormData = Text(row, 16),
        Requester = Text(row, 17),
        RequesterId = Text(row, 18),
        AllowsSelf = row.GetBoolean(19),
        Assignees = row.GetFieldValue<string[]>(20),
        Groups = row.GetFieldValue<string[]>(21),
        Quorum = row.GetInt32(22),
        DenialIsFinal = row.GetBoolean(23),
        Priority = row.GetInt16(24),
        DueAt = Time(row, 25),
        EscalateAt = Time(row, 26),
        EscalatedAt = Time(row, 27),
        Reminders = row.GetInt32(28),
        DecidedAt = Time(row, 29),
        ValidUntil = Time(row, 30),
        UsedAt = Time(row, 31),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(32),
        AssigneeNames = row.GetFieldValue<string[]>(33),
    };

    private static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static DateTimeOffset? Time(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetFieldValue<DateTimeOffset>(column);

    private async Task AddEventAsync(NpgsqlConnection connection, Approval approval, string kind, Person? person, JsonElement data, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select conclave.add_approval_event($1, $2, $3, $4, $5, $6, $7)", connection);
        AddEnd(command, approval, kind, person, data);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private void AddEnd(NpgsqlCommand command, Approval approval, string kind, Person? person, JsonElement data)
    {
        command.Parameters.AddValue(approval.Tenant);
        command.Parameters.AddValue(approval.Id);
        command.Parameters.AddValue(kind);
        command.Parameters.AddText(person?.Id);
        command.Parameters.AddText(person?.Name);
        command.Parameters.Add(new NpgsqlParameter { Value = data.GetRawText(), NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Parameters.AddValue(Now);
    }
}
