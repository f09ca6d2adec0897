namespace Conclave.Server.Accounts;

/// <summary>Who may connect to a hub.</summary>
public static class HubAccess
{
    /// <summary>Lets those connect who have one of the rights, and the transports of those who have connected.</summary>
    /// <remarks>
    /// Elsa Studio's WebSocket shows neither a header nor a token when it has a key, only the <c>id</c> that its negotiation gave it. That id is
    /// a secret of the connection: SignalR answers 404 for one that it did not give out, and gave it to somebody whom this policy had let in.
    /// A WebSocket without an id, which would begin a connection of its own, has to show who it is.
    /// </remarks>
    public static TBuilder RequireHubPermission<TBuilder>(this TBuilder hub, params string[] anyOf)
        where TBuilder : IEndpointConventionBuilder => hub
        .RequireAuthorization(policy => policy.RequireAssertion(context =>
            anyOf.Any(context.User.Has) || (context.Resource is HttpContext http && IsTransportOfConnection(http.Request))));

    private static bool IsTransportOfConnection(HttpRequest request) =>
        !request.Path.Value!.TrimEnd('/').EndsWith("/negotiate", StringComparison.OrdinalIgnoreCase) && request.Query["id"].ToString().Length > 0;
}
