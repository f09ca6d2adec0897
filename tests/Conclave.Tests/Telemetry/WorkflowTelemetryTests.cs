using System.Buffers;
using System.Diagnostics;
using System.Text;
using Conclave.Server.Telemetry.Prometheus;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Telemetry;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Telemetry;

public sealed class WorkflowTelemetryTests
{
    [Fact]
    public void Metrics_OfTheRuntime_AllAppear()
    {
        using var metrics = new PrometheusMetrics(NullLogger<PrometheusMetrics>.Instance, [WorkflowTelemetry.ElsaName, WorkflowTelemetry.ConclaveName]);
        using var running = WorkflowTelemetry.ObserveRunningBursts(() => 4);
        var now = WorkflowTelemetry.Now();
        WorkflowTelemetry.WorkflowStarted();
        WorkflowTelemetry.WorkflowEnded(WorkflowSubStatus.Finished);
        WorkflowTelemetry.WorkflowEnded(WorkflowSubStatus.Faulted);
        WorkflowTelemetry.WorkflowEnded(WorkflowSubStatus.Suspended);
        WorkflowTelemetry.ActivityEnded(ActivityStatus.Completed, TimeSpan.FromSeconds(1));
        WorkflowTelemetry.BurstEnded(WorkflowSubStatus.Suspended, now);
        WorkflowTelemetry.Committed(12, true, now);
        WorkflowTelemetry.WorkClaimed(WorkKind.Resume, WorkPriority.P1, TimeSpan.FromSeconds(-1));
        WorkflowTelemetry.WorkRetried(WorkKind.Run, WorkPriority.P2);
        WorkflowTelemetry.WorkDied(WorkKind.Run, WorkPriority.P3);
        WorkflowTelemetry.WebhookAnswered(404, now);
        WorkflowTelemetry.LeaseLost();

        // The newest source counts, and other tests may run servers of their own.
        using var queue = WorkflowTelemetry.ObserveQueue(() => new QueueDepth(7, 2, 3, 1, TimeSpan.FromSeconds(1.5)));
        var buffer = new ArrayBufferWriter<byte>();
        metrics.Write(buffer, true);
        var read = Exposition.Parse(Encoding.UTF8.GetString(buffer.WrittenSpan), true);
        Assert.True(read["elsa_workflow_completed"].Value("_total", ("sub_status", "finished")) >= 1);
        Assert.True(read["conclave_queue_claimed"].Value("_total", ("kind", "resume"), ("priority", "p1")) >= 1);
        Assert.True(read["conclave_webhook_requests"].Value("_total", ("status_class", "4xx")) >= 1);
        Assert.Equal(7, read["conclave_queue_items"].Value("", ("state", "due")));
        Assert.Equal(1.5, read["conclave_queue_oldest_due_seconds"].Value(""));
        Assert.True(read["conclave_workflow_bursts_running"].Value("") >= 4);
        Assert.Equal(
            [
                "conclave_lease_lost", "conclave_queue_age_seconds", "conclave_queue_claimed", "conclave_queue_dead",
                "conclave_queue_items", "conclave_queue_oldest_due_seconds", "conclave_queue_retried",
                "conclave_webhook_duration_seconds", "conclave_webhook_requests", "conclave_workflow_burst_duration_seconds",
                "conclave_workflow_bursts", "conclave_workflow_bursts_running", "conclave_workflow_commit_duration_seconds",
                "conclave_workflow_commit_size", "elsa_activity_duration_seconds", "elsa_workflow_completed",
                "elsa_workflow_faulted", "elsa_workflow_started",
            ],
            read.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Gauges_SourceGone_ShowNothing()
    {
        using var metrics = new PrometheusMetrics(NullLogger<PrometheusMetrics>.Instance, [WorkflowTelemetry.ConclaveName]);
        WorkflowTelemetry.ObserveQueue(() => new QueueDepth(7_654_321, 2, 3, 1, TimeSpan.Zero)).Dispose();
        var buffer = new ArrayBufferWriter<byte>();
        metrics.Write(buffer, false);
        Assert.DoesNotContain("7654321", Encoding.UTF8.GetString(buffer.WrittenSpan), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Spans_OfABurst_CarryElsasTags()
    {
        var run = await TestRun.RunAsync(Json.Sequence("root", Json.Write("say")));
        run.Instance.CorrelationId = "order-7";
        var ended = new List<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == WorkflowTelemetry.ElsaName,
            Sample = (ref ActivityCreationOptions<System.Diagnostics.ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span => { lock (ended) ended.Add(span); },
        };
        ActivitySource.AddActivityListener(listener);
        var burst = WorkflowTelemetry.StartBurst(run.Instance, "acme", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
        Assert.Equal(burst!.Id, WorkflowTelemetry.CurrentTrace());
        var now = DateTimeOffset.UtcNow.UtcTicks;
        WorkflowTelemetry.ActivityExecuted(burst, run.Instance, run.Instance.Graph.FindActivity("say")!, "acme", now - 10_000, now, null);
        WorkflowTelemetry.EndBurst(burst, run.Instance);

        var mine = ended.Where(s => s.TraceId == burst.TraceId).ToList();
        Assert.Equal(["execute activity Elsa.WriteLine", $"execute workflow {run.Instance.Graph.Definition.Name ?? run.Instance.Graph.Definition.DefinitionId}"], mine.Select(s => s.OperationName));
        Assert.Equal(burst.SpanId, mine[0].ParentSpanId);
        Assert.Equal("say", mine[0].GetTagItem("activity.id"));
        Assert.Equal("order-7", burst.GetTagItem("workflow.correlation_id"));
        Assert.Equal(run.Instance.Id, burst.GetTagItem("workflow.instance.id"));
        Assert.Equal("0123456789abcdef0123456789abcdef", Assert.Single(burst.Links).Context.TraceId.ToHexString());
        Assert.Equal("finished", Assert.Single(burst.Events).Name);
    }
}
