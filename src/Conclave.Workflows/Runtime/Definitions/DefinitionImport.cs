using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Npgsql;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>Imports packaged definitions into the workflows of a tenant, each in a transaction of its own.</summary>
/// <param name="store">Where to.</param>
/// <param name="compile">
/// Compiles a definition of a tenant, which need not be stored, with the workflows that are; throws
/// <see cref="WorkflowDefinitionException"/> when it cannot run at all.
/// </param>
public sealed class DefinitionImport(
    DefinitionStore store, Func<string, WorkflowDefinition, CancellationToken, ValueTask<WorkflowGraph>> compile)
{
    /// <summary>
    /// Called after each save, before the next definition is compiled, so that a library in memory knows what the next one
    /// may use; null when <c>compile</c> sees what is stored anyway.
    /// </summary>
    public Func<string, StoredDefinition, CancellationToken, ValueTask>? Saved { get; init; }

    private static readonly DefinitionProblem NotPublished = new("import.not_published",
        "The workflow has errors, so it cannot be published, and nothing was saved. Correct them, or import it without publishing to keep it as a draft.");

    /// <summary>Imports definitions; those that others of the package use come first.</summary>
    /// <param name="tenant">Owner of the workflows.</param>
    /// <param name="package">What <see cref="DefinitionPackage"/> read.</param>
    /// <param name="publish">Whether they are published. One with errors is refused then; as a draft it is saved with them.</param>
    /// <param name="cancellationToken">Stops before the next definition; what is imported stays.</param>
    /// <returns>
    /// A result for each entry, in the order given. When several are the same workflow, the highest version is imported and
    /// the others are refused.
    /// </returns>
    /// <exception cref="NpgsqlException">The database cannot be reached; what was imported before stays.</exception>
    public async Task<IReadOnlyList<ImportedDefinition>> ImportAsync(
        string tenant, IReadOnlyList<PackagedDefinition> package, PublishChoice publish, CancellationToken cancellationToken)
    {
        var results = new ImportedDefinition[package.Count];
        var chosen = Choose(package, results);
        foreach (var place in ImportOrder.Of(chosen.ConvertAll(i => package[i].Definition!)))
        {
            var i = chosen[place];
            results[i] = await ImportOneAsync(tenant, package[i], publish, expectedHash: null, cancellationToken);
        }

        return results;
    }

    /// <summary>Imports one definition.</summary>
    /// <param name="tenant">Owner of the workflow.</param>
    /// <param name="entry">What to import.</param>
    /// <param name="publish">Whether it is published.</param>
    /// <param name="expectedHash">Hash of the version that may be overwritten; null overwrites whatever is there.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="DefinitionConflictException">The newest version has another hash.</exception>
    internal async Task<ImportedDefinition> ImportOneAsync(
        string tenant, PackagedDefinition entry, PublishChoice publish, string? expectedHash, CancellationToken cancellationToken)
    {
        if (entry.Definition is not { } definition)
            return new ImportedDefinition(entry.File, null, ImportOutcome.Refused, null, entry.Problems);
        var publishes = publish == PublishChoice.Always || (publish == PublishChoice.AsFile && definition.IsPublished);
        try
        {
            var latest = await store.FindLatestAsync(tenant, definition.DefinitionId, cancellationToken);
            if (latest is not null && (latest.Definition.IsPublished || !publishes) && IsSame(latest.Definition, definition))
                return new ImportedDefinition(entry.File, definition.DefinitionId, ImportOutcome.Unchanged, latest, []);
            var problems = await ProblemsAsync(tenant, definition, cancellationToken);
            if (publishes && problems.Any(p => p.Severity == ProblemSeverity.Error))
            {
                return Refused(entry, [.. problems, NotPublished]);
            }

            if (latest is null && await store.FindAsync(tenant, definition.Id, cancellationToken) is not null)
            {
                // A copied file: the store knows versions by their id, and this one is another workflow's.
                definition = definition with { Id = WorkflowDefinitionReader.NewId() };
            }

            var stored = await store.SaveAsync(tenant, definition, publishes, expectedHash, cancellationToken);
            if (Saved is not null)
                await Saved(tenant, stored, cancellationToken);
            return new ImportedDefinition(
                entry.File, definition.DefinitionId, latest is null ? ImportOutcome.Created : ImportOutcome.Updated, stored, problems);
        }
        catch (WorkflowException exception) when (exception is not DefinitionConflictException)
        {
            return Refused(entry, new DefinitionProblem(exception.Code, exception.Message));
        }
        catch (WorkflowDefinitionException exception)
        {
            // What is only known when it is published: where it listens, and whether another does.
            return Refused(entry, [.. exception.Problems, NotPublished]);
        }
        catch (PostgresException exception) when (IsAboutTheContent(exception))
        {
            store.ForgetConnections();
            return Refused(entry, new DefinitionProblem("import.not_storable",
                $"The database does not take the workflow: {exception.MessageText} ({exception.SqlState}). Shorten its ids and name, and remove NUL characters from them."));
        }
        catch (Exception exception) when (exception is not (OperationCanceledException or NpgsqlException or DefinitionConflictException))
        {
            return Refused(entry, new DefinitionProblem("import.failed",
                $"Importing the workflow failed unexpectedly ({exception.GetType().Name}: {exception.Message}). Please report it together with the file."));
        }
    }

    /// <summary>Whether two definitions say the same; ids, numbers, flags and dates of the version do not count.</summary>
    internal static bool IsSame(WorkflowDefinition one, WorkflowDefinition other) =>
        Content(one).AsSpan().SequenceEqual(Content(other));

    internal static ImportedDefinition Refused(PackagedDefinition entry, params DefinitionProblem[] problems) =>
        new(entry.File, entry.Definition?.DefinitionId, ImportOutcome.Refused, null, problems);

    private static byte[] Content(WorkflowDefinition definition) => WorkflowDefinitionWriter.Write(
        definition with { Id = "", Version = 1, CreatedAt = null, IsLatest = false, IsPublished = false }, indented: false);

    private async Task<IReadOnlyList<DefinitionProblem>> ProblemsAsync(
        string tenant, WorkflowDefinition definition, CancellationToken cancellationToken)
    {
        try
        {
            return (await compile(tenant, definition, cancellationToken)).Problems;
        }
        catch (WorkflowDefinitionException exception)
        {
            return exception.Problems;
        }
    }

    // Values the columns cannot hold (22), indexes that refuse them (23, 54): trying again would not help.
    private static bool IsAboutTheContent(PostgresException exception) =>
        exception.SqlState.StartsWith("22", StringComparison.Ordinal)
        || exception.SqlState.StartsWith("23", StringComparison.Ordinal)
        || exception.SqlState.StartsWith("54", StringComparison.Ordinal);

    /// <summary>Places of the entries to import; the results of the others are filled in.</summary>
    private static List<int> Choose(IReadOnlyList<PackagedDefinition> package, ImportedDefinition[] results)
    {
        var chosen = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < package.Count; i++)
        {
            if (package[i].Definition is not { } definition)
                results[i] = new ImportedDefinition(package[i].File, null, ImportOutcome.Refused, null, package[i].Problems);
            else if (!chosen.TryGetValue(definition.DefinitionId, out var before) || IsNewer(definition, package[before].Definition!))
                chosen[definition.DefinitionId] = i;
        }

        for (var i = 0; i < package.Count; i++)
        {
            if (package[i].Definition is { } definition && chosen[definition.DefinitionId] != i)
                results[i] = Refused(package[i], Duplicate(definition, package[chosen[definition.DefinitionId]].File));
        }

        return [.. chosen.Values.Order()];
    }

    internal static DefinitionProblem Duplicate(WorkflowDefinition definition, string file) => new("import.duplicate_workflow",
        $"Workflow '{definition.DefinitionId}' is in '{file}' too, which was taken. Remove one of the two files, or give one another definitionId.");

    private static bool IsNewer(WorkflowDefinition definition, WorkflowDefinition than) =>
        (definition.Version, definition.IsLatest).CompareTo((than.Version, than.IsLatest)) > 0;
}
