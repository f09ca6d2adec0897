using System.Globalization;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using Conclave.Inference.Providers;
using Conclave.Inference.Providers.OpenAI;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Remote;

/// <summary>Model calls through a gateway in another process: OpenAI's API with our own headers, which <c>docs/inference.md</c> lists.</summary>
/// <remarks>Its key needs the rights <c>exec:models</c> and <c>manage:inference</c>: calls name agents and instances.</remarks>
public sealed class RemoteInference : IInference, IDisposable
{
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private readonly ModelServerConnection _connection;
    private readonly TimeProvider _time;

    /// <summary>Prepares calls.</summary>
    /// <param name="address">The gateway's address, without <c>/v1</c>.</param>
    /// <param name="apiKey">The key.</param>
    /// <param name="time">The clock.</param>
    public RemoteInference(Uri address, string apiKey, TimeProvider time)
    {
        _time = time;
        // Calls wait in the gateway's queue in silence, and how many there are is for the gateway to say.
        var server = new ModelServer { Id = "gateway", Name = "gateway", Provider = "openai-compatible", Address = address, Slots = 10_000, Timeout = Silence };
        _connection = new ModelServerConnection(server, apiKey, time, ("Authorization", "Bearer " + apiKey));
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChatResponseUpdate> StreamAsync(ChatCall call, CallReport report, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var began = _time.GetTimestamp();
        var chat = new OpenAIChat(OpenAIHost.Compatible, ConnectionOf(call.Context, report));
        var options = call.Options.Clone();
        options.ModelId = call.Model;
        report.Tell(CallPhase.Queued);
        var updates = chat.GetStreamingResponseAsync(call.Messages, options, cancellationToken).GetAsyncEnumerator(cancellationToken);
        var isDone = false;
        try
        {
            while (true)
            {
                try
                {
                    if (!await updates.MoveNextAsync())
                        break;
                }
                catch (ModelServerException exception)
                {
                    throw Failure(exception);
                }

                Take(updates.Current);
                yield return updates.Current;
            }

            isDone = true;
        }
        finally
        {
            await updates.DisposeAsync();
            report.Tell(isDone ? CallPhase.Completed : cancellationToken.IsCancellationRequested ? CallPhase.Cancelled : CallPhase.Failed);
        }

        void Take(ChatResponseUpdate update)
        {
            report.TimeToFirstToken ??= _time.GetElapsedTime(began);
            report.Tell(CallPhase.Streaming);
            foreach (var usage in update.Contents.OfType<UsageContent>())
                Count(usage.Details, report);
        }
    }

    /// <inheritdoc/>
    public async Task<GeneratedEmbeddings<Embedding<float>>> EmbedAsync(EmbedCall call, CallReport report, CancellationToken cancellationToken)
    {
        report.Tell(CallPhase.Queued);
        try
        {
            var vectors = await new OpenAIEmbeddings(OpenAIHost.Compatible, ConnectionOf(call.Context, report)).GenerateAsync(
                call.Texts, new EmbeddingGenerationOptions { ModelId = call.Model, Dimensions = call.Dimensions }, cancellationToken);
            if (vectors.Usage is { } usage)
                Count(usage, report);
            report.Tell(CallPhase.Completed);
            return vectors;
        }
        catch (ModelServerException exception)
        {
            report.Tell(CallPhase.Failed);
            throw Failure(exception);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _connection.Dispose();

    private static void Count(UsageDetails usage, CallReport report) =>
        (report.InputTokens, report.OutputTokens, report.CachedInputTokens) = (usage.InputTokenCount ?? 0, usage.OutputTokenCount ?? 0, usage.CachedInputTokenCount ?? 0);

    private ModelServerConnection ConnectionOf(CallContext context, CallReport report)
    {
        var headers = new List<(string, string)>
        {
            ("x-conclave-priority", context.Priority.ToString()),
            ("x-conclave-data-policy", context.DataPolicy == DataPolicy.LocalOnly ? "local-only" : "any"),
            ("x-conclave-cache", context.Cache switch { CachePolicy.Use => "use", CachePolicy.Refresh => "refresh", _ => "off" }),
        };
        Add("x-conclave-agent", context.AgentId);
        Add("x-conclave-instance", context.InstanceId);
        Add("x-conclave-session", context.SessionId);
        Add("x-conclave-parent", context.ParentId);
        Add("x-conclave-reservation", context.Reservation?.ToString());
        Add("x-conclave-max-cost", context.MaxCost?.ToString(CultureInfo.InvariantCulture));
        Add("Idempotency-Key", context.IdempotencyKey);
        Add("x-conclave-tags", context.RequiredTags.Count > 0 ? string.Join(',', context.RequiredTags) : null);
        if (context.Deadline is { } deadline)
            Add("x-conclave-timeout-ms", Math.Max(1, (int)Math.Min(int.MaxValue, (deadline - _time.GetUtcNow()).TotalMilliseconds)).ToString(CultureInfo.InvariantCulture));
        return _connection.With(headers, answer => Read(answer, report));

        void Add(string name, string? value)
        {
            if (value is not null)
                headers.Add((name, value));
        }
    }

    private static void Read(HttpResponseHeaders headers, CallReport report)
    {
        report.Server = Text("x-conclave-backend");
        report.Model = Text("x-conclave-model");
        report.IsLocal = Text("x-conclave-local") == "true";
        report.Cache = Text("x-conclave-cache") switch { "hit" => CacheOutcome.Hit, "replay" => CacheOutcome.Replay, _ => CacheOutcome.Miss };
        if (double.TryParse(Text("x-conclave-overhead-ms"), NumberStyles.Float, CultureInfo.InvariantCulture, out var overhead))
            report.Overhead = TimeSpan.FromMilliseconds(overhead);
        report.Tell(CallPhase.Running);

        string? Text(string name) => headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;
    }

    // What the gateway said, in its own words again: OpenAI's API has names of its own for some of them.
    private static InferenceException Failure(ModelServerException exception)
    {
        var failure = (exception.Status, exception.Code) switch
        {
            (_, "context_length_exceeded") => InferenceFailure.ContextTooLong,
            (_, "model_not_found") => InferenceFailure.ModelNotFound,
            (_, "insufficient_quota") => InferenceFailure.BudgetExhausted,
            (_, "rate_limit_exceeded") => InferenceFailure.QueueFull,
            (_, "inference.schema_mismatch") => InferenceFailure.SchemaMismatch,
            (504, _) or (_, "inference.deadline_exceeded") => InferenceFailure.DeadlineExceeded,
            (503, _) or (_, "inference.stopping") => InferenceFailure.Unavailable,
            (409 or 422, _) => InferenceFailure.IdempotencyConflict,
            (401 or 403, _) => InferenceFailure.Forbidden,
            (400, _) => InferenceFailure.BadRequest,
            (null, null) when exception.Failure == ModelServerFailure.Unreachable => InferenceFailure.Unavailable,
            _ => InferenceFailure.ServerFailed,
        };
        var code = failure switch
        {
            _ when exception.Code?.StartsWith("inference.", StringComparison.Ordinal) == true => exception.Code,
            InferenceFailure.BadRequest => "inference.bad_request",
            InferenceFailure.ContextTooLong => "inference.context_too_long",
            InferenceFailure.ModelNotFound => "inference.model_not_found",
            InferenceFailure.Forbidden => "inference.not_allowed",
            InferenceFailure.BudgetExhausted => "inference.budget_exhausted",
            InferenceFailure.QueueFull => "inference.queue_full",
            InferenceFailure.Unavailable => exception.Failure == ModelServerFailure.Unreachable ? "inference.gateway_away" : "inference.unavailable",
            InferenceFailure.DeadlineExceeded => "inference.deadline_exceeded",
            _ => "inference.server_failed",
        };
        return new InferenceException(failure, code, exception.Said ?? exception.Message, exception)
        {
            // A call with the same key that still runs will have ended by then, or be asked for again.
            RetryAfter = exception.Status == 409 ? Patience : exception.RetryAfter,
        };
    }
}
