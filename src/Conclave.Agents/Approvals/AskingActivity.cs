using System.Globalization;
using System.Text.Json;
using Conclave.Agents.Actions;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Approvals;

/// <summary>What activities that ask people have in common: whom they ask, for how long, and how they wait.</summary>
/// <remarks>
/// They wait at two bookmarks: one for the decision, one for the next time at which something is due. What comes with a resumption counts for nothing: the row
/// says how the approval stands, so that nobody can resume past a decision that was not made.
/// </remarks>
public abstract class AskingActivity : Activity
{
    private const string DueStimulus = "Conclave.ApprovalDue";
    private const int LongestTitle = 200;
    private const int LongestText = 20_000;
    private const int LargestJson = 256 * 1024;

    /// <summary>What it is about.</summary>
    [Input(Description = "What it is about, in a few words, for the list of what waits.")]
    public Input<string> Title { get; set; } = new();

    /// <summary>More to know.</summary>
    [Input(Description = "What people have to know before they decide.", UIHint = InputUIHints.MultiLine)]
    public Input<string> Description { get; set; } = new();

    /// <summary>What is to be filled in.</summary>
    [Input(Description = "A JSON Schema of what is to be filled in: an object whose properties become fields. Empty for nothing.", UIHint = InputUIHints.JsonEditor, DefaultSyntax = "Object")]
    public Input<JsonElement> Form { get; set; } = new();

    /// <summary>Who is asked, by account.</summary>
    [Input(Description = "Accounts that are asked, by name or id. With neither people nor roles, whoever may decide on approvals.", Category = "People", UIHint = InputUIHints.MultiText)]
    public Input<IReadOnlyList<string>> Assignees { get; set; } = new();

    /// <summary>Who is asked, by role.</summary>
    [Input(Description = "Roles whose accounts are asked, such as operator.", Category = "People", UIHint = InputUIHints.MultiText)]
    public Input<IReadOnlyList<string>> Groups { get; set; } = new();

    /// <summary>On whose behalf.</summary>
    [Input(Description = "Name or id of the account on whose behalf it is asked. Empty in a turn of an agent: who talks to the agent.", Category = "People")]
    public Input<string> OnBehalfOf { get; set; } = new();

    /// <summary>Whether that account may decide as well.</summary>
    [Input(Description = "Whether the one on whose behalf it is asked may decide as well.", Category = "People")]
    public Input<bool> AllowSelf { get; set; } = new();

    /// <summary>How urgent it is.</summary>
    [Input(Description = "How urgent it is: P0 comes first.", Category = "Time", UIHint = InputUIHints.DropDown, Options = ["P0", "P1", "P2", "P3"])]
    public Input<string> Priority { get; set; } = new("P2");

    /// <summary>How long people have.</summary>
    [Input(Description = "How long people have, as [days.]hours:minutes:seconds; then it goes on through Expired. Empty for no end.", Category = "Time")]
    public Input<TimeSpan?> DueIn { get; set; } = new();

    /// <summary>How often people are reminded.</summary>
    [Input(Description = "How often people are reminded; each time the event ApprovalReminder is published. Empty for never.", Category = "Time")]
    public Input<TimeSpan?> RemindEvery { get; set; } = new();

    /// <summary>When others are asked as well.</summary>
    [Input(Description = "After which time others are asked as well; then the event ApprovalEscalated is published. Empty for never.", Category = "Time")]
    public Input<TimeSpan?> EscalateAfter { get; set; } = new();

    /// <summary>Who else is asked then.</summary>
    [Input(Description = "Accounts that are asked as well then, by name or id.", Category = "Time", DisplayName = "Escalate to")]
    public Input<IReadOnlyList<string>> EscalateTo { get; set; } = new();

    /// <summary>Who else is asked then, by role.</summary>
    [Input(Description = "Roles whose accounts are asked as well then.", Category = "Time", DisplayName = "Escalate to roles")]
    public Input<IReadOnlyList<string>> EscalateToGroups { get; set; } = new();

    /// <summary>Id of the approval.</summary>
    [Output(Description = "The id under which it is found, and by which RunTool takes what was approved.")]
    public Output<string>? ApprovalId { get; set; }

    /// <summary>Who decided.</summary>
    [Output(Description = "Names of those who decided.")]
    public Output<IReadOnlyList<string>>? DecidedBy { get; set; }

