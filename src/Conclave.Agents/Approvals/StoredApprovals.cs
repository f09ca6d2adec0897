using Conclave.Agents.Actions;
using Conclave.Agents.Tools;

namespace Conclave.Agents.Approvals;

/// <summary>Gives approvals to the tools.</summary>
public sealed class StoredApprovals(ApprovalStore store) : ApprovalGate
{
    /// <inheritdoc/>
    public override async Task<ApprovalCheck> ConsumeAsync(string tenant, string approvalId, ProposedAction action, string key, CancellationToken cancellationToken)
    {
        try
        {
            await store.ConsumeAsync(tenant, approvalId, action, key, cancellationToken);
            return new ApprovalCheck(true);
        }
        catch (ApprovalException exception)
        {
            return new ApprovalCheck(false, exception.Code, exception.Message);
        }
    }
}
