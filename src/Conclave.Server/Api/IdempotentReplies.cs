using System.Security.Cryptography;
using System.Text;
using Conclave.Server.Hosting;
using Npgsql;

namespace Conclave.Server.Api;

/// <summary>What became of a request with an idempotency key that came before.</summary>
internal enum IdempotencyState
{
    /// <summary>It is the first; it must be ended.</summary>
    First,

    /// <summary>It was answered.</summary>
    Answered,

    /// <summary>It still runs.</summary>
    Running,

    /// <summary>Its request was another one.</summary>
    Different,
}

/// <summary>A request with an idempotency key.</summary>
/// <param name="State">What became of an earlier one with its key.</param>
/// <param name="InstanceId">
/// What it is about: the id of the instance to start. An earlier attempt that died had the same one, so that two attempts never become two instances.
/// </param>
/// <param name="IsRepeated">Whether an earlier attempt died, or failed before its answer was stored.</param>
/// <param name="Reply">The stored answer.</param>
internal sealed record IdempotentRequest(IdempotencyState State, string InstanceId, bool IsRepeated, byte[]? Reply);

/// <summary>Answers by idempotency key, for 24 hours.</summary>
/// <remarks>
/// Source: IETF draft-ietf-httpapi-idempotency-key-header. A request that runs holds its key like work is held, by a lease: when its process
/// dies, the next request with the key takes its place.
/// </remarks>
internal sealed partial class IdempotentReplies(ServerRuntime server, TimeProvider time, ILogger<IdempotentReplies> logger)
{
    /// <summary>Longest key.</summary>
    public const int LongestKey = 255;

    private TimeProvider Time => time;

    private TimeSpan Interval => server.Runtime.Options.Lease / 3;

