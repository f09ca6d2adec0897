using System.Diagnostics;
using System.Runtime;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Conclave.Benchmarks.Durable;

/// <summary>What durability costs on a PostgreSQL that writes every commit to the disk.</summary>
internal sealed class DurableBenchmarks : IAsyncDisposable
{
    public const string Tenant = "bench";
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan MostWarmUp = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Round = TimeSpan.FromSeconds(8);

    private readonly EmbeddedPostgres _postgres;
    private readonly string _folder;

    private DurableBenchmarks(EmbeddedPostgres postgres, string folder)
    {
        _postgres = postgres;
        _folder = folder;
        Database = Open(postgres.ConnectionString);
    }

    public NpgsqlDataSource Database { get; }

    public static async Task RunAsync(Report report, string[] only)
    {
        // Made by the server, as the account that it runs under.
        var folder = Path.Combine(Path.GetTempPath(), $"conclave-bench-{Path.GetRandomFileName()}");
        var postgres = await EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { DataFolder = folder }, NullLogger.Instance, default);
        await using var bench = new DurableBenchmarks(postgres, folder);
        await new SchemaMigrator(bench.Database, NullLogger<SchemaMigrator>.Instance).MigrateAsync(default);
        foreach (var (name, run) in new (string, Func<Report, Task>)[]
        {
            ("durable-5-steps", bench.FiveStepsAsync),
            ("durable-suspend-resume", bench.SuspendResumeAsync),
            ("queue", bench.QueueAsync),
            ("webhook", r => WebhookBenchmark.RunAsync(r, folder: null)),
            ("soak", WebhookBenchmark.SoakAsync),
            ("scale-workers", bench.WorkersAsync),
            ("scale", bench.ScaleAsync),
        })
        {
            // The long ones only when they are asked for.
            if (only.Length == 0 ? name is not ("soak" or "scale-workers" or "scale") : only.Contains(name))
                await run(report);
        }
    }

    public static NpgsqlDataSource Open(string connectionString) => NpgsqlDataSource.Create(
        new NpgsqlConnectionStringBuilder(connectionString) { MaxAutoPrepare = 100, MaxPoolSize = 60, NoResetOnClose = true, Options = "-c plan_cache_mode=force_generic_plan" });

    public async ValueTask DisposeAsync()
    {
        await Database.DisposeAsync();
        await _postgres.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    public async Task<WorkflowRuntime> StartAsync(bool isWorker)
    {
        var runtime = new WorkflowRuntime(
            Database,
            new RuntimeOptions { UseTimers = false },
            library => new WorkflowEngine(library: library),
            new WorkflowServices(),
            NullLoggerFactory.Instance,
            TimeProvider.System);
        await runtime.StartAsync(isWorker, default);
        foreach (var json in (string[])[DurableWorkflows.FiveSteps, DurableWorkflows.Wait, DurableWorkflows.Line])
            await runtime.Catalog.SaveAsync(Tenant, DurableWorkflows.Read(json), publish: true, null, default);
        return runtime;
    }

    private async Task FiveStepsAsync(Report report)
    {
        await using var runtime = await StartAsync(isWorker: false);
        var graph = (await runtime.Catalog.Of(Tenant).FindPublishedAsync("five", default))!;
        foreach (var clients in (int[])[1, 8, 32])
        {
            var inserts = await SingleInserts.PerSecondAsync(_postgres.ConnectionString, clients);
            using var commits = new CommitWatch();
            var loop = await LoopAsync(clients, OwnSeconds, _ => runtime.Runner.StartAsync(Tenant, graph, WorkflowStart.Default, null, default));
            var rate = loop.PerSecond;
            report.Add(new Figure($"durable-5-steps-{clients}", rate * 5, 1_000_000 / (rate * 5), 0)
            {
                More = new Dictionary<string, double>
                {
                    ["pgbenchInsertsPerSecond"] = inserts,
                    ["percentOfPgbench"] = rate * 500 / inserts,
                    ["groupSize"] = commits.GroupSize,
                    ["commitMicroseconds"] = commits.Microseconds,
                    ["cpuMicrosecondsDotnet"] = loop.DotnetMicroseconds / 5,
                    ["cpuMicrosecondsPostgres"] = loop.PostgresMicroseconds / 5,
                },
            });
        }
    }

    private async Task SuspendResumeAsync(Report report)
    {
        await using var runtime = await StartAsync(isWorker: true);
        var cycles = new CycleWatch();
        await using var signaller = Signaller.Start(_postgres.ConnectionString, cycles);
        // The other process has to warm up, too.
        await SuspendResumeAsync(runtime, [signaller], cycles, "warm-up", 8);
        foreach (var clients in (int[])[1, 8, 32])
        {
            // Machines of one kind differ by a factor of three; 2,500 cycles are 15.8 % of the 15,800 inserts that were measured together with that target.
            var inserts = await SingleInserts.PerSecondAsync(_postgres.ConnectionString, clients);
            var figure = await SuspendResumeAsync(runtime, [signaller], cycles, $"durable-suspend-resume-{clients}", clients);
            report.Add(figure with
            {
                More = new Dictionary<string, double>(figure.More!) { ["pgbenchInsertsPerSecond"] = inserts, ["percentOfPgbench"] = figure.PerSecond * 100 / inserts },
            });
        }
    }

    /// <summary>Cycles whose events are spread over other processes, which resume what they hear of.</summary>
    private async Task<Figure> SuspendResumeAsync(WorkflowRuntime runtime, List<Signaller> signallers, CycleWatch cycles, string name, int clients)
    {
        var next = 0;
        var graph = (await runtime.Catalog.Of(Tenant).FindPublishedAsync("wait", default))!;
        runtime.Runner.BurstStored += cycles.Stored;
        using var commits = new CommitWatch();
        var loop = await LoopAsync(clients, () => OwnSeconds() + signallers.Sum(s => s.CpuSeconds), async _ =>
        {
            var run = await runtime.Runner.StartAsync(Tenant, graph, WorkflowStart.Default, null, default);
            var done = cycles.WaitFor(run.Instance.Id);
            signallers[(int)((uint)Interlocked.Increment(ref next) % signallers.Count)].Signal(run.Instance.Id);
            await done;
        });
        runtime.Runner.BurstStored -= cycles.Stored;
        return new Figure(name, loop.PerSecond, 1_000_000 / loop.PerSecond, 0)
        {
            More = new Dictionary<string, double>
            {
                ["groupSize"] = commits.GroupSize,
                ["cpuMicrosecondsDotnet"] = loop.DotnetMicroseconds,
                ["cpuMicrosecondsPostgres"] = loop.PostgresMicroseconds,
            },
        };
    }

    private async Task QueueAsync(Report report)
    {
        const int Items = 10_000;
        await using var signal = new WorkSignal(Database, NullLogger<WorkSignal>.Instance);
        var queue = new WorkQueue(Database, signal);
        var owner = Guid.NewGuid();
        var rates = new List<double>();
        for (var round = 0; round < 5; round++)
        {
            foreach (var chunk in Enumerable.Range(0, Items).Chunk(1_000))
                await queue.EnqueueAsync([.. chunk.Select(_ => new NewWork(Tenant, "", WorkKind.Publish))], default);
            var watch = Stopwatch.StartNew();
            var done = 0;
            await Task.WhenAll(Enumerable.Range(0, 2).Select(async _ =>
            {
                while (await queue.ClaimAsync(owner, TimeSpan.FromMinutes(1), 1_000, default) is { Count: > 0 } claims)
                {
                    await queue.FinishAsync([.. claims.SelectMany(c => c.Work).Select(w => w.Id)], default);
                    Interlocked.Add(ref done, claims.Count);
                }
            }));
            rates.Add(done / watch.Elapsed.TotalSeconds);
        }

        rates.Sort();
        report.Add(new Figure("queue", rates[rates.Count / 2], 1_000_000 / rates[rates.Count / 2], 0));
        report.Add(await IdleLatencyAsync());
    }

    /// <summary>From enqueueing to the start of the burst, when the worker has nothing else to do.</summary>
    private async Task<Figure> IdleLatencyAsync()
    {
        await using var runtime = await StartAsync(isWorker: true);
        var workflows = runtime.Catalog.Of(Tenant);
        var graph = (await workflows.FindPublishedAsync("line", default))!;
        var cycles = new CycleWatch();
        runtime.Runner.BurstStored += cycles.Stored;
        var milliseconds = new List<double>();
        for (var i = 0; i < 220; i++)
        {
            await Task.Delay(15);
            var instance = workflows.Engine.CreateInstance(graph);
            var done = cycles.WaitFor(instance.Id);
            await runtime.Runner.EnqueueAsync(Tenant, instance, WorkPriority.P2);
            var enqueued = DateTimeOffset.UtcNow;
            var ended = await done;
            if (i >= 20)
                milliseconds.Add((ended.StartedAt - enqueued).TotalMilliseconds);
        }

        milliseconds.Sort();
        var median = Math.Max(0, milliseconds[milliseconds.Count / 2]);
        return new Figure("queue-idle-latency", 0, median * 1000, 0)
        {
            More = new Dictionary<string, double> { ["p50Microseconds"] = median * 1000, ["p99Microseconds"] = milliseconds[(int)(milliseconds.Count * 0.99)] * 1000 },
        };
    }

    private async Task ScaleAsync(Report report)
    {
        await using (var runtime = await StartAsync(isWorker: false))
        {
            for (var version = 2; version <= 800; version++)
                await runtime.Catalog.SaveAsync(Tenant, DurableWorkflows.Read(DurableWorkflows.Line.Replace("\"text\": \"\"", $"\"text\": \"{version}\"", StringComparison.Ordinal)), publish: true, null, default);
        }

        foreach (var instances in (int[])[10_000, 100_000, 1_000_000])
        {
            await SeedAsync(instances);
            var watch = Stopwatch.StartNew();
            await using var runtime = await StartAsync(isWorker: true);
            var start = watch.Elapsed.TotalMilliseconds;
            var cycles = new CycleWatch();
            await using var signaller = Signaller.Start(_postgres.ConnectionString, cycles);
            await SuspendResumeAsync(runtime, [signaller], cycles, "warm-up", 8);
            var figure = await SuspendResumeAsync(runtime, [signaller], cycles, $"scale-{instances}-suspend-resume-8", 8);
            report.Add(figure with { More = new Dictionary<string, double>(figure.More!) { ["startMilliseconds"] = start } });
        }
    }

    /// <summary>More processes that hear of events and resume.</summary>
    private async Task WorkersAsync(Report report)
    {
        await using var runtime = await StartAsync(isWorker: false);
        foreach (var workers in (int[])[1, 2, 4])
        {
            var cycles = new CycleWatch();
            var signallers = Enumerable.Range(0, workers).Select(_ => Signaller.Start(_postgres.ConnectionString, cycles)).ToList();
            await SuspendResumeAsync(runtime, signallers, cycles, "warm-up", 32);
            report.Add(await SuspendResumeAsync(runtime, signallers, cycles, $"scale-{workers}-workers-suspend-resume-32", 32));
            foreach (var signaller in signallers)
                await signaller.DisposeAsync();
        }
    }

    /// <summary>Fills the tables up to a number of instances that wait for an event.</summary>
    private async Task SeedAsync(int instances)
    {
        await using var runtime = await StartAsync(isWorker: false);
        var graph = (await runtime.Catalog.Of(Tenant).FindPublishedAsync("wait", default))!;
        var run = await runtime.Runner.StartAsync(Tenant, graph, WorkflowStart.Default, null, default);
        await using var command = Database.CreateCommand("""
            with copies as (
                insert into conclave.workflow_instance (tenant, id, definition_id, definition_version_id, version, status, sub_status, state, created_at, updated_at)
                select i.tenant, 'seed-' || n, i.definition_id, i.definition_version_id, i.version, i.status, i.sub_status, i.state, i.created_at, i.updated_at
                  from conclave.workflow_instance i, generate_series(1, $2) n
                 where i.id = $1 on conflict do nothing returning id)
            insert into conclave.bookmark (tenant, instance_id, number, name, hash, activity_id, payload, created_at)
            select b.tenant, copies.id, b.number, b.name, b.hash, b.activity_id, b.payload, b.created_at
              from conclave.bookmark b, copies where b.instance_id = $1
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = run.Instance.Id });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = instances });
        command.CommandTimeout = 0;
        await command.ExecuteNonQueryAsync();
        // Commands of one text would be a transaction, which takes no vacuum.
        foreach (var table in (string[])["workflow_instance", "bookmark"])
        {
            await using var analyze = Database.CreateCommand($"vacuum (analyze) conclave.{table}");
            analyze.CommandTimeout = 0;
            await analyze.ExecuteNonQueryAsync();
        }
    }

    /// <summary>Calls per second of clients that each call again and again, and what a call costs.</summary>
    private async Task<Loop> LoopAsync(int clients, Func<double> dotnetSeconds, Func<int, Task> call)
    {
        var count = 0L;
        using var stop = new CancellationTokenSource();
        var loops = Enumerable.Range(0, clients).Select(client => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await call(client);
                Interlocked.Increment(ref count);
            }
        })).ToArray();
        await UntilWarmAsync();
        var postgres = CpuTime.PostgresOf(_folder);
        var (before, dotnetBefore, postgresBefore) = (Interlocked.Read(ref count), dotnetSeconds(), CpuTime.SecondsOf(postgres));
        var watch = Stopwatch.StartNew();
        await Task.Delay(Round);
        var calls = Interlocked.Read(ref count) - before;
        var elapsed = watch.Elapsed.TotalSeconds;
        var (dotnet, inPostgres) = (dotnetSeconds() - dotnetBefore, CpuTime.SecondsOf(postgres) - postgresBefore);
        await stop.CancelAsync();
        await Task.WhenAll(loops);
        return new Loop(calls / elapsed, dotnet * 1_000_000 / calls, inPostgres * 1_000_000 / calls);
    }

    /// <summary>Until the compiler has next to nothing left to do: what is called often is compiled up to three times, while others leave a core free.</summary>
    private static async Task UntilWarmAsync()
    {
        var calm = 0;
        for (var watch = Stopwatch.StartNew(); calm < 3 && watch.Elapsed < MostWarmUp;)
        {
            var before = JitInfo.GetCompiledMethodCount();
            await Task.Delay(WarmUp);
            calm = JitInfo.GetCompiledMethodCount() - before < 20 ? calm + 1 : 0;
        }
    }

    private static double OwnSeconds() => CpuTime.SecondsOf(Environment.ProcessId);

    /// <param name="PerSecond">Calls per second.</param>
    /// <param name="DotnetMicroseconds">Processor time of a call in .NET.</param>
    /// <param name="PostgresMicroseconds">Processor time of a call in PostgreSQL.</param>
    private sealed record Loop(double PerSecond, double DotnetMicroseconds, double PostgresMicroseconds);
}
