namespace Conclave.Server.Api;

/// <summary>The version of the API in its paths: <c>/api/v1/…</c> is <c>/api/…</c> as long as there is no other.</summary>
/// <remarks>What breaks programs gets a version of its own beside this one; programs that name theirs are safe from it.</remarks>
internal static class ApiVersion
{
    private static readonly PathString Named = "/api/v1";
    private static readonly PathString Unnamed = "/api";

    /// <summary>Takes the version out of the path. Comes before routing.</summary>
    public static Task ReadAsync(HttpContext context, RequestDelegate next)
    {
        if (context.Request.Path.StartsWithSegments(Named, StringComparison.OrdinalIgnoreCase, out var rest))
            context.Request.Path = Unnamed + rest;
        return next(context);
    }
}
