using System.Buffers;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Activities;

/// <summary>Runs another workflow in process.</summary>
[Activity("Elsa", "Composition", "Runs another workflow at once, inside this step, and gives its output back. Use Dispatch workflow for one that should run on its own.", Kind = ActivityKind.Task)]
public sealed class ExecuteWorkflow : Activity
{
    /// <summary>The workflow; its published version runs.</summary>
    [Input(Description = "The workflow to run. Its published version counts.", DisplayName = "Workflow definition", UIHint = InputUIHints.WorkflowDefinitionPicker)]
    public Input<string> WorkflowDefinitionId { get; set; } = new();

    /// <summary>Correlation id of the new instance.</summary>
    [Input(Description = "The correlation id of the new instance, for example an order number. Empty gives it none.")]
    public Input<string> CorrelationId { get; set; } = new();

    /// <summary>Inputs of the new instance.</summary>
    [Input(Description = "Inputs of the workflow as a JSON object, for example {\"orderId\": 7}. Names are those that the workflow declares.", UIHint = InputUIHints.JsonEditor)]
    public Input<IReadOnlyDictionary<string, object?>> Input { get; set; } = new();

    /// <summary>Whether to wait when the workflow itself waits.</summary>
    [Input(Description = "Wait also when the workflow itself has to wait for something, such as a delay or an approval. Otherwise this goes on at that point.")]
    public Input<bool> WaitForCompletion { get; set; } = new();

    /// <summary>How the workflow ended: <c>{workflowDefinitionVersionId, workflowInstanceId, correlationId, status, subStatus, output}</c>.</summary>
    [Output(Description = "How the workflow stands and what it gave: workflowInstanceId, status, subStatus and output.")]
    public Output<object>? Result { get; set; }

    /// <inheritdoc/>
    public override bool IsAnsweredInTests => true;

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var child = await context.Host.ExecuteWorkflowAsync(ChildRequest(context), context.CancellationToken);
        if (context.Get(WaitForCompletion) && child.Status != WorkflowStatus.Finished)
        {
            context.CreateBookmark(null, new BookmarkPayload("ExecuteWorkflowStimulus", ("ChildInstanceId", child.InstanceId)));
            return;
        }

        context.Set(Result, Describe(child));
        context.Complete();
    }

    /// <inheritdoc/>
    public override ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input)
    {
        context.Set(Result, input is ChildWorkflowResult child ? Describe(child) : input);
        context.Complete();
        return ValueTask.CompletedTask;
    }

    private ChildWorkflowRequest ChildRequest(ActivityContext context) => DispatchWorkflow.Request(
        context, context.Get(WorkflowDefinitionId), context.Get(CorrelationId), context.Get(Input) ?? WorkflowInstance.EmptyValues);

    private static JsonElement Describe(ChildWorkflowResult child)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("workflowDefinitionVersionId"u8, child.DefinitionVersionId);
            writer.WriteString("workflowInstanceId"u8, child.InstanceId);
            if (child.CorrelationId is not null)
                writer.WriteString("correlationId"u8, child.CorrelationId);
            writer.WriteString("status"u8, child.Status.ToString());
            writer.WriteString("subStatus"u8, child.SubStatus.ToString());
            writer.WritePropertyName("output"u8);
            ValueConverter.WriteJson(writer, child.Output);
            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.WrittenSpan);
    }
}

/// <summary>Starts another workflow in the queue.</summary>
[Activity("Elsa", "Composition", "Puts another workflow into the queue as an instance of its own and goes on, or waits until that has ended.")]
public sealed class DispatchWorkflow : Activity
{
    /// <summary>The workflow; its published version starts.</summary>
    [Input(Description = "The workflow to start. Its published version counts, and there must be one.", DisplayName = "Workflow definition", UIHint = InputUIHints.WorkflowDefinitionPicker)]
    public Input<string> WorkflowDefinitionId { get; set; } = new();

    /// <summary>Correlation id of the new instance.</summary>
    [Input(Description = "The correlation id of the new instance, for example an order number. Empty gives it none.")]
    public Input<string> CorrelationId { get; set; } = new();

    /// <summary>Inputs of the new instance.</summary>
    [Input(Description = "Inputs of the workflow as a JSON object, for example {\"orderId\": 7}. Names are those that the workflow declares.", UIHint = InputUIHints.JsonEditor)]
    public Input<IReadOnlyDictionary<string, object?>> Input { get; set; } = new();

