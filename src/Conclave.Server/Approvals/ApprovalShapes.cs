using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Agents.Approvals;

namespace Conclave.Server.Approvals;

/// <summary>An approval, or a task.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Kind">approval or task.</param>
/// <param name="Status">pending, approved, rejected, done, expired or cancelled.</param>
/// <param name="Title">What it is about.</param>
/// <param name="Description">More to know.</param>
/// <param name="Priority">P0 to P3.</param>
/// <param name="InstanceId">The instance that waits.</param>
/// <param name="ActivityId">The activity that waits.</param>
/// <param name="CreatedAt">When it was asked for.</param>
internal sealed record ApprovalShape(
    string Id, string Kind, string Status, string Title, string Description, string Priority, string InstanceId, string ActivityId, DateTimeOffset CreatedAt)
{
    /// <summary>The agent that asks; null for other workflows.</summary>
    public string? AgentId { get; init; }

    /// <summary>The turn of the agent.</summary>
    public string? TurnId { get; init; }

    /// <summary>What was asked for; null for tasks.</summary>
    public JsonObject? RequestedAction { get; init; }

    /// <summary>What is to run: what was asked for, with the changes that were made to it.</summary>
    public JsonObject? Action { get; init; }

    /// <summary>SHA-256 of the action; a decision names it.</summary>
    public string? ActionHash { get; init; }

    /// <summary>Whether the action was changed.</summary>
    public bool IsEdited { get; init; }

    /// <summary>Whether its arguments may be changed.</summary>
    public bool IsEditable { get; init; }

    /// <summary>JSON Schema of the arguments.</summary>
    public JsonObject? ArgumentsSchema { get; init; }

    /// <summary>JSON Schema of what is to be filled in.</summary>
    public JsonObject? Form { get; init; }

    /// <summary>What was filled in.</summary>
    public JsonObject? FormData { get; init; }

    /// <summary>On whose behalf it is asked for.</summary>
    public string? OnBehalfOf { get; init; }

    /// <summary>Names of the accounts that are asked.</summary>
    public IReadOnlyList<string> Assignees { get; init; } = [];

    /// <summary>Roles that are asked. Neither accounts nor roles: whoever may decide.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>How many have to agree.</summary>
    public int Quorum { get; init; }

    /// <summary>Whether one refusal is enough.</summary>
    public bool DenialIsFinal { get; init; }

    /// <summary>When it expires.</summary>
    public DateTimeOffset? DueAt { get; init; }

    /// <summary>When others are asked as well.</summary>
    public DateTimeOffset? EscalateAt { get; init; }

    /// <summary>When it ended.</summary>
    public DateTimeOffset? DecidedAt { get; init; }

    /// <summary>Until when the action may be run.</summary>
    public DateTimeOffset? ValidUntil { get; init; }

    /// <summary>When the action was run.</summary>
    public DateTimeOffset? UsedAt { get; init; }

    /// <summary>Address for messages to people; in lists it is left out.</summary>
    public string? Link { get; init; }

    /// <summary>What people said; in lists it is left out.</summary>
    public IReadOnlyList<ApprovalVoteShape> Votes { get; init; } = [];
}

/// <summary>What somebody said.</summary>
/// <param name="By">Who.</param>
/// <param name="Decision">approve, reject or complete.</param>
/// <param name="ActionHash">To which action; null for tasks.</param>
/// <param name="Comment">Why.</param>
/// <param name="At">When.</param>
internal sealed record ApprovalVoteShape(string By, string Decision, string? ActionHash, string? Comment, DateTimeOffset At);

/// <summary>Something that happened to an approval.</summary>
/// <param name="Id">Grows with every event.</param>
/// <param name="Kind">requested, edited, voted, approved, rejected, done, expired, cancelled, reopened, commented, delegated, reassigned, reminded, escalated or used.</param>
/// <param name="Actor">Who; null for the server.</param>
/// <param name="Data">More of it.</param>
/// <param name="At">When.</param>
internal sealed record ApprovalEventShape(long Id, string Kind, string? Actor, JsonObject Data, DateTimeOffset At);

/// <summary>A decision.</summary>
/// <param name="Decision">approve or reject; complete for tasks.</param>
internal sealed record ApprovalDecisionRequest(string Decision)
{
    /// <summary>Hash of the action that the person saw; not for tasks.</summary>
    public string? ActionHash { get; init; }

    /// <summary>Why.</summary>
    public string? Comment { get; init; }

    /// <summary>Other arguments for the action; only with approve.</summary>
    public JsonObject? Arguments { get; init; }

    /// <summary>What the form asks for.</summary>
    public JsonObject? FormData { get; init; }
}

