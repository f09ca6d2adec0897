using Conclave.Workflows.Runtime.Journal;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Workflows.Runtime;

/// <summary>What has to be done now and then: partitions, and rows that have served their time.</summary>
public sealed class Maintenance(NpgsqlDataSource database, JournalStore journal, RuntimeOptions options, TimeProvider time)
{
    private const int Batch = 1_000;

    private const string InstancesSql = """
        with old as (
            select tenant, id from conclave.workflow_instance
             where status = 1 and finished_at < $1 limit 1000 for update skip locked),
        values_gone as (delete from conclave.blob b using old where b.tenant = old.tenant and b.instance_id = old.id),
        operations_gone as (delete from conclave.instance_operation o using old where o.tenant = old.tenant and o.instance_id = old.id)
        delete from conclave.workflow_instance i using old where i.tenant = old.tenant and i.id = old.id
        """;

    // What may still be used, and what a workflow that still runs asked for, stays.
    private const string ApprovalsSql = """
        with old as (
            select a.tenant, a.id from conclave.approval a
             where a.status <> 'pending' and a.updated_at < $1 and (a.valid_until is null or a.used_at is not null or a.valid_until < now())
               and not exists (select from conclave.workflow_instance i where i.tenant = a.tenant and i.id = a.instance_id and i.status = 0)
             limit 1000 for update of a skip locked),
        votes_gone as (delete from conclave.approval_decision d using old where d.tenant = old.tenant and d.approval_id = old.id),
        events_gone as (delete from conclave.approval_event e using old where e.tenant = old.tenant and e.approval_id = old.id)
        delete from conclave.approval a using old where a.tenant = old.tenant and a.id = old.id
        """;

    /// <summary>Does everything that is due. Any number of processes may call it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await journal.MaintainAsync(options.JournalRetention, cancellationToken);
        // What happened to agents is kept as long as what their turns did.
        await MonthlyPartitions.MaintainAsync(database, "agent_event", time.GetUtcNow(), options.JournalRetention, cancellationToken);
        await DeleteAsync("delete from conclave.stimulus where (tenant, id) in (select tenant, id from conclave.stimulus where expires_at <= now() limit 1000)", null, cancellationToken);
        // A request without an answer may have died: its repetition must find the instance that it was to start.
        await DeleteAsync("delete from conclave.http_reply where (tenant, scope, key) in (select tenant, scope, key from conclave.http_reply where expires_at <= now() and (reply is not null or expires_at <= now() - interval '1 day') limit 1000)", null, cancellationToken);
        await DeleteAsync("delete from conclave.alteration_job where (tenant, plan_id, instance_id) in (select j.tenant, j.plan_id, j.instance_id from conclave.alteration_job j join conclave.alteration_plan p on p.tenant = j.tenant and p.id = j.plan_id where p.completed_at < now() - interval '30 days' limit 1000)", null, cancellationToken);
        await DeleteAsync("delete from conclave.alteration_plan where (tenant, id) in (select tenant, id from conclave.alteration_plan where completed_at < now() - interval '30 days' limit 1000)", null, cancellationToken);
        if (options.InstanceRetention is { } kept)
            await DeleteAsync(InstancesSql, time.GetUtcNow() - kept, cancellationToken);
        if (options.ApprovalRetention is { } keptApprovals)
            await DeleteAsync(ApprovalsSql, time.GetUtcNow() - keptApprovals, cancellationToken);
    }

    /// <summary>Deletes in steps.</summary>
    /// <param name="sql">Deletes a thousand rows at most.</param>
    /// <param name="before">Its parameter; null for none.</param>
    /// <param name="cancellationToken">Stops between two steps.</param>
    private async Task DeleteAsync(string sql, DateTimeOffset? before, CancellationToken cancellationToken)
    {
#pragma warning disable CA2100    // The texts are constants.
        await using var command = database.CreateCommand(sql);
#pragma warning restore CA2100
        if (before is { } time)
            command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = time });
        while (await command.ExecuteNonQueryAsync(cancellationToken) >= Batch)
            cancellationToken.ThrowIfCancellationRequested();
    }
}
