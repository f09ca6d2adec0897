using Conclave.Workflows.Runtime.Instances;
using Npgsql;

namespace Conclave.Inference.Syscalls;

/// <summary>Submits a syscall with the commit of the burst that waits for it, or not at all. One that has ended and been told of is asked anew: its activity was made to run again.</summary>
internal sealed record SyscallSubmitted(int ActivityInstance, Syscall Syscall) : RowEffect(ActivityInstance)
{
    /// <inheritdoc/>
    public override void AddTo(NpgsqlBatch batch, string tenant, string instanceId)
    {
        var command = new NpgsqlBatchCommand($"""
            {SyscallStore.Insert}
                on conflict (tenant, pid) do update
                set query = excluded.query, action = excluded.action, status = 0, response = null, error = null, error_code = null, created_at = excluded.created_at, started_at = null, ended_at = null,
                    queued_times = default, start_times = default, end_times = default, slice_servers = default, slice_tokens = default, is_cancelled = false, owner = null, lease_until = null, is_told = false
                where inference_syscall.is_told
            """);
        SyscallStore.Bind(command.Parameters, Syscall);
        batch.BatchCommands.Add(command);
    }
}
