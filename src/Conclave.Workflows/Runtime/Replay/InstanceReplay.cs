using System.Runtime.CompilerServices;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Executions;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Workflows.Runtime.Replay;

/// <summary>Goes through the journal of an instance, event by event, and tells how the instance stood after each.</summary>
/// <remarks>Nothing runs again: what activities did and got is read, as far as the workflow's log settings let the journal keep it.</remarks>
public sealed class InstanceReplay(JournalStore journal, DefinitionCatalog catalog)
{
    /// <summary>The state of an instance at a point.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="instanceId">The instance.</param>
    /// <param name="point">The point.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public async Task<ReplayState> FindAsync(string tenant, string instanceId, ReplayPoint point, CancellationToken cancellationToken)
    {
        var state = new ReplayState();
        await foreach (var step in WalkAsync(tenant, instanceId, state, point, cancellationToken))
            cancellationToken.ThrowIfCancellationRequested();
        return state;
    }

    /// <summary>Goes through the journal from its beginning.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="instanceId">The instance.</param>
    /// <param name="point">Where to stop.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public IAsyncEnumerable<ReplayStep> WalkAsync(string tenant, string instanceId, ReplayPoint point, CancellationToken cancellationToken) =>
        WalkAsync(tenant, instanceId, new ReplayState(), point, cancellationToken);

    private async IAsyncEnumerable<ReplayStep> WalkAsync(
        string tenant, string instanceId, ReplayState state, ReplayPoint point, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var graphs = new JournalGraphs(catalog.Of(tenant));
        var operations = await journal.ReadOperationsAsync(tenant, instanceId, cancellationToken);
        var chunks = journal.ReadChunksAsync(tenant, instanceId, -1, cancellationToken);
        await foreach (var step in WalkAsync(state, chunks, new Queue<InstanceOperation>(operations), id => graphs.FindAsync(id, cancellationToken), point))
            yield return step;
    }

    /// <summary>Goes through a journal from its beginning.</summary>
    internal static async IAsyncEnumerable<ReplayStep> WalkAsync(
        ReplayState state, IAsyncEnumerable<StoredJournalChunk> chunks, Queue<InstanceOperation> operations, Func<string, ValueTask<WorkflowGraph?>> findGraph, ReplayPoint point)
    {
        var isFirst = true;
        await foreach (var chunk in chunks)
        {
            if (isFirst)
                state.Begin(chunk.FirstSequence);
            isFirst = false;
            var (versionId, entries, notes) = Read(chunk);
            var graph = await findGraph(versionId);
            foreach (var entry in entries)
            {
                // An operation comes before the entry that has its number.
                while (operations.TryPeek(out var operation) && operation.Sequence <= entry.Sequence)
                {
                    if (!point.Includes(operation))
                        yield break;
                    yield return await ApplyAsync(state, operations.Dequeue(), findGraph);
                }

                if (!point.Includes(entry))
                    yield break;
                state.Enter(versionId, graph);
                var changes = new List<ReplayChange>();
                await ApplyAsync(state, notes, entry.Sequence, changes, findGraph);
                state.Apply(entry);
                await ApplyAsync(state, notes, entry.Sequence + 1, changes, findGraph);
                yield return new ReplayStep(new StoredJournalEntry(versionId, entry), null, changes, state);
            }
        }

        while (operations.TryDequeue(out var operation) && point.Includes(operation))
            yield return await ApplyAsync(state, operation, findGraph);
    }

    private static async ValueTask<ReplayStep> ApplyAsync(
        ReplayState state, InstanceOperation operation, Func<string, ValueTask<WorkflowGraph?>> findGraph)
    {
        var changes = new List<ReplayChange>();
        state.Apply(operation);
        if (operation.Notes is { } notes)
            await ApplyAsync(state, Read(notes).Notes, long.MaxValue, changes, findGraph);
        return new ReplayStep(null, operation, changes, state);
    }

    /// <summary>Takes the notes up to an entry.</summary>
    private static async ValueTask ApplyAsync(
        ReplayState state, Queue<LogNote> notes, long end, List<ReplayChange> changes, Func<string, ValueTask<WorkflowGraph?>> findGraph)
    {
        while (notes.TryPeek(out var note) && note.Sequence <= end)
        {
            notes.Dequeue();
            state.Apply(note, note.Kind == LogNoteKind.Version ? await findGraph(note.Name ?? "") : null);
            if (note.Kind is LogNoteKind.Variable or LogNoteKind.Output)
                changes.Add(new ReplayChange(note.ActivityInstance, note.Name ?? "", new RecordedValue(note.Value, note.IsKept)));
        }
    }

    private static (string VersionId, List<JournalEntry> Entries, Queue<LogNote> Notes) Read(StoredJournalChunk chunk)
    {
        var reader = chunk.Read();
        var entries = new List<JournalEntry>();
        while (reader.MoveNext())
            entries.Add(reader.ReadEntry());
        return (reader.VersionId, entries, new Queue<LogNote>(reader.ReadNotes()));
    }
}
