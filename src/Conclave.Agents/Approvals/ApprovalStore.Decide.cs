using System.Text.Json;
using Conclave.Agents.Actions;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Agents.Approvals;

/// <content>What people say.</content>
public sealed partial class ApprovalStore
{
    /// <summary>Takes in what a person says. The decision, if that makes one, and the work that lets the workflow go on are one transaction.</summary>
    /// <param name="tenant">Whose approval.</param>
    /// <param name="id">Its id.</param>
    /// <param name="person">Who says it.</param>
    /// <param name="decision">What.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The approval as it stands then.</returns>
    /// <exception cref="ApprovalException">It is not taken; nothing has changed.</exception>
    public async Task<Approval> DecideAsync(string tenant, string id, Person person, ApprovalDecision decision, CancellationToken cancellationToken)
    {
        var seen = await FindAsync(tenant, id, cancellationToken) ?? throw NotFound(id);
        var edited = Edit(seen, decision);
        await ValidateAsync(seen, decision, edited, cancellationToken);

        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var isWaitedFor = await LockBookmarkAsync(connection, tenant, id, cancellationToken);
        var approval = await FindAsync(connection, tenant, id, isLocked: true, cancellationToken) ?? throw NotFound(id);
        if (await IsRepeatedAsync(connection, approval, person, decision, cancellationToken))
            return approval;
        CheckOpen(approval, isWaitedFor);
        await CheckMayDecideAsync(connection, approval, person, cancellationToken);
        CheckAction(approval, decision, edited);
        var current = edited is null ? approval : approval with { CurrentAction = edited.Canonical, CurrentHash = edited.Hash };
        await AddVoteAsync(connection, current, person, decision, cancellationToken);
        await UpdateAsync(connection, current, decision, cancellationToken);
        if (edited is not null)
            await AddEventAsync(connection, approval, "edited", person, Json(("from", approval.CurrentHash), ("to", edited.Hash)), cancellationToken);
        current = current with { Votes = [.. approval.Votes, new ApprovalVote(person, decision.Verdict, current.CurrentHash ?? "", decision.Comment, time.GetUtcNow())] };
        var data = Json(("comment", decision.Comment), ("verdict", NameOf(decision.Verdict)), ("actionHash", current.CurrentHash));
        if (Outcome(current) is { } outcome)
        {
            await using var end = new NpgsqlCommand("select conclave.end_approval($1, $2, $3, $4, $5, $6, $7)", connection);
            AddEnd(end, approval, NameOf(outcome), person, data);
            await end.ExecuteNonQueryAsync(cancellationToken);
        }
        else
            await AddEventAsync(connection, approval, "voted", person, data, cancellationToken);
        // Whoever hangs up now must not learn that nothing happened when it did.
        await transaction.CommitAsync(CancellationToken.None);
        Enqueued?.Invoke();
        return (await FindAsync(connection, tenant, id, isLocked: false, CancellationToken.None))!;
    }

    /// <summary>What the votes make of an approval; null when more have to be heard.</summary>
    internal static ApprovalStatus? Outcome(Approval approval)
    {
        if (approval.Kind == ApprovalKind.Task)
            return approval.Votes.Count > 0 ? ApprovalStatus.Done : null;
        // An edit makes another action of it, to which nobody but the one who edited has agreed so far.
        var votes = approval.Votes.Where(v => v.ActionHash == approval.CurrentHash).ToLookup(v => v.Verdict);
        var refusals = votes[ApprovalVerdict.Reject].Count();
        if (refusals >= (approval.DenialIsFinal ? 1 : approval.Quorum))
            return ApprovalStatus.Rejected;
        return votes[ApprovalVerdict.Approve].Count() >= approval.Quorum ? ApprovalStatus.Approved : null;
    }

