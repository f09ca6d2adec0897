using Conclave.Agents.Actions;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Agents.Approvals;

/// <content>Takes an approval for the one action that it was given for.</content>
public sealed partial class ApprovalStore
{
    /// <summary>
    /// Takes an approval for exactly one action, once: whoever is about to act calls this last. Everything is checked again: the action, that the approval is new and
    /// not too old, that those who agreed still may, and that the agent still may act. The same key again is the same taking.
    /// </summary>
    /// <param name="tenant">Whose approval.</param>
    /// <param name="approvalId">Its id.</param>
    /// <param name="action">What is about to be done.</param>
    /// <param name="idempotencyKey">Key of the execution that does it.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="ApprovalException">It may not be done; the code says why.</exception>
    public async Task ConsumeAsync(string tenant, string approvalId, ProposedAction action, string idempotencyKey, CancellationToken cancellationToken)
    {
        var revoked = Recheck is { } recheck ? await recheck(action, cancellationToken) : null;
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var approval = await FindAsync(connection, tenant, approvalId, isLocked: true, cancellationToken) ?? throw NotFound(approvalId);
        CheckSameAction(approval, action);
        if (approval.UsedAt is not null)
        {
            if (await KeyOfUseAsync(connection, approval, cancellationToken) == idempotencyKey)
                return;
            throw new ApprovalException(ApprovalCodes.Used, "The approval was used already. It is good for one action, once; another call needs another one.");
        }

        if (approval.Status != ApprovalStatus.Approved)
        {
            throw approval.Status == ApprovalStatus.Expired
                ? new ApprovalException(ApprovalCodes.Expired, "Nobody has approved it in time.")
                : new ApprovalException(ApprovalCodes.NotApproved, $"The approval is {NameOf(approval.Status)}.");
        }

        if (approval.ValidUntil <= time.GetUtcNow())
            throw new ApprovalException(ApprovalCodes.Expired, $"It was approved, but only until {approval.ValidUntil:u}. Ask again.");
        await CheckApproversAsync(connection, approval, cancellationToken);
        if (revoked is not null)
            throw new ApprovalException(ApprovalCodes.PermissionRevoked, revoked);
        await UseAsync(connection, approval, idempotencyKey, cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);
    }

    private static void CheckSameAction(Approval approval, ProposedAction action)
    {
        if (approval.CurrentHash == action.Hash)
            return;
        if (approval.Proposed() is not { } approved)
            throw new ApprovalException(ApprovalCodes.ToolChanged, "It was not given for the call of a tool.");
        if (approved.AgentId != action.AgentId || approved.Tenant != action.Tenant)
            throw new ApprovalException(ApprovalCodes.WrongAgent, $"It was given to the agent '{approved.AgentId}', not to '{action.AgentId}'.");
        if (approved.Tool != action.Tool)
            throw new ApprovalException(ApprovalCodes.ToolChanged, $"It was given for the tool '{approved.Tool}', not for '{action.Tool}'.");
        if (approved.ToolHash != action.ToolHash)
            throw new ApprovalException(ApprovalCodes.ToolChanged, $"The definition of the tool '{action.Tool}' has changed since. Ask again.");
        throw new ApprovalException(ApprovalCodes.ArgumentsChanged, "It was given for other arguments. Exactly what was approved is run, and nothing else.");
    }

    private async Task CheckApproversAsync(NpgsqlConnection connection, Approval approval, CancellationToken cancellationToken)
    {
        var voters = approval.Deciding.Select(v => v.Person).ToList();
        var accounts = await FindAccountsAsync(connection, approval.Tenant, [.. voters.Select(v => v.Id)], cancellationToken);
        var lost = voters.Where(v => !accounts.Exists(a => a.Id == v.Id && !a.IsLocked && MayDecide(a.Roles))).ToList();
        if (voters.Count - lost.Count < approval.Quorum)
            throw new ApprovalException(ApprovalCodes.ApproverLost, $"{string.Join(", ", lost.Select(p => p.Name))} may not approve any more. Ask again.");
    }

    private static async Task<string?> KeyOfUseAsync(NpgsqlConnection connection, Approval approval, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select used_key from conclave.approval where tenant = $1 and id = $2", connection);
        command.Parameters.AddValue(approval.Tenant);
        command.Parameters.AddValue(approval.Id);
        return await command.ExecuteScalarAsync(cancellationToken) as string;
    }

    private async Task UseAsync(NpgsqlConnection connection, Approval approval, string key, CancellationToken cancellationToken)
    {
        await using (var command = new NpgsqlCommand("update conclave.approval set used_key = $3, used_at = $4, updated_at = $4 where tenant = $1 and id = $2", connection))
        {
            command.Parameters.AddValue(approval.Tenant);
            command.Parameters.AddValue(approval.Id);
            command.Parameters.AddValue(key);
            command.Parameters.AddValue(Now);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }

        await AddEventAsync(connection, approval, "used", null, Json(("key", key)), cancellationToken);
    }
}
