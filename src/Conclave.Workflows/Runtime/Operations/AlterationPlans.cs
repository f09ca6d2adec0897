using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Npgsql;

namespace Conclave.Workflows.Runtime.Operations;

/// <summary>A plan to change many instances.</summary>
/// <param name="Id">Id of the plan.</param>
/// <param name="Alterations">The changes as they were given.</param>
/// <param name="Actor">Who asked for it.</param>
/// <param name="CreatedAt">When.</param>
/// <param name="StartedAt">When a worker began; null before.</param>
/// <param name="CompletedAt">When every instance was tried; null before.</param>
public sealed record AlterationPlan(string Id, JsonElement Alterations, string Actor, DateTimeOffset CreatedAt, DateTimeOffset? StartedAt, DateTimeOffset? CompletedAt);

/// <summary>One instance of a plan.</summary>
/// <param name="InstanceId">The instance.</param>
/// <param name="IsSuccessful">Whether the changes were made; null until they were tried.</param>
/// <param name="Log">What happened, a sentence for each change.</param>
/// <param name="CompletedAt">When they were tried.</param>
public sealed record AlterationJob(string InstanceId, bool? IsSuccessful, IReadOnlyList<string> Log, DateTimeOffset? CompletedAt);

/// <summary>Changes many instances in the background. A plan is durable: workers take it up where another died.</summary>
public sealed class AlterationPlans(NpgsqlDataSource database, InstanceOperations operations, WorkSignal signal)
{
    /// <summary>Instances that one work item of the queue changes, so that it ends long before its lease does.</summary>
    private const int BatchSize = 64;

    private const int Parallelism = 8;
    private const int MostJobs = 10_000;

    /// <summary>Stores a plan for the instances that fit at this moment; workers carry it out.</summary>
    /// <param name="tenant">Owner of the instances.</param>
    /// <param name="id">Id of the plan; null makes one.</param>
    /// <param name="alterations">The changes, which <see cref="Alteration.ReadList"/> reads.</param>
    /// <param name="filter">Which instances; null for none.</param>
    /// <param name="actor">Who asks for it.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>Id of the plan.</returns>
    /// <exception cref="WorkflowException">There is such a plan, or a change is wrong; nothing was stored.</exception>
    public async Task<string> SubmitAsync(
        string tenant, string? id, JsonElement alterations, InstanceFilter? filter, string actor, CancellationToken cancellationToken)
    {
        Alteration.ReadList(alterations);
        id ??= Guid.CreateVersion7().ToString("N");
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var plan = new NpgsqlCommand(
            "insert into conclave.alteration_plan (tenant, id, alterations, actor) values ($1, $2, $3, $4) on conflict do nothing", connection, transaction))
        {
            plan.Parameters.AddText(tenant);
            plan.Parameters.AddText(id);
            plan.Parameters.AddText(alterations.GetRawText());
            plan.Parameters.AddText(actor);
            if (await plan.ExecuteNonQueryAsync(cancellationToken) == 0)
                throw new WorkflowException("alteration.exists", $"There is a plan with the id '{id}' already. Nothing was changed.");
        }

        if (filter is not null)
            await AddJobsAsync(connection, transaction, tenant, id, filter, cancellationToken);
        await EnqueueAsync(connection, transaction, tenant, id, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        signal.Wake();
        return id;
    }

