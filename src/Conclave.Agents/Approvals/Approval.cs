using System.Text.Json;
using Conclave.Agents.Actions;

namespace Conclave.Agents.Approvals;

/// <summary>What is asked of people.</summary>
public enum ApprovalKind
{
    /// <summary>To agree to an action, or not.</summary>
    Approval,

    /// <summary>To do something, and to say what came of it.</summary>
    Task,
}

/// <summary>How an approval stands.</summary>
public enum ApprovalStatus
{
    /// <summary>It waits for people.</summary>
    Pending,

    /// <summary>Enough people agreed.</summary>
    Approved,

    /// <summary>Enough people refused.</summary>
    Rejected,

    /// <summary>The task is done.</summary>
    Done,

    /// <summary>Its time ended first.</summary>
    Expired,

    /// <summary>The workflow no longer waits for it.</summary>
    Cancelled,
}

/// <summary>What a person says.</summary>
public enum ApprovalVerdict
{
    /// <summary>Do it.</summary>
    Approve,

    /// <summary>Do not do it.</summary>
    Reject,

    /// <summary>The task is done.</summary>
    Complete,
}

/// <summary>Somebody who acts: an account, by its id, which stays, and its name, which is shown.</summary>
/// <param name="Id">Id of the account.</param>
/// <param name="Name">Its name.</param>
public sealed record Person(string Id, string Name);

/// <summary>What a person said, to which action. Never changed.</summary>
/// <param name="Person">Who.</param>
/// <param name="Verdict">What.</param>
/// <param name="ActionHash">The action that was in front of the person, or that the person made of it; empty for tasks.</param>
/// <param name="Comment">Why.</param>
/// <param name="At">When.</param>
public sealed record ApprovalVote(Person Person, ApprovalVerdict Verdict, string ActionHash, string? Comment, DateTimeOffset At);

/// <summary>Something that happened to an approval.</summary>
/// <param name="Id">Grows with every event.</param>
/// <param name="Kind">
/// requested, edited, voted, approved, rejected, done, expired, cancelled, reopened, commented, delegated, reassigned, reminded, escalated, used.
/// </param>
/// <param name="Actor">Who; null for the server.</param>
/// <param name="Data">More of it, as a JSON object.</param>
/// <param name="At">When.</param>
public sealed record ApprovalEvent(long Id, string Kind, string? Actor, JsonElement Data, DateTimeOffset At);

/// <summary>What somebody has to agree to, or to do, before a workflow goes on.</summary>
public sealed record Approval
{
    /// <summary>Whose.</summary>
    public required string Tenant { get; init; }

    /// <summary>Its id: that of the execution that waits, <c>{instance}-{number}</c>.</summary>
    public required string Id { get; init; }

    /// <summary>What is asked of people.</summary>
    public required ApprovalKind Kind { get; init; }

    /// <summary>How it stands.</summary>
    public required ApprovalStatus Status { get; init; }

    /// <summary>What it is about, in a few words.</summary>
    public required string Title { get; init; }

    /// <summary>More to know before one decides.</summary>
    public string Description { get; init; } = "";

    /// <summary>The instance that waits.</summary>
    public required string InstanceId { get; init; }

    /// <summary>The activity that waits.</summary>
    public required string ActivityId { get; init; }

    /// <summary>The agent that asks; null for other workflows.</summary>
    public string? AgentId { get; init; }

    /// <summary>The turn of the agent.</summary>
    public string? TurnId { get; init; }

    /// <summary>What was asked for, as canonical JSON; null for tasks.</summary>
    public string? Action { get; init; }

    /// <summary>What it has become by edits, as canonical JSON: this is what runs. Equal to <see cref="Action"/> when nobody edited it.</summary>
    public string? CurrentAction { get; init; }

    /// <summary>SHA-256 of <see cref="CurrentAction"/>; a decision says which action it was about by it.</summary>
    public string? CurrentHash { get; init; }

    /// <summary>Whether who approves may change the arguments.</summary>
    public bool IsEditable { get; init; }

    /// <summary>JSON Schema of the arguments; null for none.</summary>
    public string? ArgumentsSchema { get; init; }

    /// <summary>JSON Schema of what else is to be filled in; null for nothing.</summary>
    public string? Form { get; init; }

