namespace Conclave.Agents.Approvals;

/// <summary>Something that is not done with an approval; nothing was changed.</summary>
/// <param name="code">Why, one of <see cref="ApprovalCodes"/>.</param>
/// <param name="message">Why, and what to do, for people.</param>
public sealed class ApprovalException(string code, string message) : Exception(message)
{
    /// <summary>Stable code; listed in <c>docs/errors.md</c>.</summary>
    public string Code { get; } = code;
}

/// <summary>Why something is not done with an approval.</summary>
public static class ApprovalCodes
{
    /// <summary>There is none of the id.</summary>
    public const string NotFound = "approval.not_found";

    /// <summary>It was decided before.</summary>
    public const string AlreadyDecided = "approval.already_decided";

    /// <summary>This person has said something to this action before.</summary>
    public const string AlreadyVoted = "approval.already_voted";

    /// <summary>Its time, or that of the decision, is over.</summary>
    public const string Expired = "approval.expired";

    /// <summary>The workflow no longer waits.</summary>
    public const string NotWaiting = "approval.not_waiting";

    /// <summary>The person may not decide at all.</summary>
    public const string NotAllowed = "approval.not_allowed";

    /// <summary>Others were asked.</summary>
    public const string NotAssigned = "approval.not_assigned";

    /// <summary>It is asked for on behalf of the person who wants to decide.</summary>
    public const string OwnRequest = "approval.own_request";

    /// <summary>The action is another one by now than the person saw.</summary>
    public const string ActionChanged = "approval.action_changed";

    /// <summary>The arguments may not be changed.</summary>
    public const string NotEditable = "approval.not_editable";

    /// <summary>Arguments or form do not fit their schema, or are missing.</summary>
    public const string BadForm = "approval.bad_form";

    /// <summary>The decision makes no sense for what is asked.</summary>
    public const string BadDecision = "approval.bad_decision";

    /// <summary>There is no such account or role, or it may not decide.</summary>
    public const string UnknownPerson = "approval.unknown_person";

    /// <summary>Who acts is no account.</summary>
    public const string NotAPerson = "approval.not_a_person";

    // What ConsumeAsync refuses.

    /// <summary>Nobody has decided yet, or it was refused or cancelled.</summary>
    public const string NotApproved = "approval.not_approved";

    /// <summary>It was used for something already.</summary>
    public const string Used = "approval.used";

    /// <summary>It was given to another agent.</summary>
    public const string WrongAgent = "approval.wrong_agent";

    /// <summary>It was given for another tool, or for another version of it.</summary>
    public const string ToolChanged = "approval.tool_changed";

    /// <summary>It was given for other arguments.</summary>
    public const string ArgumentsChanged = "approval.arguments_changed";

    /// <summary>Who approved it may not any more.</summary>
    public const string ApproverLost = "approval.approver_lost";

    /// <summary>The agent may not use the tool any more.</summary>
    public const string PermissionRevoked = "approval.permission_revoked";
}
