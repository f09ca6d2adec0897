using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;

namespace Conclave.Workflows.Execution;

/// <summary>
/// Compiles definitions and runs instances in memory. Holds no instance state: one engine serves any number of threads.
/// </summary>
public sealed class WorkflowEngine
{
    private readonly IServiceProvider? _services;

    /// <summary>Creates an engine with what is given, and the built-in parts for the rest.</summary>
    /// <param name="options">Limits and defaults.</param>
    /// <param name="catalog">Activity types.</param>
    /// <param name="expressions">Expression syntaxes.</param>
    /// <param name="library">Workflows that others use.</param>
    /// <param name="http">Sends the requests of HTTP activities.</param>
    /// <param name="time">The clock.</param>
    /// <param name="services">What activities of other assemblies need, such as model calls; none by default.</param>
    public WorkflowEngine(
        WorkflowEngineOptions? options = null,
        ActivityCatalog? catalog = null,
        ExpressionSyntaxes? expressions = null,
        WorkflowLibrary? library = null,
        OutboundHttp? http = null,
        TimeProvider? time = null,
        IServiceProvider? services = null)
    {
        Options = options ?? new WorkflowEngineOptions();
        Catalog = catalog ?? ActivityCatalog.BuiltIn;
        Expressions = expressions ?? ExpressionSyntaxes.BuiltIn;
        Library = library ?? new WorkflowLibrary();
        Http = http ?? OutboundHttp.Default;
        Time = time ?? TimeProvider.System;
        _services = services;
    }

    /// <summary>Limits and defaults.</summary>
    public WorkflowEngineOptions Options { get; }

    /// <summary>Activity types.</summary>
    public ActivityCatalog Catalog { get; }

    /// <summary>Expression syntaxes.</summary>
    public ExpressionSyntaxes Expressions { get; }

    /// <summary>Workflows that others use.</summary>
    public WorkflowLibrary Library { get; }

