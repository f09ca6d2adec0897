namespace Conclave.Workflows.Execution;

/// <summary>One run of an instance in memory, from a wake-up until nothing is left to run.</summary>
public sealed class Burst
{
    private const int TrailLength = 64;

    private readonly int[] _trail = new int[TrailLength];
    private readonly CancellationToken _cancellationToken;
    private long _executed;

    internal Burst(WorkflowEngine engine, WorkflowInstance instance, WorkflowHost host, CancellationToken cancellationToken)
    {
        Engine = engine;
        Instance = instance;
        Host = host;
        _cancellationToken = cancellationToken;
    }

    /// <summary>The engine.</summary>
    public WorkflowEngine Engine { get; }

    /// <summary>The instance that runs.</summary>
    public WorkflowInstance Instance { get; }

    /// <summary>What the process around the burst offers.</summary>
    public WorkflowHost Host { get; }

    /// <summary>Whether the burst was asked to stop; a token that is cancelled otherwise means a time-out of the activity.</summary>
    internal bool IsStopRequested => _cancellationToken.IsCancellationRequested;

    /// <summary>Resumes a bookmark and runs on.</summary>
    internal async ValueTask ResumeAsync(Bookmark bookmark, object? input)
    {
        var context = bookmark.Context;
        if (bookmark.AutoBurn)
        {
            Instance.BookmarkList.Remove(bookmark);
            context.BookmarkCount--;
        }

        var waiting = context.BookmarkCount;
        Adopt(context, CancellationToken.None);
        Instance.Record(context, ExecutionEvent.Resumed, null);
        Instance.Executing = context;
        try
        {
            await context.Node.Activity.OnResumedAsync(context, bookmark, input);
        }
        catch (Exception exception)
        {
            Fault(context, exception);
        }

        if (context.Status == ActivityStatus.Running && context.BookmarkCount > waiting)
            Instance.Record(context, ExecutionEvent.Suspended, null);
        else if (context.Status == ActivityStatus.Running && context.HasBookmarks)
            Instance.Log.Note(LogNoteKind.StillWaiting, context.Number);
        await SettleAsync(context);
        await RunAsync();
    }

    /// <summary>Runs until nothing is left, the workflow ends or the burst is cancelled.</summary>
    internal async ValueTask RunAsync()
    {
        var scheduler = Instance.Scheduler;
        var commits = Host.CommitPoints;
        while (Instance.SubStatus == WorkflowSubStatus.Executing)
        {
            if (commits is not null && scheduler.TryPeek(out var next) && commits.IsBefore(next.Node))
                await commits.CommitAsync(Instance, _cancellationToken);
            if (!scheduler.TryDequeue(out var item))
                break;
            if (item.Owner is { } owner)
            {
                if (owner.Number != item.OwnerNumber || owner.Status != ActivityStatus.Running)
                    continue;
                owner.ScheduledChildren--;
            }

            if (_cancellationToken.IsCancellationRequested)
            {
                Instance.ScheduleFirst(item);
                _cancellationToken.ThrowIfCancellationRequested();
            }

            var before = Progress.Of(Instance);
            var context = Instance.NewContext(item.Node, item.Owner);
            context.Tag = item.Tag;
            context.Dynamic = item.Dynamic;
            Adopt(context, _cancellationToken);
            Instance.Executing = context;
            Instance.Record(context, ExecutionEvent.Started, null);
            if (Instance.Log.KeepsNotes)
                context.NoteGivenValues();
            try
            {
                _trail[(int)(_executed % TrailLength)] = item.Node.Index;
                if (++_executed > Engine.Options.MaxActivitiesPerBurst)
                    throw EndlessLoop();
                if (item.Node.Policy is { } policy)
                    await policy.ExecuteAsync(context, AttemptAsync, _cancellationToken);
                else
                {
                    if (item.Node.EvaluatesBeforeRun)
                        await EvaluateInputsAsync(context);
                    await ExecuteAsync(context);
                }
            }
            catch (Exception exception) when (!IsStopping(exception))
            {
                Fault(context, exception);
            }
            catch (OperationCanceledException)
            {
                Abandon(context, item, before);
                throw;
            }

            if (context.Status == ActivityStatus.Running && context.HasBookmarks)
                Instance.Record(context, ExecutionEvent.Suspended, null);
            // One that only scheduled others has not been executed yet. Settled contexts are used again, so this is asked before.
            var isOpen = context.Status == ActivityStatus.Running && !context.HasBookmarks;
            await SettleAsync(context);
            if (Host.LogSink is { } sink && Instance.Log.Count >= 1024)
                Instance.Log.Drain(Instance, sink);
            Host.AfterActivity?.Invoke();
            // Nothing left to run: the burst ends here and is stored as a whole.
            if (commits is not null && scheduler.Count > 0 && Instance.SubStatus == WorkflowSubStatus.Executing && commits.IsAfter(item.Node, isOpen))
                await commits.CommitAsync(Instance, _cancellationToken);
        }

        Instance.Executing = null;
    }

