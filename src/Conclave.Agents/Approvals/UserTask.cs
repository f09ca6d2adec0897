using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Approvals;

/// <summary>Gives people something to do, and waits.</summary>
[Activity("Conclave.Agents", "People", "Gives a person something to do and waits until it is done: goes on through Done with what was filled in, through the outcome that the person chose, or through Expired.", DisplayName = "User task",
    Icon = ApprovalIcons.Task, Color = ApprovalIcons.Color)]
[FlowNode("Done", "Expired")]
public sealed class UserTask : AskingActivity
{
    /// <summary>Name of the field that chooses the outcome.</summary>
    private const string OutcomeField = "outcome";

    /// <summary>Outcomes to choose from.</summary>
    [Input(Description = "Outcomes that the person chooses from, such as Ship and Refund. Each becomes a port to connect; without any it goes on through Done.", UIHint = InputUIHints.DynamicOutcomes)]
    public Input<IReadOnlyList<string>> PossibleOutcomes { get; set; } = new([]);

    /// <summary>The outcome.</summary>
    [Output(Description = "Done, Expired, or the outcome that the person chose.")]
    public Output<string>? Outcome { get; set; }

    private protected override ApprovalKind Kind => ApprovalKind.Task;

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        Ask(context, null, row =>
        {
            if (Outcomes(context) is { Count: > 0 } outcomes)
                row["form"] = WithOutcomes(context.Get(Form), outcomes);
        });
        return ValueTask.CompletedTask;
    }

    private protected override void Complete(ActivityContext context, Approval approval)
    {
        var outcome = approval.Status.ToString();
        if (approval.Status == ApprovalStatus.Done && Outcomes(context).Count > 0 && approval.FormData is { } data
            && JsonElement.Parse(data).TryGetProperty(OutcomeField, out var chosen) && chosen.ValueKind == JsonValueKind.String)
            outcome = chosen.GetString()!;
        context.Set(Outcome, outcome);
        context.Complete(outcome);
    }

    private List<string> Outcomes(ActivityContext context) => [.. (context.Get(PossibleOutcomes) ?? []).Where(o => !string.IsNullOrWhiteSpace(o)).Distinct()];

    /// <summary>The form with one more field: the schema makes sure that an outcome is chosen, and one that there is.</summary>
    private string WithOutcomes(JsonElement form, List<string> outcomes)
    {
        var members = new Dictionary<string, object?> { ["type"] = "object" };
        var properties = new Dictionary<string, object?>
        {
            [OutcomeField] = new Dictionary<string, object?> { ["type"] = "string", ["title"] = "Outcome", ["enum"] = outcomes.ToArray() },
        };
        var required = new List<string> { OutcomeField };
        if (Schema(form, "form") is not null)
        {
            foreach (var member in form.EnumerateObject())
                members[member.Name] = member.Value;
            if (form.TryGetProperty("properties", out var given) && given.ValueKind == JsonValueKind.Object)
            {
                foreach (var property in given.EnumerateObject())
                    properties.TryAdd(property.Name, property.Value);
            }

            if (form.TryGetProperty("required", out var needed) && needed.ValueKind == JsonValueKind.Array)
                required.AddRange(needed.EnumerateArray().Select(n => n.ToString()));
        }

        members["properties"] = properties;
        members["required"] = required.Distinct().ToArray();
        return ValueConverter.ToJson(members).GetRawText();
    }
}
