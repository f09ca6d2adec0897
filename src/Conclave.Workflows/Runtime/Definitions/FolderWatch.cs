using System.Threading.Channels;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>Has a folder looked at whenever something in it changes, and now and then without a change: reports of changes get lost.</summary>
/// <param name="folder">The folder; need not exist yet.</param>
/// <param name="settle">How long it must be quiet after a change before it is looked at.</param>
/// <param name="rescan">How often it is looked at when no change is reported.</param>
/// <param name="time">The clock.</param>
internal sealed class FolderWatch(string folder, TimeSpan settle, TimeSpan rescan, TimeProvider time)
{
    private const int MostSettles = 20;

    /// <summary>Told why the folder cannot be watched; it is looked at now and then all the same.</summary>
    public Action<string>? NotWatched { get; init; }

    /// <summary>Looks at once, and after every change until it is stopped.</summary>
    /// <param name="look">Looks at the folder; does not throw.</param>
    /// <param name="cancellationToken">Ends watching.</param>
    /// <exception cref="OperationCanceledException">It was stopped; it ends in no other way.</exception>
    public async Task RunAsync(Func<CancellationToken, Task> look, CancellationToken cancellationToken)
    {
        var changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        FileSystemWatcher? watcher = null;
        try
        {
            while (true)
            {
                // Before looking, so that no change falls between the two.
                watcher ??= StartWatcher(changes.Writer);
                await look(cancellationToken);
                if (!await ChangesWithinAsync(changes.Reader, rescan, cancellationToken))
                {
                    // The folder may have been replaced by another of the same name, which an old watcher never notices.
                    watcher?.Dispose();
                    watcher = null;
                    continue;
                }

                // A folder that never rests is looked at all the same.
                for (var i = 0; i < MostSettles && await ChangesWithinAsync(changes.Reader, settle, cancellationToken);)
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
        if (!Directory.Exists(folder))
            return null;
        FileSystemWatcher? watcher = null;
        try
        {
            watcher = new FileSystemWatcher(folder) { IncludeSubdirectories = true };
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
            NotWatched?.Invoke(exception.Message);
            return null;
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
}