    /// <summary>Tells parents about completed children, up to the first that goes on.</summary>
    internal async ValueTask SettleAsync(ActivityContext context)
    {
        await NotifyParentsAsync(context);
        if (Instance.EndedLoops is { Count: > 0 } loops)
        {
            Instance.EndedLoops = null;
            foreach (var loop in loops)
                await NotifyParentsAsync(loop);
        }

        if (Instance.CompletingComposite is not { } composite)
            return;
        Instance.CompletingComposite = null;
        if (composite.Status != ActivityStatus.Running)
            return;
        composite.CompleteWith(composite.RequestedOutcomes);
        await NotifyParentsAsync(composite);
    }

    /// <summary>Records a fault and applies the workflow's incident strategy.</summary>
    internal void Fault(ActivityContext context, Exception exception)
    {
        var state = ExceptionState.From(exception);
        if (context.Status == ActivityStatus.Running)
        {
            context.RemoveBookmarks();
            context.Status = ActivityStatus.Faulted;
            if (context.Parent is { } parent)
                parent.FaultedChildren++;
        }

        Instance.Record(context, ExecutionEvent.Faulted, state);
        Instance.IncidentList.Add(new Incident(
            context.Node.Id,
            context.Node.NodeId,
            context.Node.Type,
            context.Number,
            exception.Message,
            state,
            Instance.Time.GetUtcNow()));
        if (!Instance.Graph.Definition.Options.ContinuesWithIncidents)
            Instance.SubStatus = WorkflowSubStatus.Faulted;
    }

    private async ValueTask NotifyParentsAsync(ActivityContext context)
    {
        while (true)
        {
            if (context.Status == ActivityStatus.Canceled)
            {
                // Detached by whoever cancelled it, while its own code was still running.
                Instance.Release(context);
                return;
            }

            if (context.Status != ActivityStatus.Completed)
                return;
            if (context.Parent is not { } parent)
            {
                Finish(context);
                return;
            }

            context.Detach();
            if (parent.Status != ActivityStatus.Running)
            {
                Instance.Release(context);
                return;
            }

            Adopt(parent, CancellationToken.None);
            try
            {
                await parent.Node.Activity.OnChildCompletedAsync(parent, context);
            }
            catch (Exception exception)
            {
                parent.FaultedChildren++;
                Fault(context, exception);
                Instance.Release(context);
                return;
            }

            Instance.Release(context);
            context = parent;
        }
    }

    private void Finish(ActivityContext root)
    {
        if (Instance.SubStatus == WorkflowSubStatus.Executing)
            Instance.SubStatus = WorkflowSubStatus.Finished;
        Instance.RootContext = root;
    }

