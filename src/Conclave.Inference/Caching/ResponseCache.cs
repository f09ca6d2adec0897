using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Caching;

/// <summary>Answers of equal calls: in memory, and in the database for other processes and later days.</summary>
internal sealed partial class ResponseCache(NpgsqlDataSource database, long maxBytes, TimeSpan lifetime, TimeProvider time, ILogger logger)
{
    private readonly BoundedCache<StoredAnswer> _memory = new(maxBytes, lifetime, time);

    /// <summary>The answer; null when there is none.</summary>
    public async ValueTask<StoredAnswer?> FindAsync(string tenant, byte[] hash, CancellationToken cancellationToken)
    {
        var key = CallHash.Key(tenant, hash);
        if (_memory.Find(key) is { } known)
            return known;
        try
        {
            await using var command = database.CreateCommand("select answer from conclave.inference_cache where tenant = $1 and hash = $2 and expires_at > $3");
            command.Parameters.AddValue(tenant);
            command.Parameters.AddValue(hash);
            command.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
            if (await command.ExecuteScalarAsync(cancellationToken) is not byte[] bytes)
                return null;
            var answer = StoredAnswer.FromUtf8(bytes);
            _memory.Put(key, answer, bytes.Length);
            return answer;
        }
        catch (NpgsqlException exception)
        {
            // A cache that is away is an empty one.
            LogAway(exception);
            return null;
        }
    }

    /// <summary>Keeps an answer.</summary>
    public async Task StoreAsync(string tenant, byte[] hash, StoredAnswer answer, CancellationToken cancellationToken)
    {
        var bytes = answer.ToUtf8();
        _memory.Put(CallHash.Key(tenant, hash), answer, bytes.Length);
        try
        {
            await using var command = database.CreateCommand("""
                insert into conclave.inference_cache (tenant, hash, answer, expires_at) values ($1, $2, $3, $4)
                on conflict (tenant, hash) do update set answer = excluded.answer, expires_at = excluded.expires_at
                """);
            command.Parameters.AddValue(tenant);
            command.Parameters.AddValue(hash);
            command.Parameters.AddValue(bytes);
            command.Parameters.AddValue((time.GetUtcNow() + lifetime).UtcDateTime);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (NpgsqlException exception)
        {
            LogAway(exception);
        }
    }

    [LoggerMessage(4211, LogLevel.Warning, "The cache of answers in the database could not be used; models are asked")]
    private partial void LogAway(Exception exception);
}
