using System.Collections.Concurrent;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts.Sessions;

/// <summary>Checks names and passwords.</summary>
internal sealed partial class PasswordSignIn(
    AccountStore accounts, UserManager<Account> users, ServerOptions options, TimeProvider time, ILogger<PasswordSignIn> logger)
{
    /// <summary>What people are told, whatever was wrong: names of accounts are nobody's business.</summary>
    public const string Refusal = "The user name or the password is wrong, or the account is locked. After several wrong passwords it is locked for a few minutes.";

    /// <summary>Hash of a password that nobody has, made once for each kind of hasher.</summary>
    private static readonly ConcurrentDictionary<Type, string> NobodysHash = new();

    private static readonly Account Nobody = new() { Tenant = "", Id = "", UserName = "", CreatedAt = default };

    /// <summary>The account; null when the name or the password is wrong or it is locked, which takes as long to find out.</summary>
    public async Task<Account?> CheckAsync(string? name, string? password, CancellationToken cancellationToken)
    {
        var account = name is { Length: > 0 and <= Account.LongestName } && !name.Any(char.IsControl) ? await users.FindByNameAsync(name.Trim()) : null;
        var mayTry = account is { PasswordHash: not null }
            && await accounts.BeginAttemptAsync(account, options.LockoutAttempts, options.LockoutTime, time.GetUtcNow(), cancellationToken);
        var hasher = users.PasswordHasher;
        var hash = account?.PasswordHash ?? NobodysHash.GetOrAdd(hasher.GetType(), static (_, h) => h.HashPassword(Nobody, Guid.NewGuid().ToString()), hasher);
        var given = password is { Length: <= PasswordRules.Longest } ? password : "";
        var isRight = hasher.VerifyHashedPassword(account ?? Nobody, hash, given) != PasswordVerificationResult.Failed;
        if (account is null)
        {
            // Not the name: people type passwords into that field.
            LogUnknown();
            return null;
        }

        if (!mayTry || !isRight)
        {
            LogRefused(account.UserName, mayTry ? "the password is wrong" : "it is locked");
            return null;
        }

        await accounts.EndAttemptAsync(account, time.GetUtcNow(), cancellationToken);
        LogSignedIn(account.UserName);
        return account;
    }

    [LoggerMessage(3501, LogLevel.Information, "{UserName} signed in.")]
    private partial void LogSignedIn(string userName);

    [LoggerMessage(3502, LogLevel.Warning, "Somebody failed to sign in as {UserName}: {Reason}.")]
    private partial void LogRefused(string userName, string reason);

    [LoggerMessage(3503, LogLevel.Warning, "Somebody failed to sign in under a name that no account has.")]
    private partial void LogUnknown();
}
