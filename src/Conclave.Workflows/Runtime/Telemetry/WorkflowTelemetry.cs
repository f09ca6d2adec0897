using System.Diagnostics;
using System.Diagnostics.Metrics;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Workflows.Runtime.Telemetry;

/// <summary>
/// What the runtime tells of itself: the names of its metrics and spans, and the calls that record them. Nothing is
/// measured or allocated while nobody listens.
/// </summary>
/// <remarks>
/// Elsa's own names stay as they are, so that dashboards made for Elsa work. Tags of metrics come from closed sets; ids go to
/// spans only. All of them are in <c>docs/metrics.md</c>.
/// </remarks>
public static partial class WorkflowTelemetry
{
    /// <summary>Name of the source and meter that Elsa has too.</summary>
    public const string ElsaName = "Elsa.Workflows";

    /// <summary>Name of the source and meter of what Conclave adds.</summary>
    public const string ConclaveName = "Conclave";

    private const string SubStatusTag = "sub_status";
    private const string PriorityTag = "priority";
    private const string KindTag = "kind";
    private const string OutcomeTag = "outcome";
    private const string StatusClassTag = "status_class";

    private static readonly Meter Elsa = new(ElsaName);
    private static readonly Meter Conclave = new(ConclaveName);

    private static readonly Counter<long> Started = Elsa.CreateCounter<long>(
        "elsa.workflow.started", "{workflow}", "Workflow instances that began to run.");

    private static readonly Counter<long> Completed = Elsa.CreateCounter<long>(
        "elsa.workflow.completed", "{workflow}", "Workflow instances that ended without a fault: finished or cancelled.");

    private static readonly Counter<long> Faulted = Elsa.CreateCounter<long>(
        "elsa.workflow.faulted", "{workflow}", "Workflow instances that ended in a fault.");

    private static readonly Histogram<double> ActivityDuration = Seconds(Elsa,
        "elsa.activity.duration", "Time one execution of an activity took, from its start to its end.",
        0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120);

    private static readonly Counter<long> Bursts = Conclave.CreateCounter<long>(
        "conclave.workflow.bursts", "{burst}", "Bursts that ended: an instance ran until it waited or ended.");

    private static readonly Histogram<double> BurstDuration = Seconds(Conclave,
        "conclave.workflow.burst.duration", "Time one burst ran, its commits included.",
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120);

    private static readonly Histogram<double> CommitDuration = Seconds(Conclave,
        "conclave.workflow.commit.duration", "Time one transaction with commits of bursts took.",
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5);

