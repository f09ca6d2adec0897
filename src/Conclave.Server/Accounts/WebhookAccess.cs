using System.Security.Claims;
using System.Text.Json;
using Conclave.Server.Api;
using Conclave.Workflows.Runtime.Instances;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts;

/// <summary>Who may call an HTTP endpoint of a workflow: everyone, unless it says <c>Authorize</c>; then <c>Policy</c> may name a right that is needed.</summary>
internal sealed class WebhookAccess(Credentials credentials)
{
    /// <summary>Lets a request to a trigger pass.</summary>
    /// <exception cref="ApiException">It may not come in.</exception>
    public Task CheckAsync(HttpContext context, JsonElement trigger) => trigger.TryGetProperty("Authorize", out var authorize) && authorize.ValueKind == JsonValueKind.True
        ? CheckAsync(context, trigger.TryGetProperty("Policy", out var policy) && policy.ValueKind == JsonValueKind.String ? policy.GetString() : null)
        : Task.CompletedTask;

    /// <summary>Lets a request to an instance that waits pass.</summary>
    /// <exception cref="ApiException">It may not come in.</exception>
    public async Task CheckAsync(HttpContext context, StoredBookmark bookmark)
    {
        // The text shows that it may say so; a path could say it too, so the instance has to be asked.
        if (!bookmark.Payload.Contains("Authorize = true", StringComparison.OrdinalIgnoreCase))
            return;
        var instance = await context.Runtime().Runner.ReadAsync(Tenants.Default, bookmark.InstanceId, context.RequestAborted);
        if (instance?.Bookmarks.FirstOrDefault(b => b.Number == bookmark.Number)?.Payload is { } payload && payload["Authorize"] is true)
            await CheckAsync(context, payload["Policy"] as string);
    }

    private async Task CheckAsync(HttpContext context, string? permission)
    {
        if (await FindCallerAsync(context) is not { } caller)
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
            throw new ApiException(401, "http_endpoint.unauthorized", "This endpoint is for those with an account. Send a key: 'Authorization: Bearer <key>'.");
        }

        if (!string.IsNullOrEmpty(permission) && !caller.Has(permission))
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
