using Conclave.EndToEnd.Faults;

namespace Conclave.EndToEnd.Telemetry;

/// <summary>Traces and metrics that the server sends to a collector.</summary>
public sealed class OtlpTests
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";

    [Fact]
    public async Task Server_WithACollector_SendsTracesAndMetricsUnderElsasNamesAndOurs()
    {
        await using var collector = await OtlpReceiver.StartAsync();
        await using var database = await FaultDatabase.NewAsync();
        string? instance = null;
        await using (var server = await ServerProcess.StartAsync(
            null,
            $"ConnectionStrings:Conclave={database.ConnectionString}",
            $"OTEL_EXPORTER_OTLP_ENDPOINT={collector.Url}",
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL=200",
            "OTEL_BSP_SCHEDULE_DELAY=100"))
        {
            await server.PublishAsync("traced", Json.Workflow("traced", $"{Json.Webhook("traced")}, {Json.Line("say")}"));
            // Work of the queue has metrics of its own.
            await server.PublishAsync("queued", Json.Workflow("queued", Json.Line("say")));
            await server.PostAsync("/api/workflows/queued/start", "{}");
            using var request = new HttpRequestMessage(HttpMethod.Post, "/workflows/traced") { Headers = { { "traceparent", $"00-{TraceId}-b7ad6b7169203331-01" } } };
            instance = (await ServerProcess.ReadAsync(await server.Http.SendAsync(request))).GetProperty("instanceId").GetString();

            await ServerProcess.UntilAsync(() => Task.FromResult(Find("execute workflow traced") is not null && Find("execute activity Elsa.WriteLine") is not null), "spans arrive");
            foreach (var metric in (string[])["elsa.workflow.started", "elsa.workflow.completed", "elsa.activity.duration"])
                await ArrivedAsync($"Elsa.Workflows/{metric}");
            foreach (var metric in (string[])["conclave.workflow.bursts", "conclave.workflow.commit.duration", "conclave.queue.claimed", "conclave.queue.items", "conclave.webhook.requests"])
                await ArrivedAsync($"Conclave/{metric}");
        }

        var workflow = Find("execute workflow traced")!;
        Assert.Equal(("Elsa.Workflows", TraceId), (workflow.Source, workflow.TraceId));
        Assert.Equal(("traced", instance), (workflow.Tags["workflow.definition.id"], workflow.Tags["workflow.instance.id"]));
        var activity = Find("execute activity Elsa.WriteLine")!;
        Assert.Equal(("Elsa.Workflows", "say"), (activity.Source, activity.Tags["activity.id"]));
        Assert.Contains(collector.Spans, s => s is { Source: "Microsoft.AspNetCore", TraceId: TraceId });
        Assert.Equal(["conclave"], collector.Services.Keys);

        ReceivedSpan? Find(string name) => collector.Spans.FirstOrDefault(s => s.Name == name && s.TraceId == TraceId);

        Task ArrivedAsync(string metric) => ServerProcess.UntilAsync(
            () => Task.FromResult(collector.Metrics.ContainsKey(metric)), $"{metric} arrives; so far {string.Join(", ", collector.Metrics.Keys.Order())}");
    }
}
