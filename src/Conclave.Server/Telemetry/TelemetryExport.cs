using System.Reflection;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Conclave.Server.Telemetry;

/// <summary>
/// Sends traces and metrics to an OpenTelemetry collector when <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> (or that of one signal) is
/// set. The SDK's other <c>OTEL_</c> settings work too, from the environment or the configuration.
/// </summary>
public sealed partial class TelemetryExport : IHostedService, IDisposable
{
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private static readonly TimeSpan FlushTimeout = TimeSpan.FromSeconds(5);

    private readonly IConfiguration _configuration;
    private readonly ILogger<TelemetryExport> _logger;
    private readonly bool _databaseSpans;
    private TracerProvider? _traces;
    private MeterProvider? _metrics;

    /// <summary>Makes the owner; nothing is sent before it starts.</summary>
    /// <param name="configuration">Where the <c>OTEL_</c> settings are read.</param>
    /// <param name="logger">Told whether and where anything is sent.</param>
    public TelemetryExport(IConfiguration configuration, ILogger<TelemetryExport> logger)
    {
        (_configuration, _logger) = (configuration, logger);
        _databaseSpans = configuration.GetValue("Telemetry:DatabaseSpans", false);
    }

    /// <summary>Starts to listen and to send.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (_configuration.GetValue("OTEL_SDK_DISABLED", false)) return Task.CompletedTask;
        if (IsOn("TRACES", out var endpoint))
        {
            var builder = Sdk.CreateTracerProviderBuilder()
                .ConfigureServices(services => services.AddSingleton(_configuration))
                .SetResourceBuilder(Resource())
                .AddSource("Elsa.Workflows", "Conclave", "Conclave.Inference", "Microsoft.AspNetCore", "System.Net.Http");
            if (_databaseSpans) builder.AddSource("Npgsql");
            _traces = builder.AddOtlpExporter().Build();
            LogSending("Traces", endpoint);
        }
        if (IsOn("METRICS", out endpoint))
        {
            _metrics = Sdk.CreateMeterProviderBuilder()
                .ConfigureServices(services => services.AddSingleton(_configuration))
                .SetResourceBuilder(Resource())
                .AddMeter([.. Prometheus.PrometheusMetrics.DefaultMeters])
                .AddOtlpExporter().Build();
            LogSending("Metrics", endpoint);
        }
        return Task.CompletedTask;
    }

    /// <summary>Sends what is left, for at most 5 seconds.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            var milliseconds = (int)FlushTimeout.TotalMilliseconds;
            _traces?.ForceFlush(milliseconds);
            _metrics?.ForceFlush(milliseconds);
        },
        cancellationToken);

    /// <summary>Stops listening.</summary>
    public void Dispose()
    {
        _traces?.Dispose();
        _metrics?.Dispose();
        (_traces, _metrics) = (null, null);
    }

    private bool IsOn(string signal, out string host)
    {
        var endpoint = _configuration[$"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"] ?? _configuration[Endpoint];
        // Only the place: an endpoint may carry a key in its path or its user.
        host = Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) ? $"{uri.Scheme}://{uri.Authority}" : "";
        if (string.IsNullOrWhiteSpace(endpoint)) return false;
        if (host.Length == 0)
        {
            LogBadEndpoint(signal);
            return false;
        }
        var exporters = _configuration[$"OTEL_{signal}_EXPORTER"];
        return string.IsNullOrWhiteSpace(exporters) ||
            exporters.Split(',', StringSplitOptions.TrimEntries).Contains("otlp", StringComparer.OrdinalIgnoreCase);
    }

    // The environment comes last, so that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
    private static ResourceBuilder Resource() => ResourceBuilder.CreateEmpty()
        .AddTelemetrySdk()
        .AddService("conclave", serviceVersion: Version, serviceInstanceId: InstanceId)
        .AddEnvironmentVariableDetector();

    private static string InstanceId { get; } = $"{Environment.MachineName}-{Environment.ProcessId}-{Guid.CreateVersion7():N}";

    private static string Version { get; } =
        typeof(TelemetryExport).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    [LoggerMessage(2311, LogLevel.Information, "{Signal} are sent to {Endpoint} with OTLP")]
    private partial void LogSending(string signal, string endpoint);

    [LoggerMessage(2312, LogLevel.Error,
        "The OTLP endpoint for {Signal} is no URL such as http://127.0.0.1:4317; nothing is sent")]
    private partial void LogBadEndpoint(string signal);
}

/// <summary>Adds <see cref="TelemetryExport"/>.</summary>
public static class TelemetryExportExtensions
{
    /// <summary>Sends traces and metrics with OTLP while the host runs, if the environment says where to.</summary>
    /// <remarks>Add it before the services that should be traced, so that it stops after them.</remarks>
    public static IServiceCollection AddTelemetryExport(this IServiceCollection services) =>
        services.AddHostedService<TelemetryExport>();
}
