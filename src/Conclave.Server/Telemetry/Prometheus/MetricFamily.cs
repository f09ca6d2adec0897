using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Conclave.Server.Telemetry.Prometheus;

/// <summary>What a metric is to Prometheus.</summary>
internal enum MetricType
{
    Counter,
    Gauge,
    Histogram,
}

/// <summary>All series of one metric.</summary>
/// <param name="name">Name for Prometheus, without <c>_total</c>.</param>
/// <param name="help">What it measures.</param>
/// <param name="unit">Unit at the end of the name; null for none.</param>
/// <param name="type">What it is to Prometheus.</param>
/// <param name="adds">Whether measurements add up; a gauge that people set does not.</param>
/// <param name="bounds">Upper bounds of a histogram's buckets, ascending.</param>
/// <param name="maxSeries">The most series kept; measurements of others are counted and dropped.</param>
internal sealed class MetricFamily(
    string name, string help, string? unit, MetricType type, bool adds, double[] bounds, int maxSeries)
{
    // Tags in another order are another key of the same series; past this many, such keys are looked up the slow way.
    private const int KeysPerSeries = 4;
    private const int LongestValue = 512;

    private readonly ConcurrentDictionary<Tag[], MetricSeries> _byTags = new(TagComparer.Instance);
    private readonly Dictionary<string, MetricSeries> _byLabels = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private volatile MetricSeries[] _series = [];
    private volatile MetricSeries? _untagged;
    private long _dropped;
    private int _keys;

    public string Name => name;

    public string Help => help;

    public string? Unit => unit;

    public MetricType Type => type;

    public bool Adds => adds;

    public double[] Bounds => bounds;

    public IReadOnlyList<MetricSeries> Series => _series;

    /// <summary>Measurements that had no place.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Takes a measurement.</summary>
    public void Record(double value, ReadOnlySpan<Tag> tags)
    {
        if (type == MetricType.Counter && !(value >= 0)) return;
        if (Find(tags) is { } series) series.Record(value);
        else Interlocked.Increment(ref _dropped);
    }

    /// <summary>Takes what an observable instrument says.</summary>
    public void Observe(double value, ReadOnlySpan<Tag> tags, int reading)
    {
        if (Find(tags) is NumberSeries series) series.Observe(value, reading);
        else Interlocked.Increment(ref _dropped);
    }

    private MetricSeries? Find(ReadOnlySpan<Tag> tags)
    {
        if (tags.IsEmpty) return _untagged ?? Add(tags);
        return _byTags.GetAlternateLookup<ReadOnlySpan<Tag>>().TryGetValue(tags, out var series) ? series : Add(tags);
    }

    private MetricSeries? Add(ReadOnlySpan<Tag> tags)
    {
        var labels = Labels(tags);
        lock (_lock)
        {
            if (!_byLabels.TryGetValue(labels, out var series))
            {
                if (_byLabels.Count >= maxSeries) return null;
                series = type == MetricType.Histogram ? new HistogramSeries(labels, bounds) : new NumberSeries(labels, adds);
                _byLabels.Add(labels, series);
                _series = [.. _series, series];
            }
            if (tags.IsEmpty) _untagged = series;
            else if (_keys < maxSeries * KeysPerSeries && _byTags.TryAdd(tags.ToArray(), series)) _keys++;
            return series;
        }
    }

    private static string Labels(ReadOnlySpan<Tag> tags)
    {
        if (tags.IsEmpty) return "";
        var labels = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in tags)
        {
            var label = PrometheusNames.Label(key);
            var text = Text(value);
            // Two tags may become one label; OpenTelemetry joins their values.
            labels[label] = labels.TryGetValue(label, out var other) ? $"{other};{text}" : text;
        }
        var result = new StringBuilder();
        foreach (var (label, value) in labels)
        {
            if (result.Length > 0) result.Append(',');
            result.Append(label).Append("=\"");
            foreach (var character in value)
            {
                if (character is '\\' or '"') result.Append('\\').Append(character);
                else if (character == '\n') result.Append("\\n");
                else result.Append(character);
            }
            result.Append('"');
        }
        return result.ToString();
    }

    private static string Text(object? value)
    {
        var text = value switch
        {
            null => "",
            bool flag => flag ? "true" : "false",
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => value.ToString() ?? "",
        };
        return text.Length <= LongestValue ? text : text[..LongestValue];
    }
}