    private static EditedAction? Edit(Approval approval, ApprovalDecision decision)
    {
        if (decision.Arguments is not { } arguments || approval.CurrentAction is null)
            return null;
        var action = JsonElement.Parse(approval.CurrentAction);
        if (action.ValueKind != JsonValueKind.Object || !action.TryGetProperty("arguments", out var before))
            throw new ApprovalException(ApprovalCodes.NotEditable, "The action has no arguments that could be changed.");
        JsonElement after;
        try
        {
            if (CanonicalJson.Text(arguments) == CanonicalJson.Text(before))
                return null;
            var members = action.EnumerateObject().ToDictionary(m => m.Name, m => (object?)(m.Name == "arguments" ? arguments : m.Value), StringComparer.Ordinal);
            after = ValueConverter.ToJson(members);
            return new EditedAction(CanonicalJson.Text(after), CanonicalJson.Hash(after), arguments);
        }
        catch (JsonException exception)
        {
            throw new ApprovalException(ApprovalCodes.BadForm, $"The arguments cannot be used: {exception.Message}");
        }
    }

    private async Task ValidateAsync(Approval approval, ApprovalDecision decision, EditedAction? edited, CancellationToken cancellationToken)
    {
        if (edited is not null && approval.ArgumentsSchema is { } arguments)
            await ValidateAsync("The arguments do", arguments, edited.Arguments, cancellationToken);
        if (decision.FormData is { } given && approval.Form is null)
            throw new ApprovalException(ApprovalCodes.BadForm, "There is no form to fill in.");
        // Who refuses need not fill in the form.
        if (approval.Form is { } form && (decision.FormData is not null || decision.Verdict != ApprovalVerdict.Reject))
            await ValidateAsync("The form does", form, decision.FormData ?? JsonElement.Parse("{}"), cancellationToken);
    }

    private async Task ValidateAsync(string what, string schema, JsonElement value, CancellationToken cancellationToken)
    {
        if (await Validate(JsonElement.Parse(schema), value, cancellationToken) is { Count: > 0 } problems)
            throw new ApprovalException(ApprovalCodes.BadForm, $"{what} not fit: {string.Join("; ", problems)}.");
    }

