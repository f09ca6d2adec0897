namespace Conclave.Server.ElsaApi;

/// <summary>A name and a password.</summary>
internal sealed record LoginRequest(string Username, string Password);

/// <summary>Whether somebody is who they say, and what they call with from then on.</summary>
internal sealed record LoginShape(bool IsAuthenticated, string? AccessToken, string? RefreshToken);

/// <summary>A role.</summary>
internal sealed record RoleShape(string Id, string Name, IReadOnlyList<string> Permissions);

/// <summary>An account to be.</summary>
internal sealed record UserRequest(string Name)
{
    public string? Email { get; init; }

    /// <summary>One is made without it.</summary>
    public string? Password { get; init; }

    public IReadOnlyList<string>? Roles { get; init; }
}

/// <summary>A made account. Its password is shown this once.</summary>
internal sealed record UserShape(string Id, string Name, IReadOnlyList<string> Roles, string TenantId, string Password);

/// <summary>A key to be.</summary>
internal sealed record ApplicationRequest(string Name, IReadOnlyList<string> Roles)
{
    /// <summary>Whose; the caller's without it.</summary>
    public string? UserName { get; init; }
}

/// <summary>A made key, shown this once.</summary>
internal sealed record ApplicationShape(string Id, string Name, IReadOnlyList<string> Roles, string ClientId, string ApiKey);
