using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Conclave.Workflows.Runtime.Definitions;

public sealed partial class WorkflowFolder
{
    /// <summary>Imports what changes until it is stopped; also what changed before the call.</summary>
    /// <remarks>An unreachable database or a missing folder does not end it: it looks again later.</remarks>
    /// <param name="cancellationToken">Ends watching.</param>
    /// <exception cref="OperationCanceledException">It was stopped; it ends in no other way.</exception>
    public async Task WatchAsync(CancellationToken cancellationToken)
    {
        var changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        FileSystemWatcher? watcher = null;
        try
        {
            while (true)
            {
                // Before looking, so that no change falls between the two.
                watcher ??= StartWatcher(changes.Writer);
                await TryImportChangedAsync(cancellationToken);
                if (!await ChangesWithinAsync(changes.Reader, options.Rescan, cancellationToken))
                {
                    // The folder may have been replaced by another of the same name, which an old watcher never notices.
                    watcher?.Dispose();
                    watcher = null;
                    continue;
                }

                // A folder that never rests is looked at all the same.
                for (var i = 0; i < 20 && await ChangesWithinAsync(changes.Reader, options.Settle, cancellationToken);)
                    i++;
            }
        }
        finally
        {
            watcher?.Dispose();
        }
    }

    private FileSystemWatcher? StartWatcher(ChannelWriter<bool> changes)
    {
        if (!Directory.Exists(options.Folder))
            return null;
        FileSystemWatcher? watcher = null;
        try
        {
            watcher = new FileSystemWatcher(options.Folder) { IncludeSubdirectories = true };
            watcher.Changed += (_, _) => changes.TryWrite(true);
            watcher.Created += (_, _) => changes.TryWrite(true);
            watcher.Deleted += (_, _) => changes.TryWrite(true);
            watcher.Renamed += (_, _) => changes.TryWrite(true);
            watcher.Error += (_, _) => changes.TryWrite(true);
            watcher.EnableRaisingEvents = true;
            return watcher;
        }
        catch (Exception exception) when (exception is IOException or ArgumentException or UnauthorizedAccessException)
        {
            watcher?.Dispose();
            LogNotWatched(options.Folder, exception.Message, options.Rescan.TotalSeconds);
            return null;
        }
    }

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

    private async Task<bool> ChangesWithinAsync(ChannelReader<bool> changes, TimeSpan span, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(span, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await changes.ReadAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
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
