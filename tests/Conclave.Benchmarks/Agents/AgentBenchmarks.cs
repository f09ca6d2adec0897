using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.Benchmarks.Agents;

/// <summary>
/// What an agent's turn costs on the real server with its database: the shipped ReAct behaviour, a double of a model, and one call of a tool in each turn. Clients, double, server
/// and database share the two cores.
/// </summary>
internal static class AgentBenchmarks
{
    private const int Most = 1_000;

    public static async Task RunAsync(Report report, IReadOnlyList<string> only)
    {
        if (only.Count == 0 || only.Contains("sandbox-start"))
            await SandboxBenchmark.RunAsync(report);
        if (only is ["sandbox-start"])
            return;
        await using var model = new OpenAIDouble { KeepsRequests = false, Answer = Turn(TimeSpan.Zero) };
        model.Models.Clear();
        model.Models.Add(new DoubleModel("brain") { CanCallTools = true });
        await model.StartAsync();
        var workflows = Path.Combine(Repository(), "workflows");
        await using var server = await BenchServer.StartAsync(
            $"Workflows:Folder={workflows}", "Inference:DiscoverOllama=false", "Inference:Servers:0:Name=double", "Inference:Servers:0:Provider=openai-compatible",
            $"Inference:Servers:0:Address={model.Address}", "Inference:Servers:0:Slots=2000", "Worker:Concurrency=1200", "Inference:Servers:0:Models:0:Name=brain", "Inference:Servers:0:Models:0:Capabilities=Chat, Tools, JsonSchema",
            "Logging:Level=Warning");
        await UntilKnownAsync(server);
        foreach (var (name, run) in new (string, Func<Task>)[]
        {
            ("agents-turns", TurnsAsync), ("agents-1000-working", ManyAsync), ("agents-first-token", FirstTokenAsync), ("agents-10000-idle", IdleAsync),
        })
        {
            if (only.Count == 0 || only.Contains(name))
                await run();
        }

        // An instant model; two calls of it and one of a tool in each turn. Clients wait for the end of their turn in its stream.
        async Task TurnsAsync()
        {
            model.Answer = Turn(TimeSpan.Zero);
            foreach (var clients in (int[])[8, 64, 256])
            {
                var agents = await MakeAsync(server, $"turns{clients}", clients);
                var count = 0L;
                using var stop = new CancellationTokenSource();
                var loops = agents.Select(agent => Task.Run(async () =>
                {
                    while (!stop.IsCancellationRequested)
                    {
                        await AskAsync(server, agent);
                        Interlocked.Increment(ref count);
                    }
                })).ToArray();
                await UntilWarmAsync(server);
                var (before, cpu, watch) = (Interlocked.Read(ref count), server.CpuSeconds(), Stopwatch.StartNew());
                await Task.Delay(TimeSpan.FromSeconds(10));
                var (turns, used, seconds) = (Interlocked.Read(ref count) - before, server.CpuSeconds(), watch.Elapsed.TotalSeconds);
                var rate = turns / seconds;
                await stop.CancelAsync();
                await Task.WhenAll(loops);
                report.Add(new Figure($"agents-turns-{clients}", rate, 1_000_000 / rate, 0)
                {
                    More = new Dictionary<string, double>
                    {
                        ["target"] = 300,
                        ["cpuMicrosecondsServer"] = (used.Server - cpu.Server) * 1_000_000 / turns,
                        ["cpuMicrosecondsPostgres"] = (used.Postgres - cpu.Postgres) * 1_000_000 / turns,
                        ["cpuMicrosecondsClients"] = (used.Own - cpu.Own) * 1_000_000 / turns,
                    },
                });
            }
        }

        // A thousand agents, each in a turn all the time: the model takes ten seconds for its answer, and none for its call of a tool. What a turn takes beyond that is ours.
        async Task ManyAsync()
        {
            var think = TimeSpan.FromSeconds(10);
            var agents = await MakeAsync(server, "many", Most);
            model.Answer = Turn(think);
            var times = new ConcurrentBag<double>();
            var began = Stopwatch.StartNew();
            await Task.WhenAll(agents.Select(async (agent, i) =>
            {
                // They begin spread over the first round, as people do.
                await Task.Delay(think * i / agents.Count);
                for (var round = 0; round < 3; round++)
                {
                    var watch = Stopwatch.StartNew();
                    await AskAsync(server, agent);
                    if (round > 0)
                        times.Add((watch.Elapsed - think).TotalMilliseconds);
                }
            }));
            report.Add(Percentiles("agents-1000-working", times, agents.Count * 3 / began.Elapsed.TotalSeconds, 1_000));
        }

        // From the moment at which the double writes a word to the moment at which the client has its event. One agent shows what the way takes; four, one turn after the other, keep both cores busy.
        async Task FirstTokenAsync()
        {
            foreach (var clients in (int[])[1, 4])
            {
                var agents = await MakeAsync(server, $"token{clients}", clients);
                var times = new ConcurrentBag<double>();
                await Task.WhenAll(agents.Select(async agent =>
                {
                    for (var i = 0; i < 110; i++)
                    {
                        var said = 0L;
                        var word = $"w{agent}-{i} ";
                        lock (Said)
                            Words[agent] = (word, () => Volatile.Write(ref said, Stopwatch.GetTimestamp()));
                        var heard = await AskAsync(server, agent, agent);
                        if (i >= 10 && heard > 0 && Volatile.Read(ref said) is > 0 and var at)
                            times.Add(Stopwatch.GetElapsedTime(at, heard).TotalMilliseconds);
                    }
                }));
                report.Add(Percentiles($"agents-first-token-{clients}", times, 0, 5));
            }
        }

        // What ten thousand agents cost that nobody talks to.
        async Task IdleAsync()
        {
            var before = await CpuAsync(server, TimeSpan.FromSeconds(10));
            await using (var command = server.Database.CreateCommand("""
                insert into conclave.agent (tenant, id, name, configuration, state_at, created_at, created_by, updated_at, updated_by)
                select 'default', 'idle' || n, 'idle ' || n, '{"model":"brain"}', now(), now(), 'bench', now(), 'bench' from generate_series(1, 10000) n
                """))
                await command.ExecuteNonQueryAsync();
            var after = await CpuAsync(server, TimeSpan.FromSeconds(10));
            report.Add(new Figure("agents-10000-idle", 0, 0, 0) { More = new Dictionary<string, double> { ["cpuMillisecondsPerSecondBefore"] = before, ["cpuMillisecondsPerSecondAfter"] = after } });
        }
    }

