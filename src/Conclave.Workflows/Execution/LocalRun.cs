using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Execution;

/// <summary>
/// Runs one workflow, and those it starts, in memory from beginning to end: for the command line, tests and trials.
/// Nothing survives the process.
/// </summary>
public sealed class LocalRun
{
    private const int MaxBursts = 10_000;

    private readonly WorkflowEngine _engine;
    private readonly Action<string>? _onLine;
    private readonly List<WorkflowInstance> _instances = [];
    private readonly List<string> _lines = [];
    private readonly HashSet<string> _delivered = [];
    private readonly Dictionary<string, WorkflowGraph> _graphs = new(StringComparer.Ordinal);

    /// <summary>Creates a run.</summary>
    /// <param name="engine">The engine; its library holds the workflows that may be started.</param>
    /// <param name="onLine">
    /// Called with each line as it is written; then neither lines nor logs are kept, so that a long run takes constant
    /// memory. Null keeps both.
    /// </param>
    public LocalRun(WorkflowEngine engine, Action<string>? onLine = null)
    {
        _engine = engine;
        _onLine = onLine;
    }

    /// <summary>Lines written by all instances, in order.</summary>
    public IReadOnlyList<string> Lines => _lines;

    /// <summary>The instance that was started first.</summary>
    public WorkflowInstance Instance => _instances[0];

    /// <summary>Instances that the first one started, directly or not.</summary>
    public IEnumerable<WorkflowInstance> Children => _instances.Skip(1);

    /// <summary>How the first instance stood when it first waited; null when it never did.</summary>
    public FirstBurst? First { get; private set; }

    /// <summary>Replaces every instance before something is resumed; tests store and restore them there.</summary>
    internal Func<WorkflowInstance, WorkflowInstance>? BetweenBursts { get; init; }

    /// <summary>Starts a workflow and runs it until it ends or waits.</summary>
    public async Task StartAsync(WorkflowGraph graph, WorkflowStart start, CancellationToken cancellationToken)
    {
        var instance = _engine.CreateInstance(graph, start);
        _instances.Add(instance);
        await _engine.RunAsync(instance, new Host(this, 0), cancellationToken);
        if (instance.Bookmarks.Count > 0)
            First = new FirstBurst([.. _lines], instance.Status, instance.SubStatus, [.. instance.Bookmarks.Select(b => new WaitingAt(b.Name, b.Context.Node.Id, b.Payload))]);
        await CarryOutAsync(cancellationToken);
    }

    /// <summary>Resumes every bookmark at once instead of waiting, by due time and then by activity id, until none is left.</summary>
    /// <returns>Whether everything that waited was resumed; false when the workflow waits again and again.</returns>
    public async Task<bool> ResumeAllAsync(CancellationToken cancellationToken)
    {
        for (var bursts = 0; bursts < MaxBursts; bursts++)
        {
            for (var i = 0; BetweenBursts is not null && i < _instances.Count; i++)
                _instances[i] = BetweenBursts(_instances[i]);
            var next = _instances
                .Where(i => i.Status == WorkflowStatus.Running)
                .SelectMany(i => i.Bookmarks)
                .OrderBy(b => b.DueAt)
                .ThenBy(b => b.Context.Node.Id, StringComparer.Ordinal)
                .FirstOrDefault();
            if (next is null)
                return true;
            await ResumeAsync(next, null, cancellationToken);
        }

        return false;
    }

    /// <summary>Resumes one bookmark and carries out what follows.</summary>
    public async Task ResumeAsync(Bookmark bookmark, object? input, CancellationToken cancellationToken)
    {
        await _engine.ResumeAsync(bookmark.Context.Instance, bookmark, input, new Host(this, 0), cancellationToken);
        await CarryOutAsync(cancellationToken);
    }

    /// <summary>Does what bursts asked for, until nobody asks any more.</summary>
    private async Task CarryOutAsync(CancellationToken cancellationToken)
    {
        for (var isIdle = false; !isIdle;)
        {
            isIdle = true;
            foreach (var instance in _instances.ToArray())
            {
                foreach (var effect in instance.TakeEffects())
                {
                    isIdle = false;
                    if (effect is WorkflowDispatched dispatched)
                        await StartChildAsync(dispatched.Request, 0, cancellationToken);
                    else if (effect is EventPublished published)
                        await PublishAsync(published, cancellationToken);
                }
            }

            foreach (var child in Children.Where(c => c.Status == WorkflowStatus.Finished).ToArray())
            {
                if (FindWaiting(child) is not { } waiting)
                    continue;
                isIdle = false;
                await _engine.ResumeAsync(waiting.Context.Instance, waiting, Result(child), new Host(this, 0), cancellationToken);
            }
        }
    }

