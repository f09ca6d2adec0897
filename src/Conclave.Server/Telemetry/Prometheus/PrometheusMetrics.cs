using System.Diagnostics.Metrics;
using System.Globalization;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Conclave.Server.Telemetry.Prometheus;

/// <summary>Listens to meters, adds up what they measure, and writes it as Prometheus reads it.</summary>
/// <remarks>
/// Counts begin when it is made. A metric keeps at most <see cref="MaxSeries"/> series; measurements of others are counted in
/// <c>conclave_metrics_dropped_total</c>.
/// </remarks>
public sealed partial class PrometheusMetrics : IDisposable
{
    /// <summary>The most series of one metric.</summary>
    public const int MaxSeries = 1_000;

    private const int MaxFamilies = 1_000;
    private const string DroppedName = "conclave_metrics_dropped";

    /// <summary>The meters that a server shows.</summary>
    public static readonly IReadOnlyList<string> DefaultMeters =
    [
        "Elsa.Workflows", "Conclave", "Conclave.Inference", "Npgsql", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel",
        "System.Runtime",
    ];

    // OpenTelemetry's defaults are for milliseconds; these are the Prometheus client libraries'.
    private static readonly double[] DefaultBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    private readonly HashSet<string> _meters;
    private readonly ILogger _logger;
    private readonly int _maxSeries;
    private readonly MeterListener _listener = new();
    private readonly SortedDictionary<string, MetricFamily> _families = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private readonly Lock _readLock = new();
    private int _reading;

    /// <summary>Starts to listen.</summary>
    /// <param name="logger">Told of instruments that cannot be shown.</param>
    /// <param name="meters">Names of the meters to show; null for <see cref="DefaultMeters"/>.</param>
    /// <param name="maxSeries">The most series of one metric.</param>
    public PrometheusMetrics(ILogger<PrometheusMetrics> logger, IEnumerable<string>? meters = null, int maxSeries = MaxSeries)
    {
        (_logger, _maxSeries) = (logger, maxSeries);
        _meters = (meters ?? DefaultMeters).ToHashSet(StringComparer.Ordinal);
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (_meters.Contains(instrument.Meter.Name) && Family(instrument) is { } family)
                listener.EnableMeasurementEvents(instrument, family);
        };
        _listener.SetMeasurementEventCallback<byte>((i, value, tags, state) => Take(i, value, tags, state));
        _listener.SetMeasurementEventCallback<short>((i, value, tags, state) => Take(i, value, tags, state));
        _listener.SetMeasurementEventCallback<int>((i, value, tags, state) => Take(i, value, tags, state));
        _listener.SetMeasurementEventCallback<long>((i, value, tags, state) => Take(i, value, tags, state));
        _listener.SetMeasurementEventCallback<float>((i, value, tags, state) => Take(i, value, tags, state));
        _listener.SetMeasurementEventCallback<double>(Take);
        _listener.SetMeasurementEventCallback<decimal>((i, value, tags, state) => Take(i, (double)value, tags, state));
        _listener.Start();
    }

    /// <summary>Asks observable instruments and writes everything.</summary>
    /// <param name="output">Where the text goes, in UTF-8.</param>
    /// <param name="openMetrics">OpenMetrics 1.0 instead of Prometheus text 0.0.4.</param>
    public void Write(System.Buffers.IBufferWriter<byte> output, bool openMetrics)
    {
        var text = new PrometheusText(output, openMetrics);
        lock (_readLock)
        {
            _reading++;
            try
            {
                _listener.RecordObservableInstruments();
            }
            catch (AggregateException exception)
            {
                LogObservingFailed(exception);
            }
            List<MetricFamily> families;
            lock (_lock) families = [.. _families.Values];
            var dropped = new MetricFamily(
                DroppedName, "Measurements left out because their metric has too many series.", null,
                MetricType.Counter, true, [], MaxFamilies);
            foreach (var family in families)
            {
                text.Write(family, _reading);
                if (family.Dropped > 0) dropped.Record(family.Dropped, [new Tag("metric", family.Name)]);
            }
            text.Write(dropped, 0);
        }
        text.End();
    }

    /// <summary>Stops listening.</summary>
    public void Dispose() => _listener.Dispose();

    private void Take(Instrument instrument, double value, ReadOnlySpan<Tag> tags, object? state)
    {
        var family = (MetricFamily)state!;
        if (instrument.IsObservable) family.Observe(value, tags, _reading);
        else family.Record(value, tags);
    }

    private MetricFamily? Family(Instrument instrument)
    {
        var kind = instrument.GetType();
        var shape = kind.IsGenericType ? kind.GetGenericTypeDefinition() : null;
        var type = shape == typeof(Histogram<>) ? MetricType.Histogram
            : shape == typeof(Counter<>) || shape == typeof(ObservableCounter<>) ? MetricType.Counter : MetricType.Gauge;
        var adds = shape != typeof(Gauge<>) && shape != typeof(ObservableGauge<>);
        var name = PrometheusNames.Metric(instrument.Name, instrument.Unit, type == MetricType.Gauge && !adds);
        var unit = PrometheusNames.Unit(instrument.Unit, type == MetricType.Gauge && !adds);
        lock (_lock)
        {
            if (_families.TryGetValue(name, out var family))
            {
                if (family.Type == type && family.Adds == adds) return family;
                LogClash(instrument.Name, instrument.Meter.Name, name);
                return null;
            }
            if (_families.Count >= MaxFamilies || name == DroppedName) return null;
            family = new MetricFamily(
                name, instrument.Description ?? instrument.Name, unit, type, adds,
                type == MetricType.Histogram ? Bounds(instrument) : [], _maxSeries);
            _families.Add(name, family);
            return family;
        }
    }

    private static double[] Bounds(Instrument instrument)
    {
        var bounds = instrument switch
        {
            Histogram<double> { Advice.HistogramBucketBoundaries: { } advice } => [.. advice],
            Histogram<float> { Advice.HistogramBucketBoundaries: { } advice } => Doubles(advice),
            Histogram<long> { Advice.HistogramBucketBoundaries: { } advice } => Doubles(advice),
            Histogram<int> { Advice.HistogramBucketBoundaries: { } advice } => Doubles(advice),
            Histogram<short> { Advice.HistogramBucketBoundaries: { } advice } => Doubles(advice),
            Histogram<byte> { Advice.HistogramBucketBoundaries: { } advice } => Doubles(advice),
            Histogram<decimal> { Advice.HistogramBucketBoundaries: { } advice } => Doubles(advice),
            _ => DefaultBounds,
        };
        // +Inf is always the last bucket and is written by itself.
        return [.. bounds.Where(double.IsFinite)];

        static double[] Doubles<T>(IEnumerable<T> bounds) where T : IConvertible =>
            [.. bounds.Select(b => b.ToDouble(CultureInfo.InvariantCulture))];
    }

    [LoggerMessage(2301, LogLevel.Warning,
        "The instrument {Instrument} of the meter {Meter} is not shown: {Metric} is a metric of another type already")]
    private partial void LogClash(string instrument, string meter, string metric);

    [LoggerMessage(2302, LogLevel.Warning, "An observable metric could not be read; the others are shown")]
    private partial void LogObservingFailed(Exception exception);
}