    /// <summary>Go on only when the workflow has ended, with its output. Otherwise this goes on at once.</summary>
    [Input(Description = "Go on only when the workflow has ended, with its output. Otherwise this goes on at once.")]
    public Input<bool> WaitForCompletion { get; set; } = new();

    /// <summary>Kept for imported workflows: every instance has a trace of its own here.</summary>
    [Input(Description = "Kept for imported workflows: every instance has a trace of its own here.")]
    public Input<bool> StartNewTrace { get; set; } = new();

    /// <summary>Queue to put it in.</summary>
    [Input(Description = "The queue to put the workflow in. This server has one queue for all; other names in imported workflows are kept and lead there.", DisplayName = "Channel", UIHint = InputUIHints.DropDown, EmptyOption = "Default")]
    public Input<string> ChannelName { get; set; } = new();

    /// <summary>Output of the workflow, when waited for.</summary>
    [Output(Description = "Outputs of the workflow by name, when it was waited for.")]
    public Output<object>? Result { get; set; }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var input = new Dictionary<string, object?>(context.Get(Input) ?? WorkflowInstance.EmptyValues)
        {
            ["ParentInstanceId"] = context.Instance.Id,
        };
        var request = Request(context, context.Get(WorkflowDefinitionId), context.Get(CorrelationId), input);
        var waits = context.Get(WaitForCompletion);
        if (waits)
            context.CreateBookmark(null, new BookmarkPayload("DispatchWorkflowStimulus", ("ChildInstanceId", request.InstanceId)));
        context.Request(new WorkflowDispatched(context.Number, request, waits ? Node.Type : null, context.Get(ChannelName)));
        if (!waits)
            context.Complete();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input)
    {
        if (input is ChildWorkflowResult { IsNotStarted: true })
            throw new WorkflowException("workflow.not_started", $"{Node}: the workflow did not start, because its activation strategy allows no instance beside one that runs.");
        context.Set(Result, input is ChildWorkflowResult child ? ValueConverter.ToJson(child.Output) : input);
        context.Complete();
        return ValueTask.CompletedTask;
    }

    /// <summary>Describes the instance to start. Its id follows from the activity's execution, so that a burst that is repeated starts it once.</summary>
    internal static ChildWorkflowRequest Request(
        ActivityContext context, string? definitionId, string? correlationId, IReadOnlyDictionary<string, object?> input, int item = 0)
    {
        if (string.IsNullOrEmpty(definitionId))
            throw new WorkflowException("workflow.not_chosen", $"{context.Node}: no workflow is chosen.");
        if (context.Engine.Library.FindPublished(definitionId) is null)
            throw new WorkflowException("workflow.not_found", $"{context.Node}: no published workflow has the definition id '{definitionId}'.");
        var childId = item == 0 ? $"{context.Instance.Id}-{context.Number}" : $"{context.Instance.Id}-{context.Number}-{item}";
        return new ChildWorkflowRequest(
            childId,
            definitionId,
            string.IsNullOrEmpty(correlationId) ? null : InstanceText.Check("workflow.bad_correlation_id", "correlation id", correlationId),
            input,
            context.Instance.Id);
    }
}

/// <summary>Starts one instance of a workflow for each item of a list. It can wait for all of them and do something as each one ends.</summary>
[Activity("Elsa", "Composition", "Starts one instance of a workflow for each item of a list. It can wait for all of them and do something as each one ends.", Kind = ActivityKind.Task)]
[FlowNode("Completed", "Canceled", "Done")]
public sealed class BulkDispatchWorkflows : Activity
{
    private static readonly IReadOnlyList<string> CompletedOutcomes = ["Completed", "Done"];

    /// <summary>The workflow; its published version starts.</summary>
    [Input(Description = "The workflow to start. Its published version counts, and there must be one.", DisplayName = "Workflow definition", UIHint = InputUIHints.WorkflowDefinitionPicker)]
    public Input<string> WorkflowDefinitionId { get; set; } = new();

    /// <summary>The items; an object is merged into the input, anything else is put under the key.</summary>
    [Input(Description = "The list to start workflows for: one instance per item.")]
    public Input<object> Items { get; set; } = new();

