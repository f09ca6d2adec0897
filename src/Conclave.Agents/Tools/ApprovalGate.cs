using Conclave.Agents.Actions;

namespace Conclave.Agents.Tools;

/// <summary>Takes approvals for actions: the approvals' side of the tool executor.</summary>
public abstract class ApprovalGate
{
    /// <summary>Takes an approval for exactly one action, once. Everything is checked again: subject, tool's version, policy, expiry, rights of who approved.</summary>
    /// <param name="tenant">Owner of the approval.</param>
    /// <param name="approvalId">The approval.</param>
    /// <param name="action">What is about to run.</param>
    /// <param name="key">Idempotency key of the call: the same key may take it again, for a call that is repeated after a crash.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public abstract Task<ApprovalCheck> ConsumeAsync(string tenant, string approvalId, ProposedAction action, string key, CancellationToken cancellationToken);
}

/// <summary>Whether an approval holds for an action.</summary>
/// <param name="IsApproved">Whether it does.</param>
/// <param name="Code">Stable code of why not, such as <c>approval.expired</c>; null when it does.</param>
/// <param name="Reason">Why not, and what to do; null when it does.</param>
public sealed record ApprovalCheck(bool IsApproved, string? Code = null, string? Reason = null);
