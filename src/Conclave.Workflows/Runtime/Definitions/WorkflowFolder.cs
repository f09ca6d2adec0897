using System.Security.Cryptography;
using System.Text;
using Conclave.Workflows.Definitions;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>Brings the workflow files of a folder into a tenant's workflows, at start and whenever a file changes.</summary>
/// <remarks>
/// <para>A changed file replaces only what the folder itself brought: once somebody edited the workflow, it is kept, and a
/// warning says so. A deleted file deletes nothing. A file without a definition id gets one made from its path.</para>
/// <para>Any number of processes may watch the same folder: they take turns, and each imports only files that it saw change,
/// so that processes with different files, as during a rolling update, do not undo each other's imports.</para>
/// </remarks>
/// <param name="options">Which folder, and whose.</param>
/// <param name="import">Imports the definitions.</param>
/// <param name="store">Knows what is there already.</param>
/// <param name="database">Remembers what was imported, in <c>conclave.workflow_folder</c>.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Gets what was imported and what was not.</param>
public sealed partial class WorkflowFolder(
    WorkflowFolderOptions options,
    DefinitionImport import,
    DefinitionStore store,
    NpgsqlDataSource database,
    TimeProvider time,
    ILogger<WorkflowFolder> logger) : IDisposable
{
    private const int MostConflicts = 5;

    private readonly FolderImports _imports = new(database, options.Tenant);
    private readonly SemaphoreSlim _turn = new(1);
    private readonly Dictionary<string, SeenFile> _seen = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _reported = new(StringComparer.Ordinal);
    private bool _isTooLarge;

    /// <summary>Imports every file that differs from what was imported last. Call it at start.</summary>
    /// <returns>A result for each definition and each broken file, in the order of their paths.</returns>
    /// <exception cref="NpgsqlException">The database cannot be reached; what was imported before stays.</exception>
    public async Task<IReadOnlyList<ImportedDefinition>> ImportAllAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            _seen.Clear();
            return await ImportChangedAsync(cancellationToken);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Frees what watching used; nothing may be running.</summary>
    public void Dispose() => _turn.Dispose();

    private async Task<IReadOnlyList<ImportedDefinition>> ImportChangedAsync(CancellationToken cancellationToken)
    {
        if (!HasChanged(DefinitionFiles.List(options.Folder, options.SkipFoldersWith)))
            return [];
        await using var turn = await _imports.TakeTurnAsync(cancellationToken);
        // Read while nobody else imports, or an older content could come after a newer one.
        var files = DefinitionFiles.List(options.Folder, options.SkipFoldersWith);
        if (TooMuch(files) is { } refusal)
            return refusal;
        var present = files.Select(f => f.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _seen.Keys.Where(name => !present.Contains(name)).ToList())
            _seen.Remove(gone);
        // What was refused may have waited for a file that is there now.
        var changed = files.FindAll(f => !_seen.TryGetValue(f.Name, out var seen) || seen.IsRefused || !seen.IsSame(f));
        var reads = await ReadSettledAsync(changed, cancellationToken);
        var results = await ImportAsync(reads, cancellationToken);
        foreach (var read in reads)
        {
            var ids = read.Entries.Where(e => e.Definition is not null).Select(e => WithId(e).Definition!.DefinitionId);
            _seen[read.File.Name] = new SeenFile(
                read.File, [.. ids], read.Entries.Exists(e => results[e].Outcome == ImportOutcome.Refused));
        }

        return [.. reads.SelectMany(r => r.Entries).Select(e => results[e])];
    }

    private bool HasChanged(List<DefinitionFile> files) =>
        files.Count != _seen.Count || files.Exists(f => !_seen.TryGetValue(f.Name, out var seen) || !seen.IsSame(f));

    private List<ImportedDefinition>? TooMuch(List<DefinitionFile> files)
    {
        var limits = options.Limits;
        if (files.Count <= limits.MaxEntries && files.Sum(f => f.Length) <= limits.MaxTotalBytes)
        {
            _isTooLarge = false;
            return null;
        }

        var message = $"'{options.Folder}' holds {files.Count:N0} .json files with {files.Sum(f => f.Length):N0} bytes; " +
            $"at most {limits.MaxEntries:N0} files with {limits.MaxTotalBytes:N0} bytes are imported from one folder. Move some into another folder.";
        if (!_isTooLarge)
            LogRefused(options.Folder, message);
        _isTooLarge = true;
        return [new ImportedDefinition(options.Folder, null, ImportOutcome.Refused, null, [new("package.too_large", message)])];
    }

    private async Task<Dictionary<PackagedDefinition, ImportedDefinition>> ImportAsync(
        List<FileRead> reads, CancellationToken cancellationToken)
    {
        var results = new Dictionary<PackagedDefinition, ImportedDefinition>(ReferenceEqualityComparer.Instance);
        var owners = new Dictionary<string, string>(StringComparer.Ordinal);
        var rereads = reads.Select(r => r.File.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var (name, seen) in _seen.Where(s => !rereads.Contains(s.Key)))
        {
            foreach (var id in seen.DefinitionIds)
                owners.TryAdd(id, name);
        }

        var chosen = new List<(PackagedDefinition Read, PackagedDefinition Import)>();
        foreach (var same in reads.SelectMany(r => r.Entries).Select(e => (Read: e, Import: WithId(e))).ToLookup(e => e.Import.Definition?.DefinitionId))
        {
            if (same.Key is null)
            {
                foreach (var (read, _) in same)
                    results[read] = new ImportedDefinition(read.File, null, ImportOutcome.Refused, null, read.Problems);
                continue;
            }

            var winner = owners.GetValueOrDefault(same.Key);
            if (winner is null)
            {
                winner = same.First().Read.File;
                // The file that it came from keeps it, whatever another one is called.
                if (same.Skip(1).Any() && await _imports.FindAsync(same.Key, cancellationToken) is { } before && same.Any(e => e.Read.File == before.File))
                    winner = before.File;
            }

            foreach (var (read, named) in same)
            {
                if (read.File == winner)
                    chosen.Add((read, named));
                else
                    results[read] = DefinitionImport.Refused(named, DefinitionImport.Duplicate(named.Definition!, winner));
            }
        }

        foreach (var i in ImportOrder.Of(chosen.ConvertAll(c => c.Import.Definition!)))
            results[chosen[i].Read] = await ImportOneAsync(chosen[i].Import, cancellationToken);
        foreach (var result in results.Values)
            Report(result);
        return results;
    }

    private async Task<ImportedDefinition> ImportOneAsync(PackagedDefinition entry, CancellationToken cancellationToken)
    {
        var definition = entry.Definition!;
        for (var attempt = 1; ; attempt++)
        {
            var before = await _imports.FindAsync(definition.DefinitionId, cancellationToken);
            var latest = await store.FindLatestAsync(options.Tenant, definition.DefinitionId, cancellationToken);
            ImportedDefinition result;
            if (before?.FileHash == entry.FileHash)
            {
                result = new ImportedDefinition(entry.File, definition.DefinitionId, ImportOutcome.Unchanged, latest, []);
                if (before!.File != entry.File)
                    await _imports.SaveAsync(definition.DefinitionId, before with { File = entry.File }, time.GetUtcNow(), cancellationToken);
                return result;
            }

            if (latest is not null && before?.ImportedHash != latest.Hash && !DefinitionImport.IsSame(latest.Definition, definition))
                return new ImportedDefinition(entry.File, definition.DefinitionId, ImportOutcome.Kept, latest, [Kept(entry, latest, before)]);
            try
            {
                result = await import.ImportOneAsync(options.Tenant, entry, options.Publish, latest?.Hash, cancellationToken);
            }
            catch (DefinitionConflictException) when (attempt < MostConflicts)
            {
                continue;
            }
            catch (DefinitionConflictException conflict)
            {
                return DefinitionImport.Refused(entry, new DefinitionProblem(conflict.Code, conflict.Message));
            }

            if (result.Stored is { } stored)
            {
                await _imports.SaveAsync(
                    definition.DefinitionId, new FolderImport(entry.File, entry.FileHash!, stored.Hash), time.GetUtcNow(), cancellationToken);
            }

            return result;
        }
    }

    private static DefinitionProblem Kept(PackagedDefinition entry, StoredDefinition latest, FolderImport? before) => new(
        "import.kept",
        $"Workflow '{latest.Definition.Name ?? latest.Definition.DefinitionId}' ({latest.Definition.DefinitionId}) stays at version " +
        $"{latest.Definition.Version}, which " + (before is null ? "did not come from this folder" : $"was edited after '{before.File}' was last imported") +
        $". To use the file instead, import '{entry.File}' yourself; to keep the edits, export the workflow over the file.",
        Severity: ProblemSeverity.Warning);

    /// <summary>The entry with the id that its file always gets when it names none.</summary>
    private static PackagedDefinition WithId(PackagedDefinition entry)
    {
        if (entry.HasDefinitionId || entry.Definition is null)
            return entry;
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes("workflow-folder:" + entry.File));
        return entry with { Definition = entry.Definition with { DefinitionId = Convert.ToHexStringLower(hash)[..16] } };
    }

    private void Report(ImportedDefinition result)
    {
        var text = string.Join(' ', result.Problems.Select(p => p.Message));
        switch (result.Outcome)
        {
            case ImportOutcome.Created or ImportOutcome.Updated:
                _reported.Remove(result.File);
                LogImported(result.Stored!.Definition.Name, result.DefinitionId!, result.Version!.Value, result.File, result.Outcome);
                if (text.Length > 0)
                    LogImportedWithProblems(result.DefinitionId!, result.File, text);
                break;
            // What is refused is tried again whenever any file changes: once is enough to say so.
            case ImportOutcome.Refused when _reported.GetValueOrDefault(result.File) != text:
                _reported[result.File] = text;
                LogRefused(result.File, text);
                break;
            case ImportOutcome.Kept:
                LogKept(result.File, text);
                break;
        }
    }

    [LoggerMessage(2151, LogLevel.Information,
        "Imported workflow {Name} ({DefinitionId}) as version {Version} from file {File}: {Outcome:G}")]
    private partial void LogImported(string? name, string definitionId, int version, string file, ImportOutcome outcome);

    [LoggerMessage(2152, LogLevel.Warning, "Did not import file {File}, because the workflow was edited: {Reason}")]
    private partial void LogKept(string file, string reason);

    [LoggerMessage(2153, LogLevel.Warning, "Did not import file {File}: {Reason} It is read again when it changes")]
    private partial void LogRefused(string file, string reason);

    [LoggerMessage(2154, LogLevel.Warning, "Workflow {DefinitionId} was imported from file {File} with problems: {Problems}")]
    private partial void LogImportedWithProblems(string definitionId, string file, string problems);

    private sealed record SeenFile(DefinitionFile File, IReadOnlyList<string> DefinitionIds, bool IsRefused)
    {
        public bool IsSame(DefinitionFile file) => File == file;
    }
}