    private static readonly Lock Said = new();
    private static readonly Dictionary<string, (string Word, Action Spoken)> Words = [];

    /// <summary>What the model says: a call of the calculator first, and the answer after its result.</summary>
    private static Func<DoubleRequest, DoubleAnswer> Turn(TimeSpan think) => request =>
    {
        if (request.Body.GetProperty("messages").EnumerateArray().Last().GetProperty("role").GetString() != "tool")
        {
            (string Word, Action Spoken) own;
            lock (Said)
                Words.TryGetValue(request.LastText, out own);
            if (own.Word is null)
                return new DoubleAnswer { ToolCalls = [("calculator", """{"expression":"6*7"}""")], FirstTokenDelay = think };
            return new DoubleAnswer
            {
                Tokens = [own.Word, "and ", "more"],
                BeforeToken = async index =>
                {
                    if (index > 0)
                        return;
                    await Task.Delay(20);
                    own.Spoken();
                },
            };
        }

        return DoubleAnswer.Say("It is 42.") with { FirstTokenDelay = think };
    };

    private static async Task<IReadOnlyList<string>> MakeAsync(BenchServer server, string prefix, int count)
    {
        var agents = new List<string>();
        for (var i = 0; i < count; i++)
        {
            var made = await server.SendAsync("POST api/agents", $$"""{"name":"{{prefix}} {{i}}","configuration":{"model":"brain","tools":["calculator"],"limits":{"maxConcurrentTurns":100} } }""");
            agents.Add(JsonElement.Parse(made).GetProperty("id").GetString()!);
        }

        return agents;
    }

