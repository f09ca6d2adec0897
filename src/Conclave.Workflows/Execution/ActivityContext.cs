using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Execution;

/// <summary>One execution of one activity: what it reads, sets, schedules and waits for.</summary>
/// <remarks>Contexts are reused. Do not keep one after the activity completed.</remarks>
public sealed partial class ActivityContext
{
    private ActivityContext? _next;
    private ActivityContext? _previous;
    private ActivityContext? _lastChild;
    private int _bookmarks;

    internal ActivityContext(WorkflowInstance instance)
    {
        Instance = instance;
        Node = null!;
    }

    /// <summary>The workflow instance.</summary>
    public WorkflowInstance Instance { get; }

    /// <summary>The activity that executes.</summary>
    public ActivityNode Node { get; private set; }

    /// <summary>The execution that scheduled this one; null for the workflow itself.</summary>
    public ActivityContext? Parent { get; private set; }

    /// <summary>Number of this execution within the instance, from 1.</summary>
    public int Number { get; private set; }

    /// <summary>Id of this execution across instances.</summary>
    public string Id => $"{Instance.Id}/{Number}";

    /// <summary>Key under which a repeated attempt of this execution is recognised outside.</summary>
    public string IdempotencyKey => $"{Instance.Id}/{Number}/{Math.Max(1, Attempt)}";

    /// <summary>State of this execution.</summary>
    public ActivityStatus Status { get; internal set; }

    /// <summary>Which attempt this is, from 1; 0 for activities without retries.</summary>
    public int Attempt { get; internal set; }

    /// <summary>How often the activity is tried again if this attempt fails with an exception.</summary>
    public int RetriesLeft { get; internal set; }

    /// <summary>The burst that runs this activity; null between bursts.</summary>
    public Burst Burst { get; internal set; } = null!;

    /// <summary>What the engine offers around the burst.</summary>
    public WorkflowHost Host => Burst.Host;

    /// <summary>The engine.</summary>
    public WorkflowEngine Engine => Burst.Engine;

    /// <summary>Cancelled when the burst is to stop, or when the activity's time is over.</summary>
    public CancellationToken CancellationToken { get; internal set; }

    /// <summary>The clock.</summary>
    public TimeProvider Time => Instance.Time;

    /// <summary>Outcomes that the activity completed with; null for the default <c>Done</c>.</summary>
    public IReadOnlyList<string>? Outcomes { get; private set; }

    /// <summary>Number of executions scheduled by this one that have not ended.</summary>
    internal int ActiveChildren { get; private set; }

    /// <summary>Number of work items of this execution that have not begun.</summary>
    internal int ScheduledChildren { get; set; }

    /// <summary>Number of children that faulted and were not retried.</summary>
    internal int FaultedChildren { get; set; }

    /// <summary>What the owner gave when it scheduled this execution.</summary>
    internal int Tag { get; set; }

    /// <summary>A number that the activity keeps between callbacks, such as a loop's position.</summary>
    internal int Counter { get; set; }

    /// <summary>Whether a <c>Break</c> asked this loop or sequence to end.</summary>
    internal bool IsBreaking { get; set; }

    /// <summary>More that the activity keeps between callbacks.</summary>
    internal IActivityState? State { get; set; }

    /// <summary>Evaluated inputs by slot; null until one was evaluated.</summary>
    internal object?[]? Inputs { get; set; }

    /// <summary>Outputs by index; null until one was set.</summary>
    internal object?[]? Outputs { get; private set; }

    /// <summary>Values of the variables that this scope declares.</summary>
    internal object?[]? Variables { get; set; }

    /// <summary>Variables that only this execution has.</summary>
    internal DynamicVariable[]? Dynamic { get; set; }

    /// <summary>Arguments of an expression that the activity evaluates itself, such as the item of a bulk dispatch.</summary>
    internal DynamicVariable[]? Arguments { get; set; }

    /// <summary>Outcomes that <c>Complete</c> asked this workflow to complete with.</summary>
    internal IReadOnlyList<string>? RequestedOutcomes { get; set; }