    private static readonly Histogram<int> CommitSize = Conclave.CreateHistogram(
        "conclave.workflow.commit.size", "{burst}", "Commits of bursts that one transaction took.", null,
        new InstrumentAdvice<int> { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256] });

    private static readonly Counter<long> Claimed = Conclave.CreateCounter<long>(
        "conclave.queue.claimed", "{item}", "Work items that this process claimed.");

    private static readonly Counter<long> Retried = Conclave.CreateCounter<long>(
        "conclave.queue.retried", "{item}", "Work items that failed and wait for another attempt.");

    private static readonly Counter<long> Dead = Conclave.CreateCounter<long>(
        "conclave.queue.dead", "{item}", "Work items that failed for good and became dead letters.");

    private static readonly Histogram<double> QueueAge = Seconds(Conclave,
        "conclave.queue.age", "Time a work item waited, from when it was due until it was claimed.",
        0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600);

    private static readonly Counter<long> WebhookRequests = Conclave.CreateCounter<long>(
        "conclave.webhook.requests", "{request}", "Requests that HTTP endpoints of workflows answered.");

    private static readonly Histogram<double> WebhookDuration = Seconds(Conclave,
        "conclave.webhook.duration", "Time until a request to a workflow's HTTP endpoint was answered.",
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30);

    private static readonly Counter<long> LeasesLost = Conclave.CreateCounter<long>(
        "conclave.lease.lost", "{lease}", "Leases that ran out while their burst still ran.");

    /// <summary>A moment to measure from.</summary>
    public static long Now() => Stopwatch.GetTimestamp();

    /// <summary>An instance began to run.</summary>
    public static void WorkflowStarted() => Started.Add(1);

    /// <summary>An instance ended; counts nothing for one that can still run.</summary>
    /// <param name="subStatus">How it ended.</param>
    public static void WorkflowEnded(WorkflowSubStatus subStatus)
    {
        if (subStatus is WorkflowSubStatus.Faulted) Faulted.Add(1);
        else if (subStatus is WorkflowSubStatus.Finished or WorkflowSubStatus.Cancelled)
            Completed.Add(1, new KeyValuePair<string, object?>(SubStatusTag, Name(subStatus)));
    }

    /// <summary>One execution of an activity ended.</summary>
    /// <param name="status">How it ended.</param>
    /// <param name="duration">How long it took.</param>
    public static void ActivityEnded(ActivityStatus status, TimeSpan duration) =>
        ActivityDuration.Record(duration.TotalSeconds, new KeyValuePair<string, object?>("status", Name(status)));

    /// <summary>Whether anybody wants to know of single activities.</summary>
    public static bool ObservesActivities => ActivityDuration.Enabled || ElsaSpans.HasListeners();

    /// <summary>A burst ended and what it left is stored.</summary>
    /// <param name="subStatus">How it left the instance.</param>
    /// <param name="started">When it started, from <see cref="Now"/>.</param>
    public static void BurstEnded(WorkflowSubStatus subStatus, long started)
    {
        var tag = new KeyValuePair<string, object?>(SubStatusTag, Name(subStatus));
        Bursts.Add(1, tag);
        if (BurstDuration.Enabled) BurstDuration.Record(SecondsSince(started), tag);
    }

    /// <summary>A transaction with commits of bursts ended.</summary>
    /// <param name="bursts">How many commits it held.</param>
    /// <param name="committed">False when it was refused or failed.</param>
    /// <param name="started">When it started, from <see cref="Now"/>.</param>
    public static void Committed(int bursts, bool committed, long started)
    {
        var tag = new KeyValuePair<string, object?>(OutcomeTag, committed ? "committed" : "refused");
        CommitSize.Record(bursts, tag);
        if (CommitDuration.Enabled) CommitDuration.Record(SecondsSince(started), tag);
    }

    /// <summary>A work item was claimed.</summary>
    /// <param name="kind">What it asks for.</param>
    /// <param name="priority">How urgent it is.</param>
    /// <param name="age">How long it was due; negative counts as zero, since clocks differ.</param>
    public static void WorkClaimed(WorkKind kind, WorkPriority priority, TimeSpan age)
    {
        var kindTag = new KeyValuePair<string, object?>(KindTag, Name(kind));
        var priorityTag = new KeyValuePair<string, object?>(PriorityTag, Name(priority));
        Claimed.Add(1, kindTag, priorityTag);
        QueueAge.Record(Math.Max(0, age.TotalSeconds), kindTag, priorityTag);
    }

    /// <summary>A work item failed and will be tried again.</summary>
    public static void WorkRetried(WorkKind kind, WorkPriority priority) => Count(Retried, kind, priority);

    /// <summary>A work item failed for good.</summary>
    public static void WorkDied(WorkKind kind, WorkPriority priority) => Count(Dead, kind, priority);

    /// <summary>A request to a workflow's HTTP endpoint was answered.</summary>
    /// <param name="statusCode">The HTTP status of the answer.</param>
    /// <param name="started">When the request came, from <see cref="Now"/>.</param>
    public static void WebhookAnswered(int statusCode, long started)
    {
        var tag = new KeyValuePair<string, object?>(StatusClassTag, StatusClass(statusCode));
        WebhookRequests.Add(1, tag);
        if (WebhookDuration.Enabled) WebhookDuration.Record(SecondsSince(started), tag);
    }

    /// <summary>A lease ran out, or was taken over, while its burst still ran.</summary>
    public static void LeaseLost() => LeasesLost.Add(1);

    private static void Count(Counter<long> counter, WorkKind kind, WorkPriority priority) => counter.Add(1,
        new KeyValuePair<string, object?>(KindTag, Name(kind)), new KeyValuePair<string, object?>(PriorityTag, Name(priority)));

    private static Histogram<double> Seconds(Meter meter, string name, string description, params double[] buckets) =>
        meter.CreateHistogram(name, "s", description, null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = buckets });

    private static double SecondsSince(long started) => Stopwatch.GetElapsedTime(started).TotalSeconds;

    // Constants, since Enum.ToString allocates.
    private static string Name(WorkflowSubStatus status) => status switch
    {
        WorkflowSubStatus.Pending => "pending",
        WorkflowSubStatus.Executing => "executing",
        WorkflowSubStatus.Suspended => "suspended",
        WorkflowSubStatus.Finished => "finished",
        WorkflowSubStatus.Cancelled => "cancelled",
        WorkflowSubStatus.Faulted => "faulted",
        _ => "other",
    };

    private static string Name(ActivityStatus status) => status switch
    {
        ActivityStatus.Pending => "pending",
        ActivityStatus.Running => "running",
        ActivityStatus.Completed => "completed",
        ActivityStatus.Canceled => "canceled",
        ActivityStatus.Faulted => "faulted",
        _ => "other",
    };

    private static string Name(WorkKind kind) => kind switch
    {
        WorkKind.Run => "run",
        WorkKind.Resume => "resume",
        WorkKind.Cancel => "cancel",
        _ => "other",
    };

    private static string Name(WorkPriority priority) => priority switch
    {
        WorkPriority.P0 => "p0",
        WorkPriority.P1 => "p1",
        WorkPriority.P2 => "p2",
        WorkPriority.P3 => "p3",
        _ => "other",
    };

    private static string StatusClass(int statusCode) => (statusCode / 100) switch
    {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    };
}
