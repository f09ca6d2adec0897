using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Conclave.Benchmarks.Durable;

/// <summary>The real server under wrk.</summary>
internal static partial class WebhookBenchmark
{
    private const int Seconds = 10;

    public static async Task RunAsync(Report report, string? folder)
    {
        await using var server = await Server.StartAsync(folder);
        report.Add(new Figure("start-to-first-webhook", 0, server.FirstAnswer.TotalMicroseconds, 0)
        {
            More = new Dictionary<string, double> { ["milliseconds"] = server.FirstAnswer.TotalMilliseconds },
        });
        await WrkAsync(server, 8, 3);
        foreach (var connections in (int[])[1, 8, 32])
        {
            var (serverBefore, postgresBefore) = server.CpuSeconds;
            var (rate, p50, p99) = await WrkAsync(server, connections, Seconds);
            var (serverAfter, postgresAfter) = server.CpuSeconds;
            var perRequest = 1_000_000 / (rate * Seconds);
            report.Add(new Figure($"webhook-{connections}", rate, 1_000_000 / rate, 0)
            {
                More = new Dictionary<string, double>
                {
                    ["p50Microseconds"] = p50 * 1000,
                    ["p99Microseconds"] = p99 * 1000,
                    ["cpuMicrosecondsServer"] = (serverAfter - serverBefore) * perRequest,
                    ["cpuMicrosecondsPostgres"] = (postgresAfter - postgresBefore) * perRequest,
                },
            });
        }
    }

    /// <summary>Memory when idle, and after 100,000 runs.</summary>
    public static async Task SoakAsync(Report report)
    {
        await using var server = await Server.StartAsync(null);
        await Task.Delay(TimeSpan.FromSeconds(5));
        var idle = server.ResidentMegabytes;
        var runs = 0.0;
        while (runs < 100_000)
            runs += (await WrkAsync(server, 8, 5)).PerSecond * 5;
        await Task.Delay(TimeSpan.FromSeconds(10));
        report.Add(new Figure("soak-100000", 0, 0, 0)
        {
            More = new Dictionary<string, double> { ["idleMegabytes"] = idle, ["afterMegabytes"] = server.ResidentMegabytes, ["runs"] = runs },
        });
    }

    private static async Task<(double PerSecond, double P50, double P99)> WrkAsync(Server server, int connections, int seconds)
    {
        var start = new ProcessStartInfo("wrk") { RedirectStandardOutput = true };
        foreach (var argument in (string[])["-t1", $"-c{connections}", $"-d{seconds}", "--latency", $"{server.Address}workflows/hook"])
            start.ArgumentList.Add(argument);
        try
        {
            using var process = Process.Start(start)!;
            var output = await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            if (output.Contains("Non-2xx", StringComparison.Ordinal))
                throw new InvalidOperationException(output);
            return (double.Parse(Rate().Match(output).Groups[1].ValueSpan, CultureInfo.InvariantCulture), Latency(output, "50%"), Latency(output, "99%"));
        }
        catch (Win32Exception exception)
        {
            throw new InvalidOperationException("The webhook bench needs wrk (apt-get install wrk).", exception);
        }
    }

    private static double Latency(string output, string percentile)
    {
        var match = Regex.Match(output, $@"{percentile}\s+([0-9.]+)(us|ms|s)");
        var value = double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        return match.Groups[2].Value switch { "us" => value / 1000, "s" => value * 1000, _ => value };
    }

    [GeneratedRegex(@"Requests/sec:\s+([0-9.]+)")]
    private static partial Regex Rate();

    /// <summary>A server process with the workflow published.</summary>
    private sealed class Server : IAsyncDisposable
    {
        private readonly Process _process;
        private readonly string _folder;

        private Server(Process process, string folder, Uri address, TimeSpan firstAnswer)
        {
            _process = process;
            _folder = folder;
            Address = address;
            FirstAnswer = firstAnswer;
        }

        public Uri Address { get; }

        /// <summary>From the command to the first answered webhook, on a data folder that exists.</summary>
        public TimeSpan FirstAnswer { get; }

        public (double Server, double Postgres) CpuSeconds => (CpuTime.SecondsOf(_process.Id), CpuTime.SecondsOf(CpuTime.PostgresOf(_folder)));

        public double ResidentMegabytes
        {
            get
            {
                _process.Refresh();
                return _process.WorkingSet64 / 1024.0 / 1024.0;
            }
        }

        public static async Task<Server> StartAsync(string? folder)
        {
            folder ??= Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"conclave-bench-{Path.GetRandomFileName()}")).FullName;
            var workflows = Directory.CreateDirectory(Path.Combine(folder, "workflows")).FullName;
            await File.WriteAllTextAsync(Path.Combine(workflows, "hook.json"), DurableWorkflows.Hook.Replace("\"definitionId\"", "\"isPublished\": true, \"definitionId\"", StringComparison.Ordinal));
            var first = await LaunchAsync(folder);
            await first.StopAsync();
            return await LaunchAsync(folder);
        }

        public async Task StopAsync()
        {
            using (var kill = Process.Start("kill", ["-s", "TERM", $"{_process.Id}"]))
                await kill.WaitForExitAsync();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        public async ValueTask DisposeAsync()
        {
            await StopAsync();
            Directory.Delete(_folder, recursive: true);
        }

        private static async Task<Server> LaunchAsync(string folder)
        {
            File.Delete(Path.Combine(folder, "server-url"));
            var start = new ProcessStartInfo("dotnet") { WorkingDirectory = folder, RedirectStandardOutput = true };
            foreach (var argument in (string[])[Path.Combine(AppContext.BaseDirectory, "conclave-server.dll"), "--data", folder, "--urls", "http://127.0.0.1:0"])
                start.ArgumentList.Add(argument);
            var watch = Stopwatch.StartNew();
            var process = Process.Start(start)!;
            process.OutputDataReceived += (_, _) => { };
            process.BeginOutputReadLine();
            using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            var file = Path.Combine(folder, "server-url");
            while (watch.Elapsed < TimeSpan.FromSeconds(60))
            {
                await Task.Delay(10);
                if (!File.Exists(file) || (await File.ReadAllTextAsync(file)).Trim() is not { Length: > 0 } url)
                    continue;
                using var response = await http.GetAsync(new Uri($"{url}/workflows/hook"));
                if (response.IsSuccessStatusCode)
                    return new Server(process, folder, new Uri(url + "/"), watch.Elapsed);
            }

            throw new InvalidOperationException("The server did not start.");
        }
    }
}
