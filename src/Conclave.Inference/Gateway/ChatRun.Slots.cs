using Conclave.Inference.Scheduling;

namespace Conclave.Inference.Gateway;

/// <content>Waits for a slot, tier by tier.</content>
internal sealed partial class ChatRun
{
    // Of a middling server.
    private const double ReadPerSecond = 2_000;
    private static readonly TimeSpan LongestAffinity = TimeSpan.FromSeconds(15);
    private SlotRequest? _resumed;

    // Null when the servers that it waited for are gone, so that there is to be another look.
    private async Task<SlotGrant?> AcquireAsync(List<RouteCandidate> usable, CancellationToken cancellationToken)
    {
        report.Tell(CallPhase.Queued);
        clock.Queued();
        try
        {
            return await gateway.Slots.AcquireAsync(usable, NewRequest(usable), OnMoved, Note, cancellationToken);
        }
        finally
        {
            clock.Dequeued();
            (report.QueuePosition, report.ExpectedWait) = (0, null);
        }
    }

    private SlotRequest NewRequest(List<RouteCandidate> usable)
    {
        var read = Tokens.Read(call);
        var cached = gateway.CachedServer(call.Context);
        return new SlotRequest
        {
            CallId = report.CallId,
            Tenant = call.Context.Tenant,
            Flow = call.Context.Flow,
            Priority = call.Context.Priority,
            Deadline = call.Context.Deadline,
            Servers = [],
            PreferredServer = cached is not null && usable.Exists(c => c.Server.Id == cached) ? cached : null,
            AffinityWait = Affinity.WorthWaiting(read, ReadPerSecond) is var worth && worth < LongestAffinity ? worth : LongestAffinity,
            Model = call.Model,
            Cost = Math.Max(1, read + (call.Options.MaxOutputTokens ?? Tokens.UsualOutput) - report.OutputTokens),
            IsPreemptible = CanBeMoved,
            FirstQueuedAt = _resumed?.FirstQueuedAt,
            WaitedBefore = _resumed?.WaitedBefore,
        };
    }

    private void OnMoved(QueuePlace place)
    {
        (report.QueuePosition, report.ExpectedWait) = (place.Position, place.ExpectedWait);
        report.Changed?.Invoke(report);
    }
}
