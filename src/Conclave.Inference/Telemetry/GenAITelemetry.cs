using System.Diagnostics;
using System.Diagnostics.Metrics;
using Conclave.Inference.Budgets;
using Conclave.Inference.Gateway;
using Conclave.Inference.Scheduling;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Telemetry;

/// <summary>What the gateway tells of calls: the names of its spans and metrics, and the calls that record them.</summary>
/// <remarks>
/// <para>OpenTelemetry's conventions for generative AI, as of the schema <see cref="SchemaUrl"/>; all of them are still in development, so the names are
/// in this file alone. <c>OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental</c> adds the counters that are to replace <c>gen_ai.client.token.usage</c>.</para>
/// <para>Content of messages is recorded only with <c>OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true</c>. Tags of metrics come from closed sets:
/// servers and models, never ids.</para>
/// </remarks>
public static partial class GenAITelemetry
{
    /// <summary>Version of the conventions.</summary>
    public const string SchemaUrl = "https://opentelemetry.io/schemas/gen-ai/1.42.0";

    /// <summary>Name of the source and meter of OpenTelemetry's names.</summary>
    public const string SourceName = "Conclave.Inference";

    private const string Operation = "gen_ai.operation.name";
    private const string Provider = "gen_ai.provider.name";
    private const string RequestModel = "gen_ai.request.model";
    private const string ResponseModel = "gen_ai.response.model";
    private const string TokenType = "gen_ai.token.type";
    private const string ErrorType = "error.type";
    private const string ServerTag = "server";
    private const string ModelTag = "model";
    private const string PriorityTag = "priority";
    private const string OutcomeTag = "outcome";
    private const string ScopeTag = "scope";
    private const string BudgetTag = "budget";

    private static readonly bool IsLatest = (Environment.GetEnvironmentVariable("OTEL_SEMCONV_STABILITY_OPT_IN") ?? "")
        .Split(',', StringSplitOptions.TrimEntries).Contains("gen_ai_latest_experimental", StringComparer.Ordinal);

    /// <summary>Whether spans have what was asked and answered.</summary>
    internal static readonly bool CapturesContent =
        string.Equals(Environment.GetEnvironmentVariable("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"), "true", StringComparison.OrdinalIgnoreCase);

    private static readonly ActivitySource Source = new(new ActivitySourceOptions(SourceName) { TelemetrySchemaUrl = SchemaUrl });
    private static readonly Meter Meter = new(new MeterOptions(SourceName) { TelemetrySchemaUrl = SchemaUrl });

