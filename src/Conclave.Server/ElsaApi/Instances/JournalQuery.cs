using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Executions;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>An entry of a journal with what it does not say itself.</summary>
/// <param name="Entry">The entry.</param>
/// <param name="Node">The activity; null when its version was deleted since.</param>
/// <param name="ParentInstance">Number of the execution that scheduled this one; 0 when there is none.</param>
internal sealed record JournalRecord(JournalEntry Entry, ActivityNode? Node, int ParentInstance);

/// <summary>Which entries of a journal are meant. Null asks for nothing; an empty list, as Elsa has it, for what is in no list.</summary>
internal sealed record JournalQuery
{
    /// <summary>Ids of activities.</summary>
    public IReadOnlySet<string>? ActivityIds { get; init; }

    /// <summary>Node ids of activities.</summary>
    public IReadOnlySet<string>? NodeIds { get; init; }

    /// <summary>Types of activities that are left out.</summary>
    public IReadOnlySet<string>? ExcludedTypes { get; init; }

    /// <summary>Names of events.</summary>
    public IReadOnlySet<string>? Events { get; init; }

    /// <summary>Reads a page of a journal. Entries that are not on it are only counted.</summary>
    /// <returns>The page, and the number of entries on all pages.</returns>
    public async Task<(List<JournalRecord> Page, long Total)> ReadAsync(
        WorkflowRuntime runtime, string tenant, string instanceId, long skip, int take, CancellationToken cancellationToken)
    {
        var graphs = new JournalGraphs(runtime.Catalog.Of(tenant));
        var page = new Page(skip, take);
        await foreach (var chunk in runtime.Journal.ReadChunksAsync(tenant, instanceId, -1, cancellationToken))
            Read(chunk, await graphs.FindAsync(chunk, cancellationToken), page);
        return (page.Records, page.Total);
    }

    /// <summary>Finds the last entry that fits; null when none does.</summary>
    public async Task<JournalRecord?> FindLastAsync(WorkflowRuntime runtime, string tenant, string instanceId, CancellationToken cancellationToken)
    {
        var (_, total) = await ReadAsync(runtime, tenant, instanceId, 0, 0, cancellationToken);
        return total == 0 ? null : (await ReadAsync(runtime, tenant, instanceId, total - 1, 1, cancellationToken)).Page.LastOrDefault();
    }

    private void Read(StoredJournalChunk chunk, WorkflowGraph? graph, Page page)
    {
        var reader = chunk.Read();
        var nodes = Array.ConvertAll(reader.NodeIds, id => graph?.FindNode(id));
        var isWanted = new bool[nodes.Length];
        for (var i = 0; i < nodes.Length; i++)
            isWanted[i] = IsWanted(reader.NodeIds[i], nodes[i]);
        while (reader.MoveNext())
        {
            if (reader.Event == ExecutionEvent.Started)
                page.Open.Begin(reader.ActivityInstance, reader.ParentInstance);
            if (isWanted[reader.Node] && Events?.Contains(reader.Event.ToString()) != false)
            {
                if (page.Total >= page.Skip && page.Records.Count < page.Take)
                    page.Records.Add(new JournalRecord(reader.ReadEntry(), nodes[reader.Node], page.Open.ParentOf(reader.ActivityInstance)));
                page.Total++;
            }

            if (reader.Event is ExecutionEvent.Completed or ExecutionEvent.Canceled)
                page.Open.End(reader.ActivityInstance);
        }
    }

    private bool IsWanted(string nodeId, ActivityNode? node) =>
        NodeIds?.Contains(nodeId) != false
        && ActivityIds?.Contains(node?.Id ?? nodeId[(nodeId.LastIndexOf(':') + 1)..]) != false
        && ExcludedTypes?.Contains(node?.Type ?? ExecutionJson.UnknownType) != true;

    private sealed class Page(long skip, int take)
    {
        public long Skip { get; } = skip;

        public int Take { get; } = take;

        public List<JournalRecord> Records { get; } = [];

        public OpenExecutions Open { get; } = new();

        public long Total { get; set; }
    }
}