    /// <summary>Carries out a part of a plan, and puts the rest in the queue.</summary>
    public async Task RunAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await FindAsync(connection, tenant, id, cancellationToken) is not { } plan)
            return;
        // Locked until they are done: if this process dies, the next takes them, and changes that were made are passed over.
        var jobs = await TakeAsync(connection, transaction, tenant, id, cancellationToken);
        var results = new ConcurrentBag<AlterationResult>();
        var alterations = Alteration.ReadList(plan.Alterations);
        await Parallel.ForEachAsync(
            jobs,
            new ParallelOptions { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken },
            async (instanceId, token) => results.Add(await operations.AlterAsync(tenant, instanceId, alterations, plan.Actor, $"Plan {id}", token)));
        await NoteAsync(connection, transaction, tenant, id, [.. results], cancellationToken);
        if (jobs.Count == BatchSize)
            await EnqueueAsync(connection, transaction, tenant, id, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        signal.Wake();
    }

    /// <summary>Finds a plan; null when there is none.</summary>
    public async Task<AlterationPlan?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        return await FindAsync(connection, tenant, id, cancellationToken);
    }

    /// <summary>Lists the instances of a plan, at most 10,000.</summary>
    public async Task<List<AlterationJob>> ReadJobsAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select instance_id, is_done, log, completed_at from conclave.alteration_job
             where tenant = $1 and plan_id = $2 order by instance_id limit $3
            """);
        command.Parameters.AddText(tenant);
        command.Parameters.AddText(id);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = MostJobs });
        var jobs = new List<AlterationJob>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            jobs.Add(new AlterationJob(
                reader.GetString(0),
                reader.IsDBNull(1) ? null : reader.GetBoolean(1),
                reader.IsDBNull(2) ? [] : reader.GetString(2).Split('\n'),
                reader.IsDBNull(3) ? null : reader.GetFieldValue<DateTimeOffset>(3)));
        }

        return jobs;
    }

    private static async Task<AlterationPlan?> FindAsync(NpgsqlConnection connection, string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "select alterations, actor, created_at, started_at, completed_at from conclave.alteration_plan where tenant = $1 and id = $2", connection);
        command.Parameters.AddText(tenant);
        command.Parameters.AddText(id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new AlterationPlan(
                id,
                JsonElement.Parse(reader.GetString(0)),
                reader.GetString(1),
                reader.GetFieldValue<DateTimeOffset>(2),
                reader.IsDBNull(3) ? null : reader.GetFieldValue<DateTimeOffset>(3),
                reader.IsDBNull(4) ? null : reader.GetFieldValue<DateTimeOffset>(4))
            : null;
    }

    private static async Task AddJobsAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, string tenant, string id, InstanceFilter filter, CancellationToken cancellationToken)
    {
        await using var jobs = new NpgsqlCommand { Connection = connection, Transaction = transaction };
        var sql = new StringBuilder();
        filter.Write(sql, jobs.Parameters, tenant);
        jobs.Parameters.AddText(id);
#pragma warning disable CA2100    // Only names of columns and numbers of parameters were put together.
        jobs.CommandText = string.Create(
            CultureInfo.InvariantCulture,
            $"insert into conclave.alteration_job (tenant, plan_id, instance_id) select tenant, ${jobs.Parameters.Count}, id from conclave.workflow_instance where {sql}");
#pragma warning restore CA2100
        await jobs.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<List<string>> TakeAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            select instance_id from conclave.alteration_job
             where tenant = $1 and plan_id = $2 and is_done is null limit $3 for update skip locked
            """, connection, transaction);
        command.Parameters.AddText(tenant);
        command.Parameters.AddText(id);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = BatchSize });
        var ids = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            ids.Add(reader.GetString(0));
        return ids;
    }

    private static async Task NoteAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, string tenant, string id, IReadOnlyList<AlterationResult> results, CancellationToken cancellationToken)
    {
        await using (var command = new NpgsqlCommand("""
            update conclave.alteration_job j set is_done = r.is_done, log = r.log, completed_at = now()
              from unnest($3, $4, $5) as r(instance_id, is_done, log)
             where j.tenant = $1 and j.plan_id = $2 and j.instance_id = r.instance_id
            """, connection, transaction))
        {
            command.Parameters.AddText(tenant);
            command.Parameters.AddText(id);
            command.Parameters.AddArray(results, r => r.InstanceId);
            command.Parameters.AddArray(results, r => r.IsSuccessful);
            command.Parameters.AddArray(results, r => string.Join('\n', r.Log.Select(l => l.ReplaceLineEndings(" "))));
            await command.ExecuteNonQueryAsync(cancellationToken);
        }

        await using var plan = new NpgsqlCommand("""
            update conclave.alteration_plan p
               set started_at = coalesce(p.started_at, now()),
                   completed_at = case when not exists (
                       select from conclave.alteration_job j where j.tenant = p.tenant and j.plan_id = p.id and j.is_done is null) then now() end
             where p.tenant = $1 and p.id = $2
            """, connection, transaction);
        plan.Parameters.AddText(tenant);
        plan.Parameters.AddText(id);
        await plan.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task EnqueueAsync(NpgsqlConnection connection, NpgsqlTransaction transaction, string tenant, string id, CancellationToken cancellationToken)
    {
        await using var work = new NpgsqlCommand(WorkQueue.EnqueueSql, connection, transaction);
        WorkQueue.AddColumns(work.Parameters, [new NewWork(tenant, "", WorkKind.Alter, WorkPriority.P2, null, WorkPayload.Of(id))]);
        await work.ExecuteNonQueryAsync(cancellationToken);
    }
}
