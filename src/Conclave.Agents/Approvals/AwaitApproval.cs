using System.Text.Json;
using Conclave.Agents.Tools;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Approvals;

/// <summary>Asks people whether something may be done, and waits.</summary>
[Activity("Conclave.Agents", "Agents", "Asks people whether exactly this may be done, and waits: goes on through Approved, Rejected or Expired. Who approves may change the arguments.", DisplayName = "Await approval",
    Icon = ApprovalIcons.Approval, Color = ApprovalIcons.Color)]
[FlowNode("Approved", "Rejected", "Expired")]
public sealed class AwaitApproval : AskingActivity
{
    /// <summary>What is to be done.</summary>
    [Input(Description = "What is to be done: the call of a tool as CheckToolPermission gives it, or any JSON object. Only its member 'arguments' can be changed.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object")]
    public Input<object> Action { get; set; } = new();

    /// <summary>JSON Schema of the arguments.</summary>
    [Input(Description = "A JSON Schema that changed arguments have to fit. Empty takes that of the tool.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object", DisplayName = "Schema of the arguments")]
    public Input<JsonElement> ArgumentsSchema { get; set; } = new();

    /// <summary>Whether the arguments may be changed.</summary>
    [Input(Description = "Whether who approves may change the arguments. What was approved is what runs.")]
    public Input<bool> Editable { get; set; } = new(true);

    /// <summary>How many have to agree.</summary>
    [Input(Description = "How many different people have to agree.", Category = "People")]
    public Input<int> Quorum { get; set; } = new(1);

    /// <summary>Whether one refusal ends it.</summary>
    [Input(Description = "Whether one refusal is enough. Else as many have to refuse as have to agree.", Category = "People", DisplayName = "One refusal is final")]
    public Input<bool> DenialIsFinal { get; set; } = new(true);

    /// <summary>How long the decision may be used.</summary>
    [Input(Description = "How long after the decision the action may be run, as [days.]hours:minutes:seconds.", Category = "Time")]
    public Input<TimeSpan> ValidFor { get; set; } = new(TimeSpan.FromDays(1));

    /// <summary>The decision.</summary>
    [Output(Description = "Approved, Rejected or Expired.")]
    public Output<string>? Decision { get; set; }

    /// <summary>What is to run.</summary>
    [Output(Description = "The action as it was approved, with the changed arguments: what RunTool takes.", DisplayName = "Approved action")]
    public Output<JsonElement>? ApprovedAction { get; set; }

    /// <summary>The arguments as they were approved.</summary>
    [Output(Description = "The arguments of the action as they were approved.")]
    public Output<JsonElement>? Arguments { get; set; }

    /// <summary>Whether they were changed.</summary>
    [Output(Description = "Whether somebody changed the arguments.")]
    public Output<bool>? WasEdited { get; set; }

    private protected override ApprovalKind Kind => ApprovalKind.Approval;

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var action = ActionOf(context.Get(Action));
        var quorum = context.Get(Quorum);
        if (quorum is < 1 or > 100)
            throw Bad($"a quorum of {quorum} is not possible; it is 1 to 100.");
        var validFor = context.Get(ValidFor);
        if (validFor <= TimeSpan.Zero || validFor > TimeSpan.FromDays(3650))
            throw Bad($"an approval cannot be valid for {validFor}.");
        Ask(context, action, row =>
        {
            row["arguments_schema"] = Schema(context.Get(ArgumentsSchema), "schema of the arguments") ?? ToolSchema(context, action);
            row["is_editable"] = context.Get(Editable) && action.TryGetProperty("arguments", out _);
            row["quorum"] = quorum;
            row["denial_is_final"] = context.Get(DenialIsFinal);
            row["valid_for"] = Interval(validFor);
        });
        return ValueTask.CompletedTask;
    }

    private protected override void Complete(ActivityContext context, Approval approval)
    {
        var outcome = approval.Status.ToString();
        context.Set(Decision, outcome);
        context.Set(WasEdited, approval.IsEdited);
        if (approval.Status == ApprovalStatus.Approved)
        {
            var action = JsonElement.Parse(approval.CurrentAction!);
            context.Set(ApprovedAction, action);
            if (action.TryGetProperty("arguments", out var arguments))
                context.Set(Arguments, arguments);
        }

        context.Complete(outcome);
    }

    /// <summary>What the tool says of its arguments; null when the action is no call of a tool.</summary>
    private string? ToolSchema(ActivityContext context, JsonElement action) =>
        action.TryGetProperty("tool", out var name) && name.ValueKind == JsonValueKind.String
        && context.Engine.FindService<ToolRegistry>()?.Find(context.Host.Tenant, name.GetString()!) is { } tool
            ? Schema(tool.Definition.Parameters, "schema of the tool")
            : null;

    private JsonElement ActionOf(object? given)
    {
        var json = given switch
        {
            null => throw Bad("there is no action to approve."),
            string text => Parse(text),
            JsonElement { ValueKind: JsonValueKind.String } text => Parse(text.GetString()!),
            _ => ValueConverter.ToJson(given),
        };
        return json.ValueKind == JsonValueKind.Object ? json : throw Bad("the action must be a JSON object.");
    }

    private JsonElement Parse(string text)
    {
        try
        {
            return JsonElement.Parse(text);
        }
        catch (JsonException exception)
        {
            throw Bad($"the action is not JSON: {exception.Message}");
        }
    }
}