    /// <summary>What they wrote.</summary>
    [Output(Description = "What those who decided wrote, one line each.")]
    public Output<string>? Comment { get; set; }

    /// <summary>What was filled in.</summary>
    [Output(Description = "What was filled in, as the form's schema says.")]
    public Output<JsonElement>? FormData { get; set; }

    /// <inheritdoc/>
    public override ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input) => GoOnAsync(context, bookmark);

    private protected abstract ApprovalKind Kind { get; }

    /// <summary>Completes the activity with what people said.</summary>
    private protected abstract void Complete(ActivityContext context, Approval approval);

    /// <summary>Asks, and waits.</summary>
    private protected void Ask(ActivityContext context, JsonElement? action, Action<Dictionary<string, object?>> add)
    {
        var id = $"{context.Instance.Id}-{context.Number}";
        var now = context.Time.GetUtcNow();
        var dueAt = After(context, now, context.Get(DueIn));
        var remindEvery = context.Get(RemindEvery);
        var remindAt = After(context, now, remindEvery);
        var escalateAt = After(context, now, context.Get(EscalateAfter));
        var title = Clean(context.Get(Title), LongestTitle);
        var row = new Dictionary<string, object?>
        {
            ["id"] = id,
            ["kind"] = ApprovalStore.NameOf(Kind),
            ["activity_id"] = context.Node.Id,
            ["title"] = title.Length > 0 ? title : context.Node.Id,
            ["description"] = Clean(context.Get(Description), LongestText),
            ["form"] = Schema(context.Get(Form), "form"),
            ["requester"] = Clean(context.Get(OnBehalfOf), LongestTitle),
            ["allow_self"] = context.Get(AllowSelf),
            ["assignees"] = Names(context.Get(Assignees)),
            ["groups"] = Names(context.Get(Groups)),
            ["priority"] = PriorityOf(context),
            ["due_at"] = dueAt,
            ["remind_every"] = Interval(remindEvery),
            ["remind_at"] = remindAt,
            ["escalate_at"] = escalateAt,
            ["escalation_assignees"] = Names(context.Get(EscalateTo)),
            ["escalation_groups"] = Names(context.Get(EscalateToGroups)),
            ["is_editable"] = false,
            ["quorum"] = 1,
            ["denial_is_final"] = true,
            ["valid_for"] = "0 seconds",
        };
        if (action is { } asked)
        {
            var (canonical, hash) = Canonical(asked);
            row["action"] = row["current_action"] = canonical;
            row["action_hash"] = row["current_hash"] = hash;
        }

        add(row);
        context.Request(new ApprovalRequested(context.Number, ValueConverter.ToJson(row).GetRawText(), now));
        context.Set(ApprovalId, id);
        WaitForDecision(context, id);
        WaitUntil(context, id, Earliest(dueAt, remindAt, escalateAt));
        Publish(context, id, "ApprovalRequested", null, title);
    }

    /// <summary>How long something lasts, for the row.</summary>
    private protected static string? Interval(TimeSpan? span) => span is { } given ? string.Create(CultureInfo.InvariantCulture, $"{given.TotalSeconds} seconds") : null;

    /// <summary>A JSON Schema as text; null for none.</summary>
    private protected string? Schema(JsonElement given, string input)
    {
        if (given.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null || (given.ValueKind == JsonValueKind.String && string.IsNullOrWhiteSpace(given.GetString())))
            return null;
        if (given.ValueKind != JsonValueKind.Object)
            throw Bad($"the {input} must be a JSON Schema object.");
        var text = given.GetRawText();
        return text.Length <= LargestJson ? text : throw Bad($"the {input} is larger than {LargestJson / 1024} KiB.");
    }

    private protected WorkflowException Bad(string what) => new("approval.bad_request", $"{Node}: {what}") { IsPermanent = true };

    private async ValueTask GoOnAsync(ActivityContext context, Bookmark bookmark)
    {
        var store = context.Engine.Service<ApprovalStore>("ask people");
        var id = $"{context.Instance.Id}-{context.Number}";
        var tenant = context.Host.Tenant;
        var (status, wakeAt, happened) = await store.WakeAsync(tenant, id, context.Time.GetUtcNow(), context.CancellationToken);
        var approval = await store.FindAsync(tenant, id, context.CancellationToken);
        if (status is null || approval is null)
            throw new WorkflowException(ApprovalCodes.NotFound, $"{Node}: there is no approval '{id}'. It was deleted while the workflow waited for it.") { IsPermanent = true };
        if (happened is not null)
            Publish(context, id, happened == "escalated" ? "ApprovalEscalated" : "ApprovalReminder", approval.Reminders, approval.Title);
        if (status == ApprovalStatus.Pending)
        {
            if (bookmark.Name == ApprovalStore.Stimulus)
                WaitForDecision(context, id);
            else
                WaitUntil(context, id, wakeAt);
            return;
        }

        context.Set(DecidedBy, approval.Deciding.Select(v => v.Person.Name).ToArray());
        context.Set(Comment, string.Join('\n', approval.Deciding.Select(v => v.Comment).OfType<string>()));
        if (approval.FormData is { } data)
            context.Set(FormData, JsonElement.Parse(data));
        Complete(context, approval);
    }

    private static void WaitForDecision(ActivityContext context, string id) =>
        context.CreateBookmark(ApprovalStore.Stimulus, new BookmarkPayload("ApprovalStimulus", ("ApprovalId", id)));

    private static void WaitUntil(ActivityContext context, string id, DateTimeOffset? time)
    {
        if (time is { } due)
            context.CreateBookmark(DueStimulus, new BookmarkPayload("ApprovalDuePayload", ("ApprovalId", id), ("ResumeAt", due)));
    }

    /// <summary>Tells workflows, which may write to people.</summary>
    private void Publish(ActivityContext context, string id, string name, int? number, string title)
    {
        // Looked for, not asked for: a workflow that runs without a database waits as well.
        var link = context.Engine.FindService<ApprovalStore>()?.Link?.Invoke(context.Host.Tenant, id);
        context.Request(new EventPublished(context.Number, name, null, null, ValueConverter.ToJson(new Dictionary<string, object?>
        {
            ["approvalId"] = id,
            ["kind"] = ApprovalStore.NameOf(Kind),
            ["title"] = title,
            ["priority"] = context.Get(Priority),
            ["instanceId"] = context.Instance.Id,
            ["assignees"] = Names(context.Get(Assignees)),
            ["groups"] = Names(context.Get(Groups)),
            ["link"] = link,
        }))
        { Occasion = number?.ToString(CultureInfo.InvariantCulture) });
    }

    private (string Canonical, string Hash) Canonical(JsonElement action)
    {
        try
        {
            var canonical = CanonicalJson.Text(action);
            return canonical.Length <= LargestJson ? (canonical, CanonicalJson.Hash(action)) : throw Bad($"the action is larger than {LargestJson / 1024} KiB.");
        }
        catch (JsonException exception)
        {
            throw Bad($"the action cannot be used: {exception.Message}");
        }
    }

    private int PriorityOf(ActivityContext context) => context.Get(Priority) switch
    {
        null or "" => 2,
        ['P' or 'p', >= '0' and <= '3' and var digit] => digit - '0',
        var other => throw Bad($"'{other}' is no priority; they are P0 to P3."),
    };

    private DateTimeOffset? After(ActivityContext context, DateTimeOffset now, TimeSpan? span)
    {
        if (span is not { } given)
            return null;
        if (given < TimeSpan.FromSeconds(1) || given > TimeSpan.FromDays(3650))
            throw Bad($"a time of {given} is not possible; it is a second to ten years.");
        return now + given;
    }

    private static DateTimeOffset? Earliest(params ReadOnlySpan<DateTimeOffset?> times)
    {
        DateTimeOffset? first = null;
        foreach (var time in times)
        {
            if (time is { } given && (first is null || given < first))
                first = given;
        }

        return first;
    }

    private static string[] Names(IReadOnlyList<string>? given) =>
        [.. (given ?? []).Select(n => Clean(n, LongestTitle).Trim()).Where(n => n.Length > 0).Distinct(StringComparer.OrdinalIgnoreCase).Take(100)];

    /// <summary>PostgreSQL has no NUL characters.</summary>
    private static string Clean(string? text, int longest)
    {
        var clean = (text ?? "").Replace("\0", "", StringComparison.Ordinal);
        return clean.Length <= longest ? clean : clean[..(char.IsHighSurrogate(clean[longest - 2]) ? longest - 2 : longest - 1)] + "…";
    }
}
