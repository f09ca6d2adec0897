using Conclave.Inference.Scheduling;

namespace Conclave.Inference.Gateway;

/// <content>Waits for a slot, tier by tier.</content>
internal sealed partial class ChatRun
{
    private SlotRequest? _resumed;

    // Null when the servers that it waited for are gone, so that there is to be another look.
    private async Task<SlotGrant?> AcquireAsync(List<RouteCandidate> usable, CancellationToken cancellationToken)
    {
        report.Tell(CallPhase.Queued);
        clock.Queued();
        try
        {
            return await gateway.Slots.AcquireAsync(usable, NewRequest(), OnMoved, Note, cancellationToken);
        }
        finally
        {
            clock.Dequeued();
            (report.QueuePosition, report.ExpectedWait) = (0, null);
        }
    }

    private SlotRequest NewRequest() => new()
    {
        CallId = report.CallId,
        Tenant = call.Context.Tenant,
        Flow = call.Context.Flow,
        Priority = call.Context.Priority,
        Deadline = call.Context.Deadline,
        Servers = [],
        Model = call.Model,
        Cost = Math.Max(1, Tokens.Read(call) + (call.Options.MaxOutputTokens ?? Tokens.UsualOutput) - report.OutputTokens),
        IsPreemptible = CanBeMoved,
        FirstQueuedAt = _resumed?.FirstQueuedAt,
        WaitedBefore = _resumed?.WaitedBefore,
    };

    private void OnMoved(QueuePlace place)
    {
        (report.QueuePosition, report.ExpectedWait) = (place.Position, place.ExpectedWait);
        report.Changed?.Invoke(report);
    }
}