    private async ValueTask AttemptAsync(ActivityContext context, CancellationToken cancellationToken)
    {
        context.CancellationToken = cancellationToken;
        context.RemoveBookmarks();
        await EvaluateInputsAsync(context);
        await ExecuteAsync(context);
    }

    private ValueTask ExecuteAsync(ActivityContext context) =>
        Host.Recorded?.TryAnswer(context) == true ? ValueTask.CompletedTask : context.Node.Activity.ExecuteAsync(context);

    internal static async ValueTask EvaluateInputsAsync(ActivityContext context)
    {
        var inputs = context.Node.EvaluatedInputs;
        var values = context.Inputs ??= new object?[inputs.Length];
        for (var i = 0; i < inputs.Length; i++)
        {
            if (!inputs[i].BeforeRun)
                continue;
            try
            {
                values[i] = inputs[i].Input.ConvertValue(await inputs[i].Input.Expression!.EvaluateAsync(context));
            }
            catch (Expressions.ValueConversionException exception)
            {
                throw new WorkflowException("input.bad_value", $"Input '{inputs[i].Name}': {exception.Message}", exception);
            }
        }
    }

    /// <summary>
    /// Hands an activity to this burst. Callbacks get no token: what they answer (a completed child, a resumed bookmark) is
    /// told once, so that stopping in the middle would lose it. The burst stops before the next activity instead.
    /// </summary>
    private void Adopt(ActivityContext context, CancellationToken cancellationToken)
    {
        context.Burst = this;
        context.CancellationToken = cancellationToken;
    }

    private bool IsStopping(Exception exception) =>
        exception is OperationCanceledException && _cancellationToken.IsCancellationRequested;

    /// <summary>
    /// Takes back an activity that the end of the burst interrupted, as if it had not begun: the next burst runs it again under
    /// the same number, and so with the same idempotency key, as after a crash.
    /// </summary>
    private void Abandon(ActivityContext context, WorkItem item, Progress before)
    {
        context.RemoveBookmarks();
        Instance.Unschedule(context);
        context.Detach();
        if (item.Owner is null)
            Instance.RootContext = null;
        Instance.EffectList.RemoveRange(before.Effects, Instance.EffectList.Count - before.Effects);
        Instance.Log.TakeBack(before.Sequence, context.Number);
        Instance.LastActivityInstance = before.ActivityInstance;
        Instance.LastBookmark = before.Bookmark;
        (Instance.IsTriggerTaken, Instance.TriggerInput) = (before.IsTriggerTaken, before.TriggerInput);
        Instance.Executing = null;
        Instance.Release(context);
        Instance.ScheduleFirst(item);
    }

    /// <summary>How far an instance was before an activity began. Nothing is stored before it returns.</summary>
    private readonly record struct Progress(long Sequence, int ActivityInstance, int Bookmark, int Effects, bool IsTriggerTaken, object? TriggerInput)
    {
        public static Progress Of(WorkflowInstance instance) => new(
            instance.Log.Sequence, instance.LastActivityInstance, instance.LastBookmark, instance.EffectList.Count, instance.IsTriggerTaken, instance.TriggerInput);
    }

    private WorkflowException EndlessLoop()
    {
        var length = (int)Math.Min(_executed, TrailLength);
        var trail = Enumerable.Range(0, length).Select(i => _trail[(int)((_executed - 1 - i) % TrailLength)]).ToArray();
        var period = Enumerable.Range(1, length / 2).FirstOrDefault(p => Enumerable.Range(0, length - p).All(i => trail[i] == trail[i + p]), length);
        var path = string.Join(" → ", trail.Take(period).Reverse().Select(i => Instance.Graph.Nodes[i].ToString()));
        return new WorkflowException(
            "workflow.endless_loop",
            $"The workflow executed more than {Engine.Options.MaxActivitiesPerBurst:N0} activities without waiting for anything. It goes round in: {path}. Give the loop an end or a Delay.");
    }
}
