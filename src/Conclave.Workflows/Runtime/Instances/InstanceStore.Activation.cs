using Conclave.Workflows.Runtime.Postgres;

namespace Conclave.Workflows.Runtime.Instances;

/// <content>Activation strategies.</content>
public sealed partial class InstanceStore
{
    private const string IsTakenSql = """
        select exists (select from conclave.workflow_instance
         where tenant = $1 and status = 0 and id <> $2 and ($3::text is null or definition_id = $3) and ($4::text is null or correlation_id = $4))
        """;

    /// <summary>Whether an instance runs beside which another must not start. It may have changed when that one is stored, which asks again.</summary>
    internal async Task<bool> IsTakenAsync(ActivationGuard guard, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(IsTakenSql);
        command.Parameters.AddText(guard.Tenant);
        command.Parameters.AddText(guard.InstanceId);
        command.Parameters.AddText(guard.DefinitionId);
        command.Parameters.AddText(guard.CorrelationId);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }
}
