using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Telemetry;

/// <summary>Tells of the activities of a burst from its log, so that running them costs nothing more.</summary>
/// <param name="burst">Span of the burst; null when nobody listens.</param>
/// <param name="tenant">Owner of the instance.</param>
internal sealed class ActivityTelemetry(System.Diagnostics.Activity? burst, string tenant)
{
    private readonly Dictionary<int, long> _started = [];

    /// <summary>Takes log entries in.</summary>
    public void Observe(WorkflowInstance instance, ReadOnlySpan<LogEntry> entries)
    {
        if (!WorkflowTelemetry.ObservesActivities)
            return;
        foreach (var entry in entries)
        {
            if (entry.Event is ExecutionEvent.Started or ExecutionEvent.Resumed)
            {
                _started[entry.ActivityInstance] = entry.Timestamp;
                continue;
            }

            // What began in an earlier burst has waited for most of its time.
            if (StatusOf(entry.Event) is not { } status || !_started.Remove(entry.ActivityInstance, out var started))
                continue;
            WorkflowTelemetry.ActivityEnded(status, TimeSpan.FromTicks(entry.Timestamp - started));
            WorkflowTelemetry.ActivityExecuted(burst, instance, instance.Graph.Nodes[entry.NodeIndex], tenant, started, entry.Timestamp, entry.Details as ExceptionState);
        }
    }

    private static ActivityStatus? StatusOf(ExecutionEvent executionEvent) => executionEvent switch
    {
        ExecutionEvent.Completed => ActivityStatus.Completed,
        ExecutionEvent.Faulted => ActivityStatus.Faulted,
        ExecutionEvent.Canceled => ActivityStatus.Canceled,
        _ => null,
    };
}
