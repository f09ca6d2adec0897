using System.Globalization;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Workflows.Runtime.Operations;

/// <content>Migrating to another version.</content>
public sealed partial class InstanceOperations
{
    /// <summary>Moves an instance that waits, or that faulted, to another version of its workflow. Finished steps are never repeated.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="id">Id of the instance.</param>
    /// <param name="version">Number or id of the version.</param>
    /// <param name="dryRun">Whether only to say what would happen.</param>
    /// <param name="actor">Who asks for it.</param>
    /// <param name="reason">Why; null when nobody said.</param>
    /// <param name="cancellationToken">Stops waiting for the instance.</param>
    /// <returns>What happened, or would: with an error among the problems nothing is applied.</returns>
    /// <exception cref="WorkflowException">There is no such version, or the instance does not wait.</exception>
    /// <exception cref="WorkflowDefinitionException">The version cannot run.</exception>
    public async Task<MigrationReport> MigrateAsync(
        string tenant, string id, string version, bool dryRun, string actor, string? reason, CancellationToken cancellationToken)
    {
        if (dryRun)
        {
            var held = await _runner.Instances.ReadAsync(tenant, id, cancellationToken) ?? throw NotFound(id);
            var (instance, _) = await _runner.ReadAsync(held, cancellationToken);
            return (await MigrateAsync(tenant, instance, version, cancellationToken)).Report;
        }

        var report = new MigrationReport("", "", false, []);
        try
        {
            await ChangeAsync(
                tenant,
                id,
                async burst =>
                {
                    (report, var migrated) = await MigrateAsync(tenant, burst.Instance, version, cancellationToken);
                    if (report.HasErrors)
                        throw new MigrationRefusedException();
                    burst.Replace(migrated);
                    var warnings = string.Concat(report.Problems.Select(p => $"\n{p.Code}: {p.Message}"));
                    burst.Operated("migrate", actor, reason, Shorten($"{report.From} → {report.To}{warnings}", 4_000));
                },
                cancellationToken);
            return report with { Applied = true };
        }
        catch (MigrationRefusedException)
        {
            return report;
        }
    }

    private async Task<(MigrationReport Report, WorkflowInstance Migrated)> MigrateAsync(
        string tenant, WorkflowInstance instance, string version, CancellationToken cancellationToken)
    {
        if (instance.SubStatus is WorkflowSubStatus.Finished or WorkflowSubStatus.Cancelled)
            throw Ended(instance.Id, instance.SubStatus);
        if (instance.SubStatus is not (WorkflowSubStatus.Suspended or WorkflowSubStatus.Faulted))
            throw new WorkflowException("instance.not_waiting", $"Instance '{instance.Id}' is {instance.SubStatus}; only an instance that waits can be migrated. Try again when it does.");
        var current = instance.Graph.Definition;
        var target = await FindVersionAsync(tenant, current.DefinitionId, version, cancellationToken)
            ?? throw new WorkflowException("definition.version_missing", $"Workflow '{current.DefinitionId}' has no version '{version}'.");
        if (target.DefinitionId != current.DefinitionId)
            throw new WorkflowException("migrate.other_workflow", $"Version '{version}' belongs to workflow '{target.DefinitionId}'; instance '{instance.Id}' runs '{current.DefinitionId}'.");
        if (target.Id == current.Id)
            throw new WorkflowException("migrate.same_version", $"Instance '{instance.Id}' runs version {current.Version} already.");
        var graph = await _runner.Catalog.Of(tenant).GetGraphAsync(target.Id, cancellationToken);
        var errors = graph.Problems.Where(p => p.Severity == ProblemSeverity.Error).ToList();
        if (errors.Count > 0)
            throw new WorkflowDefinitionException(errors);
        var (migrated, problems) = InstanceMigration.Run(instance, graph);
        return (new MigrationReport(current.Id, target.Id, false, problems.All), migrated);
    }

    private async Task<WorkflowDefinition?> FindVersionAsync(string tenant, string definitionId, string version, CancellationToken cancellationToken)
    {
        var store = _runner.Catalog.Store;
        if (int.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && await store.FindAsync(tenant, definitionId, number, cancellationToken) is { } found)
            return found.Definition;
        return (await store.FindAsync(tenant, version, cancellationToken))?.Definition;
    }

    private sealed class MigrationRefusedException : Exception;
}

/// <summary>What a migration did, or would do.</summary>
/// <param name="From">Id of the version that the instance ran.</param>
/// <param name="To">Id of the version that it is to run.</param>
/// <param name="Applied">Whether it runs that version now.</param>
/// <param name="Problems">What stands in the way (errors), and what is different from what one might expect (warnings).</param>
public sealed record MigrationReport(string From, string To, bool Applied, IReadOnlyList<MigrationProblem> Problems)
{
    /// <summary>Whether anything stands in the way.</summary>
    public bool HasErrors => Problems.Any(p => p.Severity == ProblemSeverity.Error);

    /// <summary>Fails when something stands in the way; for <see cref="InstanceOperations.BulkAsync(string, InstanceFilter, Func{string, CancellationToken, Task}, CancellationToken)"/>.</summary>
    /// <exception cref="WorkflowException">There are errors; the message has them all.</exception>
    public void ThrowIfRefused()
    {
        if (HasErrors)
            throw new WorkflowException("migrate.refused", string.Join(" ", Problems.Where(p => p.Severity == ProblemSeverity.Error).Select(p => $"{p.Code}: {p.Message}")));
    }
}
