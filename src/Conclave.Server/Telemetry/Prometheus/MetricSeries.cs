namespace Conclave.Server.Telemetry.Prometheus;

/// <summary>One metric with one set of labels. Recording takes no lock and allocates nothing.</summary>
/// <param name="labels">Its labels as <c>a="b",c="d"</c>; empty for none.</param>
internal abstract class MetricSeries(string labels)
{
    public string Labels { get; } = labels;

    /// <summary>The reading of observable instruments that saw this series last.</summary>
    public int Reading { get; set; }

    public abstract void Record(double value);

    protected static void Add(ref double total, double value)
    {
        var seen = Volatile.Read(ref total);
        while (true)
        {
            var before = Interlocked.CompareExchange(ref total, seen + value, seen);
            if (before.Equals(seen)) return;
            seen = before;
        }
    }
}

/// <summary>A counter, up-down counter or gauge.</summary>
internal sealed class NumberSeries(string labels, bool adds) : MetricSeries(labels)
{
    private double _value;

    public double Value => Volatile.Read(ref _value);

    public override void Record(double value)
    {
        if (adds) Add(ref _value, value);
        else Volatile.Write(ref _value, value);
    }

    /// <summary>Takes what an observable instrument says; sums what several of one name say in one reading.</summary>
    public void Observe(double value, int reading)
    {
        var seen = Reading == reading;
        Reading = reading;
        Volatile.Write(ref _value, seen && adds ? _value + value : value);
    }
}

/// <summary>A histogram with fixed buckets.</summary>
internal sealed class HistogramSeries(string labels, double[] bounds) : MetricSeries(labels)
{
    private readonly long[] _counts = new long[bounds.Length + 1];
    private double _sum;

    public double Sum => Volatile.Read(ref _sum);

    public override void Record(double value)
    {
        if (double.IsNaN(value)) return;
        // Bounds include their own value: a bucket holds what is less or equal.
        var index = Array.BinarySearch(bounds, value);
        Interlocked.Increment(ref _counts[index < 0 ? ~index : index]);
        Add(ref _sum, value);
    }

    /// <summary>Counts by bucket, each with those below it; the last is the total.</summary>
    public void ReadCumulative(Span<long> counts)
    {
        long total = 0;
        for (var i = 0; i < _counts.Length; i++)
            counts[i] = total += Interlocked.Read(ref _counts[i]);
    }
}
