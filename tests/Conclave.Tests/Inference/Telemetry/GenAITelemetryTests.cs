using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Telemetry;
using Conclave.Tests.Inference.Gateway;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Telemetry;

public sealed class GenAITelemetryTests
{
    private static readonly string[] Content = ["gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions"];

    [Fact]
    public async Task Chat_Span_HasNamesOfTheConventionsAndNoContent()
    {
        await using var gateway = await StartAsync();
        using var spans = new Spans("session-of-the-span");

        await gateway.AskAsync(TestGateway.Call("a secret", Context("session-of-the-span"), new ChatOptions { Temperature = 0.5f, MaxOutputTokens = 100, StopSequences = ["x"] }));

        var span = Assert.Single(spans.All);
        Assert.Equal(("chat m", ActivityKind.Client, ActivityStatusCode.Unset), (span.DisplayName, span.Kind, span.Status));
        foreach (var (name, value) in new (string, object)[]
        {
            ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "fake"), ("gen_ai.request.model", "m"), ("gen_ai.response.model", "m"), ("gen_ai.agent.id", "ann"), ("gen_ai.request.temperature", 0.5f),
            ("gen_ai.request.max_tokens", 100), ("gen_ai.output.type", "text"), ("gen_ai.usage.input_tokens", 10L), ("gen_ai.usage.output_tokens", 3L), ("server.address", "a"), ("server.port", 1), ("conclave.inference.server", "a"),
        })
            Assert.Equal(value, span.GetTagItem(name));
        Assert.Equal(["stop"], Assert.IsType<string[]>(span.GetTagItem("gen_ai.response.finish_reasons")));
        Assert.Equal(["x"], Assert.IsType<string[]>(span.GetTagItem("gen_ai.request.stop_sequences")));
        Assert.True(span.GetTagItem("gen_ai.response.time_to_first_chunk") is double);
        Assert.All(Content, name => Assert.Null(span.GetTagItem(name)));
        Assert.DoesNotContain(span.TagObjects, tag => $"{tag.Value}".Contains("secret", StringComparison.Ordinal) || $"{tag.Value}".Contains("Hello from", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Chat_Fails_SpanSaysHow()
    {
        await using var gateway = await StartAsync();
        gateway.Models["a"].Answer = (_, _) => FakeServer.SayThenFail([], Conclave.Inference.Providers.ModelServerFailure.ServerError);
        using var spans = new Spans("session-of-the-failure");

        await gateway.FailAsync(TestGateway.Call(context: Context("session-of-the-failure")));

        var span = Assert.Single(spans.All);
        Assert.Equal((ActivityStatusCode.Error, "inference.server_failed"), (span.Status, span.GetTagItem("error.type")));
    }

    [Fact]
    public void Chat_ContentIsWanted_SpanHasItInTheShapeOfTheConventions()
    {
        using var spans = new Spans("session-with-content");
        var call = new ChatCall(
            Context("session-with-content"), "m",
            [new ChatMessage(ChatRole.System, "Be brief."), new ChatMessage(ChatRole.User, "Hi"), new ChatMessage(ChatRole.Assistant, [new FunctionCallContent("c1", "weather", new Dictionary<string, object?> { ["city"] = "Bern" })]), new ChatMessage(ChatRole.Tool, [new FunctionResultContent("c1", "sunny")])],
            new ChatOptions { Tools = [new ToolDeclaration("weather", "Tells it", JsonElement.Parse("""{"type":"object"}"""))] });
        var span = GenAITelemetry.Begin("chat", "m", call.Context, call, capturesContent: true);
        var record = new Conclave.Inference.Gateway.CallRecord { Id = "c", Context = call.Context, Operation = "chat", Requested = "m", Outcome = CallPhase.Completed, CreatedAt = default, EndedAt = default, Slices = [] };

        GenAITelemetry.End(span, record, finish: ChatFinishReason.Stop, response: new ChatResponse(new ChatMessage(ChatRole.Assistant, "Sunny.")));

        Assert.Equal(
            """[{"role":"user","parts":[{"type":"text","content":"Hi"}]},{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"weather","arguments":{"city":"Bern"}}]},{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"sunny"}]}]""",
            span!.GetTagItem("gen_ai.input.messages"));
        Assert.Equal("""[{"type":"text","content":"Be brief."}]""", span.GetTagItem("gen_ai.system_instructions"));
        Assert.Equal("""[{"role":"assistant","parts":[{"type":"text","content":"Sunny."}],"finish_reason":"stop"}]""", span.GetTagItem("gen_ai.output.messages"));
        Assert.Equal("""[{"type":"function","name":"weather","description":"Tells it","parameters":{"type":"object"}}]""", span.GetTagItem("gen_ai.tool.definitions"));
    }

    [Fact]
    public async Task Calls_Metrics_HaveNamesOfTheConventionsAndClosedTags()
    {
        await using var gateway = await StartAsync("metrics-model");
        var seen = new ConcurrentBag<(string Name, string? Unit, double Value, Dictionary<string, object?> Tags)>();
        using var listener = new MeterListener { InstrumentPublished = (instrument, l) => { if (instrument.Meter.Name == GenAITelemetry.SourceName) l.EnableMeasurementEvents(instrument); } };
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Add(instrument, value, tags));
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Add(instrument, value, tags));
        listener.Start();

        await gateway.AskAsync(TestGateway.Call(model: "metrics-model"));

        // Others test at the same time; the model is this test's alone.
        var mine = seen.Where(m => m.Tags.ContainsValue("metrics-model")).ToList();
        Assert.Single(mine, m => m is { Name: "gen_ai.client.operation.duration", Unit: "s" });
        Assert.Single(mine, m => m is { Name: "gen_ai.client.operation.time_to_first_chunk", Unit: "s" });
        Assert.Single(mine, m => m is { Name: "gen_ai.client.operation.time_per_output_chunk", Unit: "s" });
        Assert.Single(mine, m => m is { Name: "gen_ai.server.request.duration", Unit: "s" });
        Assert.Single(mine, m => m is { Name: "gen_ai.server.time_to_first_token", Unit: "s" });
        Assert.Single(mine, m => m is { Name: "gen_ai.server.time_per_output_token", Unit: "s" });
        Assert.Equal([("input", 10.0), ("output", 3.0)], mine.Where(m => m.Name == "gen_ai.client.token.usage").Select(m => ((string)m.Tags["gen_ai.token.type"]!, m.Value)).Order());
        Assert.Equal(13, mine.Where(m => m.Name == "conclave.inference.tokens").Sum(m => m.Value));
        Assert.Equal(0.000016, mine.Single(m => m.Name == "conclave.inference.cost").Value, 9);
        Assert.All(mine, m => Assert.Empty(m.Tags.Keys.Except(["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.response.model", "gen_ai.token.type", "server", "model", "type"])));

        void Add(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) => seen.Add((instrument.Name, instrument.Unit, value, new Dictionary<string, object?>(tags.ToArray())));
    }

    private static CallContext Context(string session) => new() { Tenant = TestGateway.Tenant, AgentId = "ann", SessionId = session };

    private static async Task<TestGateway> StartAsync(string model = "m")
    {
        var gateway = await TestGateway.StartAsync();
        gateway.Models["a"].Models = [new ServedModel { Name = model, Capabilities = ModelCapabilities.Chat, ContextSize = 100_000, InputPrice = 1m, OutputPrice = 2m }];
        await gateway.AddAsync("a");
        return gateway;
    }

    /// <summary>The spans of one session; other tests have theirs at the same time.</summary>
    private sealed class Spans : IDisposable
    {
        private readonly ActivityListener _listener;
        private readonly ConcurrentQueue<Activity> _all = new();

        public Spans(string session)
        {
            _listener = new ActivityListener
            {
                ShouldListenTo = source => source.Name == GenAITelemetry.SourceName,
                Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = span =>
                {
                    if ((string?)span.GetTagItem("gen_ai.conversation.id") == session)
                        _all.Enqueue(span);
                },
            };
            ActivitySource.AddActivityListener(_listener);
        }

        public IEnumerable<Activity> All => _all;

        public void Dispose() => _listener.Dispose();
    }
}
