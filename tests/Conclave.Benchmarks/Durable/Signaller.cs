using System.Diagnostics;
using System.Text;
using System.Threading.Channels;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Benchmarks.Durable;

/// <summary>Another worker process, which publishes the events and tells which instances ended in it.</summary>
internal sealed class Signaller : IAsyncDisposable
{
    public const string Argument = "--signal";

    private readonly Process _process;
    private readonly Channel<string> _ids = Channel.CreateUnbounded<string>();
    private readonly Task _writing;
    private readonly Task _reading;

    private Signaller(Process process, CycleWatch cycles)
    {
        _process = process;
        _writing = Task.Run(() => WriteAsync(_ids.Reader, process.StandardInput));
        _reading = Task.Run(async () =>
        {
            while (await process.StandardOutput.ReadLineAsync() is { } id)
                cycles.End(id, DateTimeOffset.UtcNow);
        });
    }

    public static Signaller Start(string connectionString, CycleWatch cycles)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false };
        foreach (var argument in Environment.GetCommandLineArgs().Take(1).Where(a => a.EndsWith(".dll", StringComparison.Ordinal) && Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"))
            start.ArgumentList.Add(argument);
        start.ArgumentList.Add(Argument);
        start.Environment["CONCLAVE_BENCH_DATABASE"] = connectionString;
        return new Signaller(Process.Start(start)!, cycles);
    }

    public double CpuSeconds => CpuTime.SecondsOf(_process.Id);

    public void Signal(string instanceId) => _ids.Writer.TryWrite(instanceId);

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
        var ended = Channel.CreateUnbounded<string>();
        runtime.Runner.BurstStored += (_, instance) =>
        {
            if (instance.Status == WorkflowStatus.Finished)
                ended.Writer.TryWrite(instance.Id);
        };
        var telling = Task.Run(() => WriteAsync(ended.Reader, Console.Out));
        var ids = Channel.CreateUnbounded<string>();
        var senders = Enumerable.Range(0, 32).Select(_ => Task.Run(async () =>
        {
            await foreach (var id in ids.Reader.ReadAllAsync())
                await runtime.Stimuli.PublishAsync(DurableBenchmarks.Tenant, new EventPublished(0, "Go", null, id, null), null, WorkPriority.P1, default);
        })).ToArray();
        while (await Console.In.ReadLineAsync() is { } id)
            ids.Writer.TryWrite(id);
        ids.Writer.Complete();
        await Task.WhenAll(senders);
        ended.Writer.Complete();
        await telling;
    }

    public async ValueTask DisposeAsync()
    {
        _ids.Writer.Complete();
        await _writing;
        _process.StandardInput.Close();
        await _reading;
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private static async Task WriteAsync(ChannelReader<string> ids, TextWriter writer)
    {
        var lines = new StringBuilder();
        while (await ids.WaitToReadAsync())
        {
            while (ids.TryRead(out var id))
                lines.Append(id).Append('\n');
            await writer.WriteAsync(lines);
            await writer.FlushAsync();
            lines.Clear();
        }
    }
}
