using System.Buffers;
using System.Diagnostics.Metrics;
using System.Net;
using System.Text;
using Conclave.Server.Telemetry;
using Conclave.Server.Telemetry.Prometheus;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Conclave.Tests.Telemetry;

public sealed class PrometheusMetricsTests : IDisposable
{
    private readonly Meter _meter = new($"test.{Guid.NewGuid():N}");
    private readonly PrometheusMetrics _metrics;

    public PrometheusMetricsTests() =>
        _metrics = new PrometheusMetrics(NullLogger<PrometheusMetrics>.Instance, [_meter.Name], maxSeries: 10);

    public void Dispose()
    {
        _metrics.Dispose();
        _meter.Dispose();
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Counter_Recorded_EndsInTotalWithItsTags(bool openMetrics)
    {
        var counter = _meter.CreateCounter<long>("elsa.workflow.started", "{workflow}", "Back\\slash, \"quotes\"\nand a new line.");
        counter.Add(2, new Tag("kind", "run"), new Tag("priority", "p1"));
        counter.Add(3, new Tag("priority", "p1"), new Tag("kind", "run"));
        counter.Add(-7, new Tag("kind", "run"), new Tag("priority", "p1"));
        counter.Add(1);

        var family = Read(openMetrics)["elsa_workflow_started"];
        Assert.Equal("counter", family.Type);
        Assert.Equal("Back\\slash, \"quotes\"\nand a new line.", family.Help);
        Assert.Equal(5, family.Value("_total", ("kind", "run"), ("priority", "p1")));
        Assert.Equal(1, family.Value("_total"));
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Histogram_WithAdvice_HasItsBucketsAndUnit(bool openMetrics)
    {
        var histogram = _meter.CreateHistogram("elsa.activity.duration", "s", "Time.", null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.5, 1, 2.5] });
        foreach (var seconds in (double[])[0.1, 1, 1.5, 2.5, 99, double.NaN])
            histogram.Record(seconds, new Tag("status", "completed"));

        var text = Text(openMetrics);
        var family = Exposition.Parse(text, openMetrics)["elsa_activity_duration_seconds"];
        Assert.Equal("histogram", family.Type);
        Assert.Equal([1, 2, 4, 5], family.Samples.Where(s => s.Name.EndsWith("_bucket", StringComparison.Ordinal)).Select(s => s.Value));
        Assert.Equal(104.1, family.Value("_sum", ("status", "completed")), 6);
        Assert.Contains(openMetrics ? "le=\"1.0\"" : "le=\"1\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Histogram_WithoutAdvice_HasTheDefaultBuckets()
    {
        _meter.CreateHistogram<int>("sizes").Record(3);
        var buckets = Read()["sizes"].Samples.Count(s => s.Name == "sizes_bucket");
        Assert.Equal(12, buckets);
    }

    [Fact]
    public void Gauges_OfEveryKind_ShowTheirState()
    {
        var open = _meter.CreateUpDownCounter<int>("connections", "{connection}");
        open.Add(5);
        open.Add(-2);
        var level = _meter.CreateGauge<double>("level", "1");
        level.Record(0.75);
        level.Record(0.5);
        var states = new List<Measurement<long>> { new(4, new Tag("state", "due")), new(1, new Tag("state", "dead")) };
        _meter.CreateObservableGauge("queue.items", () => states);
        _meter.CreateObservableCounter("cpu.time", () => 12.5, "s");

        var read = Read();
        Assert.Equal(3, read["connections"].Value(""));
        Assert.Equal(0.5, read["level_ratio"].Value(""));
        Assert.Equal(4, read["queue_items"].Value("", ("state", "due")));
        Assert.Equal(12.5, read["cpu_time_seconds"].Value("_total"));

        states.RemoveAt(1);
        read = Read();
        Assert.Single(read["queue_items"].Samples);
        Assert.Equal(12.5, read["cpu_time_seconds"].Value("_total"));
    }

    [Fact]
    public void Observable_Throws_OthersAreShown()
    {
        _meter.CreateObservableGauge("bad", int () => throw new InvalidOperationException());
        _meter.CreateObservableGauge("good", () => 1);
        var read = Read();
        Assert.Equal(1, read["good"].Value(""));
        Assert.False(read.ContainsKey("bad"));
    }

    [Fact]
    public void Labels_OfAnyName_AreEscapedAndMadeValid()
    {
        var counter = _meter.CreateCounter<int>("c");
        counter.Add(1, new Tag("http.route", "a\\b\"c\nd,e=\"f\"} 7"), new Tag("9lives", true), new Tag("le", null), new Tag("__name__", 1.5));
        counter.Add(1, new Tag("a.b", "x"), new Tag("a_b", "y"));
        var family = Read()["c"];
        Assert.Equal(1, family.Value("_total",
            ("http_route", "a\\b\"c\nd,e=\"f\"} 7"), ("_9lives", "true"), ("le_", ""), ("_name__", "1.5")));
        Assert.Equal(1, family.Value("_total", ("a_b", "x;y")));
    }

    [Fact]
    public void Series_BeyondTheCap_AreCountedAsDropped()
    {
        var counter = _meter.CreateCounter<int>("many");
        for (var i = 0; i < 25; i++)
            counter.Add(1, new Tag("id", i));
        counter.Add(1, new Tag("id", 3));

        var read = Read();
        Assert.Equal(10, read["many"].Samples.Count);
        Assert.Equal(2, read["many"].Value("_total", ("id", "3")));
        Assert.Equal(15, read["conclave_metrics_dropped"].Value("_total", ("metric", "many")));
    }

    [Fact]
    public void Instruments_OfOneNameAndOtherTypes_ShowTheFirst()
    {
        _meter.CreateCounter<int>("same").Add(1);
        _meter.CreateGauge<int>("same").Record(7);
        Assert.Equal("counter", Read()["same"].Type);
    }

    [Fact]
    public async Task Recording_FromManyThreads_LosesNothing()
    {
        var counter = _meter.CreateCounter<long>("hits");
        var histogram = _meter.CreateHistogram<double>("times", "s");
        counter.Add(0);
        using var stop = new CancellationTokenSource();
        var reader = Task.Run(() => { while (!stop.IsCancellationRequested) Read(); });
        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(() =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                counter.Add(1, new Tag("thread", i % 4));
                histogram.Record(0.25, new Tag("odd", (i & 1) == 1));
            }
        })));
        await stop.CancelAsync();
        await reader;

        var read = Read();
        Assert.Equal(160_000, read["hits"].Samples.Sum(s => s.Value));
        Assert.Equal(80_000, read["times_seconds"].Value("_count", ("odd", "true")));
        Assert.Equal(20_000, read["times_seconds"].Value("_sum", ("odd", "false")));
    }

    [Fact]
    public void Recording_KnownSeries_AllocatesNothing()
    {
        var counter = _meter.CreateCounter<long>("cheap");
        var histogram = _meter.CreateHistogram<double>("cheap.too");
        Record(100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Record(1_000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Record(int times)
        {
            for (var i = 0; i < times; i++)
            {
                counter.Add(1, new Tag("kind", "run"), new Tag("priority", "p2"));
                histogram.Record(0.3, new Tag("kind", "run"));
            }
        }
    }

    [Theory]
    [InlineData("dotnet.process.memory.working_set", "By", "dotnet_process_memory_working_set_bytes")]
    [InlineData("http.server.request.duration", "s", "http_server_request_duration_seconds")]
    [InlineData("already_seconds", "s", "already_seconds")]
    [InlineData("disk.io", "By/s", "disk_io_bytes_per_second")]
    [InlineData("jobs.total", "{job}", "jobs")]
    [InlineData("8ball--x", null, "_8ball_x")]
    public void Name_OfAnInstrument_BecomesPrometheusStyle(string name, string? unit, string expected) =>
        Assert.Equal(expected, PrometheusNames.Metric(name, unit, isGauge: false));

    [Theory]
    [InlineData("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1", true)]
    [InlineData("application/openmetrics-text; version=\"1.0.0\"", true)]
    [InlineData("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.2", false)]
    [InlineData("application/openmetrics-text;version=2.0.0", false)]
    [InlineData("*/*", false)]
    [InlineData("", false)]
    [InlineData(";;;", false)]
    public void Accept_OfAReader_ChoosesTheFormat(string accept, bool openMetrics) =>
        Assert.Equal(openMetrics, PrometheusEndpoint.PrefersOpenMetrics([accept]));

    [Fact]
    public async Task Endpoint_OfAServer_ShowsAspNetCoreKestrelAndTheRuntime()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddPrometheusMetrics();
        await using var app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        app.MapPrometheusMetrics();
        app.MapGet("/hello", () => "hello");
        await app.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        await client.GetStringAsync("/hello");

        using var plain = await client.GetAsync("/metrics");
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", plain.Content.Headers.ContentType?.ToString());
        var families = Exposition.Parse(await plain.Content.ReadAsStringAsync(), false);
        Assert.Contains("http_server_request_duration_seconds", families.Keys);
        Assert.Contains("kestrel_active_connections", families.Keys);
        Assert.Contains("dotnet_process_memory_working_set_bytes", families.Keys);
        Assert.Contains("dotnet_gc_collections", families.Keys);

        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.TryAddWithoutValidation("Accept", "application/openmetrics-text;version=1.0.0");
        using var open = await client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, open.StatusCode);
        Assert.Equal("application/openmetrics-text; version=1.0.0; charset=utf-8", open.Content.Headers.ContentType?.ToString());
        Exposition.Parse(await open.Content.ReadAsStringAsync(), true);
    }

    private Dictionary<string, Family> Read(bool openMetrics = false) => Exposition.Parse(Text(openMetrics), openMetrics);

    private string Text(bool openMetrics)
    {
        var buffer = new ArrayBufferWriter<byte>();
        _metrics.Write(buffer, openMetrics);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
