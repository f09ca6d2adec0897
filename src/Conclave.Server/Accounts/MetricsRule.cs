using System.Net;

namespace Conclave.Server.Accounts;

/// <summary>Who may read metrics.</summary>
internal static class MetricsRule
{
    /// <summary>Lets those read who have the right to, and whom the setting <c>Metrics:Access</c> lets.</summary>
    public static void RequireMetricsAccess(this IEndpointConventionBuilder endpoint, MetricsAccess access) => endpoint
        .WithMetadata(new NeededPermission([Permissions.ReadMetrics]))
        .RequireAuthorization(policy => policy.RequireAssertion(context =>
            access == MetricsAccess.Everyone
            || (access == MetricsAccess.Loopback && context.Resource is HttpContext http && IsLocal(http))
            || context.User.Has(Permissions.ReadMetrics)));

    // A proxy on this machine asks for somebody else.
    private static bool IsLocal(HttpContext context) =>
        context.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address)
        && !context.Request.Headers.ContainsKey("X-Forwarded-For") && !context.Request.Headers.ContainsKey("X-Original-For")
        && !context.Request.Headers.ContainsKey("Forwarded") && !context.Request.Headers.ContainsKey("Via");
}