    private static readonly Histogram<double> Duration = Seconds("gen_ai.client.operation.duration", "Time a call took, queue included.");
    private static readonly Histogram<double> FirstChunk = Seconds("gen_ai.client.operation.time_to_first_chunk", "From the call to its first token.");
    private static readonly Histogram<double> EachChunk = Meter.CreateHistogram(
        "gen_ai.client.operation.time_per_output_chunk", "s", "Time for each token after the first one.", null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5] });
    private static readonly Histogram<double> ServerDuration = Seconds("gen_ai.server.request.duration", "Time to the last token of a request, as the gateway serves it: answers from caches and refusals too.");
    private static readonly Histogram<double> ServerFirstToken = Meter.CreateHistogram(
        "gen_ai.server.time_to_first_token", "s", "From a request to its first token, queue and reading the prompt included, of answers that were given.", null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] });
    private static readonly Histogram<double> ServerEachToken = Meter.CreateHistogram(
        "gen_ai.server.time_per_output_token", "s", "Time for each token after the first one, of answers that were given.", null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5] });
    private static readonly Histogram<long> TokenUsage = Meter.CreateHistogram(
        "gen_ai.client.token.usage", "{token}", "Tokens of a call.", null,
        new InstrumentAdvice<long> { HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864] });
    private static readonly Counter<long>? InferenceTokens = IsLatest ? Meter.CreateCounter<long>("gen_ai.client.inference.tokens", "{token}", "Tokens of calls.") : null;

    private static readonly Counter<long> Calls = Meter.CreateCounter<long>("conclave.inference.calls", "{call}", "Model calls that ended.");
    private static readonly Counter<long> TokensTotal = Meter.CreateCounter<long>("conclave.inference.tokens", "{token}", "Tokens that models read and wrote.");
    private static readonly Counter<double> Cost = Meter.CreateCounter<double>("conclave.inference.cost", "{currency}", "What calls cost, in the currency of the prices.");
    private static readonly Counter<long> Answers = Meter.CreateCounter<long>("conclave.inference.answers", "{call}", "Answers of models, by whether the server is one of the house: the share of local calls.");
    private static readonly Histogram<double> Wait = Seconds("conclave.inference.queue.age", "How long a call waited for a slot, all slices together.");
    private static readonly Histogram<double> Overhead = Meter.CreateHistogram(
        "conclave.inference.overhead", "s", "The gateway's own time for a call.", null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1] });
    private static readonly Counter<long> Slices = Meter.CreateCounter<long>("conclave.inference.slices", "{slice}", "Stays of calls on servers; more than calls when some were stopped and continued.");

    private static readonly Counter<long> Refused = Meter.CreateCounter<long>("conclave.inference.budget.refused", "{call}", "Calls that a budget did not suffice for.");

    /// <summary>Counts a call that a budget did not suffice for.</summary>
    /// <param name="scope">Whose budget: tenant, agent, instance, api-key; run for what was set aside for a run.</param>
    internal static void BudgetRefused(string scope) => Refused.Add(1, new KeyValuePair<string, object?>(ScopeTag, scope));

    /// <summary>Begins the span of a call; null when nobody listens.</summary>
    internal static Activity? Begin(string operation, string model, CallContext context, ChatCall? call, bool capturesContent)
    {
        var span = Source.StartActivity($"{operation} {model}", ActivityKind.Client);
        if (span is not { IsAllDataRequested: true })
            return span;
        span.SetTag(Operation, operation);
        span.SetTag(RequestModel, model);
        Tag("gen_ai.conversation.id", context.SessionId);
        Tag("gen_ai.agent.id", context.AgentId);
        if (call is null)
            return span;
        var options = call.Options;
        span.SetTag("gen_ai.request.stream", true);
        Tag("gen_ai.request.temperature", options.Temperature);
        Tag("gen_ai.request.top_p", options.TopP);
        Tag("gen_ai.request.top_k", options.TopK);
        Tag("gen_ai.request.seed", options.Seed);
        Tag("gen_ai.request.max_tokens", options.MaxOutputTokens);
        Tag("gen_ai.request.frequency_penalty", options.FrequencyPenalty);
        Tag("gen_ai.request.presence_penalty", options.PresencePenalty);
        Tag("gen_ai.request.stop_sequences", options.StopSequences?.ToArray());
        Tag("gen_ai.output.type", options.ResponseFormat is ChatResponseFormatJson ? "json" : "text");
        if (!capturesContent)
            return span;
        span.SetTag("gen_ai.input.messages", SpanMessages.Write(call.Messages.Where(m => m.Role != ChatRole.System)));
        if (call.Messages.Any(m => m.Role == ChatRole.System))
            span.SetTag("gen_ai.system_instructions", SpanMessages.WriteParts(call.Messages.Where(m => m.Role == ChatRole.System)));
        if (options.Tools is { Count: > 0 } tools)
            span.SetTag("gen_ai.tool.definitions", SpanMessages.Write(tools));
        return span;

        void Tag(string name, object? value)
        {
            if (value is not null)
                span.SetTag(name, value);
        }
    }

    /// <summary>Ends it, and counts.</summary>
    /// <param name="span">The span.</param>
    /// <param name="record">How the call ended.</param>
    /// <param name="server">Where its last server is; null when there was none.</param>
    /// <param name="usage">What the server counted beyond the record; null where that is not known.</param>
    /// <param name="finish">Why the model stopped; null when it did not.</param>
    /// <param name="response">What it said; null unless content is recorded.</param>
    internal static void End(Activity? span, CallRecord record, Uri? server = null, UsageDetails? usage = null, ChatFinishReason? finish = null, ChatResponse? response = null)
    {
        var seconds = (record.EndedAt - record.CreatedAt).TotalSeconds;
        if (span is { IsAllDataRequested: true })
        {
            span.SetTag(Provider, record.Provider);
            span.SetTag(ResponseModel, record.Model);
            span.SetTag("gen_ai.response.id", record.Id);
            span.SetTag("gen_ai.usage.input_tokens", record.InputTokens);
            span.SetTag("gen_ai.usage.output_tokens", record.OutputTokens);
            span.SetTag("gen_ai.usage.cache_read.input_tokens", record.CachedInputTokens);
            span.SetTag("gen_ai.response.time_to_first_chunk", record.TimeToFirstToken?.TotalSeconds);
            span.SetTag("gen_ai.usage.reasoning.output_tokens", usage?.ReasoningTokenCount);
            span.SetTag("gen_ai.response.finish_reasons", finish is { } reason ? new[] { reason.Value } : null);
            span.SetTag("server.address", server?.Host);
            span.SetTag("server.port", server is { IsFile: false } ? server.Port : null);
            span.SetTag("conclave.inference.server", record.Server);
            if (response is not null)
                span.SetTag("gen_ai.output.messages", SpanMessages.Write(response.Messages, finish?.Value));
            if (record.Error is { } error)
            {
                span.SetTag(ErrorType, error);
                span.SetStatus(ActivityStatusCode.Error);
            }
        }

        span?.Dispose();
        var outcome = record.Outcome switch { CallPhase.Completed => "completed", CallPhase.Failed => "failed", _ => "cancelled" };
        var priority = record.Context.Priority switch { CallPriority.P0 => "p0", CallPriority.P1 => "p1", CallPriority.P2 => "p2", _ => "p3" };
        Calls.Add(1, new(OutcomeTag, outcome), new(PriorityTag, priority), new("cache", record.Cache switch { CacheOutcome.Miss => "miss", CacheOutcome.Hit => "hit", _ => "replay" }));
        Overhead.Record(record.Overhead.TotalSeconds);
        var tags = new TagList { { Operation, record.Operation }, { Provider, record.Provider }, { ResponseModel, record.Model } };
        if (record.Error is not null)
            tags.Add(ErrorType, record.Error);
        ServerDuration.Record(seconds, tags);
        if (record.Slices.Count == 0)
            return;
        var waited = record.Slices.Sum(s => (s.StartedAt - s.QueuedAt).TotalSeconds);
        Wait.Record(waited, new KeyValuePair<string, object?>(PriorityTag, priority));
        Slices.Add(record.Slices.Count, new KeyValuePair<string, object?>(PriorityTag, priority));
        Duration.Record(seconds, tags);
        var isAnswered = record.Outcome == CallPhase.Completed;
        if (record.TimeToFirstToken is { } first)
        {
            FirstChunk.Record(first.TotalSeconds, tags);
            if (isAnswered)
                ServerFirstToken.Record(first.TotalSeconds, tags);
            if (record.OutputTokens > 1)
            {
                var each = (seconds - first.TotalSeconds) / (record.OutputTokens - 1);
                EachChunk.Record(each, tags);
                if (isAnswered)
                    ServerEachToken.Record(each, tags);
            }
        }

        if (isAnswered)
            Answers.Add(1, new KeyValuePair<string, object?>("local", record.IsLocal ? "true" : "false"));
        Count("input", record.InputTokens);
        Count("output", record.OutputTokens);
        Cost.Add((double)record.Cost, new(ServerTag, record.Server), new(ModelTag, record.Model));

        void Count(string type, long tokens)
        {
            TokenUsage.Record(tokens, new(Operation, record.Operation), new(Provider, record.Provider), new(ResponseModel, record.Model), new(TokenType, type));
            InferenceTokens?.Add(tokens, new(Operation, record.Operation), new(Provider, record.Provider), new(ResponseModel, record.Model), new(TokenType, type));
            TokensTotal.Add(tokens, new(ServerTag, record.Server), new(ModelTag, record.Model), new("type", type));
        }
    }

    /// <summary>Shows slots and queues until disposed.</summary>
    /// <param name="scheduler">Who has which slot.</param>
    /// <param name="name">Name of a server by its id.</param>
    /// <param name="log">Records that could not be kept.</param>
    /// <param name="budgets">What may be spent.</param>
    public static IDisposable Observe(SlotScheduler scheduler, Func<string, string> name, CallLog log, BudgetLedger budgets)
    {
        var meter = new Meter(new MeterOptions(SourceName) { TelemetrySchemaUrl = SchemaUrl });
        meter.CreateObservableGauge("conclave.inference.slots", () => Loads(l => l.Slots), "{slot}", "Slots of servers that this process may use.");
        meter.CreateObservableGauge("conclave.inference.running", () => Loads(l => l.Running), "{call}", "Calls that have a slot.");
        meter.CreateObservableGauge("conclave.inference.waiting", () => Loads(l => l.Waiting), "{call}", "Calls that could use a slot of the server; one that may go to several counts on each.");
        meter.CreateObservableGauge(
            "conclave.inference.queue.oldest",
            () =>
            {
                var snapshot = scheduler.Snapshot();
                return snapshot.Waiting.Count == 0 ? 0 : (snapshot.At - snapshot.Waiting.Min(w => w.QueuedAt)).TotalSeconds;
            },
            "s", "How long the oldest waiting call has waited.");
        meter.CreateObservableCounter("conclave.inference.log.dropped", () => log.Dropped, "{call}", "Calls of which no record could be kept.");
        meter.CreateObservableGauge(
            "conclave.inference.budget.used", () => budgets.Shares.Select(b => new Measurement<double>(b.Share, new KeyValuePair<string, object?>(BudgetTag, b.Budget))), "1",
            "Spent and set aside of a budget in its period, of money or of tokens, whichever is more; of a budget for each subject that of the subject that has used most.");
        return meter;

        IEnumerable<Measurement<int>> Loads(Func<ServerLoad, int> value) =>
            scheduler.Snapshot().Servers.Select(l => new Measurement<int>(value(l), new KeyValuePair<string, object?>(ServerTag, name(l.Server))));
    }

    private static Histogram<double> Seconds(string name, string description) => Meter.CreateHistogram(
        name, "s", description, null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92] });
}
