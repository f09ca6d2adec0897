using System.Globalization;
using System.Text.Json;

namespace Conclave.Benchmarks.Inference.Simulation;

/// <summary>Our routing against round-robin, least-loaded and random, for agents' traffic on 4 to 64 GPUs. Simulated: the same seed gives the same figures.</summary>
internal static class InferenceSimulation
{
    private static readonly int[] Gpus = [4, 16, 64];
    private static readonly int[] SessionsPerGpu = [12, 24, 48];

    /// <summary>Runs the simulation.</summary>
    /// <param name="json">Whether results are printed as JSON, one line each, instead of a table.</param>
    /// <param name="arguments"><c>plot=FILE</c> writes a picture, <c>seed=N</c> chooses the traffic, <c>gpus=N</c> and <c>sessions=N</c> one size.</param>
    public static void Run(bool json, string[] arguments)
    {
        var options = arguments.Select(a => a.Split('=', 2)).ToDictionary(a => a[0], a => a.Length > 1 ? a[1] : "");
        var seed = int.Parse(options.GetValueOrDefault("seed", "1"), CultureInfo.InvariantCulture);
        var results = new List<SimulationResult>();
        if (!json) Console.WriteLine($"{"routing",-14} {"GPUs",4} {"sessions",8} {"TTFT p50",9} {"p95",8} {"p99",8} {"calls/s",9} {"sessions/h",10} {"cached",7} {"Jain",6}");
        foreach (var gpus in Chosen("gpus", Gpus))
        {
            foreach (var sessions in Chosen("sessions", SessionsPerGpu))
            {
                foreach (var (name, routing) in Routing.All)
                {
                    var result = SimulationRun.Run(name, routing, gpus, sessions, seed);
                    results.Add(result);
                    Console.WriteLine(json ? Json(result) : Row(result));
                }
            }
        }

        if (options.TryGetValue("plot", out var file)) File.WriteAllText(file, SimulationPlot.Draw(results));

        int[] Chosen(string name, int[] all) => options.TryGetValue(name, out var one) ? [int.Parse(one, CultureInfo.InvariantCulture)] : all;
    }

    private static string Row(SimulationResult r) => string.Create(
        CultureInfo.InvariantCulture,
        $"{r.Routing,-14} {r.Gpus,4} {r.Gpus * r.SessionsPerGpu,8} {r.P50 * 1_000,6:N0} ms {r.P95 * 1_000,5:N0} ms {r.P99 * 1_000,5:N0} ms {r.CallsPerSecond,9:N1} {r.SessionsPerHour,10:N0} {r.CacheHits,7:P1} {r.Jain,6:N3}");

    private static string Json(SimulationResult r)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("bench", "inference-sim");
            writer.WriteString("routing", r.Routing);
            writer.WriteNumber("gpus", r.Gpus);
            writer.WriteNumber("sessions", r.Gpus * r.SessionsPerGpu);
            writer.WriteNumber("firstTokenP50Ms", Math.Round(r.P50 * 1_000, 1));
            writer.WriteNumber("firstTokenP95Ms", Math.Round(r.P95 * 1_000, 1));
            writer.WriteNumber("firstTokenP99Ms", Math.Round(r.P99 * 1_000, 1));
            writer.WriteNumber("callsPerSecond", Math.Round(r.CallsPerSecond, 1));
            writer.WriteNumber("sessionsPerHour", Math.Round(r.SessionsPerHour));
            writer.WriteNumber("cachedInput", Math.Round(r.CacheHits, 4));
            writer.WriteNumber("jain", Math.Round(r.Jain, 4));
            writer.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(buffer.ToArray());
    }
}