    /// <summary>Sends the requests of HTTP activities.</summary>
    public OutboundHttp Http { get; }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; }

    /// <summary>A service that activities of other assemblies need.</summary>
    /// <param name="what">What it does, for the message: "call models".</param>
    /// <exception cref="WorkflowException"><c>host.unavailable</c>: this host does not have it.</exception>
    public T Service<T>(string what)
        where T : class => FindService<T>() ?? throw WorkflowHost.Unavailable(what);

    /// <summary>A service that activities of other assemblies can do without; null when this host does not have it.</summary>
    public T? FindService<T>()
        where T : class => _services?.GetService(typeof(T)) as T;

    /// <summary>What authors see of the activity types; those that this engine cannot run are not browsable.</summary>
    public IEnumerable<ActivityDescriptor> Descriptors => Catalog.Types.Select(t => t.Descriptor).Select(d =>
        d.RequiredSyntax is not { } syntax || Expressions.Descriptors.Any(e => e.Type == syntax) ? d : d with { IsBrowsable = false });

    /// <summary>Compiles a definition.</summary>
    /// <exception cref="WorkflowDefinitionException">The definition cannot run at all; carries every problem.</exception>
    public WorkflowGraph Compile(WorkflowDefinition definition) => WorkflowGraph.Compile(definition, this);

    /// <summary>Creates an instance; nothing runs yet.</summary>
    public WorkflowInstance CreateInstance(WorkflowGraph graph, WorkflowStart? start = null)
    {
        start ??= WorkflowStart.Default;
        var instance = new WorkflowInstance(start.InstanceId ?? Guid.CreateVersion7().ToString("N"), graph, Time)
        {
            ParentInstanceId = start.ParentInstanceId,
            IsParentTold = !start.TellsParent,
            CorrelationId = start.CorrelationId,
            Name = start.Name,
            TriggerActivityId = start.TriggerActivityId,
            TriggerInput = start.TriggerInput,
            Input = WithDefaults(graph.Definition, start.Input),
            InitialVariables = start.Variables,
            FlowchartMode = start.FlowchartMode ?? ModeOf(graph.Definition) ?? Options.FlowchartMode,
        };
        instance.EffectList.AddRange(start.Effects);
        if (graph.KeepsOutputs)
            instance.ActivityOutputs = new object?[]?[graph.Nodes.Count];
        return instance;
    }

    /// <summary>Runs an instance: from its beginning, or on with what an interrupted burst left.</summary>
    /// <exception cref="OperationCanceledException">The burst was stopped; the instance can go on in another burst.</exception>
    public async ValueTask RunAsync(WorkflowInstance instance, WorkflowHost host, CancellationToken cancellationToken)
    {
        if (instance.Status == WorkflowStatus.Finished)
            return;
        if (instance.SubStatus == WorkflowSubStatus.Pending)
            instance.Scheduler.Enqueue(new WorkItem(instance.Graph.Root, null, 0, 0, null));
        Begin(instance);
        await new Burst(this, instance, host, cancellationToken).RunAsync();
        End(instance);
    }

    /// <summary>Resumes a bookmark and runs on. Does nothing when the bookmark is gone, so that delivery may repeat.</summary>
    /// <param name="instance">The instance that waits.</param>
    /// <param name="bookmark">One of its bookmarks.</param>
    /// <param name="input">What arrived.</param>
    /// <param name="host">What the process offers.</param>
    /// <param name="cancellationToken">Stops the burst.</param>
    /// <returns>Whether the bookmark was there.</returns>
    public async ValueTask<bool> ResumeAsync(
        WorkflowInstance instance, Bookmark bookmark, object? input, WorkflowHost host, CancellationToken cancellationToken)
    {
        if (instance.Status == WorkflowStatus.Finished || !instance.BookmarkList.Contains(bookmark))
            return false;
        Begin(instance);
        await new Burst(this, instance, host, cancellationToken).ResumeAsync(bookmark, input);
        End(instance);
        return true;
    }

    /// <summary>Cancels an instance between bursts. Does nothing when it has ended.</summary>
    public static void Cancel(WorkflowInstance instance)
    {
        if (instance.Status == WorkflowStatus.Finished)
            return;
        instance.Scheduler.Clear();
        instance.RootContext?.Cancel();
        instance.BookmarkList.Clear();
        instance.SubStatus = WorkflowSubStatus.Cancelled;
        End(instance);
    }

    /// <summary>Evaluates what a trigger starts the workflow on, in an instance that is thrown away.</summary>
    internal async ValueTask<IReadOnlyList<BookmarkPayload>> EvaluateTriggerAsync(
        WorkflowGraph graph, ActivityNode trigger, CancellationToken cancellationToken)
    {
        var instance = CreateInstance(graph);
        var root = instance.NewContext(graph.Root, null);
        var burst = new Burst(this, instance, new WorkflowHost(), cancellationToken);
        root.Burst = burst;
        root.CancellationToken = cancellationToken;
        var context = instance.NewContext(trigger, root);
        context.Burst = burst;
        context.CancellationToken = cancellationToken;
        await Burst.EvaluateInputsAsync(context);
        return trigger.Activity.TriggerPayloads(context);
    }

    /// <summary>The inputs that were given, and the defaults of declared ones that were not.</summary>
    internal static IReadOnlyDictionary<string, object?> WithDefaults(WorkflowDefinition definition, IReadOnlyDictionary<string, object?> given)
    {
        Dictionary<string, object?>? completed = null;
        foreach (var declared in definition.Inputs)
        {
            if (declared.DefaultValue.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null || given.ContainsKey(declared.Name))
                continue;
            completed ??= new Dictionary<string, object?>(given);
            completed[declared.Name] = ValueConverter.Convert(
                ValueConverter.FromJson(declared.DefaultValue), TypeAliases.Resolve(declared.Type, declared.IsArray));
        }

        return completed ?? given;
    }

    private static FlowchartMode? ModeOf(WorkflowDefinition definition)
    {
        if (!JsonShapes.TryGet(definition.CustomProperties, "Flowchart:ExecutionMode", out var mode))
            return null;
        return ValueConverter.ToText(ValueConverter.FromJson(mode)) switch
        {
            { } text when text.StartsWith("Token", StringComparison.OrdinalIgnoreCase) => FlowchartMode.Token,
            { } text when text.StartsWith("Counter", StringComparison.OrdinalIgnoreCase) => FlowchartMode.Counter,
            _ => null,
        };
    }

    private static void Begin(WorkflowInstance instance)
    {
        instance.SubStatus = WorkflowSubStatus.Executing;
        instance.Bursts++;
    }

    private static void End(WorkflowInstance instance)
    {
        if (instance.SubStatus == WorkflowSubStatus.Executing)
            instance.SubStatus = WorkflowSubStatus.Suspended;
        instance.UpdatedAt = instance.Time.GetUtcNow();
        if (instance.Status == WorkflowStatus.Finished)
            instance.FinishedAt = instance.UpdatedAt;
    }
}

/// <summary>How an instance starts.</summary>
public sealed record WorkflowStart
{
    /// <summary>Nothing given.</summary>
    public static WorkflowStart Default { get; } = new();

    /// <summary>Id of the instance; null makes one.</summary>
    public string? InstanceId { get; init; }

    /// <summary>Correlation id.</summary>
    public string? CorrelationId { get; init; }

    /// <summary>Name of the instance.</summary>
    public string? Name { get; init; }

    /// <summary>Inputs by name.</summary>
    public IReadOnlyDictionary<string, object?> Input { get; init; } = WorkflowInstance.EmptyValues;

    /// <summary>Values of the workflow's variables by name, instead of their defaults, for an instance whose first burst runs in this process.</summary>
    public IReadOnlyDictionary<string, object?> Variables { get; init; } = WorkflowInstance.EmptyValues;

    /// <summary>Activity that starts the workflow as a trigger.</summary>
    public string? TriggerActivityId { get; init; }

    /// <summary>What the trigger brings, such as the payload of an event.</summary>
    public object? TriggerInput { get; init; }

    /// <summary>Instance that starts this one.</summary>
    public string? ParentInstanceId { get; init; }

    /// <summary>Whether the parent is told when this one ends. Default true; false where it waits in another way.</summary>
    public bool TellsParent { get; init; } = true;

    /// <summary>How flowcharts run; null follows the workflow and then the engine.</summary>
    public FlowchartMode? FlowchartMode { get; init; }

    /// <summary>What is to happen with the instance's first commit, and only if that is stored.</summary>
    public IReadOnlyList<WorkflowEffect> Effects { get; init; } = [];
}
