using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Npgsql;

namespace Conclave.Workflows.Runtime.Operations;

/// <content>Changes in Elsa's form.</content>
public sealed partial class InstanceOperations
{
    /// <summary>Makes changes to an instance, in order, up to the first that fails. Those that were made already are passed over.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="id">Id of the instance.</param>
    /// <param name="alterations">The changes.</param>
    /// <param name="actor">Who asks for it.</param>
    /// <param name="reason">Why; null when nobody said.</param>
    /// <param name="cancellationToken">Stops waiting for the instance.</param>
    public async Task<AlterationResult> AlterAsync(
        string tenant, string id, IReadOnlyList<Alteration> alterations, string actor, string? reason, CancellationToken cancellationToken)
    {
        var log = new List<string>();
        foreach (var alteration in alterations)
        {
            try
            {
                log.Add(await AlterAsync(tenant, id, alteration, actor, reason, cancellationToken));
            }
            catch (Exception exception) when (exception is WorkflowException or WorkflowDefinitionException or InvalidDataException or NpgsqlException or TimeoutException)
            {
                log.Add(exception.Message);
                return new AlterationResult(id, false, log);
            }
        }

        return new AlterationResult(id, true, log);
    }

    private async Task<string> AlterAsync(string tenant, string id, Alteration alteration, string actor, string? reason, CancellationToken cancellationToken)
    {
        switch (alteration)
        {
            case Alteration.Cancel:
                try
                {
                    return await CancelAsync(tenant, id, actor, reason, cancellationToken) ? "Cancelled." : "Its burst is stopped first; then it is cancelled.";
                }
                catch (WorkflowException exception) when (exception.Code == "instance.ended")
                {
                    return exception.Message;
                }

            case Alteration.ModifyVariable variable:
                var name = await FindVariableAsync(tenant, id, variable.VariableId, cancellationToken);
                await SetVariablesAsync(tenant, id, new Dictionary<string, object?> { [name] = variable.Value }, actor, reason, cancellationToken);
                return $"Variable '{name}' was set.";
            case Alteration.Migrate migrate:
                try
                {
                    var report = await MigrateAsync(tenant, id, migrate.Version, dryRun: false, actor, reason, cancellationToken);
                    report.ThrowIfRefused();
                    return string.Concat([$"Migrated from version {report.From} to {report.To}.", .. report.Problems.Select(p => $" {p.Message}")]);
                }
                catch (WorkflowException exception) when (exception.Code == "migrate.same_version")
                {
                    return exception.Message;
                }

            case Alteration.Retry retry:
                var number = retry.Number ?? (retry.ActivityId is null ? null : await FindFaultAsync(tenant, id, retry.ActivityId, cancellationToken));
                var instance = await RetryAsync(tenant, id, number, actor, reason, cancellationToken);
                return $"Ran again; the instance is {instance.SubStatus}.";
            default:
                throw new InvalidOperationException($"{alteration.GetType().Name} is not handled.");
        }
    }

    private async Task<string> FindVariableAsync(string tenant, string id, string variableId, CancellationToken cancellationToken)
    {
        var instance = await _runner.ReadAsync(tenant, id, cancellationToken) ?? throw NotFound(id);
        return instance.Graph.Root.Variables.FirstOrDefault(v => v.Definition.Id == variableId)?.Definition.Name
            ?? throw BadVariables([$"there is no variable with the id '{variableId}'"]);
    }

    private async Task<int?> FindFaultAsync(string tenant, string id, string activityId, CancellationToken cancellationToken)
    {
        var instance = await _runner.ReadAsync(tenant, id, cancellationToken) ?? throw NotFound(id);
        return instance.Incidents.LastOrDefault(i => i.ActivityId == activityId)?.ActivityInstance
            ?? throw new WorkflowException("instance.nothing_to_retry", $"Activity '{activityId}' of instance '{id}' has not faulted.");
    }
}
