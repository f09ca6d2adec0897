using Conclave.Server.Hosting;
using Microsoft.AspNetCore.Identity;
using Npgsql;

namespace Conclave.Server.Accounts;

/// <summary>Accounts in the database, for ASP.NET Core Identity and for ourselves.</summary>
internal sealed class AccountStore(ServerRuntime server, AccountChanges changes) : IUserPasswordStore<Account>, IUserSecurityStampStore<Account>
{
    /// <summary>The columns that <see cref="Read"/> reads, of the table <c>a</c>.</summary>
    public const string Columns = """
        a.tenant, a.id, a.user_name, a.normalized_name, a.email, a.password_hash, a.security_stamp, a.roles, a.is_locked, a.lockout_end,
        a.created_at, a.signed_in_at, a.version
        """;

    private const string InsertSql = """
        insert into conclave.account (tenant, id, user_name, normalized_name, email, password_hash, security_stamp, roles, is_locked, created_at)
        select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
        """;

    /// <summary>Number of columns that <see cref="Read"/> reads.</summary>
    public const int ColumnCount = 13;

    private static string Tenant => Tenants.Default;

    /// <summary>Whether there is any account.</summary>
    public async Task<bool> AnyAsync(CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("select exists (select from conclave.account where tenant = $1)");
        command.Parameters.AddValue(Tenant);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    /// <summary>All accounts, by name.</summary>
    public Task<List<Account>> ListAsync(CancellationToken cancellationToken) =>
        QueryAsync($"select {Columns} from conclave.account a where a.tenant = $1 order by a.normalized_name", null, cancellationToken);

    /// <inheritdoc/>
    public async Task<Account?> FindByIdAsync(string userId, CancellationToken cancellationToken) =>
        (await QueryAsync($"select {Columns} from conclave.account a where a.tenant = $1 and a.id = $2", userId, cancellationToken)).FirstOrDefault();

    /// <inheritdoc/>
    public async Task<Account?> FindByNameAsync(string normalizedUserName, CancellationToken cancellationToken) =>
        (await QueryAsync($"select {Columns} from conclave.account a where a.tenant = $1 and a.normalized_name = $2", normalizedUserName, cancellationToken)).FirstOrDefault();

    /// <inheritdoc/>
    public async Task<IdentityResult> CreateAsync(Account user, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand($"{InsertSql} on conflict do nothing");
        AddRow(command, user);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1 ? IdentityResult.Success : Taken(user);
    }

    /// <summary>Stores the first account if the link's token is still good, and uses the token up; both or neither.</summary>
    public async Task<bool> CreateFirstAsync(Account user, byte[] tokenHash, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand($"""
            with used as (delete from conclave.account_setup where tenant = $1 and token_hash = $11 and expires_at > $12 returning 1)
            {InsertSql} from used where not exists (select from conclave.account where tenant = $1)
            """);
        AddRow(command, user);
        command.Parameters.AddValue(tokenHash);
        command.Parameters.AddValue(now.UtcDateTime);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <inheritdoc/>
    public async Task<IdentityResult> UpdateAsync(Account user, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("""
            update conclave.account
               set user_name = $3, normalized_name = $4, email = $5, password_hash = $6, security_stamp = $7, roles = $8, is_locked = $9,
                   failed_attempts = case when password_hash is distinct from $6 then 0 else failed_attempts end,
                   lockout_end = case when password_hash is distinct from $6 then null else lockout_end end,
                   version = version + 1
             where tenant = $1 and id = $2 and version = $10
            """);
        command.Parameters.AddValue(user.Tenant);
        command.Parameters.AddValue(user.Id);
        command.Parameters.AddValue(user.UserName);
        command.Parameters.AddValue(user.NormalizedName);
        command.Parameters.AddText(user.Email);
        command.Parameters.AddText(user.PasswordHash);
        command.Parameters.AddValue(user.SecurityStamp);
        command.Parameters.AddValue(user.Roles.ToArray());
        command.Parameters.AddValue(user.IsLocked);
        command.Parameters.AddValue(user.Version);
        try
        {
            if (await command.ExecuteNonQueryAsync(cancellationToken) == 0)
                return IdentityResult.Failed(new IdentityErrorDescriber().ConcurrencyFailure());
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            return Taken(user);
        }

        user.Version++;
        await changes.TellAsync(cancellationToken);
        return IdentityResult.Success;
    }

    /// <inheritdoc/>
    public async Task<IdentityResult> DeleteAsync(Account user, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("delete from conclave.account where tenant = $1 and id = $2");
        command.Parameters.AddValue(user.Tenant);
        command.Parameters.AddValue(user.Id);
        await command.ExecuteNonQueryAsync(cancellationToken);
        await changes.TellAsync(cancellationToken);
        return IdentityResult.Success;
    }

    /// <summary>Counts an attempt at a password before it is checked, so that attempts at the same time cannot go beyond the limit together.</summary>
    /// <returns>Whether it may be checked.</returns>
    public async Task<bool> BeginAttemptAsync(Account account, int limit, TimeSpan lockout, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("""
            update conclave.account
               set failed_attempts = case when lockout_end is null then failed_attempts else 0 end + 1,
                   lockout_end = case when case when lockout_end is null then failed_attempts else 0 end + 1 >= $3 then $4 + $5 end
             where tenant = $1 and id = $2 and not is_locked and (lockout_end is null or lockout_end <= $4)
            """);
        command.Parameters.AddValue(account.Tenant);
        command.Parameters.AddValue(account.Id);
        command.Parameters.AddValue(limit);
        command.Parameters.AddValue(now.UtcDateTime);
        command.Parameters.AddValue(lockout);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>Notes that a password was right.</summary>
    public async Task EndAttemptAsync(Account account, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand(
            "update conclave.account set failed_attempts = 0, lockout_end = null, signed_in_at = $3 where tenant = $1 and id = $2");
        command.Parameters.AddValue(account.Tenant);
        command.Parameters.AddValue(account.Id);
        command.Parameters.AddValue(now.UtcDateTime);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Reads an account that begins at the first column.</summary>
    public static Account Read(NpgsqlDataReader row) => new()
    {
        Tenant = row.GetString(0),
        Id = row.GetString(1),
        UserName = row.GetString(2),
        NormalizedName = row.GetString(3),
        Email = row.IsDBNull(4) ? null : row.GetString(4),
        PasswordHash = row.IsDBNull(5) ? null : row.GetString(5),
        SecurityStamp = row.GetString(6),
        Roles = row.GetFieldValue<string[]>(7),
        IsLocked = row.GetBoolean(8),
        LockoutEnd = row.IsDBNull(9) ? null : row.GetFieldValue<DateTimeOffset>(9),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(10),
        SignedInAt = row.IsDBNull(11) ? null : row.GetFieldValue<DateTimeOffset>(11),
        Version = row.GetInt32(12),
    };

    /// <inheritdoc/>
    public Task<string> GetUserIdAsync(Account user, CancellationToken cancellationToken) => Task.FromResult(user.Id);

    /// <inheritdoc/>
    public Task<string?> GetUserNameAsync(Account user, CancellationToken cancellationToken) => Task.FromResult<string?>(user.UserName);

    /// <inheritdoc/>
    public Task SetUserNameAsync(Account user, string? userName, CancellationToken cancellationToken) => Task.FromResult(user.UserName = userName ?? "");

    /// <inheritdoc/>
    public Task<string?> GetNormalizedUserNameAsync(Account user, CancellationToken cancellationToken) => Task.FromResult<string?>(user.NormalizedName);

    /// <inheritdoc/>
    public Task SetNormalizedUserNameAsync(Account user, string? normalizedName, CancellationToken cancellationToken) => Task.FromResult(user.NormalizedName = normalizedName ?? "");

    /// <inheritdoc/>
    public Task<string?> GetPasswordHashAsync(Account user, CancellationToken cancellationToken) => Task.FromResult(user.PasswordHash);

    /// <inheritdoc/>
    public Task SetPasswordHashAsync(Account user, string? passwordHash, CancellationToken cancellationToken) => Task.FromResult(user.PasswordHash = passwordHash);

    /// <inheritdoc/>
    public Task<bool> HasPasswordAsync(Account user, CancellationToken cancellationToken) => Task.FromResult(user.PasswordHash is not null);

    /// <inheritdoc/>
    public Task<string?> GetSecurityStampAsync(Account user, CancellationToken cancellationToken) => Task.FromResult<string?>(user.SecurityStamp);

    /// <inheritdoc/>
    public Task SetSecurityStampAsync(Account user, string stamp, CancellationToken cancellationToken) => Task.FromResult(user.SecurityStamp = stamp);

    /// <summary>Holds nothing.</summary>
    public void Dispose()
    {
    }

    private static IdentityResult Taken(Account user) => IdentityResult.Failed(new IdentityErrorDescriber().DuplicateUserName(user.UserName));

    private static void AddRow(NpgsqlCommand command, Account user)
    {
        command.Parameters.AddValue(user.Tenant);
        command.Parameters.AddValue(user.Id);
        command.Parameters.AddValue(user.UserName);
        command.Parameters.AddValue(user.NormalizedName);
        command.Parameters.AddText(user.Email);
        command.Parameters.AddText(user.PasswordHash);
        command.Parameters.AddValue(user.SecurityStamp);
        command.Parameters.AddValue(user.Roles.ToArray());
        command.Parameters.AddValue(user.IsLocked);
        command.Parameters.AddValue(user.CreatedAt.UtcDateTime);
    }

    private async Task<List<Account>> QueryAsync(string sql, string? key, CancellationToken cancellationToken)
    {
#pragma warning disable CA2100    // the text is one of this class
        await using var command = server.Database.CreateCommand(sql);
#pragma warning restore CA2100
        command.Parameters.AddValue(Tenant);
        if (key is not null)
            command.Parameters.AddValue(key);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var accounts = new List<Account>();
        while (await reader.ReadAsync(cancellationToken))
            accounts.Add(Read(reader));
        return accounts;
    }
}
