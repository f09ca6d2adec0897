using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Conclave.Inference.Budgets;
using Conclave.Inference.Caching;
using Conclave.Inference.Pool;
using Conclave.Inference.Providers;
using Conclave.Inference.Routing;
using Conclave.Inference.Scheduling;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Gateway;

/// <summary>Answers model calls with the servers of the pool: the path of a call that <c>docs/inference.md</c> describes.</summary>
/// <remarks>Holds no lock and no database connection while a model works. A call without an idempotency key or a budget does not wait for the database at all.</remarks>
public sealed partial class InferenceGateway : IInference, IAsyncDisposable
{
    private readonly ModelRouter _router;
    private readonly CallLog _log;
    private readonly BudgetLedger? _budgets;
    private readonly Snapshots _snapshots;
    private readonly IdempotentAnswers _answers;
    private readonly ResponseCache _cache;
    private readonly BoundedCache<float[]> _vectors;
    private readonly EmbedBatcher _batcher;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<string, byte> _running = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Makes a gateway.</summary>
    /// <param name="pool">The servers; follows them from now on.</param>
    /// <param name="router">Decides where calls go.</param>
    /// <param name="scheduler">Gives the slots out; gets its servers from the pool.</param>
    /// <param name="database">Where snapshots and stored answers are.</param>
    /// <param name="log">Where calls are recorded.</param>
    /// <param name="options">How calls are treated.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Told of servers that fail.</param>
    /// <param name="budgets">What calls may cost; null for no budgets.</param>
    public InferenceGateway(
        ServerPool pool, ModelRouter router, SlotScheduler scheduler, NpgsqlDataSource database, CallLog log, InferenceOptions options,
        TimeProvider time, ILogger<InferenceGateway> logger, BudgetLedger? budgets = null)
    {
        (Pool, _router, _log, Options, Time, _logger) = (pool, router, log, options, time, logger);
        _budgets = budgets;
        _snapshots = new Snapshots(database);
        _answers = new IdempotentAnswers(database, options.IdempotencyRetention, options.IdempotencyLease, options.LongestWait, time);
        _cache = new ResponseCache(database, options.CacheBytes / 2, options.CacheRetention, time, logger);
        _vectors = new BoundedCache<float[]>(options.CacheBytes / 2, options.CacheRetention, time);
        _batcher = new EmbedBatcher(this);
        Slots = new SlotQueue(pool, scheduler, options.LongestWait, time);
    }

    /// <summary>How calls are treated.</summary>
    public InferenceOptions Options { get; }

    internal ServerPool Pool { get; }

    internal SlotQueue Slots { get; }

    internal TimeProvider Time { get; }

    internal bool IsStopping => _stopping.IsCancellationRequested;

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChatResponseUpdate> StreamAsync(ChatCall call, CallReport report, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (ChoiceCount(call) is var choices and > 1)
        {
            await foreach (var update in StreamChoicesAsync(call, choices, report, cancellationToken))
                yield return update;
            yield break;
        }

        using var scope = new CallScope(this, call.Context, "chat", call.Model, report, call, cancellationToken);
        IAsyncEnumerator<ChatResponseUpdate>? updates = null;
        try
        {
            updates = scope.Begin(() => AnswerAsync(call, report, scope.Clock, scope.Token).GetAsyncEnumerator(scope.Token));
            while (await scope.MoveNextAsync(updates))
                yield return updates.Current;
        }
        finally
        {
            if (updates is not null)
                await updates.DisposeAsync();
            scope.End();
        }
    }

    /// <summary>Takes no more calls. Those with an idempotency key that can go on elsewhere are stored at once; the others end, as far as there is time.</summary>
    public async Task StopAsync(TimeSpan timeout)
    {
        await _stopping.CancelAsync();
        if (_running.IsEmpty)
            return;
        try
        {
            await _idle.Task.WaitAsync(timeout, Time);
        }
        catch (TimeoutException)
        {
            LogCutOff(_running.Count, timeout.TotalSeconds);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        Slots.Dispose();
        _stopping.Dispose();
        return ValueTask.CompletedTask;
    }

    internal static InferenceException Stopping() => new(
        InferenceFailure.Unavailable, "inference.stopping", "The gateway stops. Repeat the call; with the same idempotency key it goes on where it was.")
    {
        RetryAfter = TimeSpan.FromSeconds(5),
    };

    internal RoutePlan Plan(ChatCall call) => _router.Plan(call);

    internal RoutePlan Plan(EmbedCall call) => _router.Plan(call);

    /// <summary>Cancelled when the call is to be stored because the gateway stops.</summary>
    internal CancellationToken Draining(ChatCall call) => call.Context.IdempotencyKey is null ? CancellationToken.None : _stopping.Token;

    /// <summary>The server that has what the call's session said before.</summary>
    internal string? CachedServer(CallContext context) => _router.Affinity.Find(context)?.ServerId;

    internal void Answered(CallContext context, string callId, RouteCandidate candidate) =>
        _router.Affinity.Remember(context, callId, candidate.Server.Id, candidate.Model.Name);

    internal async Task StoreSnapshotAsync(ChatCall call, CallSnapshot snapshot, string callId, CancellationToken cancellationToken)
    {
        try
        {
            await _snapshots.StoreAsync(call.Context.Tenant, SnapshotKey(call, callId), snapshot, cancellationToken);
        }
        catch (NpgsqlException exception)
        {
            // The text is in memory too; only a crash would lose it.
            LogSnapshotNotStored(callId, exception);
        }
    }

    private static string SnapshotKey(ChatCall call, string callId) => call.Context.IdempotencyKey is { } key ? $"key:{key}" : $"call:{callId}";

    private async Task ForgetSnapshotAsync(ChatCall call, string callId)
    {
        try
        {
            await _snapshots.DeleteAsync(call.Context.Tenant, SnapshotKey(call, callId), CancellationToken.None);
        }
        catch (NpgsqlException exception)
        {
            LogSnapshotNotStored(callId, exception);
        }
    }

    private void Begin(string callId)
    {
        if (IsStopping)
            throw Stopping();
        _running.TryAdd(callId, 0);
    }

    private void End(CallRecord record)
    {
        _running.TryRemove(record.Id, out _);
        if (IsStopping && _running.IsEmpty)
            _idle.TrySetResult();
        _log.Add(record);
    }

    [LoggerMessage(4202, LogLevel.Warning, "Call {CallId}: the model server {Server} failed with {Model} ({Failure}): {Message}")]
    internal partial void LogServerFailed(string callId, string server, string model, ModelServerFailure failure, string message);

    [LoggerMessage(4203, LogLevel.Warning, "The text so far of call {CallId} could not be stored or deleted; the call goes on")]
    private partial void LogSnapshotNotStored(string callId, Exception exception);

    [LoggerMessage(4204, LogLevel.Warning, "{Count} model calls had not ended {Seconds:0.#} s after the gateway was told to stop; they are cut off")]
    private partial void LogCutOff(int count, double seconds);

    [LoggerMessage(4205, LogLevel.Error, "Call {CallId} failed for a reason that is the gateway's own")]
    private partial void LogUnexpected(string callId, Exception exception);
}
