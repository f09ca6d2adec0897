using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts;

/// <summary>What making an account takes, beyond what Identity has.</summary>
internal static class AccountCreation
{
    /// <summary>An account that is not stored yet.</summary>
    public static Account NewAccount(this UserManager<Account> users, string userName, string? email, IReadOnlyList<string> roles, DateTimeOffset now) => new()
    {
        Tenant = Tenants.Default,
        Id = Guid.CreateVersion7().ToString("N"),
        UserName = userName.Trim(),
        NormalizedName = users.NormalizeName(userName.Trim()) ?? "",
        Email = string.IsNullOrWhiteSpace(email) ? null : email.Trim(),
        SecurityStamp = Keys.SecretText.New(""),
        Roles = roles,
        CreatedAt = now,
    };

    /// <summary>Everything that is wrong with an account and its password, before anything is stored.</summary>
    /// <param name="users">Has the rules.</param>
    /// <param name="account">The account.</param>
    /// <param name="password">The password; null when there is none to check.</param>
    public static async Task<IReadOnlyList<string>> FindProblemsAsync(this UserManager<Account> users, Account account, string? password)
    {
        var problems = new List<string>();
        foreach (var validator in users.UserValidators)
            Add(await validator.ValidateAsync(users, account));
        if (password is not null)
        {
            foreach (var validator in users.PasswordValidators)
                Add(await validator.ValidateAsync(users, account, password));
        }

        return problems;

        void Add(IdentityResult result) => problems.AddRange(result.Errors.Select(e => e.Description));
    }

    /// <summary>What went wrong, for people.</summary>
    public static IReadOnlyList<string> Texts(this IdentityResult result) => [.. result.Errors.Select(e => e.Description)];
}
