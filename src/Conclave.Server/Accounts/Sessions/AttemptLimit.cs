using System.Globalization;
using System.Threading.RateLimiting;
using Conclave.Server.Accounts.Pages;
using Conclave.Server.Api;

namespace Conclave.Server.Accounts.Sessions;

/// <summary>Limits how often one address may try passwords and links.</summary>
internal static class AttemptLimit
{
    private const string Policy = "attempts";

    /// <summary>Adds the limit.</summary>
    public static void AddAttemptLimit(this IServiceCollection services, ServerOptions options) => services.AddRateLimiter(limiter =>
    {
        limiter.AddPolicy(Policy, context => RateLimitPartition.GetFixedWindowLimiter(
            context.Connection.RemoteIpAddress?.ToString() ?? "",
            _ => new FixedWindowRateLimiterOptions { PermitLimit = options.AttemptsPerMinute, Window = TimeSpan.FromMinutes(1) }));
        limiter.OnRejected = async (rejected, cancellationToken) =>
        {
            var wait = rejected.Lease.TryGetMetadata(MetadataName.RetryAfter, out var given) ? Math.Ceiling(given.TotalSeconds) : 60;
            var seconds = wait.ToString(CultureInfo.InvariantCulture);
            var context = rejected.HttpContext;
            context.Response.Headers.RetryAfter = seconds;
            if (context.Request.Path.StartsWithSegments("/elsa", StringComparison.OrdinalIgnoreCase))
                await Problems.WriteAsync(context, 429, "request.too_many_attempts", $"Too many attempts. Try again in {seconds} s.", retryAfter: seconds);
            else
                await Page.Message("Too many attempts", $"Try again in {seconds} seconds.", 429).ExecuteAsync(context);
        };
    });

    /// <summary>Puts an endpoint that checks secrets under the limit.</summary>
    public static TBuilder LimitAttempts<TBuilder>(this TBuilder endpoint)
        where TBuilder : IEndpointConventionBuilder => endpoint.RequireRateLimiting(Policy);
}
