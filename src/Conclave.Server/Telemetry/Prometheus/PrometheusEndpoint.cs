using System.Buffers;
using Conclave.Server.OpenApi;
using Conclave.Server.Telemetry.Prometheus;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Net.Http.Headers;

namespace Conclave.Server.Telemetry;

/// <summary>Adds <c>/metrics</c>.</summary>
public static class PrometheusEndpoint
{
    /// <summary>Adds <see cref="PrometheusMetrics"/>.</summary>
    public static IServiceCollection AddPrometheusMetrics(this IServiceCollection services)
    {
        services.TryAddSingleton(provider => new PrometheusMetrics(provider.GetRequiredService<ILogger<PrometheusMetrics>>()));
        return services;
    }

    /// <summary>Answers with all metrics, as OpenMetrics 1.0 to those who prefer it, else as Prometheus text 0.0.4.</summary>
    /// <remarks>It begins to count now: map it before the work starts.</remarks>
    public static IEndpointConventionBuilder MapPrometheusMetrics(this IEndpointRouteBuilder app, string pattern = "/metrics")
    {
        var metrics = app.ServiceProvider.GetRequiredService<PrometheusMetrics>();
        return app.MapGet(pattern, async (HttpContext context) =>
        {
            var openMetrics = PrefersOpenMetrics(context.Request.Headers.Accept);
            var body = new ArrayBufferWriter<byte>(64 * 1024);
            metrics.Write(body, openMetrics);
            context.Response.ContentType = openMetrics ? PrometheusText.OpenMetricsContentType : PrometheusText.PlainContentType;
            context.Response.ContentLength = body.WrittenCount;
            context.Response.Headers.CacheControl = "no-store";
            context.Response.Headers.Vary = "Accept";
            await context.Response.Body.WriteAsync(body.WrittenMemory, context.RequestAborted);
        }).ExcludeFromDescription().DisableHttpMetrics()
            .Describe("GetMetrics", "All metrics, for Prometheus", o => o.AnswersFile("text/plain or application/openmetrics-text"));
    }

    internal static bool PrefersOpenMetrics(IList<string?> accept)
    {
        if (!MediaTypeHeaderValue.TryParseList([.. accept.OfType<string>()], out var types)) return false;
        var (plain, open) = (0.0, 0.0);
        foreach (var type in types)
        {
            var quality = type.Quality ?? 1;
            if (type.MediaType.Equals("application/openmetrics-text", StringComparison.OrdinalIgnoreCase))
            {
                var version = type.Parameters.FirstOrDefault(p => p.Name.Equals("version", StringComparison.OrdinalIgnoreCase));
                if (version is null || HeaderUtilities.RemoveQuotes(version.Value).Equals("1.0.0", StringComparison.Ordinal))
                    open = Math.Max(open, quality);
            }
            else if (type.MatchesMediaType("text/plain"))
            {
                plain = Math.Max(plain, quality);
            }
        }
        return open > 0 && open >= plain;
    }
}