    internal ActivityContext? FirstChild { get; private set; }

    internal ActivityContext? NextSibling => _next;

    internal bool HasBookmarks => _bookmarks > 0;

    internal int BookmarkCount { get => _bookmarks; set => _bookmarks = value; }

    /// <summary>The value of an input.</summary>
    /// <exception cref="ValueConversionException">The evaluated value does not fit the input's type.</exception>
    public T? Get<T>(Input<T>? input)
    {
        if (input is null)
            return default;
        if (input.Slot < 0)
            return input.Literal;
        return Inputs?[input.Slot] is { } value ? value is T typed ? typed : ValueConverter.Convert<T>(value) : default;
    }

    /// <summary>Evaluates an input now, again if it was evaluated before.</summary>
    public async ValueTask<T?> EvaluateAsync<T>(Input<T>? input)
    {
        if (input is null)
            return default;
        if (input.Expression is null)
            return input.Literal;
        var value = input.ConvertValue(await input.Expression.EvaluateAsync(this));
        Inputs ??= new object?[Node.EvaluatedInputs.Length];
        if (input.Slot < Inputs.Length)
            Inputs[input.Slot] = value;
        return value is null ? default : (T)value;
    }

    /// <summary>Schedules a child. It runs when its turn comes; <see cref="Activity.OnChildCompletedAsync"/> follows.</summary>
    public void Schedule(ActivityNode child) => Schedule(child, 0, null);

    internal void Schedule(ActivityNode child, int tag, DynamicVariable[]? dynamic)
    {
        if (Instance.Scheduler.Count >= Engine.Options.MaxScheduledActivities)
            throw new WorkflowException("workflow.too_many_scheduled", $"{Node} schedules more than {Engine.Options.MaxScheduledActivities:N0} activities at once. Process the items in batches.");
        ScheduledChildren++;
        Instance.Scheduler.Enqueue(new WorkItem(child, this, Number, tag, dynamic));
    }

    /// <summary>Completes the activity with the outcome <c>Done</c>.</summary>
    public void Complete() => CompleteWith(null);

    /// <summary>Completes the activity with one outcome.</summary>
    public void Complete(string outcome) => CompleteWith([outcome]);

    /// <summary>Completes the activity; children that still run are cancelled. Does nothing unless it is running.</summary>
    /// <param name="outcomes">Outcomes; null for the default <c>Done</c>.</param>
    public void CompleteWith(IReadOnlyList<string>? outcomes)
    {
        if (Status != ActivityStatus.Running)
            return;
        if (FirstChild is not null)
            CancelChildren();
        Status = ActivityStatus.Completed;
        Outcomes = outcomes;
        if (_bookmarks > 0)
            RemoveBookmarks();
        Instance.Record(this, ExecutionEvent.Completed, Details());
    }

    /// <summary>Whether this activity is the trigger that started the workflow; true once per instance.</summary>
    /// <param name="input">What the trigger brought.</param>
    public bool TryTakeTrigger(out object? input)
    {
        input = Instance.TriggerInput;
        if (Instance.IsTriggerTaken || Instance.TriggerActivityId is not { } trigger || trigger != Node.Id)
            return false;
        Instance.IsTriggerTaken = true;
        Instance.TriggerInput = null;
        return true;
    }

    /// <summary>Waits for something from outside.</summary>
    /// <param name="name">Name of the stimulus; null for the activity's type.</param>
    /// <param name="payload">What the stimulus must match.</param>
    public Bookmark CreateBookmark(string? name, BookmarkPayload payload)
    {
        var bookmark = new Bookmark(++Instance.LastBookmark, name ?? Node.Type, payload, this, Time.GetUtcNow());
        Instance.BookmarkList.Add(bookmark);
        _bookmarks++;
        return bookmark;
    }

    /// <summary>Asks the host for something that happens once the burst is committed.</summary>
    public void Request(WorkflowEffect effect) => Instance.EffectList.Add(effect);

    /// <summary>What activities of this instance asked for since the last commit, oldest first: nothing of it can be read from the database yet.</summary>
    public IEnumerable<T> Pending<T>()
        where T : WorkflowEffect => Instance.EffectList.OfType<T>();