    /// <summary>Before the approval is locked: a burst that takes the bookmark away locks them in this order, too.</summary>
    private static async Task<bool> LockBookmarkAsync(NpgsqlConnection connection, string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"""
            select b.number from conclave.approval a
              join conclave.bookmark b on b.tenant = a.tenant and b.instance_id = a.instance_id and b.name = '{Stimulus}' and b.hash = conclave.approval_key(a.id)
             where a.tenant = $1 and a.id = $2 for update of b
            """, connection);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        return await command.ExecuteScalarAsync(cancellationToken) is not null;
    }

    private static async Task<bool> IsRepeatedAsync(NpgsqlConnection connection, Approval approval, Person person, ApprovalDecision decision, CancellationToken cancellationToken)
    {
        if (decision.IdempotencyKey is null)
            return false;
        await using var command = new NpgsqlCommand("""
            select exists (
                select from conclave.approval_decision
                 where tenant = $1 and approval_id = $2 and account_id = $3 and idempotency_key = $4 and decision = $5)
            """, connection);
        command.Parameters.AddValue(approval.Tenant);
        command.Parameters.AddValue(approval.Id);
        command.Parameters.AddValue(person.Id);
        command.Parameters.AddValue(decision.IdempotencyKey);
        command.Parameters.AddValue(NameOf(decision.Verdict));
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    private void CheckOpen(Approval approval, bool isWaitedFor)
    {
        if (approval.Status is ApprovalStatus.Approved or ApprovalStatus.Rejected or ApprovalStatus.Done)
        {
            throw new ApprovalException(
                ApprovalCodes.AlreadyDecided,
                $"It is {NameOf(approval.Status)} already, by {string.Join(", ", approval.Deciding.Select(v => v.Person.Name))}.");
        }

        if (approval.Status == ApprovalStatus.Expired || approval.DueAt <= time.GetUtcNow())
            throw new ApprovalException(ApprovalCodes.Expired, "Its time is over.");
        if (approval.Status == ApprovalStatus.Cancelled || !isWaitedFor)
            throw new ApprovalException(ApprovalCodes.NotWaiting, "The workflow no longer waits for it.");
    }

    private async Task CheckMayDecideAsync(NpgsqlConnection connection, Approval approval, Person person, CancellationToken cancellationToken)
    {
        var account = (await FindAccountsAsync(connection, approval.Tenant, [person.Id], cancellationToken)).Find(a => a.Id == person.Id);
        if (account is null || account.IsLocked || !MayDecide(account.Roles))
            throw new ApprovalException(ApprovalCodes.NotAllowed, $"'{person.Name}' may not decide on approvals. An administrator can give the account a role that may.");
        CheckNotOwn(approval, person.Id);
        var isOpen = approval.Assignees.Count + approval.Groups.Count == 0;
        if (!isOpen && !approval.Assignees.Contains(person.Id) && !account.Roles.Any(approval.Groups.Contains))
        {
            throw new ApprovalException(
                ApprovalCodes.NotAssigned, $"Others are asked: {string.Join(", ", approval.AssigneeNames.Concat(approval.Groups.Select(g => $"the role {g}")))}.");
        }
    }

    private static void CheckNotOwn(Approval approval, string accountId)
    {
        if (!approval.AllowsSelf && (accountId == approval.RequesterId || accountId == approval.AgentId))
            throw new ApprovalException(ApprovalCodes.OwnRequest, "It is asked for on behalf of this person. Somebody else has to decide.");
    }

    private static void CheckAction(Approval approval, ApprovalDecision decision, EditedAction? edited)
    {
        if ((approval.Kind == ApprovalKind.Task) != (decision.Verdict == ApprovalVerdict.Complete))
            throw new ApprovalException(ApprovalCodes.BadDecision, approval.Kind == ApprovalKind.Task ? "It is a task: it is completed." : "It is an approval: approve or reject it.");
        if (decision.Arguments is not null && decision.Verdict != ApprovalVerdict.Approve)
            throw new ApprovalException(ApprovalCodes.BadDecision, "Only who approves may change the arguments.");
        if (decision.ActionHash != approval.CurrentHash)
        {
            throw new ApprovalException(
                ApprovalCodes.ActionChanged, "The action is not the one that you saw: somebody has changed its arguments, or the hash is missing. Look at it again.");
        }

        if (edited is not null && !approval.IsEditable)
            throw new ApprovalException(ApprovalCodes.NotEditable, "The arguments of this action may not be changed.");
    }

    private async Task AddVoteAsync(NpgsqlConnection connection, Approval current, Person person, ApprovalDecision decision, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            insert into conclave.approval_decision (tenant, approval_id, account_id, account_name, decision, action_hash, comment, form_data, idempotency_key, created_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing
            """, connection);
        command.Parameters.AddValue(current.Tenant);
        command.Parameters.AddValue(current.Id);
        command.Parameters.AddValue(person.Id);
        command.Parameters.AddValue(person.Name);
        command.Parameters.AddValue(NameOf(decision.Verdict));
        command.Parameters.AddValue(current.CurrentHash ?? "");
        command.Parameters.AddText(decision.Comment);
        command.Parameters.AddText(decision.FormData?.GetRawText());
        command.Parameters.AddText(decision.IdempotencyKey);
        command.Parameters.AddValue(Now);
        if (await command.ExecuteNonQueryAsync(cancellationToken) == 0)
            throw new ApprovalException(ApprovalCodes.AlreadyVoted, "You have decided on this already. A decision is final; others have to decide now.");
    }

    private async Task UpdateAsync(NpgsqlConnection connection, Approval current, ApprovalDecision decision, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            update conclave.approval set current_action = $3, current_hash = $4, form_data = coalesce($5, form_data), updated_at = $6 where tenant = $1 and id = $2
            """, connection);
        command.Parameters.AddValue(current.Tenant);
        command.Parameters.AddValue(current.Id);
        command.Parameters.AddText(current.CurrentAction);
        command.Parameters.AddText(current.CurrentHash);
        command.Parameters.AddText(decision.FormData?.GetRawText());
        command.Parameters.AddValue(Now);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static JsonElement Json(params (string Name, object? Value)[] members) =>
        ValueConverter.ToJson(members.Where(m => m.Value is not null).ToDictionary(m => m.Name, m => m.Value));

    private static ApprovalException NotFound(string id) => new(ApprovalCodes.NotFound, $"There is no approval '{id}'.");

    private sealed record EditedAction(string Canonical, string Hash, JsonElement Arguments);
}
