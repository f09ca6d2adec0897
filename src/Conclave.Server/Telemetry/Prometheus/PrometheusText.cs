using System.Buffers;
using System.Globalization;
using System.Text;

namespace Conclave.Server.Telemetry.Prometheus;

/// <summary>Writes metrics as Prometheus text 0.0.4 or OpenMetrics 1.0.</summary>
internal sealed class PrometheusText(IBufferWriter<byte> output, bool openMetrics)
{
    /// <summary>Content type of the plain format.</summary>
    public const string PlainContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>Content type of OpenMetrics.</summary>
    public const string OpenMetricsContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    private static readonly string[] TypeNames = ["counter", "gauge", "histogram"];

    /// <summary>Writes a metric; nothing when it has no series.</summary>
    /// <param name="family">The metric.</param>
    /// <param name="reading">Number of this reading: series of observable instruments that were not seen in it are gone.</param>
    public void Write(MetricFamily family, int reading)
    {
        var series = family.Series.Where(s => s.Reading == 0 || s.Reading == reading).ToList();
        if (series.Count == 0) return;
        var total = family.Type == MetricType.Counter ? family.Name + "_total" : family.Name;
        var heading = openMetrics ? family.Name : total;
        Append("# HELP ", heading, " ", Help(family.Help), "\n");
        Append("# TYPE ", heading, " ", TypeNames[(int)family.Type], "\n");
        if (openMetrics && family.Unit is { } unit && family.Name.EndsWith('_' + unit, StringComparison.Ordinal))
            Append("# UNIT ", heading, " ", unit, "\n");
        var bounds = Array.ConvertAll(family.Bounds, Bound);
        foreach (var one in series)
        {
            if (one is HistogramSeries histogram) WriteHistogram(family, histogram, bounds);
            else WriteSample(total, one.Labels, ((NumberSeries)one).Value);
        }
    }

    /// <summary>Ends the text.</summary>
    public void End()
    {
        if (openMetrics) Append("# EOF\n");
    }

    private void WriteHistogram(MetricFamily family, HistogramSeries series, string[] bounds)
    {
        // The sum first: what is recorded meanwhile is in the counts and not in the sum, which then cannot run ahead.
        var sum = series.Sum;
        Span<long> counts = bounds.Length < 64 ? stackalloc long[bounds.Length + 1] : new long[bounds.Length + 1];
        series.ReadCumulative(counts);
        var comma = series.Labels.Length > 0 ? "," : "";
        for (var i = 0; i < counts.Length; i++)
        {
            Append(family.Name, "_bucket{", series.Labels, comma);
            Append("le=\"", i < bounds.Length ? bounds[i] : "+Inf", "\"} ", Number(counts[i]), "\n");
        }
        WriteSample(family.Name + "_sum", series.Labels, sum);
        WriteSample(family.Name + "_count", series.Labels, counts[^1]);
    }

    private void WriteSample(string name, string labels, double value)
    {
        Append(name);
        if (labels.Length > 0) Append("{", labels, "}");
        Append(" ", Number(value), "\n");
    }

    private string Help(string text)
    {
        var plain = text.Replace("\\", "\\\\", StringComparison.Ordinal).ReplaceLineEndings("\\n");
        return openMetrics ? plain.Replace("\"", "\\\"", StringComparison.Ordinal) : plain;
    }

    // OpenMetrics wants bounds as floats; in the plain format Go's client writes 1, not 1.0.
    private string Bound(double bound)
    {
        var text = Number(bound);
        return openMetrics && !text.AsSpan().ContainsAny('.', 'e', 'E') ? text + ".0" : text;
    }

    private static string Number(double value) => value switch
    {
        double.PositiveInfinity => "+Inf",
        double.NegativeInfinity => "-Inf",
        double.NaN => "NaN",
        _ => value.ToString("R", CultureInfo.InvariantCulture),
    };

    private void Append(params ReadOnlySpan<string> parts)
    {
        foreach (var part in parts)
            Encoding.UTF8.GetBytes(part, output);
    }
}
