using Conclave.Server.Accounts.Keys;
using Conclave.Server.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Identity;
using Npgsql;

namespace Conclave.Server.Accounts.Setup;

/// <summary>The link that makes the first administrator. Each start of a server without an account tells a new one, and the last one told is good for 24 hours.</summary>
internal sealed partial class SetupLink(
    ServerRuntime server, AccountStore accounts, IServer web, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<SetupLink> logger) : BackgroundService
{
    /// <summary>How long a link is good.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(24);

    private volatile bool _hasAccount;

    /// <summary>Whether somebody can sign in already.</summary>
    public async ValueTask<bool> IsDoneAsync(CancellationToken cancellationToken) =>
        _hasAccount || (_hasAccount = await accounts.AnyAsync(cancellationToken));

    /// <summary>Whether a token is that of the link.</summary>
    public async Task<bool> IsGoodAsync(string token, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand(
            "select exists (select from conclave.account_setup where tenant = $1 and token_hash = $2 and expires_at > $3)");
        command.Parameters.AddValue(Tenants.Default);
        command.Parameters.AddValue(SecretText.Hash(token));
        command.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    /// <summary>Makes the administrator and ends the link.</summary>
    /// <returns>What is wrong with what was given; else the account, or neither when the link is not good any more.</returns>
    public async Task<(Account? Account, IReadOnlyList<string> Problems)> CreateAdministratorAsync(
        UserManager<Account> users, string token, string userName, string? email, string password, CancellationToken cancellationToken)
    {
        var account = users.NewAccount(userName, email, [Roles.Administrator], time.GetUtcNow());
        if (await users.FindProblemsAsync(account, password) is { Count: > 0 } problems)
            return (null, problems);
        account.PasswordHash = users.PasswordHasher.HashPassword(account, password);
        if (!await accounts.CreateFirstAsync(account, SecretText.Hash(token), time.GetUtcNow(), cancellationToken))
            return (null, []);
        _hasAccount = true;
        LogDone(userName);
        return (account, []);
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The database is there, and the address is known.
        var listens = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var listening = lifetime.ApplicationStarted.Register(listens.SetResult);
        await Task.WhenAll(server.Started, listens.Task).WaitAsync(stoppingToken);
        while (true)
        {
            try
            {
                if (!await IsDoneAsync(stoppingToken))
                    Tell(await RenewAsync(stoppingToken));
                return;
            }
            catch (NpgsqlException exception)
            {
                LogRetry(exception);
                await Task.Delay(TimeSpan.FromSeconds(5), time, stoppingToken);
            }
        }
    }

    /// <summary>Makes a token in place of the one before.</summary>
    private async Task<string> RenewAsync(CancellationToken cancellationToken)
    {
        var token = SecretText.New("");
        await using var command = server.Database.CreateCommand("""
            insert into conclave.account_setup (tenant, token_hash, expires_at) values ($1, $2, $3)
                on conflict (tenant) do update set token_hash = excluded.token_hash, expires_at = excluded.expires_at
            """);
        command.Parameters.AddValue(Tenants.Default);
        command.Parameters.AddValue(SecretText.Hash(token));
        command.Parameters.AddValue((time.GetUtcNow() + Lifetime).UtcDateTime);
        await command.ExecuteNonQueryAsync(cancellationToken);
        return token;
    }

    private void Tell(string token)
    {
        var link = $"{Address()}/setup?token={token}";
        // Nobody can sign in without it: it is shown even where such messages are turned off.
        if (logger.IsEnabled(LogLevel.Warning))
            LogLink(link);
        else
            Console.Error.WriteLine($"Nobody can sign in yet. Make the administrator within 24 hours at {link}");
    }

    /// <summary>An address that works from this machine.</summary>
    private string Address()
    {
        var address = web.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() ?? "http://localhost";
        return address.Replace("://*", "://localhost", StringComparison.Ordinal).Replace("://+", "://localhost", StringComparison.Ordinal)
            .Replace("://0.0.0.0", "://localhost", StringComparison.Ordinal).Replace("://[::]", "://localhost", StringComparison.Ordinal).TrimEnd('/');
    }

    [LoggerMessage(3511, LogLevel.Warning, "Nobody can sign in yet. Make the administrator within 24 hours at {Link} - the link works once, and a restart makes another.")]
    private partial void LogLink(string link);

    [LoggerMessage(3512, LogLevel.Information, "{UserName} became the administrator through the set-up link.")]
    private partial void LogDone(string userName);

    [LoggerMessage(3513, LogLevel.Warning, "The set-up link could not be made; the next attempt is in 5 s.")]
    private partial void LogRetry(Exception exception);
}
