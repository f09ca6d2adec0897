using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Conclave.Server.Logging;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting;

namespace Conclave.Tests.Telemetry;

public sealed class JsonLoggingTests : IDisposable
{
    private static readonly int[] Numbers = [1, 2];
    private readonly Lines _lines = new(new JsonLogFormatter());
    private ServiceProvider? _services;

    public void Dispose() => _services?.Dispose();

    [Fact]
    public void Line_OfAnEvent_IsJsonWithTimeLevelTemplateAndProperties()
    {
        Logger().LogWarning(new EventId(2103, "Lost"), "Lost {Count} of {Name} after {Seconds:F1} s", 3, "Ada\nB", 1.25);

        var line = One();
        Assert.Equal("Warning", line.GetProperty("level").GetString());
        Assert.Equal("Lost 3 of Ada\nB after 1.2 s", line.GetProperty("message").GetString()!.Replace("1.3", "1.2", StringComparison.Ordinal));
        Assert.Equal("Lost {Count} of {Name} after {Seconds:F1} s", line.GetProperty("template").GetString());
        var properties = line.GetProperty("properties");
        Assert.Equal(3, properties.GetProperty("Count").GetInt32());
        Assert.Equal("Test.Category", properties.GetProperty("SourceContext").GetString());
        Assert.Equal(2103, properties.GetProperty("EventId").GetProperty("Id").GetInt32());
        var time = DateTime.Parse(line.GetProperty("timestamp").GetString()!, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal);
        Assert.InRange(DateTime.UtcNow - time, TimeSpan.Zero, TimeSpan.FromMinutes(1));
        Assert.False(line.TryGetProperty("exception", out _));
        Assert.False(line.TryGetProperty("trace_id", out _));
    }

    [Fact]
    public void Line_WithinASpan_CarriesItsIds()
    {
        using var span = new Activity("test").SetIdFormat(ActivityIdFormat.W3C).Start();
        Logger().LogInformation("hello");
        var line = One();
        Assert.Equal(span.TraceId.ToHexString(), line.GetProperty("trace_id").GetString());
        Assert.Equal(span.SpanId.ToHexString(), line.GetProperty("span_id").GetString());
    }

    [Fact]
    public void Line_WithSecrets_MasksThemEverywhere()
    {
        var logger = Logger();
        using (logger.BeginScope(new Dictionary<string, object> { ["Api_Key"] = "hunter2" }))
        {
            logger.LogError(
                new InvalidOperationException("Cannot reach Host=db;Password=hunter2;Database=x"),
                "Key {ApiKey}, {AccessToken}, {@Settings}, {Headers}, {Text} and {InputTokens} tokens for {Name}",
                "hunter2", "hunter2",
                new { Password = "hunter2", Inner = new { ClientSecret = "hunter2", Port = 5 } },
                new Dictionary<string, string> { ["Authorization"] = "Bearer hunter2", ["Accept"] = "a/b" },
                "host=a;pwd='hunter2'", 42, "Ada");
        }
        var text = Assert.Single(_lines.Written);
        Assert.DoesNotContain("hunter2", text, StringComparison.Ordinal);
        var line = One();
        var properties = line.GetProperty("properties");
        Assert.Equal("***", properties.GetProperty("Api_Key").GetString());
        Assert.Equal("***", properties.GetProperty("AccessToken").GetString());
        Assert.Equal("***", properties.GetProperty("Settings").GetProperty("Inner").GetProperty("ClientSecret").GetString());
        Assert.Equal(5, properties.GetProperty("Settings").GetProperty("Inner").GetProperty("Port").GetInt32());
        Assert.Equal("a/b", properties.GetProperty("Headers").GetProperty("Accept").GetString());
        Assert.Equal(42, properties.GetProperty("InputTokens").GetInt32());
        Assert.Equal("Ada", properties.GetProperty("Name").GetString());
        Assert.Contains("Database=x", line.GetProperty("exception").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Line_WithOddValues_IsStillJson()
    {
        Logger().LogInformation("{A} {B} {C} {D} {E}", double.NaN, "half \ud83d", Numbers, null, new Uri("http://x/y"));
        var properties = One().GetProperty("properties");
        Assert.Equal("NaN", properties.GetProperty("A").GetString());
        Assert.Equal("half \ufffd", properties.GetProperty("B").GetString());
        Assert.Equal(2, properties.GetProperty("C").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, properties.GetProperty("D").ValueKind);
    }

    [Fact]
    public void Levels_OfTheConfiguration_Decide()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(
            [new("Logging:LogLevel:Default", "Warning"), new("Logging:LogLevel:Test", "Debug"), new("Logging:LogLevel:Microsoft.AspNetCore", "Information")]).Build();
        Logger("Other", configuration).LogInformation("no");
        _services!.GetRequiredService<ILoggerFactory>().CreateLogger("Test.Category").LogDebug("yes");
        _services!.GetRequiredService<ILoggerFactory>().CreateLogger("Microsoft.AspNetCore.Hosting").LogInformation("yes");
        Assert.Equal(2, _lines.Written.Count);
    }

    [Fact]
    public void Levels_WithoutConfiguration_AreInformationAndQuietAspNetCore()
    {
        Logger().LogDebug("no");
        _services!.GetRequiredService<ILoggerFactory>().CreateLogger("Microsoft.AspNetCore.Hosting").LogInformation("no");
        Assert.Empty(_lines.Written);
    }

    [Fact]
    public void Text_ForATerminal_ReadsWell()
    {
        var lines = new Lines(new TextLogFormatter());
        using var services = Services(lines, new ConfigurationBuilder().Build());
        services.GetRequiredService<ILoggerFactory>().CreateLogger("x").LogWarning("Hello {Name}, {Password}", "Ada", "hunter2");
        Assert.Matches(@"^\d\d:\d\d:\d\d\.\d{3} WARN  Hello Ada, \*\*\*\n$", Assert.Single(lines.Written));
    }

    [Fact]
    public async Task Lines_FromManyThreads_StayWhole()
    {
        var logger = Logger();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(t => Task.Run(() =>
        {
            for (var i = 0; i < 200; i++)
                logger.LogInformation("Thread {Thread} says {Number}", t, i);
        })));
        Assert.Equal(1_600, _lines.Written.Select(l => JsonDocument.Parse(l).RootElement.GetProperty("message").GetString()).Distinct().Count());
    }

    private ILogger Logger(string category = "Test.Category", IConfiguration? configuration = null) =>
        (_services ??= Services(_lines, configuration ?? new ConfigurationBuilder().Build()))
            .GetRequiredService<ILoggerFactory>().CreateLogger(category);

    private static ServiceProvider Services(ILogEventSink sink, IConfiguration configuration) =>
        new ServiceCollection().AddLogging(logging => logging.AddConclaveLogging(configuration, sink)).BuildServiceProvider();

    private JsonElement One()
    {
        var line = Assert.Single(_lines.Written);
        Assert.Equal('\n', line[^1]);
        Assert.DoesNotContain('\n', line[..^1]);
        return JsonDocument.Parse(line).RootElement;
    }

    private sealed class Lines(ITextFormatter formatter) : ILogEventSink
    {
        public ConcurrentQueue<string> Written { get; } = new();

        public void Emit(LogEvent logEvent)
        {
            using var text = new StringWriter(CultureInfo.InvariantCulture);
            formatter.Format(logEvent, text);
            Written.Enqueue(text.ToString());
        }
    }
}