/// <summary>A comment.</summary>
/// <param name="Text">At most 4,000 characters.</param>
internal sealed record ApprovalCommentRequest(string Text);

/// <summary>Somebody else who is to decide.</summary>
/// <param name="To">Name or id of the account.</param>
internal sealed record ApprovalDelegationRequest(string To)
{
    /// <summary>Why.</summary>
    public string? Comment { get; init; }
}

/// <summary>Others to ask; with nobody named, whoever may decide.</summary>
internal sealed record ApprovalAssignmentRequest
{
    /// <summary>Names or ids of accounts.</summary>
    public IReadOnlyList<string> Assignees { get; init; } = [];

    /// <summary>Names of roles.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>Why.</summary>
    public string? Comment { get; init; }
}

/// <summary>Writes approvals.</summary>
internal static class ApprovalJson
{
    public static void Write(Utf8JsonWriter writer, Approval approval) => WriteObject(writer, approval, null, withVotes: false);

    public static void Write(Utf8JsonWriter writer, Approval approval, string? link) => WriteObject(writer, approval, link, withVotes: true);

    public static void Write(Utf8JsonWriter writer, ApprovalEvent happened)
    {
        writer.WriteStartObject();
        writer.WriteNumber("id", happened.Id);
        writer.WriteString("kind", happened.Kind);
        writer.WriteString("actor", happened.Actor);
        writer.WritePropertyName("data");
        happened.Data.WriteTo(writer);
        writer.WriteString("at", happened.At);
        writer.WriteEndObject();
    }

    private static void WriteObject(Utf8JsonWriter writer, Approval approval, string? link, bool withVotes)
    {
        writer.WriteStartObject();
        writer.WriteString("id", approval.Id);
        writer.WriteString("kind", ApprovalStore.NameOf(approval.Kind));
        writer.WriteString("status", ApprovalStore.NameOf(approval.Status));
        writer.WriteString("title", approval.Title);
        writer.WriteString("description", approval.Description);
        writer.WriteString("priority", $"P{approval.Priority}");
        writer.WriteString("instanceId", approval.InstanceId);
        writer.WriteString("activityId", approval.ActivityId);
        writer.WriteString("agentId", approval.AgentId);
        writer.WriteString("turnId", approval.TurnId);
        Raw("requestedAction", approval.Action);
        Raw("action", approval.CurrentAction);
        writer.WriteString("actionHash", approval.CurrentHash);
        writer.WriteBoolean("isEdited", approval.IsEdited);
        writer.WriteBoolean("isEditable", approval.IsEditable);
        Raw("argumentsSchema", approval.ArgumentsSchema);
        Raw("form", approval.Form);
        Raw("formData", approval.FormData);
        writer.WriteString("onBehalfOf", approval.Requester);
        List("assignees", approval.AssigneeNames);
        List("groups", approval.Groups);
        writer.WriteNumber("quorum", approval.Quorum);
        writer.WriteBoolean("denialIsFinal", approval.DenialIsFinal);
        Time("dueAt", approval.DueAt);
        Time("escalateAt", approval.EscalateAt);
        Time("decidedAt", approval.DecidedAt);
        Time("validUntil", approval.ValidUntil);
        Time("usedAt", approval.UsedAt);
        writer.WriteString("createdAt", approval.CreatedAt);
        if (withVotes)
        {
            writer.WriteString("link", link);
            writer.WriteStartArray("votes");
            foreach (var vote in approval.Votes)
                WriteVote(writer, vote);
            writer.WriteEndArray();
        }

        writer.WriteEndObject();

        void Raw(string name, string? json)
        {
            writer.WritePropertyName(name);
            writer.WriteRawValue(json ?? "null");
        }

        void List(string name, IReadOnlyList<string> values)
        {
            writer.WriteStartArray(name);
            foreach (var value in values)
                writer.WriteStringValue(value);
            writer.WriteEndArray();
        }

        void Time(string name, DateTimeOffset? time)
        {
            if (time is { } given)
                writer.WriteString(name, given);
            else
                writer.WriteNull(name);
        }
    }

    private static void WriteVote(Utf8JsonWriter writer, ApprovalVote vote)
    {
        writer.WriteStartObject();
        writer.WriteString("by", vote.Person.Name);
        writer.WriteString("decision", ApprovalStore.NameOf(vote.Verdict));
        writer.WriteString("actionHash", vote.ActionHash.Length > 0 ? vote.ActionHash : null);
        writer.WriteString("comment", vote.Comment);
        writer.WriteString("at", vote.At);
        writer.WriteEndObject();
    }
}
