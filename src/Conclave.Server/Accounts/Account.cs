using System.Security.Claims;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Conclave.Server.Accounts;

/// <summary>Somebody who may sign in.</summary>
public sealed class Account
{
    /// <summary>Longest name.</summary>
    public const int LongestName = 100;

    /// <summary>Longest e-mail address; source: RFC 5321, erratum 1690.</summary>
    public const int LongestEmail = 254;

    /// <summary>Whose.</summary>
    public required string Tenant { get; init; }

    /// <summary>Its id, which stays.</summary>
    public required string Id { get; init; }

    /// <summary>Its name, as the journal of operations shows it.</summary>
    public required string UserName { get; set; }

    /// <summary>The name as it is compared.</summary>
    public string NormalizedName { get; set; } = "";

    /// <summary>Address to write to.</summary>
    public string? Email { get; set; }

    /// <summary>Hash of the password; null until one was chosen.</summary>
    public string? PasswordHash { get; set; }

    /// <summary>Changes with everything that ends sessions.</summary>
    public string SecurityStamp { get; set; } = "";

    /// <summary>Names of its roles.</summary>
    public IReadOnlyList<string> Roles { get; set; } = [];

    /// <summary>Whether an administrator has locked it.</summary>
    public bool IsLocked { get; set; }

    /// <summary>Until when no password is tried, because of wrong ones.</summary>
    public DateTimeOffset? LockoutEnd { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When a password was last right.</summary>
    public DateTimeOffset? SignedInAt { get; init; }

    /// <summary>Number of its changes.</summary>
    public int Version { get; set; } = 1;

    /// <summary>What it may do.</summary>
    public IReadOnlyList<string> Permissions => Accounts.Roles.PermissionsOf(Roles);

    /// <summary>Who a request with a key or a token is from.</summary>
    public ClaimsIdentity ToIdentity(string authenticationType, IEnumerable<string> permissions)
    {
        var identity = new ClaimsIdentity(authenticationType);
        identity.AddClaim(new Claim(ClaimTypes.NameIdentifier, Id));
        identity.AddClaim(new Claim(ClaimTypes.Name, UserName));
        foreach (var permission in permissions)
            identity.AddClaim(new Claim(Accounts.Permissions.ClaimType, permission));
        return identity;
    }
}

/// <summary>Makes the identity of who signed in with a password.</summary>
internal sealed class AccountClaims(UserManager<Account> users, IOptions<IdentityOptions> options) : UserClaimsPrincipalFactory<Account>(users, options)
{
    protected override async Task<ClaimsIdentity> GenerateClaimsAsync(Account user)
    {
        var identity = await base.GenerateClaimsAsync(user);
        identity.AddClaims(user.Permissions.Select(permission => new Claim(Permissions.ClaimType, permission)));
        return identity;
    }
}

/// <summary>What names may be, beyond their characters.</summary>
internal sealed class AccountRules : IUserValidator<Account>
{
    public Task<IdentityResult> ValidateAsync(UserManager<Account> manager, Account user)
    {
        var errors = new List<IdentityError>();
        if (user.UserName.Length > Account.LongestName)
            errors.Add(Error("user_name.too_long", $"The user name may have at most {Account.LongestName} characters."));
        // The journal must not show a person as the key of the machine.
        if (user.UserName.Equals(Credentials.MachineName, StringComparison.OrdinalIgnoreCase))
            errors.Add(Error("user_name.reserved", $"'{user.UserName}' is the name of the machine's own key. Choose another user name."));
        if (user.Email is { } email && (email.Length > Account.LongestEmail || !email.Contains('@', StringComparison.Ordinal) || email.Any(c => char.IsControl(c) || char.IsWhiteSpace(c))))
            errors.Add(Error("email.invalid", "The e-mail address is not one."));
        foreach (var role in user.Roles.Where(r => Roles.Find(r) is null))
            errors.Add(Error("role.unknown", $"There is no role '{role}'. The roles are {string.Join(", ", Roles.Known.Select(r => r.Name))}."));
        if (user.Roles.Count == 0)
            errors.Add(Error("role.missing", "Choose at least one role."));
        return Task.FromResult(errors.Count == 0 ? IdentityResult.Success : IdentityResult.Failed([.. errors]));
    }

    private static IdentityError Error(string code, string text) => new() { Code = code, Description = text };
}

/// <summary>What passwords may be, beyond their length.</summary>
internal sealed class PasswordRules : IPasswordValidator<Account>
{
    /// <summary>Shortest password. Source: NIST SP 800-63B-4 asks for length and no mixture of kinds of characters.</summary>
    public const int Shortest = 10;

    /// <summary>Longest password: hashing a longer one would only cost time.</summary>
    public const int Longest = 256;

    public Task<IdentityResult> ValidateAsync(UserManager<Account> manager, Account user, string? password) => Task.FromResult(
        password?.Length > Longest ? Failed("password.too_long", $"The password may have at most {Longest} characters.")
        : password is not null && password.Contains(user.UserName, StringComparison.OrdinalIgnoreCase) && password.Length < user.UserName.Length + Shortest
            ? Failed("password.has_user_name", "The password must be more than the user name with a few characters.")
        : IdentityResult.Success);

    private static IdentityResult Failed(string code, string text) => IdentityResult.Failed(new IdentityError { Code = code, Description = text });
}
