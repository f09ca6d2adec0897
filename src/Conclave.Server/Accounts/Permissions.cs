using System.Security.Claims;

namespace Conclave.Server.Accounts;

/// <summary>Rights, by the names that Elsa's server has for them: <c>read:workflow-definitions</c>, <c>exec:workflow-definitions</c> and so on.</summary>
/// <remarks>An identity has one claim of the type <see cref="ClaimType"/> for each right, or one whose value is <see cref="All"/>.</remarks>
public static class Permissions
{
    /// <summary>Type of the claims.</summary>
    public const string ClaimType = "permissions";

    /// <summary>Stands for every right.</summary>
    public const string All = "*";

    /// <summary>Whether somebody has a right.</summary>
    public static bool Has(this ClaimsPrincipal user, string permission) => user.HasClaim(ClaimType, All) || user.HasClaim(ClaimType, permission);

    /// <summary>Lets only those in who have one of the rights: 401 for those who are not known, 403 for those who have none of them.</summary>
    public static TBuilder RequirePermission<TBuilder>(this TBuilder endpoint, params string[] anyOf)
        where TBuilder : IEndpointConventionBuilder =>
        endpoint.RequireAuthorization(policy => policy.RequireAuthenticatedUser().RequireAssertion(context => anyOf.Any(context.User.Has)));
}
