using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Agents.Approvals;

/// <content>Who is asked, and what they say to each other.</content>
public sealed partial class ApprovalStore
{
    /// <summary>Adds a comment.</summary>
    /// <exception cref="ApprovalException">There is no such approval.</exception>
    public async Task CommentAsync(string tenant, string id, Person person, string text, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        var approval = await FindAsync(connection, tenant, id, isLocked: false, cancellationToken) ?? throw NotFound(id);
        await AddEventAsync(connection, approval, "commented", person, Json(("text", text)), cancellationToken);
    }

    /// <summary>Lets somebody else decide in one's place.</summary>
    /// <param name="tenant">Whose approval.</param>
    /// <param name="id">Its id.</param>
    /// <param name="person">Who hands it on; it must wait for this person.</param>
    /// <param name="to">Name or id of the account that is to decide.</param>
    /// <param name="comment">Why; null for nothing.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="ApprovalException">It is not handed on; nothing has changed.</exception>
    public async Task DelegateAsync(string tenant, string id, Person person, string to, string? comment, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var isWaitedFor = await LockBookmarkAsync(connection, tenant, id, cancellationToken);
        var approval = await FindAsync(connection, tenant, id, isLocked: true, cancellationToken) ?? throw NotFound(id);
        CheckOpen(approval, isWaitedFor);
        await CheckMayDecideAsync(connection, approval, person, cancellationToken);
        if (approval.Votes.Any(v => v.Person.Id == person.Id && v.ActionHash == (approval.CurrentHash ?? "")))
            throw new ApprovalException(ApprovalCodes.AlreadyVoted, "You have decided on this already.");
        if (approval.Assignees.Count + approval.Groups.Count == 0)
            throw new ApprovalException(ApprovalCodes.BadDecision, "Nobody in particular is asked: whoever may decide can do so without being named.");
        var heir = await FindDeciderAsync(connection, approval, to, cancellationToken);
        await AssignAsync(connection, approval, [.. approval.Assignees.Where(a => a != person.Id && a != heir.Id), heir.Id], approval.Groups, cancellationToken);
        await AddEventAsync(connection, approval, "delegated", person, Json(("to", heir.Name), ("comment", comment)), cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);
    }

    /// <summary>Asks others instead; for those who manage approvals.</summary>
    /// <param name="tenant">Whose approval.</param>
    /// <param name="id">Its id.</param>
    /// <param name="person">Who changes it.</param>
    /// <param name="assignees">Names or ids of the accounts that are to decide.</param>
    /// <param name="groups">Roles whose accounts are to decide.</param>
    /// <param name="comment">Why; null for nothing.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="ApprovalException">Nothing has changed.</exception>
    public async Task ReassignAsync(
        string tenant, string id, Person person, IReadOnlyList<string> assignees, IReadOnlyList<string> groups, string? comment, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var isWaitedFor = await LockBookmarkAsync(connection, tenant, id, cancellationToken);
        var approval = await FindAsync(connection, tenant, id, isLocked: true, cancellationToken) ?? throw NotFound(id);
        CheckOpen(approval, isWaitedFor);
        // Who must not decide must not choose somebody who does, either.
        CheckNotOwn(approval, person.Id);
        var heirs = new List<Account>();
        foreach (var name in assignees)
            heirs.Add(await FindDeciderAsync(connection, approval, name, cancellationToken));
        if (groups.FirstOrDefault(g => !MayDecide([g])) is { } unfit)
            throw new ApprovalException(ApprovalCodes.UnknownPerson, $"There is no role '{unfit}', or it may not decide on approvals.");
        await AssignAsync(connection, approval, [.. heirs.Select(h => h.Id).Distinct()], [.. groups.Distinct()], cancellationToken);
        await AddEventAsync(
            connection, approval, "reassigned", person, Json(("assignees", heirs.Select(h => h.Name).ToArray()), ("groups", groups.ToArray()), ("comment", comment)), cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);
    }

    /// <summary>Names of the accounts that may decide, for people who choose one.</summary>
    public async Task<IReadOnlyList<string>> DecidersAsync(string tenant, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        return [.. (await FindAccountsAsync(connection, tenant, null, cancellationToken)).Where(a => !a.IsLocked && MayDecide(a.Roles)).Select(a => a.Name).Order(StringComparer.OrdinalIgnoreCase)];
    }

    private async Task<Account> FindDeciderAsync(NpgsqlConnection connection, Approval approval, string nameOrId, CancellationToken cancellationToken)
    {
        var found = (await FindAccountsAsync(connection, approval.Tenant, [nameOrId], cancellationToken)).FirstOrDefault();
        if (found is null || found.IsLocked || !MayDecide(found.Roles))
            throw new ApprovalException(ApprovalCodes.UnknownPerson, $"There is no account '{nameOrId}' that may decide on approvals.");
        CheckNotOwn(approval, found.Id);
        return found;
    }

    private async Task AssignAsync(NpgsqlConnection connection, Approval approval, string[] assignees, IReadOnlyList<string> groups, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("update conclave.approval set assignees = $3, groups = $4, updated_at = $5 where tenant = $1 and id = $2", connection);
        command.Parameters.AddValue(approval.Tenant);
        command.Parameters.AddValue(approval.Id);
        command.Parameters.AddValue(assignees);
        command.Parameters.AddValue(groups.ToArray());
        command.Parameters.AddValue(Now);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Accounts by name or id; all for null.</summary>
    private static async Task<List<Account>> FindAccountsAsync(NpgsqlConnection connection, string tenant, string[]? namesOrIds, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            select a.id, a.user_name, a.roles, a.is_locked from conclave.account a
             where a.tenant = $1 and ($2::text[] is null or a.id = any(conclave.account_ids($1, $2))) order by a.id
            """, connection);
        command.Parameters.AddValue(tenant);
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)namesOrIds ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Array | NpgsqlTypes.NpgsqlDbType.Text });
        var found = new List<Account>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            found.Add(new Account(reader.GetString(0), reader.GetString(1), reader.GetFieldValue<string[]>(2), reader.GetBoolean(3)));
        return found;
    }

    private sealed record Account(string Id, string Name, IReadOnlyList<string> Roles, bool IsLocked);
}
