using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Workflows.Runtime.Executions;

/// <summary>Executions of activities, put together from the journal; nothing is stored for them.</summary>
/// <remarks>Reads the whole journal of an instance part by part: 100,000 entries take some milliseconds, and memory for what was asked for.</remarks>
public sealed class ActivityExecutions(JournalStore journal, InstanceRunner runner)
{
    /// <summary>Finds executions of an instance, oldest first.</summary>
    public async Task<ExecutionList> FindAsync(string tenant, string instanceId, ExecutionFilter filter, CancellationToken cancellationToken)
    {
        // Before the journal: what has ended since is in there.
        var live = await ReadLiveAsync(tenant, instanceId, cancellationToken);
        var scan = new ExecutionScan(instanceId, filter);
        var graphs = new JournalGraphs(runner.Catalog.Of(tenant));
        await foreach (var chunk in journal.ReadChunksAsync(tenant, instanceId, -1, cancellationToken))
            scan.Read(chunk, await graphs.FindAsync(chunk, cancellationToken));
        return scan.End(live);
    }

    /// <summary>Finds one execution; null when there is none.</summary>
    public async Task<ActivityExecution?> FindAsync(string tenant, string instanceId, int number, CancellationToken cancellationToken) =>
        (await FindAsync(tenant, instanceId, new ExecutionFilter { Numbers = new HashSet<int> { number } }, cancellationToken)).Items is [var found, ..] ? found : null;

    /// <summary>Finds an execution and those that it is inside of, the outermost first; empty when there is none.</summary>
    public async Task<IReadOnlyList<ActivityExecution>> FindPathAsync(string tenant, string instanceId, int number, CancellationToken cancellationToken)
    {
        var path = new HashSet<int>();
        var open = new OpenExecutions();
        await foreach (var chunk in journal.ReadChunksAsync(tenant, instanceId, -1, cancellationToken))
        {
            if (FollowTo(chunk, open, number))
            {
                path.UnionWith(open.PathOf(number));
                break;
            }
        }

        if (path.Count == 0)
            return [];
        var found = await FindAsync(tenant, instanceId, new ExecutionFilter { Numbers = path }, cancellationToken);
        return [.. found.Items.OrderBy(e => e.Depth)];
    }

    /// <summary>Counts the executions of each activity of an instance.</summary>
    public async Task<ExecutionReport> ReportAsync(string tenant, string instanceId, CancellationToken cancellationToken)
    {
        var report = new ExecutionReport();
        await ContinueAsync(report, tenant, instanceId, cancellationToken);
        return report;
    }

    /// <summary>Adds what happened since.</summary>
    public async Task ContinueAsync(ExecutionReport report, string tenant, string instanceId, CancellationToken cancellationToken)
    {
        await foreach (var chunk in journal.ReadChunksAsync(tenant, instanceId, report.Last, cancellationToken))
            report.Read(chunk);
    }

    /// <summary>Finds the further attempts of an execution, oldest first.</summary>
    public async Task<IReadOnlyList<ExecutionRetry>> FindRetriesAsync(string tenant, string instanceId, int number, CancellationToken cancellationToken)
    {
        var retries = new List<ExecutionRetry>();
        DateTimeOffset? previous = null;
        await foreach (var chunk in journal.ReadChunksAsync(tenant, instanceId, -1, cancellationToken))
            previous = AddRetries(chunk, number, previous, retries);
        return retries;
    }

    /// <summary>When executions began.</summary>
    public async Task<IReadOnlyDictionary<int, DateTimeOffset>> FindStartsAsync(
        string tenant, string instanceId, IReadOnlySet<int> numbers, CancellationToken cancellationToken)
    {
        var starts = new Dictionary<int, DateTimeOffset>();
        await foreach (var chunk in journal.ReadChunksAsync(tenant, instanceId, -1, cancellationToken))
        {
            AddStarts(chunk, numbers, starts);
            if (starts.Count == numbers.Count)
                break;
        }

        return starts;
    }

    /// <summary>What the state of an instance says of its executions.</summary>
    public async Task<LiveExecutions> ReadLiveAsync(string tenant, string instanceId, CancellationToken cancellationToken)
    {
        try
        {
            return new LiveExecutions(await runner.ReadAsync(tenant, instanceId, cancellationToken));
        }
        catch (Exception exception) when (exception is WorkflowException or WorkflowDefinitionException or InvalidDataException)
        {
            // Its version was deleted; the journal can still be read.
            return new LiveExecutions(null);
        }
    }

    private static bool FollowTo(StoredJournalChunk chunk, OpenExecutions open, int number)
    {
        var reader = chunk.Read();
        while (reader.MoveNext())
        {
            if (reader.Event == ExecutionEvent.Started)
                open.Begin(reader.ActivityInstance, reader.ParentInstance);
            if (reader.ActivityInstance == number)
                return true;
            if (reader.Event is ExecutionEvent.Completed or ExecutionEvent.Canceled)
                open.End(reader.ActivityInstance);
        }

        return false;
    }

    private static void AddStarts(StoredJournalChunk chunk, IReadOnlySet<int> numbers, Dictionary<int, DateTimeOffset> starts)
    {
        var reader = chunk.Read();
        while (reader.MoveNext())
        {
            if (reader.Event == ExecutionEvent.Started && numbers.Contains(reader.ActivityInstance))
                starts.TryAdd(reader.ActivityInstance, reader.Timestamp);
        }
    }

    private static DateTimeOffset? AddRetries(StoredJournalChunk chunk, int number, DateTimeOffset? previous, List<ExecutionRetry> retries)
    {
        var reader = chunk.Read();
        while (reader.MoveNext())
        {
            if (reader.ActivityInstance != number || reader.Event is not (ExecutionEvent.Started or ExecutionEvent.Retried))
                continue;
            if (reader.Event == ExecutionEvent.Retried)
                retries.Add(new ExecutionRetry(retries.Count + 1, reader.Timestamp, reader.Timestamp - (previous ?? reader.Timestamp), reader.ReadDetails().Exception));
            previous = reader.Timestamp;
        }

        return previous;
    }
}

/// <summary>The versions that parts of a journal are from.</summary>
/// <param name="workflows">The tenant's workflows.</param>
public sealed class JournalGraphs(TenantWorkflows workflows)
{
    private readonly Dictionary<string, WorkflowGraph?> _graphs = new(StringComparer.Ordinal);

    /// <summary>The version of a part; null when it was deleted since.</summary>
    public ValueTask<WorkflowGraph?> FindAsync(StoredJournalChunk chunk, CancellationToken cancellationToken) =>
        FindAsync(chunk.Read().VersionId, cancellationToken);

    /// <summary>A version by its id; null when it was deleted since.</summary>
    public async ValueTask<WorkflowGraph?> FindAsync(string versionId, CancellationToken cancellationToken)
    {
        if (_graphs.TryGetValue(versionId, out var known))
            return known;
        try
        {
            return _graphs[versionId] = await workflows.GetGraphAsync(versionId, cancellationToken);
        }
        catch (Exception exception) when (exception is WorkflowException or WorkflowDefinitionException)
        {
            return _graphs[versionId] = null;
        }
    }
}