    /// <summary>What was filled in, as JSON.</summary>
    public string? FormData { get; init; }

    /// <summary>On whose behalf it is asked for, by name.</summary>
    public string? Requester { get; init; }

    /// <summary>The account on whose behalf it is asked for; null when there is none of the name.</summary>
    public string? RequesterId { get; init; }

    /// <summary>Whether that account may decide as well; else it must be somebody else.</summary>
    public bool AllowsSelf { get; init; }

    /// <summary>Ids of the accounts that may decide.</summary>
    public IReadOnlyList<string> Assignees { get; init; } = [];

    /// <summary>Names of the accounts in <see cref="Assignees"/>, for people.</summary>
    public IReadOnlyList<string> AssigneeNames { get; init; } = [];

    /// <summary>Roles whose accounts may decide. Neither assignees nor groups: whoever may decide at all.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>How many different people have to agree.</summary>
    public int Quorum { get; init; } = 1;

    /// <summary>Whether one refusal ends it; else as many have to refuse as have to agree.</summary>
    public bool DenialIsFinal { get; init; } = true;

    /// <summary>How urgent it is, 0 to 3; 0 comes first.</summary>
    public int Priority { get; init; } = 2;

    /// <summary>When it expires; null for never.</summary>
    public DateTimeOffset? DueAt { get; init; }

    /// <summary>When others are asked as well; null for never.</summary>
    public DateTimeOffset? EscalateAt { get; init; }

    /// <summary>When others were asked as well.</summary>
    public DateTimeOffset? EscalatedAt { get; init; }

    /// <summary>How often people were reminded.</summary>
    public int Reminders { get; init; }

    /// <summary>When it ended.</summary>
    public DateTimeOffset? DecidedAt { get; init; }

    /// <summary>Until when the action may be run.</summary>
    public DateTimeOffset? ValidUntil { get; init; }

    /// <summary>When the action was run, or was about to be.</summary>
    public DateTimeOffset? UsedAt { get; init; }

    /// <summary>When it was asked for.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>What people said so far, the first one first.</summary>
    public IReadOnlyList<ApprovalVote> Votes { get; init; } = [];

    /// <summary>Whether somebody changed what was asked for.</summary>
    public bool IsEdited => Action is not null && Action != CurrentAction;

    /// <summary>What is to run, if it is the call of a tool; null for another action or none.</summary>
    public ProposedAction? Proposed()
    {
        if (CurrentAction is null)
            return null;
        try
        {
            return ProposedAction.Read(JsonElement.Parse(CurrentAction));
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The people who agreed to what is to run, or did the task; those who refused, when it was rejected.</summary>
    public IEnumerable<ApprovalVote> Deciding => Status switch
    {
        ApprovalStatus.Approved => Votes.Where(v => v.Verdict == ApprovalVerdict.Approve && v.ActionHash == CurrentHash),
        ApprovalStatus.Rejected => Votes.Where(v => v.Verdict == ApprovalVerdict.Reject),
        ApprovalStatus.Done => Votes,
        _ => [],
    };
}

/// <summary>Which approvals a list shows.</summary>
public sealed record ApprovalFilter
{
    /// <summary>Only those that stand so; null for all.</summary>
    public ApprovalStatus? Status { get; init; }

    /// <summary>Only those that wait for the account with this id.</summary>
    public string? WaitsFor { get; init; }

    /// <summary>Only those of this agent.</summary>
    public string? AgentId { get; init; }

    /// <summary>Only those of this instance.</summary>
    public string? InstanceId { get; init; }
}

/// <summary>What a person says about an approval.</summary>
/// <param name="Verdict">What.</param>
public sealed record ApprovalDecision(ApprovalVerdict Verdict)
{
    /// <summary>Hash of the action that the person saw; null for tasks.</summary>
    public string? ActionHash { get; init; }

    /// <summary>Why.</summary>
    public string? Comment { get; init; }

    /// <summary>Other arguments for the action; only when it is approved.</summary>
    public JsonElement? Arguments { get; init; }

    /// <summary>What the form asks for.</summary>
    public JsonElement? FormData { get; init; }

    /// <summary>The same decision sent twice is one; null when it is not to be told.</summary>
    public string? IdempotencyKey { get; init; }
}
