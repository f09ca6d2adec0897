using System.Diagnostics;
using System.Text;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.Benchmarks.Inference;

/// <summary>
/// What the gateway adds to a call: the same requests straight to a double of a model server and through the real server process, in one run.
/// The double and the clients are in this process, so that on two cores the three share them.
/// </summary>
internal static class GatewayBenchmarks
{
    private static readonly byte[] Chat = Encoding.UTF8.GetBytes("""{"model": "small", "messages": [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "How are you today?"}]}""");
    private static readonly byte[] Stream = Encoding.UTF8.GetBytes("""{"model": "small", "stream": true, "stream_options": {"include_usage": true}, "messages": [{"role": "user", "content": "How are you today?"}]}""");

    public static async Task RunAsync(Report report, IReadOnlyList<string> only)
    {
        await using var models = new OpenAIDouble { KeepsRequests = false };
        await models.StartAsync();
        await using var server = await BenchServer.StartAsync(
            "Inference:DiscoverOllama=false", "Inference:Servers:0:Name=double", "Inference:Servers:0:Provider=openai-compatible", $"Inference:Servers:0:Address={models.Address}",
            "Inference:Servers:0:Slots=1000", "Logging:Level=Warning");
        using var direct = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = models.Address };
        await UntilKnownAsync(server.Http);
        models.Answer = _ => DoubleAnswer.Say("Fine, thank you.");
        await WarmUpAsync(server, direct);
        foreach (var (name, run) in new (string, Func<Task>)[]
        {
            ("gateway-added-latency", AddedLatencyAsync), ("gateway-first-token", FirstTokenAsync), ("gateway-throughput", ThroughputAsync), ("gateway-streams", StreamsAsync), ("gateway-memory", MemoryAsync),
        })
        {
            if (only.Count == 0 || only.Contains(name))
                await run();
        }

        // 500 calls a second, as they come, not as they are answered; the model takes 20 ms.
        async Task AddedLatencyAsync()
        {
            models.Answer = _ => DoubleAnswer.Say("Fine, thank you.") with { FirstTokenDelay = TimeSpan.FromMilliseconds(20) };
            // In turns, so that both meet the same machine.
            var (straight, streamed, through) = (new List<double>(), new List<double>(), new List<double>());
            var processor = TimeSpan.Zero;
            for (var round = 0; round < 5; round++)
            {
                straight.AddRange(await OpenLoopAsync(direct, 500, TimeSpan.FromSeconds(3), Chat));
                // The gateway always has models stream, so that it notices silence and can stop them; what that costs the model is in what the gateway adds.
                streamed.AddRange(await OpenLoopAsync(direct, 500, TimeSpan.FromSeconds(3), Stream, isWhole: true));
                var before = server.ProcessorTime;
                through.AddRange(await OpenLoopAsync(server.Http, 500, TimeSpan.FromSeconds(3), Chat));
                processor += server.ProcessorTime - before;
            }

            Added(report, "gateway-added-latency", straight, through, ("processorMicroseconds", processor.TotalMicroseconds / through.Count), ("ownP50Microseconds", await OwnAsync(server, through.Count)),
                ("streamingP50Microseconds", (Percentile(streamed, 0.5) - Percentile(straight, 0.5)) * 1000));
        }

        async Task FirstTokenAsync()
        {
            models.Answer = _ => new DoubleAnswer { Tokens = DoubleAnswer.Split("one two three four five six seven eight nine ten"), FirstTokenDelay = TimeSpan.FromMilliseconds(20), TokenDelay = TimeSpan.FromMilliseconds(5) };
            var (straight, through) = (new List<double>(), new List<double>());
            for (var round = 0; round < 5; round++)
            {
                straight.AddRange(await OpenLoopAsync(direct, 100, TimeSpan.FromSeconds(3), Stream));
                through.AddRange(await OpenLoopAsync(server.Http, 100, TimeSpan.FromSeconds(3), Stream));
            }

            Added(report, "gateway-first-token", straight, through);
        }

