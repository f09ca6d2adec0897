using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <summary>Waits for a named event, or starts the workflow when it happens.</summary>
[Activity("Elsa", "Primitives", "Waits until somebody publishes an event of a name, or starts the workflow when that happens.", Kind = ActivityKind.Trigger)]
public sealed class Event : Activity
{
    /// <summary>Name of the event.</summary>
    [Input(Description = "Name of the event, for example OrderPaid. Upper and lower case count.")]
    public Input<string> EventName { get; set; } = new();

    /// <summary>What came with the event.</summary>
    [Output(Description = "The data that came with the event.")]
    public Output<object>? Result { get; set; }

    internal override void Configure(ActivityConfiguration configuration)
    {
        if (EventName is { Expression: null, Literal: null or "" })
            configuration.Problem("event.missing_name", "The event has no name.", "eventName");
    }

    internal override IReadOnlyList<BookmarkPayload> TriggerPayloads(ActivityContext context) =>
        context.Get(EventName) is { Length: > 0 } name ? [new BookmarkPayload("EventStimulus", ("EventName", name))] : [];

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        if (context.TryTakeTrigger(out var input))
        {
            context.Set(Result, input);
            context.Complete();
            return ValueTask.CompletedTask;
        }

        var name = context.Get(EventName);
        if (string.IsNullOrEmpty(name))
            throw new WorkflowException("event.missing_name", $"{Node}: the event has no name to wait for.");
        context.CreateBookmark(null, new BookmarkPayload("EventStimulus", ("EventName", name)));
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input)
    {
        context.Set(Result, input);
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Publishes an event.</summary>
[Activity("Elsa", "Primitives", "Publishes an event: every workflow that waits for it goes on, and those that begin with it start.")]
public sealed class PublishEvent : Activity
{
    /// <summary>Name of the event.</summary>
    [Input(Description = "Name of the event, for example OrderPaid. Upper and lower case count.")]
    public Input<string> EventName { get; set; } = new();

    /// <summary>Who hears it.</summary>
    [Input(Description = "Only instances with this correlation id hear the event. Empty reaches all of them.")]
    public Input<string> CorrelationId { get; set; } = new();

    /// <summary>Whether only this instance hears it.</summary>
    [Input(Description = "Only this instance hears the event.", DisplayName = "Local event")]
    public Input<bool> IsLocalEvent { get; set; } = new();

    /// <summary>Data of the event.</summary>
    [Input(Description = "What goes with the event; those who wait for it get it as their Result.")]
    public Input<object> Payload { get; set; } = new();

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var name = context.Get(EventName);
        if (string.IsNullOrEmpty(name))
            throw new WorkflowException("event.missing_name", $"{Node}: the event has no name.");
        context.Request(new EventPublished(
            context.Number,
            name,
            context.Get(CorrelationId) is { Length: > 0 } correlationId ? correlationId : null,
            context.Get(IsLocalEvent) ? context.Instance.Id : null,
            context.Get(Payload)));
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Asks somebody outside to do a task, and waits for the result.</summary>
[Activity("Elsa", "Primitives", "Asks a person or a program outside to do something and waits until the result is reported under the task's id.")]
public sealed class RunTask : Activity
{
    /// <summary>Name of the task.</summary>
    [Input(Description = "Name of the task, by which whoever does it knows what to do.")]
    public Input<string> TaskName { get; set; } = new();

    /// <summary>Data for the task.</summary>
    [Input(Description = "What the task needs to know, as a JSON object.", UIHint = InputUIHints.JsonEditor)]
    public Input<IReadOnlyDictionary<string, object?>> Payload { get; set; } = new();

    /// <summary>Id to report the result under.</summary>
    [Output(Description = "The id that the result is reported under.")]
    public Output<string>? TaskId { get; set; }

    /// <summary>What was reported.</summary>
    [Output(Description = "The result that was reported.")]
    public Output<object>? Result { get; set; }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var name = context.Get(TaskName);
        if (string.IsNullOrEmpty(name))
            throw new WorkflowException("run_task.missing_name", $"{Node}: the task has no name.");
        // From the execution, so that a burst that is repeated asks for the same task.
        var taskId = $"{context.Instance.Id}-{context.Number}";
        context.Set(TaskId, taskId);
        context.Request(new TaskRequested(context.Number, taskId, name, context.Get(Payload)));
        context.CreateBookmark(null, new BookmarkPayload("RunTaskStimulus", ("TaskId", taskId), ("TaskName", name)));
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input)
    {
        context.Set(Result, input);
        context.Complete();
        return ValueTask.CompletedTask;
    }
}
