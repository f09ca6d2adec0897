using System.Diagnostics;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Benchmarks.Durable;

/// <summary>Another worker process, which publishes the events and tells which instances ended in it.</summary>
/// <remarks>
/// The two talk through pipes, an id on each line, written by whoever has one and read by a thread of its own: what changes threads here would be counted as the runtime's.
/// </remarks>
internal sealed class Signaller : IAsyncDisposable
{
    public const string Argument = "--signal";

    private readonly Process _process;
    private readonly TextWriter _ids;
    private readonly Task _reading;

    private Signaller(Process process, CycleWatch cycles)
    {
        _process = process;
        _ids = TextWriter.Synchronized(process.StandardInput);
        _reading = Task.Factory.StartNew(
            () =>
            {
                while (process.StandardOutput.ReadLine() is { } id)
                    cycles.End(id, DateTimeOffset.UtcNow);
            },
            TaskCreationOptions.LongRunning);
    }

    public static Signaller Start(string connectionString, CycleWatch cycles)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false };
        foreach (var argument in Environment.GetCommandLineArgs().Take(1).Where(a => a.EndsWith(".dll", StringComparison.Ordinal) && Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"))
            start.ArgumentList.Add(argument);
        start.ArgumentList.Add(Argument);
        start.Environment["CONCLAVE_BENCH_DATABASE"] = connectionString;
        var process = Process.Start(start)!;
        process.StandardInput.AutoFlush = true;
        return new Signaller(process, cycles);
    }

    public double CpuSeconds => CpuTime.SecondsOf(_process.Id);

    public void Signal(string instanceId) => _ids.Write(instanceId + '\n');

    /// <summary>The other process: an id on each line of its input.</summary>
    public static async Task RunAsync()
    {
        await using var database = DurableBenchmarks.Open(Environment.GetEnvironmentVariable("CONCLAVE_BENCH_DATABASE")!);
        await using var runtime = new WorkflowRuntime(
            database,
            new RuntimeOptions { UseTimers = false },
            library => new WorkflowEngine(library: library),
            new WorkflowServices(),
            NullLoggerFactory.Instance,
            TimeProvider.System);
        await runtime.StartAsync(isWorker: true, default);
        runtime.Runner.BurstStored += (_, instance) =>
        {
            if (instance.Status == WorkflowStatus.Finished)
                Console.Out.Write(instance.Id + '\n');
        };
        await Task.Factory.StartNew(
            () =>
            {
                var published = new List<Task>();
                while (Console.In.ReadLine() is { } id)
                {
                    published.RemoveAll(p => p.IsCompletedSuccessfully);
                    published.Add(runtime.Stimuli.PublishAsync(DurableBenchmarks.Tenant, new EventPublished(0, "Go", null, id, null), null, WorkPriority.P1, default));
                }

                return Task.WhenAll(published);
            },
            TaskCreationOptions.LongRunning).Unwrap();
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        await _reading;
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