        async Task ThroughputAsync()
        {
            models.Answer = _ => DoubleAnswer.Say("Fine, thank you.");
            foreach (var clients in (int[])[8, 32, 64])
            {
                var before = server.ProcessorTime;
                var run = await ClosedLoopAsync(server.Http, clients, TimeSpan.FromSeconds(10));
                report.Add(Rate($"gateway-throughput-{clients}", run) with { More = new Dictionary<string, double> { ["processorMicroseconds"] = (server.ProcessorTime - before).TotalMicroseconds / run.Calls } });
            }

            report.Add(Rate("gateway-throughput-64-direct", await ClosedLoopAsync(direct, 64, TimeSpan.FromSeconds(5))));
        }

        // Each 50 tokens, one every 40 ms: two seconds, if nothing holds it up.
        async Task StreamsAsync()
        {
            const int Streams = 500, Tokens = 50;
            models.Answer = _ => new DoubleAnswer { Tokens = [.. Enumerable.Repeat("tick ", Tokens)], TokenDelay = TimeSpan.FromMilliseconds(40) };
            foreach (var (name, http) in new[] { ("gateway-streams-direct", direct), ("gateway-streams", server.Http) })
            {
                var began = Stopwatch.GetTimestamp();
                var times = await Task.WhenAll(Enumerable.Range(0, Streams).Select(_ => SendAsync(http, Stream, isWhole: true)));
                var all = Stopwatch.GetElapsedTime(began);
                report.Add(new Figure(name, Streams * Tokens / all.TotalSeconds, 0, 0)
                {
                    More = new Dictionary<string, double> { ["atOnce"] = Streams, ["slowestMilliseconds"] = times.Max(), ["p50Milliseconds"] = Percentile(times, 0.5) },
                });
            }
        }

