using Conclave.Server.Api;
using Conclave.Server.Inference;
using Microsoft.AspNetCore.Authorization;

namespace Conclave.Server.Accounts;

/// <summary>Answers to those who may not come in: problems for the API, nothing but the status for Elsa's, pages for browsers.</summary>
internal static class Refusals
{
    /// <summary>Whether the endpoint of a request is for those with an account.</summary>
    public static bool NeedsAccount(this HttpContext context) => context.GetEndpoint()?.Metadata is { } metadata
        && metadata.GetMetadata<IAuthorizeData>() is not null && metadata.GetMetadata<IAllowAnonymous>() is null;

    /// <summary>Answers to who is not known.</summary>
    public static Task ChallengeAsync(HttpContext context)
    {
        if (context.ModelApi() is { } api)
            return api.RefuseAsync(context, 401, "The API needs a key: 'Authorization: Bearer <key>'. Make one at /account with the right 'exec:models'.");
        if (IsPage(context))
        {
            var target = HttpMethods.IsGet(context.Request.Method) ? context.Request.PathBase + context.Request.Path + context.Request.QueryString : "/";
            context.Response.Redirect($"/sign-in{QueryString.Create("returnUrl", target)}");
            return Task.CompletedTask;
        }

        context.Response.Headers.WWWAuthenticate = "Bearer";
        if (IsOwnApi(context))
        {
            return Problems.WriteAsync(context, 401, "request.unauthorized",
                "The API needs a key: 'Authorization: Bearer <key>'. Make one at /account; the machine's own is in the file 'api-key' of the server's data folder.");
        }

        context.Response.StatusCode = StatusCodes.Status401Unauthorized;
        return Task.CompletedTask;
    }

    /// <summary>Answers to who lacks a right.</summary>
    public static Task ForbidAsync(HttpContext context)
    {
        if (context.ModelApi() is { } api)
            return api.RefuseAsync(context, 403, TextFor(context.GetEndpoint()?.Metadata.GetMetadata<NeededPermission>()?.AnyOf ?? []));
        if (IsOwnApi(context))
        {
            return context.GetEndpoint()?.Metadata.GetMetadata<NeededPermission>() is { } needed
                ? WriteMissingAsync(context, needed.AnyOf)
                : Problems.WriteAsync(context, 403, "request.forbidden", "Your account or key does not have the right to do this.");
        }

        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return IsPage(context) ? Pages.Page.Message("Not allowed", "Your account does not have the right to see this page.", 403).ExecuteAsync(context) : Task.CompletedTask;
    }

    /// <summary>Throws unless the caller has a right, where it depends on what the request says.</summary>
    /// <exception cref="ApiException">The right is missing.</exception>
    public static void Demand(this HttpContext context, string permission)
    {
        if (!context.User.Has(permission))
            throw new ApiException(403, "request.forbidden", TextFor([permission]));
    }

    private static Task WriteMissingAsync(HttpContext context, IReadOnlyList<string> anyOf) =>
        Problems.WriteAsync(context, 403, "request.forbidden", TextFor(anyOf));

    private static string TextFor(IReadOnlyList<string> anyOf) =>
        $"Your account or key does not have the right {string.Join(" or ", anyOf.Select(p => $"'{p}'"))}. An administrator can give your account a role that has it; a key has no more than its scopes.";

    private static bool IsOwnApi(HttpContext context) => IsBelow(context, "/api") || IsBelow(context, "/mcp");

    /// <summary>Everything that is neither an API nor for machines is for people.</summary>
    private static bool IsPage(HttpContext context) => !IsOwnApi(context) && !IsBelow(context, "/v1") && !IsBelow(context, "/elsa") && !IsBelow(context, "/metrics");

    private static bool IsBelow(HttpContext context, string path) => context.Request.Path.StartsWithSegments(path, StringComparison.OrdinalIgnoreCase);
}
