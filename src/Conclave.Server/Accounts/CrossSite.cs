using Conclave.Server.Api;
using Conclave.Server.Inference;

namespace Conclave.Server.Accounts;

/// <summary>
/// Refuses what other sites make a browser send with its cookie. Pages have tokens in their forms; calls of the APIs have the headers that
/// browsers set themselves. Programs show a key instead of a cookie and are not asked.
/// </summary>
internal static class CrossSite
{
    public static Task RefuseAsync(HttpContext context, RequestDelegate next)
    {
        var request = context.Request;
        if (!IsApi(request.Path) || !IsUnsafe(context) || context.User.Identity is not { IsAuthenticated: true } || Credentials.AreIn(request) || IsSameOrigin(request))
            return next(context);
        if (context.ModelApi() is { } api)
            return api.RefuseAsync(context, 403, "A browser sent this from another site, or did not say from where. Programs send a key instead of a cookie.");
        if (request.Path.StartsWithSegments("/api", StringComparison.OrdinalIgnoreCase) || request.Path.StartsWithSegments("/mcp", StringComparison.OrdinalIgnoreCase))
        {
            return Problems.WriteAsync(context, 403, "request.cross_site",
                "A browser sent this from another site, or did not say from where. Programs send a key instead of a cookie; a reverse proxy must keep the Host header.");
        }

        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return Task.CompletedTask;
    }

    private static bool IsApi(PathString path) =>
        path.StartsWithSegments("/api", StringComparison.OrdinalIgnoreCase) || path.StartsWithSegments("/elsa", StringComparison.OrdinalIgnoreCase)
        || path.StartsWithSegments("/v1", StringComparison.OrdinalIgnoreCase) || path.StartsWithSegments("/mcp", StringComparison.OrdinalIgnoreCase)
        || path.StartsWithSegments("/_blazor", StringComparison.OrdinalIgnoreCase);

    // A WebSocket begins with a GET and can do anything then.
    private static bool IsUnsafe(HttpContext context) =>
        !(HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method) || HttpMethods.IsOptions(context.Request.Method))
        || context.WebSockets.IsWebSocketRequest || context.Request.Headers.Upgrade.Count > 0;

    /// <summary>Whether a browser says that a page of ours sent a request.</summary>
    public static bool IsSameOrigin(HttpRequest request)
    {
        if (request.Headers["Sec-Fetch-Site"].ToString() is { Length: > 0 } site)
            return site == "same-origin";
        // Without the scheme, which a proxy in front may have changed.
        return Uri.TryCreate(request.Headers.Origin.ToString(), UriKind.Absolute, out var origin)
            && origin.Host.Equals(request.Host.Host, StringComparison.OrdinalIgnoreCase)
            && origin.Port == (request.Host.Port ?? (origin.Scheme == Uri.UriSchemeHttps ? 443 : 80));
    }
}