    /// <summary>Begins a request, or finds the earlier one with its key.</summary>
    /// <param name="tenant">Whose request.</param>
    /// <param name="scope">What the key belongs to.</param>
    /// <param name="key">The key.</param>
    /// <param name="requestHash">What the request asks for.</param>
    /// <param name="instanceId">The instance that the request is about; null to start one.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IdempotentRequest> BeginAsync(
        string tenant, string scope, string key, byte[] requestHash, string? instanceId, CancellationToken cancellationToken)
    {
        var mine = instanceId ?? Guid.CreateVersion7().ToString("N");
        await using var begin = server.Database.CreateCommand("""
            insert into conclave.http_reply as r (tenant, scope, key, request_hash, instance_id, expires_at)
            values ($1, $2, $3, $4, $5, now() + $6)
                on conflict (tenant, scope, key) do update
               set instance_id = case when r.reply is null and r.request_hash = excluded.request_hash then coalesce(r.instance_id, excluded.instance_id) else excluded.instance_id end,
                   request_hash = excluded.request_hash, expires_at = excluded.expires_at, reply = null
             where r.expires_at <= now()
            returning r.instance_id, r.instance_id <> $5
            """);
        Add(begin, tenant, scope, key);
        begin.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = requestHash });
        begin.Parameters.Add(new NpgsqlParameter<string> { TypedValue = mine });
        begin.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = server.Runtime.Options.Lease });
        await using (var begun = await begin.ExecuteReaderAsync(cancellationToken))
        {
            if (await begun.ReadAsync(cancellationToken))
                return new IdempotentRequest(IdempotencyState.First, begun.GetString(0), begun.GetBoolean(1), null);
        }

        return await FindAsync(tenant, scope, key, requestHash, cancellationToken) ?? new IdempotentRequest(IdempotencyState.Running, mine, false, null);
    }

    /// <summary>The earlier request with a key; null when there was none.</summary>
    public async Task<IdempotentRequest?> FindAsync(string tenant, string scope, string key, byte[] requestHash, CancellationToken cancellationToken)
    {
        await using var find = server.Database.CreateCommand("""
            select request_hash, reply, coalesce(instance_id, ''), expires_at <= now() from conclave.http_reply where tenant = $1 and scope = $2 and key = $3
            """);
        Add(find, tenant, scope, key);
        await using var reader = await find.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return null;
        var isOver = reader.GetBoolean(3);
        var reply = reader.IsDBNull(1) ? null : reader.GetFieldValue<byte[]>(1);
        if (isOver && reply is not null)
            return null;
        var state = !reader.GetFieldValue<byte[]>(0).AsSpan().SequenceEqual(requestHash) ? IdempotencyState.Different
            : reply is not null ? IdempotencyState.Answered
            : IdempotencyState.Running;
        return new IdempotentRequest(state, reader.GetString(2), isOver, reply);
    }

    /// <summary>Keeps a key until it is disposed: a request may take long, and must not look dead.</summary>
    public IAsyncDisposable Hold(string tenant, string scope, string key) => new Holding(this, tenant, scope, key);

    /// <summary>Stores the answer of a request.</summary>
    public async Task EndAsync(string tenant, string scope, string key, byte[] reply, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand(
            "update conclave.http_reply set reply = $4, expires_at = now() + $5 where tenant = $1 and scope = $2 and key = $3");
        Add(command, tenant, scope, key);
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = reply });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = server.Runtime.Options.Keep });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Lets a request that was not answered be repeated. What it was about is remembered: it may have begun.</summary>
    public async Task ReleaseAsync(string tenant, string scope, string key)
    {
        await using var command = server.Database.CreateCommand(
            "update conclave.http_reply set expires_at = now() where tenant = $1 and scope = $2 and key = $3 and reply is null");
        Add(command, tenant, scope, key);
        try
        {
            await command.ExecuteNonQueryAsync(CancellationToken.None);
        }
        catch (NpgsqlException exception)
        {
            // The lease runs out by itself, and whoever waits for the answer hears what went wrong first.
            LogNotReleased(exception);
        }
    }

    /// <summary>Forgets a request for something that is not there.</summary>
    public async Task ForgetAsync(string tenant, string scope, string key)
    {
        await using var command = server.Database.CreateCommand(
            "delete from conclave.http_reply where tenant = $1 and scope = $2 and key = $3 and reply is null");
        Add(command, tenant, scope, key);
        await command.ExecuteNonQueryAsync(CancellationToken.None);
    }

    /// <summary>What makes two requests the same.</summary>
    public static byte[] HashOf(string method, string path, string query, ReadOnlySpan<byte> body)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{method}\n{path}\n{query}\n"));
        hash.AppendData(body);
        return hash.GetHashAndReset();
    }

    private static void Add(NpgsqlCommand command, string tenant, string scope, string key)
    {
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = scope });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = key });
    }

    private async Task RenewAsync(string tenant, string scope, string key, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand(
            "update conclave.http_reply set expires_at = now() + $4 where tenant = $1 and scope = $2 and key = $3 and reply is null");
        Add(command, tenant, scope, key);
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = server.Runtime.Options.Lease });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(3121, LogLevel.Warning, "An idempotency key could not be released; it is free again when its lease runs out.")]
    private partial void LogNotReleased(Exception exception);

    [LoggerMessage(3122, LogLevel.Warning, "The lease of an idempotency key could not be renewed; it is tried again.")]
    private partial void LogNotRenewed(Exception exception);

    private sealed class Holding : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _renewing;

        public Holding(IdempotentReplies replies, string tenant, string scope, string key) => _renewing = RenewAsync(replies, tenant, scope, key);

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _renewing;
            _stop.Dispose();
        }

        private async Task RenewAsync(IdempotentReplies replies, string tenant, string scope, string key)
        {
            while (true)
            {
                try
                {
                    await Task.Delay(replies.Interval, replies.Time, _stop.Token);
                    await replies.RenewAsync(tenant, scope, key, _stop.Token);
                }
                catch (OperationCanceledException) when (_stop.IsCancellationRequested)
                {
                    return;
                }
                catch (NpgsqlException exception)
                {
                    replies.LogNotRenewed(exception);
                }
            }
        }
    }
}
