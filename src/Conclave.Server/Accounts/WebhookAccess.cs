using System.Security.Claims;
using System.Text.Json;
using Conclave.Server.Api;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts;

/// <summary>Who may call an HTTP endpoint of a workflow: everyone, unless it says <c>Authorize</c>; then <c>Policy</c> may name a right that is needed.</summary>
internal sealed class WebhookAccess(Credentials credentials)
{
    /// <summary>Lets a request pass.</summary>
    /// <param name="context">The request.</param>
    /// <param name="endpoint">What the trigger or bookmark of the endpoint holds.</param>
    /// <exception cref="ApiException">It may not come in.</exception>
    public async Task CheckAsync(HttpContext context, JsonElement endpoint)
    {
        if (!endpoint.TryGetProperty("Authorize", out var authorize) || authorize.ValueKind != JsonValueKind.True)
            return;
        if (await FindCallerAsync(context) is not { } caller)
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
            throw new ApiException(401, "http_endpoint.unauthorized", "This endpoint is for those with an account. Send a key: 'Authorization: Bearer <key>'.");
        }

        if (endpoint.TryGetProperty("Policy", out var policy) && policy.ValueKind == JsonValueKind.String && policy.GetString() is { Length: > 0 } permission && !caller.Has(permission))
            throw new ApiException(403, "http_endpoint.forbidden", $"Your account or key does not have the right '{permission}' that this endpoint asks for.");
    }

    private async Task<ClaimsPrincipal?> FindCallerAsync(HttpContext context)
    {
        if (Credentials.AreIn(context.Request))
            return await credentials.IdentifyAsync(context.Request, context.RequestAborted);
        // Following a link is no harm; what is sent by another site may be.
        if (!HttpMethods.IsGet(context.Request.Method) && !CrossSite.IsSameOrigin(context.Request))
            return null;
        var session = await context.AuthenticateAsync(IdentityConstants.ApplicationScheme);
        return session.Succeeded ? session.Principal : null;
    }
}
