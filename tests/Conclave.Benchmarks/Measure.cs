using System.Diagnostics;

namespace Conclave.Benchmarks;

/// <summary>Times work in rounds after a warm-up and takes the median round.</summary>
public static class Measure
{
    private const int Rounds = 7;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan Round = TimeSpan.FromSeconds(0.6);

    /// <summary>Measures work that one call does on the calling thread.</summary>
    /// <param name="bench">Name.</param>
    /// <param name="unitsPerCall">Units that one call of <paramref name="work"/> does.</param>
    /// <param name="work">The work.</param>
    public static async Task<Figure> RunAsync(string bench, double unitsPerCall, Func<Task> work)
    {
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < WarmUp;)
            await work();
        var rates = new double[Rounds];
        var bytes = new double[Rounds];
        for (var round = 0; round < Rounds; round++)
        {
            GC.Collect();
            var allocated = GC.GetTotalAllocatedBytes(precise: true);
            var calls = 0;
            var watch = Stopwatch.StartNew();
            while (watch.Elapsed < Round)
            {
                await work();
                calls++;
            }

            rates[round] = calls * unitsPerCall / watch.Elapsed.TotalSeconds;
            bytes[round] = (GC.GetTotalAllocatedBytes(precise: true) - allocated) / (calls * unitsPerCall);
        }

        Array.Sort(rates);
        Array.Sort(bytes);
        var rate = rates[Rounds / 2];
        return new Figure(bench, rate, 1_000_000 / rate, bytes[Rounds / 2]);
    }
}
