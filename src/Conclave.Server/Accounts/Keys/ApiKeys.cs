using Conclave.Server.Hosting;
using Npgsql;

namespace Conclave.Server.Accounts.Keys;

/// <summary>A key of an account, without its secret.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">What it is for.</param>
/// <param name="Scopes">Rights that it may use, as far as its account has them.</param>
/// <param name="CreatedAt">When it was made.</param>
/// <param name="ExpiresAt">When it ends; null for never.</param>
/// <param name="LastUsedAt">When it was last used, to the minute.</param>
public sealed record ApiKey(
    string Id, string Name, IReadOnlyList<string> Scopes, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt, DateTimeOffset? LastUsedAt);

/// <summary>Keys with which programs sign in for an account.</summary>
internal sealed partial class ApiKeys(ServerRuntime server, AccountChanges changes, TimeProvider time, ILogger<ApiKeys> logger)
{
    /// <summary>Longest name of a key.</summary>
    public const int LongestName = 100;

    /// <summary>How they begin.</summary>
    public const string Prefix = "ck_";

    private static readonly TimeSpan UseInterval = TimeSpan.FromMinutes(1);

    /// <summary>What is wrong with a key that somebody wants.</summary>
    /// <param name="allowed">Rights that it may have at most.</param>
    /// <param name="name">What it is for.</param>
    /// <param name="scopes">Rights that it is to have.</param>
    public static IReadOnlyList<string> FindProblems(IReadOnlyCollection<string> allowed, string name, IReadOnlyCollection<string> scopes)
    {
        var problems = new List<string>();
        if (name.Length is 0 or > LongestName || name.Any(char.IsControl))
            problems.Add($"Say what the key is for, in at most {LongestName} characters.");
        if (scopes.Count == 0)
            problems.Add("Choose at least one thing that the key may do.");
        foreach (var scope in scopes)
        {
            if (!Permissions.IsKnown(scope))
                problems.Add($"There is no right '{scope}'.");
            else if (!Permissions.Covers(allowed, scope))
                problems.Add($"The key cannot have the right '{scope}': its account does not have it, or whoever makes it does not.");
        }

        return problems;
    }

    /// <summary>Makes a key.</summary>
    /// <param name="owner">Whose it becomes.</param>
    /// <param name="name">What it is for.</param>
    /// <param name="scopes">Rights; it never has more than its account.</param>
    /// <param name="expiresAt">When it ends; null for never.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The key with its secret, which cannot be had again.</returns>
    public async Task<(ApiKey Key, string Secret)> CreateAsync(
        Account owner, string name, IReadOnlyList<string> scopes, DateTimeOffset? expiresAt, CancellationToken cancellationToken)
    {
        var secret = SecretText.New(Prefix);
        var key = new ApiKey(Guid.CreateVersion7().ToString("N"), name, scopes, time.GetUtcNow(), expiresAt, null);
        await using var command = server.Database.CreateCommand("""
            insert into conclave.api_key (tenant, id, account_id, name, key_hash, scopes, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8)
            """);
        command.Parameters.AddValue(owner.Tenant);
        command.Parameters.AddValue(key.Id);
        command.Parameters.AddValue(owner.Id);
        command.Parameters.AddValue(name);
        command.Parameters.AddValue(SecretText.Hash(secret));
        command.Parameters.AddValue(scopes.ToArray());
        command.Parameters.AddValue(key.CreatedAt.UtcDateTime);
        command.Parameters.AddTime(expiresAt);
        await command.ExecuteNonQueryAsync(cancellationToken);
        LogMade(name, owner.UserName);
        return (key, secret);
    }

    /// <summary>An account's keys, the newest first.</summary>
    public async Task<List<ApiKey>> ListAsync(Account owner, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("""
            select id, name, scopes, created_at, expires_at, last_used_at from conclave.api_key where tenant = $1 and account_id = $2 order by created_at desc, id
            """);
        command.Parameters.AddValue(owner.Tenant);
        command.Parameters.AddValue(owner.Id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var keys = new List<ApiKey>();
        while (await reader.ReadAsync(cancellationToken))
            keys.Add(Read(reader, 0));
        return keys;
    }

    /// <summary>Ends a key.</summary>
    /// <returns>Whether the account had it.</returns>
    public async Task<bool> RevokeAsync(Account owner, string id, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("delete from conclave.api_key where tenant = $1 and account_id = $2 and id = $3 returning name");
        command.Parameters.AddValue(owner.Tenant);
        command.Parameters.AddValue(owner.Id);
        command.Parameters.AddValue(id);
        if (await command.ExecuteScalarAsync(cancellationToken) is not string name)
            return false;
        await changes.TellAsync(cancellationToken);
        LogRevoked(name, owner.UserName);
        return true;
    }

    /// <summary>The key with a secret, and its account; null when it does not exist, is over, or its account is locked.</summary>
    public async Task<(ApiKey Key, Account Owner)?> FindAsync(string secret, CancellationToken cancellationToken)
    {
        if (!secret.StartsWith(Prefix, StringComparison.Ordinal))
            return null;
        var now = time.GetUtcNow();
        (ApiKey Key, Account Owner) found;
        await using (var command = server.Database.CreateCommand($"""
            select {AccountStore.Columns}, k.id, k.name, k.scopes, k.created_at, k.expires_at, k.last_used_at
              from conclave.api_key k join conclave.account a on a.tenant = k.tenant and a.id = k.account_id
             where k.tenant = $1 and k.key_hash = $2 and (k.expires_at is null or k.expires_at > $3) and not a.is_locked
            """))
        {
            command.Parameters.AddValue(Tenants.Default);
            command.Parameters.AddValue(SecretText.Hash(secret));
            command.Parameters.AddValue(now.UtcDateTime);
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            if (!await reader.ReadAsync(cancellationToken))
                return null;
            found = (Read(reader, AccountStore.ColumnCount), AccountStore.Read(reader));
        }

        if (found.Key.LastUsedAt is not { } last || now - last >= UseInterval)
            await NoteUseAsync(found.Owner.Tenant, found.Key.Id, now, cancellationToken);
        return found;
    }

    private async Task NoteUseAsync(string tenant, string id, DateTimeOffset now, CancellationToken cancellationToken)
    {
        // Of many requests at once one writes.
        await using var command = server.Database.CreateCommand(
            "update conclave.api_key set last_used_at = $3 where tenant = $1 and id = $2 and (last_used_at is null or last_used_at <= $4)");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        command.Parameters.AddValue(now.UtcDateTime);
        command.Parameters.AddValue((now - UseInterval).UtcDateTime);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static ApiKey Read(NpgsqlDataReader row, int at) => new(
        row.GetString(at),
        row.GetString(at + 1),
        row.GetFieldValue<string[]>(at + 2),
        row.GetFieldValue<DateTimeOffset>(at + 3),
        row.IsDBNull(at + 4) ? null : row.GetFieldValue<DateTimeOffset>(at + 4),
        row.IsDBNull(at + 5) ? null : row.GetFieldValue<DateTimeOffset>(at + 5));

    [LoggerMessage(3521, LogLevel.Information, "Made the API key '{Name}' for {UserName}.")]
    private partial void LogMade(string name, string userName);

    [LoggerMessage(3522, LogLevel.Information, "Revoked the API key '{Name}' of {UserName}.")]
    private partial void LogRevoked(string name, string userName);
}