    /// <summary>Says something and waits for the end of the turn.</summary>
    /// <returns>When the first word of an answer was heard; 0 for none.</returns>
    private static async Task<long> AskAsync(BenchServer server, string agent, string message = "What is six times seven?")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"api/agents/{agent}/messages") { Content = new StringContent($$"""{"message":"{{message}}"}""", Encoding.UTF8, "application/json") };
        request.Headers.Accept.ParseAdd("text/event-stream");
        using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        if (!response.IsSuccessStatusCode)
            throw new InvalidOperationException(await response.Content.ReadAsStringAsync());
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        var heard = 0L;
        var end = "";
        while (await reader.ReadLineAsync() is { } line)
        {
            if (heard == 0 && line == "event: token")
                heard = Stopwatch.GetTimestamp();
            if (line.StartsWith("event: turn.", StringComparison.Ordinal))
                end = line;
        }

        return end == "event: turn.completed" ? heard : throw new InvalidOperationException($"A turn ended with '{end}'.");
    }

    /// <summary>
    /// Lets the load run until the server's compiler has next to nothing left to do: methods are compiled up to three times, after so many calls and only while others leave a core free, which takes
    /// some minutes on two busy ones.
    /// </summary>
    private static async Task UntilWarmAsync(BenchServer server)
    {
        var calm = 0;
        for (var watch = Stopwatch.StartNew(); calm < 2 && watch.Elapsed < TimeSpan.FromMinutes(5);)
        {
            var before = await CompiledAsync(server);
            await Task.Delay(TimeSpan.FromSeconds(5));
            calm = await CompiledAsync(server) - before < 100 ? calm + 1 : 0;
        }
    }

    private static async Task<double> CompiledAsync(BenchServer server)
    {
        const string Name = "dotnet_jit_compiled_methods_total ";
        var line = Encoding.UTF8.GetString(await server.SendAsync("GET metrics")).Split('\n').FirstOrDefault(l => l.StartsWith(Name, StringComparison.Ordinal));
        return line is null ? throw new InvalidOperationException("The server does not tell what it compiles.") : double.Parse(line.AsSpan(Name.Length), System.Globalization.CultureInfo.InvariantCulture);
    }

    private static async Task UntilKnownAsync(BenchServer server)
    {
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < TimeSpan.FromSeconds(30); await Task.Delay(100))
        {
            if (Encoding.UTF8.GetString(await server.SendAsync("GET v1/models")).Contains("brain", StringComparison.Ordinal))
                return;
        }

        throw new InvalidOperationException("The server does not know the model.");
    }

    private static async Task<double> CpuAsync(BenchServer server, TimeSpan time)
    {
        var before = server.ProcessorTime;
        await Task.Delay(time);
        return (server.ProcessorTime - before).TotalMilliseconds / time.TotalSeconds;
    }

    private static Figure Percentiles(string name, IEnumerable<double> times, double perSecond, double target)
    {
        var sorted = times.Order().ToArray();
        return new Figure(name, perSecond, 0, 0)
        {
            More = new Dictionary<string, double>
            {
                ["p50Milliseconds"] = sorted[sorted.Length / 2],
                ["p95Milliseconds"] = sorted[(int)(sorted.Length * 0.95)],
                ["p99Milliseconds"] = sorted[(int)(sorted.Length * 0.99)],
                ["count"] = sorted.Length,
                ["targetMilliseconds"] = target,
            },
        };
    }

    private static string Repository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Platform.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("The bench runs outside of the repository.");
        return folder.FullName;
    }
}
