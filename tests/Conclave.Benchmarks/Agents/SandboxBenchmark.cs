using System.Diagnostics;
using Conclave.Agents.Sandbox;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Benchmarks.Agents;

/// <summary>What the sandbox adds to a command: <c>true</c> in it, from the call until its end is known, with a workspace, and for comparison without the sandbox.</summary>
internal static class SandboxBenchmark
{
    private const int WarmUp = 30;
    private const int Rounds = 300;

    public static async Task RunAsync(Report report)
    {
        var folder = Path.Combine(Path.GetTempPath(), $"conclave-bench-{Path.GetRandomFileName()}");
        var workspace = Path.Combine(folder, "workspace");
        Directory.CreateDirectory(workspace);
        try
        {
            using var sandbox = new SandboxHost(new SandboxOptions(), folder, NullLogger<SandboxHost>.Instance, TimeProvider.System);
            if (sandbox.Unavailable is { } reason)
                throw new InvalidOperationException(reason);
            var command = new SandboxCommand("true", []) { Workspace = workspace };
            await AddAsync(report, "sandbox-start", 15, async () =>
            {
                var result = await sandbox.RunAsync(command, default);
                if (result.ExitCode != 0)
                    throw new InvalidOperationException($"The command ended with {result.ExitCode}.");
            });
            await AddAsync(report, "process-start", null, async () =>
            {
                using var process = Process.Start(new ProcessStartInfo("/bin/true") { RedirectStandardOutput = true, UseShellExecute = false })!;
                await process.WaitForExitAsync();
            });
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task AddAsync(Report report, string bench, double? target, Func<Task> run)
    {
        for (var i = 0; i < WarmUp; i++)
            await run();
        var times = new double[Rounds];
        for (var i = 0; i < Rounds; i++)
        {
            var watch = Stopwatch.StartNew();
            await run();
            times[i] = watch.Elapsed.TotalMilliseconds;
        }

        Array.Sort(times);
        var more = new Dictionary<string, double> { ["p50Milliseconds"] = times[Rounds / 2], ["p99Milliseconds"] = times[Rounds * 99 / 100] };
        if (target is { } most)
            more["targetP50Milliseconds"] = most;
        report.Add(new Figure(bench, 1_000 / times[Rounds / 2], times[Rounds / 2] * 1_000, 0) { More = more });
    }
}
