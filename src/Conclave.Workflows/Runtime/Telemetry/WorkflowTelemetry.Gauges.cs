using System.Diagnostics.Metrics;

namespace Conclave.Workflows.Runtime.Telemetry;

/// <summary>How the queue stands.</summary>
/// <param name="Due">Items that may be claimed now.</param>
/// <param name="Claimed">Items that a worker holds.</param>
/// <param name="Delayed">Items that are due later.</param>
/// <param name="Dead">Dead letters.</param>
/// <param name="OldestDue">How long the oldest due item has waited; zero when none is due.</param>
public readonly record struct QueueDepth(long Due, long Claimed, long Delayed, long Dead, TimeSpan OldestDue);

public static partial class WorkflowTelemetry
{
    private static readonly Lock GaugeLock = new();
    private static Source<QueueDepth?>[] Queues = [];
    private static Source<int>[] Running = [];

    static WorkflowTelemetry()
    {
        Conclave.CreateObservableGauge("conclave.queue.items", ObserveItems, "{item}",
            "Work items by state: due, claimed, delayed, and dead letters. The same from every process.");
        Conclave.CreateObservableGauge("conclave.queue.oldest_due", ObserveOldest, "s",
            "How long the oldest due work item has waited. The same from every process.");
        Conclave.CreateObservableGauge("conclave.workflow.bursts.running", ObserveRunning, "{burst}",
            "Bursts that run in this process now.");
    }

    /// <summary>Names what is asked for the queue's depth whenever metrics are read.</summary>
    /// <param name="depth">
    /// Answers at once from what it last saw, since a reader of metrics waits for it; null while it knows nothing yet.
    /// </param>
    /// <returns>Dispose it to be asked no longer.</returns>
    public static IDisposable ObserveQueue(Func<QueueDepth?> depth) => new Source<QueueDepth?>(depth,
        source => { lock (GaugeLock) Queues = [.. Queues, source]; },
        source => { lock (GaugeLock) Queues = [.. Queues.Where(s => s != source)]; });

    /// <summary>Names what is asked for the number of running bursts whenever metrics are read.</summary>
    /// <param name="running">Answers at once.</param>
    /// <returns>Dispose it to be asked no longer.</returns>
    public static IDisposable ObserveRunningBursts(Func<int> running) => new Source<int>(running,
        source => { lock (GaugeLock) Running = [.. Running, source]; },
        source => { lock (GaugeLock) Running = [.. Running.Where(s => s != source)]; });

    private static IEnumerable<Measurement<long>> ObserveItems()
    {
        if (Queue() is not { } depth) return [];
        return
        [
            Of(depth.Due, "due"), Of(depth.Claimed, "claimed"), Of(depth.Delayed, "delayed"), Of(depth.Dead, "dead"),
        ];

        static Measurement<long> Of(long items, string state) => new(items, new KeyValuePair<string, object?>("state", state));
    }

    private static IEnumerable<Measurement<double>> ObserveOldest() =>
        Queue() is { } depth ? [new Measurement<double>(depth.OldestDue.TotalSeconds)] : [];

    private static IEnumerable<Measurement<int>> ObserveRunning() =>
        Volatile.Read(ref Running) is { Length: > 0 } sources ? [new Measurement<int>(sources.Sum(s => s.Read()))] : [];

    // All queues of a process are one queue; the newest source is the one whose server still runs.
    private static QueueDepth? Queue() => Volatile.Read(ref Queues) is { Length: > 0 } sources ? sources[^1].Read() : null;

    private sealed class Source<T> : IDisposable
    {
        private readonly Func<T> _read;
        private readonly Action<Source<T>> _remove;

        public Source(Func<T> read, Action<Source<T>> add, Action<Source<T>> remove)
        {
            (_read, _remove) = (read, remove);
            add(this);
        }

        public T Read() => _read();

        public void Dispose() => _remove(this);
    }
}
