using Conclave.Workflows.Definitions;
using Conclave.Workflows.Runtime.Definitions;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Agents.Packages;

/// <summary>Brings what the gatekeeper has looked at into use: the package's workflows first, then the package.</summary>
public sealed partial class PackageInstall(
    Gatekeeper gatekeeper, AgentPackages packages, DefinitionImport import, DefinitionStore definitions, NpgsqlDataSource database, TimeProvider time, ILogger<PackageInstall> logger)
{
    private const int MostConflicts = 5;

    /// <inheritdoc cref="Gatekeeper.CheckAsync"/>
    public Task<GatekeeperReport> CheckAsync(string tenant, PackageContent content, CancellationToken cancellationToken) =>
        gatekeeper.CheckAsync(tenant, content, cancellationToken);

    /// <summary>Uses a content that was accepted, or notes why it is not used.</summary>
    /// <param name="tenant">Whose package it is.</param>
    /// <param name="name">Name of the package.</param>
    /// <param name="report">What the gatekeeper found.</param>
    /// <param name="source">Where it comes from.</param>
    /// <param name="actor">Who brings it in.</param>
    /// <param name="cancellationToken">Stops it; workflows that were imported by then stay.</param>
    public async Task<AgentPackage> InstallAsync(
        string tenant, string name, GatekeeperReport report, PackageSource source, string actor, CancellationToken cancellationToken)
    {
        if (report.IsAccepted)
        {
            var problems = await ImportBehavioursAsync(tenant, report, cancellationToken);
            if (problems.Count == 0)
            {
                var accepted = await packages.AcceptAsync(tenant, report, source, actor, cancellationToken);
                LogAccepted(name, report.Manifest!.Version, report.Content.Hash);
                return accepted;
            }

            report = report with { Problems = problems };
        }

        var refused = await packages.RefuseAsync(tenant, name, report, source, actor, cancellationToken);
        LogRefused(name, string.Join(' ', report.Problems));
        return refused;
    }

    private async Task<List<PackageProblem>> ImportBehavioursAsync(string tenant, GatekeeperReport report, CancellationToken cancellationToken)
    {
        var problems = new List<PackageProblem>();
        var entries = PackageBehaviours.Read(report.Content, report.Manifest!);
        foreach (var place in ImportOrder.Of([.. entries.Select(e => e.Definition!)]))
        {
            var result = await ImportAsync(tenant, entries[place], cancellationToken);
            if (result.Outcome == ImportOutcome.Refused)
            {
                problems.AddRange(result.Problems.Where(p => p.Severity == ProblemSeverity.Error)
                    .Select(p => new PackageProblem(PackageStage.Behaviours, "agent_package.behaviour_invalid", p.ToString(), result.File)));
            }
        }

        return problems;
    }

    /// <summary>As a folder of workflows is imported: what somebody has edited since is kept.</summary>
    private async Task<ImportedDefinition> ImportAsync(string tenant, PackagedDefinition entry, CancellationToken cancellationToken)
    {
        var imports = new FolderImports(database, tenant);
        var definition = entry.Definition!;
        for (var attempt = 1; ; attempt++)
        {
            var before = await imports.FindAsync(definition.DefinitionId, cancellationToken);
            var latest = await definitions.FindLatestAsync(tenant, definition.DefinitionId, cancellationToken);
            if (latest is not null && before?.ImportedHash != latest.Hash && !DefinitionImport.IsSame(latest.Definition, definition))
            {
                LogKept(definition.DefinitionId, latest.Definition.Version);
                return new ImportedDefinition(entry.File, definition.DefinitionId, ImportOutcome.Kept, latest, []);
            }

            try
            {
                var result = await import.ImportOneAsync(tenant, entry, PublishChoice.Always, latest?.Hash, cancellationToken);
                if (result.Stored is { } stored)
                    await imports.SaveAsync(definition.DefinitionId, new FolderImport(entry.File, entry.FileHash!, stored.Hash), time.GetUtcNow(), cancellationToken);
                return result;
            }
            catch (DefinitionConflictException conflict) when (attempt >= MostConflicts)
            {
                return DefinitionImport.Refused(entry, new DefinitionProblem(conflict.Code, conflict.Message));
            }
            catch (DefinitionConflictException)
            {
                // Somebody saved it meanwhile: look again.
            }
        }
    }

    [LoggerMessage(4611, LogLevel.Information, "Package {Name} {Version} is in use; its hash is {Hash}.")]
    private partial void LogAccepted(string name, string version, string hash);

    [LoggerMessage(4612, LogLevel.Warning, "The gatekeeper refused package {Name}: {Problems}")]
    private partial void LogRefused(string name, string problems);

    [LoggerMessage(4613, LogLevel.Warning, "Behaviour {DefinitionId} stays at version {Version}: somebody edited it after its package brought it. Delete the workflow to have the package's again.")]
    private partial void LogKept(string definitionId, int version);
}
