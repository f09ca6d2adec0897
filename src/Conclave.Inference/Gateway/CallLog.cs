using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Inference.Gateway;

/// <summary>Writes the records of calls, many at a time and beside the calls: none waits for the database.</summary>
/// <remarks>When the database is away for so long that the queue is full, records are dropped and counted; calls go on.</remarks>
public sealed partial class CallLog : IAsyncDisposable
{
    private const int QueueSize = 20_000;
    private const int BatchSize = 1_000;
    private static readonly TimeSpan Window = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LastTry = TimeSpan.FromSeconds(5);

    private readonly Channel<object> _queue = Channel.CreateBounded<object>(new BoundedChannelOptions(QueueSize) { SingleReader = true });
    private readonly NpgsqlDataSource _database;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _writing;
    private long _dropped;

    /// <summary>Starts to write.</summary>
    public CallLog(NpgsqlDataSource database, ILogger<CallLog> logger)
    {
        (_database, _logger) = (database, logger);
        _writing = Task.Run(WriteAsync);
    }

    /// <summary>Records that were dropped because the queue was full.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>Takes a record.</summary>
    public void Add(CallRecord record)
    {
        if (!_queue.Writer.TryWrite(record))
            Interlocked.Increment(ref _dropped);
    }

    /// <summary>Waits until what was added before has been written.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        var mark = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await _queue.Writer.WriteAsync(mark, cancellationToken);
        await mark.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Writes what is left, for at most 5 seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        _stop.CancelAfter(LastTry);
        await _writing;
        _stop.Dispose();
    }

    private async Task WriteAsync()
    {
        var records = new List<CallRecord>(BatchSize);
        var marks = new List<TaskCompletionSource>();
        while (await _queue.Reader.WaitToReadAsync())
        {
            // More come within a moment; a transaction for each would cost more than they do. Somebody who flushes does not wait.
            if (_queue.Reader.TryPeek(out var first) && first is CallRecord && !_queue.Reader.Completion.IsCompleted)
                await CollectAsync();
            while (records.Count < BatchSize && _queue.Reader.TryRead(out var item))
            {
                if (item is CallRecord record)
                    records.Add(record);
                else
                    marks.Add((TaskCompletionSource)item);
            }

            if (!await TryStoreAsync(records))
                Interlocked.Add(ref _dropped, records.Count);
            records.Clear();
            foreach (var mark in marks)
                mark.TrySetResult();
            marks.Clear();
        }
    }

    private async Task CollectAsync()
    {
        try
        {
            if (_queue.Reader.Count < BatchSize)
                await Task.Delay(Window, _stop.Token);
        }
        catch (OperationCanceledException)
        {
            // The last ones.
        }
    }

    private async Task<bool> TryStoreAsync(List<CallRecord> records)
    {
        while (records.Count > 0)
        {
            try
            {
                await StoreAsync(records, _stop.Token);
                return true;
            }
            catch (Exception exception) when (exception is not OutOfMemoryException)
            {
                LogNotWritten(records.Count, exception);
                if (exception is PostgresException { IsTransient: false } || _stop.IsCancellationRequested || _queue.Reader.Completion.IsCompleted)
                    return false;
                await Task.Delay(Pause, CancellationToken.None);
            }
        }

        return true;
    }

    private async Task StoreAsync(List<CallRecord> records, CancellationToken cancellationToken)
    {
        await using var connection = await _database.OpenConnectionAsync(cancellationToken);
        await using var rows = await connection.BeginBinaryImportAsync("""
            copy conclave.inference_call (tenant, id, created_at, ended_at, operation, requested, model, server, provider, is_local, agent_id, instance_id,
                api_key_id, session_id, parent_id, idempotency_key, priority, outcome, error, queued_at, started_at, slice_ended_at, slice_servers, slice_tokens,
                input_tokens, output_tokens, cached_tokens, cost, cache, first_token_ms, overhead_ms, decision) from stdin (format binary)
            """, cancellationToken);
        foreach (var record in records)
            await WriteAsync(rows, record, cancellationToken);
        await rows.CompleteAsync(cancellationToken);
    }

    private static async Task WriteAsync(NpgsqlBinaryImporter rows, CallRecord record, CancellationToken cancellationToken)
    {
        var context = record.Context;
        await rows.StartRowAsync(cancellationToken);
        await rows.WriteAsync(context.Tenant, cancellationToken);
        await rows.WriteAsync(record.Id, cancellationToken);
        await rows.WriteAsync(record.CreatedAt.ToUniversalTime(), NpgsqlDbType.TimestampTz, cancellationToken);
        await rows.WriteAsync(record.EndedAt.ToUniversalTime(), NpgsqlDbType.TimestampTz, cancellationToken);
        await TextAsync(record.Operation);
        await TextAsync(record.Requested);
        await TextAsync(record.Model);
        await TextAsync(record.Server);
        await TextAsync(record.Provider);
        await rows.WriteAsync(record.IsLocal, cancellationToken);
        await TextAsync(context.AgentId);
        await TextAsync(context.InstanceId);
        await TextAsync(context.ApiKeyId);
        await TextAsync(context.SessionId);
        await TextAsync(context.ParentId);
        await TextAsync(context.IdempotencyKey);
        await rows.WriteAsync((short)context.Priority, cancellationToken);
        await rows.WriteAsync((short)record.Outcome, cancellationToken);
        await TextAsync(record.Error);
        await TimesAsync(s => s.QueuedAt);
        await TimesAsync(s => s.StartedAt);
        await TimesAsync(s => s.EndedAt);
        await rows.WriteAsync(record.Slices.Select(s => s.Server).ToArray(), NpgsqlDbType.Array | NpgsqlDbType.Text, cancellationToken);
        await rows.WriteAsync(record.Slices.Select(s => s.Tokens).ToArray(), NpgsqlDbType.Array | NpgsqlDbType.Bigint, cancellationToken);
        await rows.WriteAsync(record.InputTokens, cancellationToken);
        await rows.WriteAsync(record.OutputTokens, cancellationToken);
        await rows.WriteAsync(record.CachedInputTokens, cancellationToken);
        await rows.WriteAsync(record.Cost, cancellationToken);
        await rows.WriteAsync((short)record.Cache, cancellationToken);
        if (record.TimeToFirstToken is { } first)
            await rows.WriteAsync(first.TotalMilliseconds, cancellationToken);
        else
            await rows.WriteNullAsync(cancellationToken);
        await rows.WriteAsync(record.Overhead.TotalMilliseconds, cancellationToken);
        await TextAsync(record.Decision is { } decision ? JsonSerializer.Serialize(decision, GatewayJson.Default.RouteDecision) : null);

        // PostgreSQL has no NUL characters.
        Task TextAsync(string? text) => text is null
            ? rows.WriteNullAsync(cancellationToken)
            : rows.WriteAsync(text.Contains('\0') ? text.Replace("\0", "") : text, cancellationToken);

        Task TimesAsync(Func<CallSlice, DateTimeOffset> column) =>
            rows.WriteAsync(record.Slices.Select(s => column(s).ToUniversalTime()).ToArray(), NpgsqlDbType.Array | NpgsqlDbType.TimestampTz, cancellationToken);
    }

    [LoggerMessage(4201, LogLevel.Warning, "{Count} records of model calls could not be written; they are tried again while there is room for more")]
    private partial void LogNotWritten(int count, Exception exception);
}