    /// <summary>Name of the input that holds an item.</summary>
    [Input(Description = "Name of the input that receives the item. An item that is an object gives its members as inputs instead.", DisplayName = "Default item input key")]
    public Input<string> DefaultItemInputKey { get; set; } = new("Item");

    /// <summary>Computes the correlation id of each instance; the item is the argument <c>item</c>.</summary>
    [Input(Description = "Computes the correlation id of each instance from its item, for example args.item.orderId. Empty gives none.", AutoEvaluate = false, DefaultSyntax = "JavaScript")]
    public Input<string> CorrelationIdFunction { get; set; } = new();

    /// <summary>Inputs that every instance gets.</summary>
    [Input(Description = "Inputs that every instance gets besides its item, as a JSON object.", UIHint = InputUIHints.JsonEditor)]
    public Input<IReadOnlyDictionary<string, object?>> Input { get; set; } = new();

    /// <summary>Whether to wait until all have ended.</summary>
    [Input(Description = "Go on only when every workflow has ended. Otherwise this goes on at once through Done.")]
    public Input<bool> WaitForCompletion { get; set; } = new(true);

    /// <summary>Kept for imported workflows: every instance has a trace of its own here.</summary>
    [Input(Description = "Kept for imported workflows: every instance has a trace of its own here.")]
    public Input<bool> StartNewTrace { get; set; } = new();

    /// <summary>Queue to put them in.</summary>
    [Input(Description = "The queue to put the workflows in. This server has one queue for all; other names in imported workflows are kept and lead there.", DisplayName = "Channel", UIHint = InputUIHints.DropDown, EmptyOption = "Default")]
    public Input<string> ChannelName { get; set; } = new();

    /// <summary>Runs for each workflow that finished; <c>ChildInstanceId</c> tells which.</summary>
    [Port]
    public ActivityNode? ChildCompleted { get; set; }

    /// <summary>Runs for each workflow that faulted, or that its activation strategy did not let start; <c>ChildInstanceId</c> tells which.</summary>
    [Port]
    public ActivityNode? ChildFaulted { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var common = context.Get(Input) ?? WorkflowInstance.EmptyValues;
        var key = context.Get(DefaultItemInputKey) ?? "Item";
        var waits = context.Get(WaitForCompletion);
        var channel = context.Get(ChannelName);
        foreach (var item in ValueConverter.Enumerate(context.Get(Items)))
        {
            var input = new Dictionary<string, object?>(common) { ["ParentInstanceId"] = context.Instance.Id };
            if (item is JsonElement { ValueKind: JsonValueKind.Object } members)
            {
                foreach (var member in members.EnumerateObject())
                    input[member.Name] = ValueConverter.FromJson(member.Value);
            }
            else
                input[key] = item;

            context.Arguments = [new DynamicVariable("item", item)];
            var correlationId = await context.EvaluateAsync(CorrelationIdFunction);
            var request = DispatchWorkflow.Request(context, context.Get(WorkflowDefinitionId), correlationId, input, ++context.Counter);
            context.Request(new WorkflowDispatched(context.Number, request, waits ? Node.Type : null, channel));
        }

        if (!waits)
            context.Complete();
        else if (context.Counter == 0)
            context.CompleteWith(CompletedOutcomes);
        else
            Wait(context);
    }

    /// <inheritdoc/>
    public override ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input)
    {
        context.Counter--;
        if (context.Counter > 0)
            Wait(context);
        var child = input as ChildWorkflowResult;
        var port = child is { SubStatus: WorkflowSubStatus.Faulted } or { IsNotStarted: true } ? ChildFaulted : ChildCompleted;
        if (port is not null)
            context.Schedule(port, 0, [new DynamicVariable("ChildInstanceId", child?.InstanceId)]);
        CompleteWhenDone(context);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        CompleteWhenDone(context);
        return ValueTask.CompletedTask;
    }

    /// <summary>Waits for the next workflow to end, whichever it is.</summary>
    private static void Wait(ActivityContext context) => context.CreateBookmark(
        null,
        new BookmarkPayload("BulkDispatchWorkflowsStimulus", ("ParentInstanceId", context.Instance.Id), ("ScheduledInstanceIdsCount", context.Counter)));

    private static void CompleteWhenDone(ActivityContext context)
    {
        if (context is { Counter: 0, ActiveChildren: 0, ScheduledChildren: 0 })
            context.CompleteWith(CompletedOutcomes);
    }
}