        async Task MemoryAsync()
        {
            models.Answer = _ => DoubleAnswer.Say("Fine, thank you.");
            var before = server.ResidentMegabytes;
            var calls = 0;
            while (calls < 100_000)
                calls += (await ClosedLoopAsync(server.Http, 32, TimeSpan.FromSeconds(5))).Calls;
            report.Add(new Figure("gateway-memory", 0, 0, 0)
            {
                More = new Dictionary<string, double> { ["calls"] = calls, ["beforeMegabytes"] = before, ["afterMegabytes"] = server.ResidentMegabytes },
            });
        }
    }

    /// <summary>Microseconds of the last calls that were the gateway's own, neither HTTP's nor the model's: routing, budgets, reading and writing of what is said.</summary>
    private static async Task<double> OwnAsync(BenchServer server, int calls)
    {
        // Records are written a moment later.
        await Task.Delay(TimeSpan.FromSeconds(1));
        await using var command = server.Database.CreateCommand(
            "select percentile_cont(0.5) within group (order by overhead_ms) from (select overhead_ms from conclave.inference_call order by created_at desc limit $1) as last");
        command.Parameters.Add(new Npgsql.NpgsqlParameter<int> { TypedValue = calls });
        return (double)(await command.ExecuteScalarAsync())! * 1000;
    }

    private static async Task UntilKnownAsync(HttpClient http)
    {
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < TimeSpan.FromSeconds(30); await Task.Delay(100))
        {
            if ((await http.GetStringAsync(new Uri("v1/models", UriKind.Relative))).Contains("\"small\"", StringComparison.Ordinal))
                return;
        }

        throw new InvalidOperationException("The gateway does not see the double's models.");
    }

    /// <summary>Until the server's code is compiled as well as it will be: when a call takes no less of the processor than in the seconds before, or after a minute.</summary>
    private static async Task WarmUpAsync(BenchServer server, HttpClient direct)
    {
        await OpenLoopAsync(server.Http, 50, TimeSpan.FromSeconds(2), Stream);
        var least = double.MaxValue;
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < TimeSpan.FromMinutes(1);)
        {
            var before = server.ProcessorTime;
            var (calls, _) = await ClosedLoopAsync(server.Http, 16, TimeSpan.FromSeconds(5));
            var each = (server.ProcessorTime - before).TotalMicroseconds / calls;
            if (each > least * 0.97)
                break;
            least = each;
        }

        await ClosedLoopAsync(direct, 16, TimeSpan.FromSeconds(2));
        await OpenLoopAsync(server.Http, 500, TimeSpan.FromSeconds(2), Chat);
    }

    /// <summary>Sends a number of requests a second whether or not the ones before are answered; gives the milliseconds until each first byte of content.</summary>
    private static async Task<List<double>> OpenLoopAsync(HttpClient http, int perSecond, TimeSpan length, byte[] body, bool isWhole = false)
    {
        var calls = new List<Task<double>>();
        var began = Stopwatch.GetTimestamp();
        var count = (int)(perSecond * length.TotalSeconds);
        while (calls.Count < count)
        {
            var due = (int)Math.Min(count, Stopwatch.GetElapsedTime(began).TotalSeconds * perSecond);
            while (calls.Count < due)
                calls.Add(SendAsync(http, body, isWhole));
            await Task.Delay(1);
        }

        return [.. await Task.WhenAll(calls)];
    }

    private static async Task<(int Calls, TimeSpan Time)> ClosedLoopAsync(HttpClient http, int clients, TimeSpan length)
    {
        var began = Stopwatch.GetTimestamp();
        var counts = await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(async () =>
        {
            var count = 0;
            for (; Stopwatch.GetElapsedTime(began) < length; count++)
                await SendAsync(http, Chat, isWhole: true);
            return count;
        })));
        return (counts.Sum(), Stopwatch.GetElapsedTime(began));
    }

    /// <summary>Milliseconds until the first word of the answer, or its last.</summary>
    private static async Task<double> SendAsync(HttpClient http, byte[] body, bool isWhole)
    {
        var began = Stopwatch.GetTimestamp();
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/chat/completions") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        if (!response.IsSuccessStatusCode)
            throw new InvalidOperationException($"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
        await using var stream = await response.Content.ReadAsStreamAsync();
        var buffer = new byte[8192];
        int count;
        // A server may begin its stream before the model has said a word.
        do
        {
            count = await stream.ReadAsync(buffer);
            if (count == 0)
                throw new InvalidOperationException("An answer without content.");
        }
        while (!HasWord(buffer.AsSpan(0, count)));
        var first = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        while (await stream.ReadAsync(buffer) > 0)
        {
        }

        return isWhole ? Stopwatch.GetElapsedTime(began).TotalMilliseconds : first;
    }

    /// <summary>Whether a chunk, or a whole answer, has content that is not empty.</summary>
    private static bool HasWord(ReadOnlySpan<byte> text)
    {
        var content = "\"content\":\""u8;
        for (int at; (at = text.IndexOf(content)) >= 0; text = text[(at + content.Length)..])
        {
            if (at + content.Length < text.Length && text[at + content.Length] != '"')
                return true;
        }

        return false;
    }

    private static void Added(Report report, string name, List<double> straight, List<double> through, params (string Name, double Value)[] more)
    {
        report.Add(new Figure(name, 0, (Percentile(through, 0.5) - Percentile(straight, 0.5)) * 1000, 0)
        {
            More = new Dictionary<string, double>(more.Select(m => KeyValuePair.Create(m.Name, m.Value)))
            {
                ["addedP50Microseconds"] = (Percentile(through, 0.5) - Percentile(straight, 0.5)) * 1000,
                ["addedP99Microseconds"] = (Percentile(through, 0.99) - Percentile(straight, 0.99)) * 1000,
                ["directP50Microseconds"] = Percentile(straight, 0.5) * 1000,
                ["directP99Microseconds"] = Percentile(straight, 0.99) * 1000,
                ["gatewayP50Microseconds"] = Percentile(through, 0.5) * 1000,
                ["gatewayP99Microseconds"] = Percentile(through, 0.99) * 1000,
            },
        });
    }

    private static Figure Rate(string name, (int Calls, TimeSpan Time) run) => new(name, run.Calls / run.Time.TotalSeconds, run.Time.TotalMicroseconds / run.Calls, 0);

    private static double Percentile(IEnumerable<double> values, double part)
    {
        var sorted = values.Order().ToArray();
        return sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * part))];
    }
}
