using System.Collections.Concurrent;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Inference.Caching;

/// <summary>Answers by idempotency key: a key belongs to one call, which one process works on at a time, and keeps its answer.</summary>
/// <remarks>A process that dies loses the key when its lease ends; whoever repeats the call then has it.</remarks>
internal sealed class IdempotentAnswers(NpgsqlDataSource database, TimeSpan retention, TimeSpan lease, TimeSpan longestWait, TimeProvider time)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);
    private readonly ConcurrentDictionary<(string Tenant, string Key), TaskCompletionSource> _here = new();

    /// <summary>How long a claim is good without being renewed.</summary>
    public TimeSpan Lease => lease;

    /// <summary>Claims a key, or finds the answer that it has; waits while another call works on it.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceFailure.IdempotencyConflict"/>.</exception>
    public async Task<KeyClaim> ClaimAsync(string tenant, string key, byte[] hash, DateTimeOffset? deadline, CancellationToken cancellationToken)
    {
        var until = time.GetUtcNow() + longestWait;
        while (true)
        {
            var mine = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var other = _here.GetOrAdd((tenant, key), mine);
            if (other != mine)
            {
                await other.Task.WaitAsync(cancellationToken);
                continue;
            }

            var isClaimed = false;
            try
            {
                var owner = Guid.CreateVersion7();
                if (await TryClaimAsync(tenant, key, hash, owner, cancellationToken))
                {
                    isClaimed = true;
                    return new KeyClaim(this, tenant, key, owner, null, mine);
                }

                switch (await FindAsync(tenant, key, cancellationToken))
                {
                    case null:
                        continue;
                    case { } found when !found.Hash.AsSpan().SequenceEqual(hash):
                        throw new InferenceException(InferenceFailure.IdempotencyConflict, "inference.key_reused", $"The idempotency key '{key}' belongs to another call: its model, messages or options are not the same. Use a new key.");
                    case { Answer: { } answer }:
                        return new KeyClaim(this, tenant, key, owner, answer, mine);
                }

                if (time.GetUtcNow() >= (deadline is { } end && end < until ? end : until))
                    throw new InferenceException(InferenceFailure.IdempotencyConflict, "inference.key_in_use", $"Another call with the idempotency key '{key}' still runs, in another process. Repeat the call later.") { RetryAfter = TimeSpan.FromSeconds(5) };
            }
            finally
            {
                if (!isClaimed)
                    Leave(tenant, key, mine);
            }

            await Task.Delay(Poll, time, cancellationToken);
        }
    }

    /// <summary>Says that the call still runs.</summary>
    public async Task<bool> RenewAsync(KeyClaim claim, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("update conclave.inference_answer set lease_until = $4 where tenant = $1 and key = $2 and owner = $3 and answer is null");
        Add(command.Parameters, claim);
        command.Parameters.AddValue((time.GetUtcNow() + lease).UtcDateTime);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>Keeps the answer.</summary>
    public async Task CompleteAsync(KeyClaim claim, StoredAnswer answer)
    {
        await SharedBatches.Of(database).ExecuteAsync(
            "update conclave.inference_answer set answer = $4, expires_at = $5 where tenant = $1 and key = $2 and owner = $3 and answer is null",
            parameters =>
            {
                Add(parameters, claim);
                parameters.AddValue(answer.ToUtf8());
                parameters.AddValue((time.GetUtcNow() + retention).UtcDateTime);
            },
            CancellationToken.None);
    }

    /// <summary>Gives the key back, so that a repeated call is a new one.</summary>
    public async Task AbandonAsync(KeyClaim claim)
    {
        await using var command = database.CreateCommand("delete from conclave.inference_answer where tenant = $1 and key = $2 and owner = $3 and answer is null");
        Add(command.Parameters, claim);
        await command.ExecuteNonQueryAsync(CancellationToken.None);
    }

    /// <summary>The next one in this process may have the key.</summary>
    public void Leave(string tenant, string key, TaskCompletionSource turn)
    {
        _here.TryRemove(new((tenant, key), turn));
        turn.TrySetResult();
    }

    private static void Add(NpgsqlParameterCollection parameters, KeyClaim claim)
    {
        parameters.AddValue(claim.Tenant);
        parameters.AddValue(claim.Key);
        parameters.AddValue(claim.Owner);
    }

    private async Task<bool> TryClaimAsync(string tenant, string key, byte[] hash, Guid owner, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var claimed = await SharedBatches.Of(database).ExecuteAsync(
            """
            insert into conclave.inference_answer as a (tenant, key, hash, owner, lease_until, expires_at) values ($1, $2, $3, $4, $5, $6)
            on conflict (tenant, key) do update set hash = excluded.hash, owner = excluded.owner, lease_until = excluded.lease_until, expires_at = excluded.expires_at, answer = null
             where a.expires_at <= $7 or (a.answer is null and a.lease_until <= $7 and a.hash = excluded.hash)
            """,
            parameters =>
            {
                parameters.AddValue(tenant);
                parameters.AddValue(key);
                parameters.AddValue(hash);
                parameters.AddValue(owner);
                parameters.AddValue((now + lease).UtcDateTime);
                parameters.AddValue((now + retention).UtcDateTime);
                parameters.AddValue(now.UtcDateTime);
            },
            cancellationToken);
        return claimed == 1;
    }

    private async Task<Found?> FindAsync(string tenant, string key, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select hash, answer from conclave.inference_answer where tenant = $1 and key = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(key);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new Found(reader.GetFieldValue<byte[]>(0), await reader.IsDBNullAsync(1, cancellationToken) ? null : StoredAnswer.FromUtf8(reader.GetFieldValue<byte[]>(1)))
            : null;
    }

    private sealed record Found(byte[] Hash, StoredAnswer? Answer);
}

/// <summary>A key that a call has.</summary>
/// <param name="Answers">Where it is kept.</param>
/// <param name="Tenant">Owner of the call.</param>
/// <param name="Key">The key.</param>
/// <param name="Owner">This try.</param>
/// <param name="Answer">The answer, when there is one; then nothing is to be done.</param>
/// <param name="Turn">What others in this process wait for.</param>
internal sealed record KeyClaim(IdempotentAnswers Answers, string Tenant, string Key, Guid Owner, StoredAnswer? Answer, TaskCompletionSource Turn) : IDisposable
{
    /// <summary>Lets waiting calls of this process go on.</summary>
    public void Dispose() => Answers.Leave(Tenant, Key, Turn);
}
