using Conclave.Workflows.Execution;
using Npgsql;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Rows that an activity writes: they are stored by the transaction that stores the burst, or not at all.</summary>
/// <remarks>
/// For features beside the engine. The statements of many instances share a transaction: they must not fail for anything but a lost connection. Those of one instance come in the order in
/// which they were asked for, instances in that of <see cref="LockKey"/>. What a burst has not stored yet is seen through <see cref="ActivityContext.Pending{T}"/>.
/// </remarks>
/// <param name="ActivityInstance">Number of the activity's execution that asked.</param>
public abstract record RowEffect(int ActivityInstance) : WorkflowEffect(ActivityInstance)
{
    /// <summary>The row that others may want to change as well, such as <c>agent:default:a1</c>: all transactions take these in one order. Empty for rows of the instance alone.</summary>
    public virtual string LockKey => "";

    /// <summary>Adds the statements.</summary>
    /// <param name="batch">Receives them.</param>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="instanceId">The instance.</param>
    public abstract void AddTo(NpgsqlBatch batch, string tenant, string instanceId);
}

/// <summary>A row effect of an instance, on its way to the database.</summary>
internal readonly record struct RowWrite(RowEffect Effect, string Tenant, string InstanceId);
