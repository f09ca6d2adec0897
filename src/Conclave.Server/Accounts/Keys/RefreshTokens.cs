using Conclave.Server.Hosting;

namespace Conclave.Server.Accounts.Keys;

/// <summary>Tokens that get another access token: each is used once and gives the next; good for 14 days.</summary>
internal sealed partial class RefreshTokens(ServerRuntime server, AccountStore accounts, TimeProvider time, ILogger<RefreshTokens> logger)
{
    private const string Prefix = "rt_";

    /// <summary>How long a token is good.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromDays(14);

    /// <summary>Time in which a second use is taken for two windows of one browser, not for a thief.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    /// <summary>Makes a token, and removes the account's old ones.</summary>
    /// <param name="account">Whose it becomes.</param>
    /// <param name="family">The family of the token that it follows; null for a new one.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<string> CreateAsync(Account account, Guid? family, CancellationToken cancellationToken)
    {
        var token = SecretText.New(Prefix);
        var now = time.GetUtcNow();
        await using var command = server.Database.CreateCommand("""
            with gone as (delete from conclave.refresh_token where tenant = $1 and account_id = $4 and expires_at <= $7)
            insert into conclave.refresh_token (tenant, token_hash, family, account_id, security_stamp, expires_at) values ($1, $2, $3, $4, $5, $6)
            """);
        command.Parameters.AddValue(account.Tenant);
        command.Parameters.AddValue(SecretText.Hash(token));
        command.Parameters.AddValue(family ?? Guid.CreateVersion7());
        command.Parameters.AddValue(account.Id);
        command.Parameters.AddValue(account.SecurityStamp);
        command.Parameters.AddValue((now + Lifetime).UtcDateTime);
        command.Parameters.AddValue(now.UtcDateTime);
        await command.ExecuteNonQueryAsync(cancellationToken);
        return token;
    }

    /// <summary>Uses a token up.</summary>
    /// <returns>Its account and family; null when it is not good, or what it was made for is over.</returns>
    public async Task<(Account Account, Guid Family)?> UseAsync(string token, CancellationToken cancellationToken)
    {
        if (!token.StartsWith(Prefix, StringComparison.Ordinal))
            return null;
        var (hash, now) = (SecretText.Hash(token), time.GetUtcNow());
        await using var command = server.Database.CreateCommand("""
            update conclave.refresh_token set used_at = $3 where tenant = $1 and token_hash = $2 and used_at is null and expires_at > $3
            returning account_id, security_stamp, family
            """);
        command.Parameters.AddValue(Tenants.Default);
        command.Parameters.AddValue(hash);
        command.Parameters.AddValue(now.UtcDateTime);
        string accountId, stamp;
        Guid family;
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            if (!await reader.ReadAsync(cancellationToken))
            {
                await reader.DisposeAsync();
                await EndCopiedAsync(hash, now, cancellationToken);
                return null;
            }

            (accountId, stamp, family) = (reader.GetString(0), reader.GetString(1), reader.GetGuid(2));
        }

        return await accounts.FindByIdAsync(accountId, cancellationToken) is { IsLocked: false } account && account.SecurityStamp == stamp ? (account, family) : null;
    }

    /// <summary>Ends the family of a token that is used a second time.</summary>
    private async Task EndCopiedAsync(byte[] hash, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("""
            delete from conclave.refresh_token t using conclave.refresh_token used
             where used.tenant = $1 and used.token_hash = $2 and used.used_at < $3 and t.tenant = used.tenant and t.family = used.family and t.account_id = used.account_id
            """);
        command.Parameters.AddValue(Tenants.Default);
        command.Parameters.AddValue(hash);
        command.Parameters.AddValue((now - Grace).UtcDateTime);
        if (await command.ExecuteNonQueryAsync(cancellationToken) > 0)
            LogCopied();
    }

    [LoggerMessage(3523, LogLevel.Warning, "A refresh token was used twice; it may have been copied. All that came of its sign-in are void.")]
    private partial void LogCopied();
}
