using System.Diagnostics.Metrics;

namespace Conclave.Benchmarks.Durable;

/// <summary>Averages of the runtime's own metrics of commits.</summary>
internal sealed class CommitWatch : IDisposable
{
    private readonly MeterListener _listener = new();
    private long _groups;
    private long _bursts;
    private double _seconds;

    public CommitWatch()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name is "conclave.workflow.commit.size" or "conclave.workflow.commit.duration")
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<int>((_, size, _, _) =>
        {
            Interlocked.Increment(ref _groups);
            Interlocked.Add(ref _bursts, size);
        });
        _listener.SetMeasurementEventCallback<double>((_, seconds, _, _) =>
        {
            lock (_listener)
                _seconds += seconds;
        });
        _listener.Start();
    }

    public double GroupSize => _bursts / (double)Math.Max(1, _groups);

    public double Microseconds => _seconds * 1_000_000 / Math.Max(1, _groups);

    public void Dispose() => _listener.Dispose();
}