    private async Task PublishAsync(EventPublished published, CancellationToken cancellationToken)
    {
        var listening = _instances
            .Where(i => i.Status == WorkflowStatus.Running
                && (published.WorkflowInstanceId is null || published.WorkflowInstanceId == i.Id)
                && (published.CorrelationId is null || published.CorrelationId == i.CorrelationId))
            .SelectMany(i => i.Bookmarks)
            .Where(b => b.Payload.Type == "EventStimulus" && b.Payload["EventName"] as string == published.EventName)
            .ToArray();
        foreach (var bookmark in listening)
            await _engine.ResumeAsync(bookmark.Context.Instance, bookmark, published.Payload, new Host(this, 0), cancellationToken);
    }

    /// <summary>The bookmark of the parent that waits for a child to finish; each child is reported once.</summary>
    private Bookmark? FindWaiting(WorkflowInstance child)
    {
        if (_delivered.Contains(child.Id))
            return null;
        var parent = _instances.Find(i => i.Id == child.ParentInstanceId && i.Status == WorkflowStatus.Running);
        var bookmark = parent?.Bookmarks.FirstOrDefault(b =>
            b.Payload["ChildInstanceId"] as string == child.Id || b.Payload.Type == "BulkDispatchWorkflowsStimulus");
        if (bookmark is not null)
            _delivered.Add(child.Id);
        return bookmark;
    }

    private async Task<WorkflowInstance> StartChildAsync(ChildWorkflowRequest request, int depth, CancellationToken cancellationToken)
    {
        var definition = _engine.Library.FindPublished(request.DefinitionId)
            ?? throw new WorkflowException("workflow.not_found", $"No published workflow has the definition id '{request.DefinitionId}'.");
        if (depth > _engine.Options.MaxWorkflowDepth)
            throw new WorkflowException("workflow.nested_too_deep", $"Workflows execute each other more than {_engine.Options.MaxWorkflowDepth} levels deep: {definition.Name ?? definition.DefinitionId} is one too many.");
        if (!_graphs.TryGetValue(definition.Id, out var graph))
            _graphs[definition.Id] = graph = _engine.Compile(definition);
        var child = _engine.CreateInstance(graph, new WorkflowStart
        {
            InstanceId = request.InstanceId,
            CorrelationId = request.CorrelationId,
            Input = request.Input,
            ParentInstanceId = request.ParentInstanceId,
            FlowchartMode = Instance.FlowchartMode,
        });
        _instances.Add(child);
        await _engine.RunAsync(child, new Host(this, depth), cancellationToken);
        return child;
    }

    private static ChildWorkflowResult Result(WorkflowInstance child) => new(
        child.Id, child.Graph.Definition.Id, child.CorrelationId, child.Status, child.SubStatus, child.Output);

    private void WriteLine(string text)
    {
        if (_onLine is null)
            _lines.Add(text);
        else
            _onLine(text);
    }

    /// <summary>Forgets what it is given.</summary>
    private sealed class NoLog : IExecutionLogSink
    {
        public static NoLog Instance { get; } = new();

        public void Write(WorkflowInstance instance, ReadOnlySpan<LogEntry> entries)
        {
        }
    }

    /// <summary>How an instance stood when it first waited.</summary>
    /// <param name="Lines">Lines written so far.</param>
    /// <param name="Status">Status.</param>
    /// <param name="SubStatus">Sub status.</param>
    /// <param name="Bookmarks">What it waited for.</param>
    public sealed record FirstBurst(
        IReadOnlyList<string> Lines, WorkflowStatus Status, WorkflowSubStatus SubStatus, IReadOnlyList<WaitingAt> Bookmarks);

    /// <summary>What an instance waited for.</summary>
    /// <param name="Name">Name of the stimulus.</param>
    /// <param name="ActivityId">Id of the activity.</param>
    /// <param name="Payload">What the stimulus must match.</param>
    public sealed record WaitingAt(string Name, string ActivityId, BookmarkPayload Payload);

    private sealed class Host : WorkflowHost
    {
        private readonly LocalRun _run;

        public Host(LocalRun run, int depth)
        {
            _run = run;
            Depth = depth;
            LogSink = run._onLine is null ? null : NoLog.Instance;
        }

        public override void WriteLine(string? text) => _run.WriteLine(text ?? "");

        public override async ValueTask<ChildWorkflowResult> ExecuteWorkflowAsync(
            ChildWorkflowRequest request, CancellationToken cancellationToken) =>
            Result(await _run.StartChildAsync(request, Depth + 1, cancellationToken));
    }
}
