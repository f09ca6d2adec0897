using Microsoft.Extensions.Logging;

namespace Conclave.Workflows.Runtime.Definitions;

public sealed partial class WorkflowFolder
{
    /// <summary>Imports what changes until it is stopped; also what changed before the call.</summary>
    /// <remarks>An unreachable database or a missing folder does not end it: it looks again later.</remarks>
    /// <param name="cancellationToken">Ends watching.</param>
    /// <exception cref="OperationCanceledException">It was stopped; it ends in no other way.</exception>
    public Task WatchAsync(CancellationToken cancellationToken) => new FolderWatch(options.Folder, options.Settle, options.Rescan, time)
    {
        NotWatched = reason => LogNotWatched(options.Folder, reason, options.Rescan.TotalSeconds),
    }.RunAsync(TryImportChangedAsync, cancellationToken);

    private async Task TryImportChangedAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            await ImportChangedAsync(cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Whatever it was: a watch that ended here would never be missed.
            LogFailed(exception, options.Folder, options.Rescan.TotalSeconds);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Reads files, again for a while those that do not parse: somebody may be writing them.</summary>
    private async Task<List<FileRead>> ReadSettledAsync(List<DefinitionFile> files, CancellationToken cancellationToken)
    {
        var reads = new List<FileRead>(files.Count);
        foreach (var file in files)
            reads.Add(new FileRead(file, await DefinitionPackage.ReadFileAsync(file, options.Limits, cancellationToken)));
        for (var i = 0; i < options.Rereads && reads.Exists(r => r.IsUnfinished); i++)
        {
            await Task.Delay(options.RereadDelay, time, cancellationToken);
            for (var at = 0; at < reads.Count; at++)
            {
                if (!reads[at].IsUnfinished)
                    continue;
                var current = new FileInfo(reads[at].File.Path);
                var file = current.Exists
                    ? reads[at].File with { Length = current.Length, ChangedAt = current.LastWriteTimeUtc }
                    : reads[at].File;
                reads[at] = new FileRead(file, await DefinitionPackage.ReadFileAsync(file, options.Limits, cancellationToken));
            }
        }

        return reads;
    }

    [LoggerMessage(2155, LogLevel.Warning,
        "Cannot watch folder {Folder} for changes ({Reason}); it is looked through every {Seconds:F0} s instead")]
    private partial void LogNotWatched(string folder, string reason, double seconds);

    [LoggerMessage(2156, LogLevel.Error,
        "Could not import the workflows of folder {Folder}; trying again when a file changes or in {Seconds:F0} s")]
    private partial void LogFailed(Exception exception, string folder, double seconds);

    private sealed record FileRead(DefinitionFile File, List<PackagedDefinition> Entries)
    {
        // A file that is being written breaks off somewhere, or is locked.
        public bool IsUnfinished => Entries.Exists(e => e.Definition is null
            && e.Problems[0].Code is "definition.malformed_json" or "definition.invalid_utf8" or "package.unreadable");
    }
}
