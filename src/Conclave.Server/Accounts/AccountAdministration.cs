using System.Text;
using Microsoft.AspNetCore.Identity;
using Microsoft.AspNetCore.WebUtilities;

namespace Conclave.Server.Accounts;

/// <summary>What administrators do with accounts.</summary>
internal sealed partial class AccountAdministration(
    AccountStore accounts, UserManager<Account> users, TimeProvider time, ILogger<AccountAdministration> logger)
{
    /// <summary>How long a link to choose a password is good.</summary>
    public static readonly TimeSpan LinkLifetime = TimeSpan.FromHours(24);

    private const string LastAdministrator = "This is the last administrator who can sign in. Make another one first.";

    /// <summary>Makes an account, without a password when none is given.</summary>
    public async Task<(Account? Account, IReadOnlyList<string> Problems)> CreateAsync(
        string userName, string? email, IReadOnlyList<string> roles, string? password, string actor)
    {
        var account = users.NewAccount(userName, email, roles, time.GetUtcNow());
        var problems = await users.FindProblemsAsync(account, password);
        if (problems.Count == 0)
            problems = (password is null ? await users.CreateAsync(account) : await users.CreateAsync(account, password)).Texts();
        if (problems.Count > 0)
            return (null, problems);
        LogMade(actor, account.UserName, account.Roles);
        return (account, []);
    }

    /// <summary>Gives an account other roles; its sessions get them within a minute.</summary>
    public async Task<IReadOnlyList<string>> SetRolesAsync(Account account, IReadOnlyList<string> roles, string actor, CancellationToken cancellationToken)
    {
        if (!roles.Contains(Roles.Administrator) && await IsLastAdministratorAsync(account, cancellationToken))
            return [LastAdministrator];
        account.Roles = roles;
        if (await users.FindProblemsAsync(account, null) is { Count: > 0 } problems)
            return problems;
        var result = await users.UpdateAsync(account);
        if (result.Succeeded)
            LogRoles(actor, account.UserName, roles);
        return result.Texts();
    }

    /// <summary>Locks an account, which ends its sessions and tokens and stops its keys; or unlocks it.</summary>
    public async Task<IReadOnlyList<string>> SetLockedAsync(Account account, bool isLocked, string actor, CancellationToken cancellationToken)
    {
        if (isLocked && await IsLastAdministratorAsync(account, cancellationToken))
            return [LastAdministrator];
        account.IsLocked = isLocked;
        // With the stamp, whatever was issued before is void.
        var result = await users.UpdateSecurityStampAsync(account);
        if (result.Succeeded)
            LogLocked(actor, isLocked ? "locked" : "unlocked", account.UserName);
        return result.Texts();
    }

    /// <summary>Path of a page where somebody chooses a password, once.</summary>
    public async Task<string> CreateLinkAsync(Account account, string actor)
    {
        var token = await users.GeneratePasswordResetTokenAsync(account);
        LogLink(actor, account.UserName);
        return $"/account/link?user={account.Id}&token={WebEncoders.Base64UrlEncode(Encoding.UTF8.GetBytes(token))}";
    }

    /// <summary>The account that a link is for; null when the link is not good, or was used.</summary>
    public async Task<Account?> FindByLinkAsync(string id, string token)
    {
        if (id.Contains('\0', StringComparison.Ordinal) || await users.FindByIdAsync(id) is not { IsLocked: false } account || Decode(token) is not { } plain)
            return null;
        return await users.VerifyUserTokenAsync(account, users.Options.Tokens.PasswordResetTokenProvider, UserManager<Account>.ResetPasswordTokenPurpose, plain) ? account : null;
    }

    /// <summary>Sets a password through a link, which is good no longer then.</summary>
    public async Task<IReadOnlyList<string>> UseLinkAsync(Account account, string token, string password) =>
        (await users.ResetPasswordAsync(account, Decode(token) ?? "", password)).Texts();

    private static string? Decode(string token)
    {
        try
        {
            return Encoding.UTF8.GetString(WebEncoders.Base64UrlDecode(token));
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private async Task<bool> IsLastAdministratorAsync(Account account, CancellationToken cancellationToken) =>
        account.Roles.Contains(Roles.Administrator)
        && (await accounts.ListAsync(cancellationToken)).All(a => a.Id == account.Id || a.IsLocked || a.PasswordHash is null || !a.Roles.Contains(Roles.Administrator));

    [LoggerMessage(3531, LogLevel.Information, "{Actor} made the account {UserName} with the roles {Roles}.")]
    private partial void LogMade(string actor, string userName, IReadOnlyList<string> roles);

    [LoggerMessage(3532, LogLevel.Information, "{Actor} gave {UserName} the roles {Roles}.")]
    private partial void LogRoles(string actor, string userName, IReadOnlyList<string> roles);

    [LoggerMessage(3533, LogLevel.Information, "{Actor} {Change} {UserName}.")]
    private partial void LogLocked(string actor, string change, string userName);

    [LoggerMessage(3534, LogLevel.Information, "{Actor} made a link for {UserName} to choose a password.")]
    private partial void LogLink(string actor, string userName);
}
