using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Agents.Approvals;

/// <summary>Asks people, with the commit of the burst whose activity asks.</summary>
/// <param name="ActivityInstance">Number of the activity's execution.</param>
/// <param name="Row">The row as a JSON object, by the names of its columns; see script 0024.</param>
/// <param name="At">When.</param>
internal sealed record ApprovalRequested(int ActivityInstance, string Row, DateTimeOffset At) : RowEffect(ActivityInstance)
{
    /// <inheritdoc/>
    public override void AddTo(NpgsqlBatch batch, string tenant, string instanceId)
    {
        var command = new NpgsqlBatchCommand("select conclave.request_approval($1, $2, $3, $4)");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(instanceId);
        command.Parameters.Add(new NpgsqlParameter { Value = Row, NpgsqlDbType = NpgsqlDbType.Json });
        command.Parameters.AddValue(At.UtcDateTime);
        batch.BatchCommands.Add(command);
    }
}
