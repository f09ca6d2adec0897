using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Npgsql;

namespace Conclave.Workflows.Runtime.Operations;

/// <content>Cancelling.</content>
public sealed partial class InstanceOperations
{
    /// <summary>
    /// Cancels an instance and everything that it started and that still runs. One that waits is cancelled at once; one whose burst
    /// is running is told to stop and cancelled after the activity that runs.
    /// </summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="id">Id of the instance.</param>
    /// <param name="actor">Who asks for it.</param>
    /// <param name="reason">Why; null when nobody said.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>Whether it is cancelled already; false when its burst is being stopped.</returns>
    /// <exception cref="WorkflowException">The instance does not exist or has ended.</exception>
    public async Task<bool> CancelAsync(string tenant, string id, string actor, string? reason, CancellationToken cancellationToken)
    {
        try
        {
            await ChangeAsync(
                tenant,
                id,
                burst =>
                {
                    ThrowIfEnded(burst.Instance);
                    burst.CancelledBy = new CancelOrder(actor, reason, null);
                    burst.Operated("cancel", actor, reason, null);
                    WorkflowEngine.Cancel(burst.Instance);
                    return ValueTask.CompletedTask;
                },
                cancellationToken,
                patience: TimeSpan.Zero);
            return true;
        }
        catch (WorkflowException exception) when (exception.Code == "instance.busy")
        {
            await OrderAsync(tenant, id, new CancelOrder(actor, reason, null), cancellationToken);
            return false;
        }
    }

    /// <summary>Puts the cancellation in the queue, where it is next, and stops whoever runs the instance.</summary>
    private async Task OrderAsync(string tenant, string id, CancelOrder order, CancellationToken cancellationToken)
    {
        await using var connection = await _database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var lookup = new NpgsqlCommand("select status, sub_status from conclave.workflow_instance where tenant = $1 and id = $2", connection, transaction))
        {
            lookup.Parameters.AddText(tenant);
            lookup.Parameters.AddText(id);
            await using var reader = await lookup.ExecuteReaderAsync(cancellationToken);
            if (!await reader.ReadAsync(cancellationToken))
                throw NotFound(id);
            if ((WorkflowStatus)reader.GetInt16(0) == WorkflowStatus.Finished)
                throw Ended(id, (WorkflowSubStatus)reader.GetInt16(1));
        }

        await using (var work = new NpgsqlCommand(WorkQueue.EnqueueSql, connection, transaction))
        {
            WorkQueue.AddColumns(work.Parameters, [new NewWork(tenant, id, WorkKind.Cancel, WorkPriority.P0, null, WorkPayload.Of(order))]);
            await work.ExecuteNonQueryAsync(cancellationToken);
        }

        // The burst that runs holds the number of its next log entry; what is stored comes close.
        await using (var operation = new NpgsqlCommand("""
            insert into conclave.instance_operation (tenant, instance_id, sequence, operation, actor, reason, details, created_at)
            select $1, $2, coalesce(max(j.first_sequence + j.count), 0), 'cancel', $3, $4, 'Its burst is stopped first.', now()
              from conclave.journal j where j.tenant = $1 and j.instance_id = $2
            """, connection, transaction))
        {
            operation.Parameters.AddText(tenant);
            operation.Parameters.AddText(id);
            operation.Parameters.AddText(order.Actor);
            operation.Parameters.AddText(order.Reason);
            await operation.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        await _runner.Instances.InterruptAsync(tenant, [id], CancellationToken.None);
        _queue.Wake();
    }
}
