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

/// <summary>Answers by idempotency key, for 24 hours.</summary>
/// <remarks>Source: IETF draft-ietf-httpapi-idempotency-key-header.</remarks>
internal sealed class IdempotentReplies(ServerRuntime server)
{
    /// <summary>Longest key.</summary>
    public const int LongestKey = 255;

    /// <summary>How long a request may run before another with its key takes its place: it must have died.</summary>
    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(2);

    /// <summary>Begins a request, or finds the earlier one with its key.</summary>
    public async Task<(IdempotencyState State, byte[]? Reply)> BeginAsync(string tenant, string scope, string key, byte[] requestHash, CancellationToken cancellationToken)
    {
        await using var begin = server.Database.CreateCommand("""
            insert into conclave.http_reply as r (tenant, scope, key, request_hash, expires_at)
            values ($1, $2, $3, $4, now() + $5)
                on conflict (tenant, scope, key) do update
               set request_hash = excluded.request_hash, expires_at = excluded.expires_at, reply = null, instance_id = null
             where r.expires_at <= now()
            """);
        Add(begin, tenant, scope, key);
        begin.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = requestHash });
        begin.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = LongestRun });
        if (await begin.ExecuteNonQueryAsync(cancellationToken) == 1)
            return (IdempotencyState.First, null);
        // One that was forgotten in between had not ended.
        return await FindAsync(tenant, scope, key, requestHash, cancellationToken) ?? (IdempotencyState.Running, null);
    }

    /// <summary>Finds the earlier request with a key; null when there is none.</summary>
    public async Task<(IdempotencyState State, byte[]? Reply)?> FindAsync(string tenant, string scope, string key, byte[] requestHash, CancellationToken cancellationToken)
    {
        await using var find = server.Database.CreateCommand("select request_hash, reply from conclave.http_reply where tenant = $1 and scope = $2 and key = $3 and expires_at > now()");
        Add(find, tenant, scope, key);
        await using var reader = await find.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return null;
        if (!reader.GetFieldValue<byte[]>(0).AsSpan().SequenceEqual(requestHash))
            return (IdempotencyState.Different, null);
        return reader.IsDBNull(1) ? (IdempotencyState.Running, null) : (IdempotencyState.Answered, reader.GetFieldValue<byte[]>(1));
    }

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

    /// <summary>Forgets a request that came to nothing, so that it can be repeated.</summary>
    public async Task ForgetAsync(string tenant, string scope, string key, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand(
            "delete from conclave.http_reply where tenant = $1 and scope = $2 and key = $3 and reply is null");
        Add(command, tenant, scope, key);
        await command.ExecuteNonQueryAsync(cancellationToken);
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
}
