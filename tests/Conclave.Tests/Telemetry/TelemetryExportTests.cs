using Conclave.Server.Telemetry;
using Conclave.Tests.Activities.Http;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Telemetry;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Telemetry;

public sealed class TelemetryExportTests
{
    [Fact]
    public async Task Export_EndpointSet_SendsSpansAndMetrics()
    {
        await using var collector = await HttpServer.StartAsync("", "application/x-protobuf");
        var run = await TestRun.RunAsync(Json.Write("say"));
        using (var export = Make(
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Url()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_SERVICE_NAME", "conclave-under-test")))
        {
            await export.StartAsync(default);
            var burst = WorkflowTelemetry.StartBurst(run.Instance, "acme", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
            Assert.NotNull(burst);
            var now = DateTimeOffset.UtcNow.UtcTicks;
            WorkflowTelemetry.ActivityExecuted(burst, run.Instance, run.Instance.Graph.FindActivity("say")!, "acme", now - 10_000, now, ExceptionState.From(new InvalidOperationException("broke")));
            WorkflowTelemetry.EndBurst(burst, run.Instance);
            WorkflowTelemetry.WorkflowStarted();
            await export.StopAsync(default);
        }
        var spans = string.Concat(collector.Requests.Where(r => r.Path == "/v1/traces").Select(r => r.Body));
        foreach (var text in (string[])["execute workflow ", "execute activity Elsa.WriteLine", "workflow.instance.id", run.Instance.Id,
            "activity.tenant.id", "acme", "broke", "conclave-under-test", "service.instance.id", "service.version"])
            Assert.Contains(text, spans, StringComparison.Ordinal);
        Assert.All(collector.Requests, r => Assert.Equal("application/x-protobuf", r.Headers["Content-Type"]));
        var metrics = string.Concat(collector.Requests.Where(r => r.Path == "/v1/metrics").Select(r => r.Body));
        Assert.Contains("elsa.workflow.started", metrics, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")]
    [InlineData("OTEL_SDK_DISABLED", "true")]
    public async Task Export_NoUsableEndpoint_StartsAndSendsNothing(string key, string value)
    {
        await using var collector = await HttpServer.StartAsync("");
        using var export = Make((key, value), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none"),
            key == "OTEL_SDK_DISABLED" ? ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Url()) : ("x", "y"));
        await export.StartAsync(default);
        await export.StopAsync(default);
        Assert.Empty(collector.Requests);
    }

    private static TelemetryExport Make(params (string Key, string Value)[] settings) => new(
        new ConfigurationBuilder().AddInMemoryCollection(settings.Select(s => KeyValuePair.Create(s.Key, (string?)s.Value))).Build(),
        NullLogger<TelemetryExport>.Instance);
}