    /// <summary>Asks every loop and sequence up to the nearest loop to end.</summary>
    internal void Break()
    {
        for (var context = Parent; context is not null; context = context.Parent)
        {
            context.IsBreaking = true;
            if (context.Node.Activity.HandlesBreak || context.Node.Activity is Workflow)
                return;
        }
    }

    /// <summary>Completes the nearest workflow with outcomes: loops on the way end, the others are told as usual.</summary>
    internal void CompleteComposite(IReadOnlyList<string> outcomes)
    {
        ActivityContext? outermostLoop = null;
        var composite = Parent;
        for (; composite is not null && composite.Node.Activity is not Workflow; composite = composite.Parent)
        {
            if (composite.Node.Activity.HandlesBreak)
                outermostLoop = composite;
        }

        if (composite is not null)
        {
            composite.RequestedOutcomes = outcomes;
            Instance.CompletingComposite = composite;
        }

        if (outermostLoop is null)
        {
            Complete();
            return;
        }

        outermostLoop.Complete();
        (Instance.EndedLoops ??= []).Add(outermostLoop);
    }

    /// <summary>Cancels this execution and everything inside it.</summary>
    internal void Cancel()
    {
        if (Status is not (ActivityStatus.Running or ActivityStatus.Faulted))
            return;
        CancelChildren();
        if (Status == ActivityStatus.Faulted && Parent is { FaultedChildren: > 0 })
            Parent.FaultedChildren--;
        Status = ActivityStatus.Canceled;
        if (_bookmarks > 0)
            RemoveBookmarks();
        Instance.Record(this, ExecutionEvent.Canceled, Details());
    }

    internal void RemoveBookmarks()
    {
        if (_bookmarks == 0)
            return;
        Instance.BookmarkList.RemoveAll(b => b.Context == this);
        _bookmarks = 0;
    }

    internal void CancelChildren()
    {
        for (var child = FirstChild; child is not null;)
        {
            var next = child._next;
            child.Cancel();
            if (child.Status == ActivityStatus.Canceled)
            {
                child.Detach();
                // One that caused this still executes its own code; the burst releases it.
                if (child != Instance.Executing)
                    Instance.Release(child);
            }

            child = next;
        }
    }

    internal void Begin(ActivityNode node, ActivityContext? parent, int number)
    {
        Node = node;
        Parent = parent;
        Number = number;
        Status = ActivityStatus.Running;
        if (node.VariableDefaults.Length > 0)
            Variables = (object?[])node.VariableDefaults.Clone();
        parent?.Attach(this);
    }

    internal void Detach()
    {
        if (Parent is null)
            return;
        if (_previous is null)
            Parent.FirstChild = _next;
        else
            _previous._next = _next;
        if (_next is null)
            Parent._lastChild = _previous;
        else
            _next._previous = _previous;
        _next = _previous = null;
        Parent.ActiveChildren--;
        Parent = null;
    }

    internal void Reset()
    {
        Parent = FirstChild = _lastChild = _next = _previous = null;
        Burst = null!;
        CancellationToken = default;
        Attempt = RetriesLeft = ActiveChildren = ScheduledChildren = FaultedChildren = Tag = Counter = _bookmarks = 0;
        IsBreaking = false;
        State = null;
        Inputs = Outputs = Variables = null;
        Dynamic = Arguments = null;
        Outcomes = RequestedOutcomes = null;
    }

    private void Attach(ActivityContext child)
    {
        child._previous = _lastChild;
        if (_lastChild is null)
            FirstChild = child;
        else
            _lastChild._next = child;
        _lastChild = child;
        ActiveChildren++;
    }

    private ActivityDetails? Details()
    {
        if (Inputs is null && Outputs is null && Outcomes is null)
            return null;
        var keepsValues = !Node.LogPersistence.ExcludesAll;
        return new ActivityDetails(keepsValues ? Inputs : null, keepsValues ? Outputs : null, Outcomes);
    }
}
