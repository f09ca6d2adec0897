using System.Text.Json;
using System.Text.Json.Serialization;
using Conclave.Server.OpenApi;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Conclave.Server.Health;

/// <summary>Adds <c>/health/live</c>, <c>/health/startup</c> and <c>/health/ready</c>.</summary>
public static class HealthEndpoints
{
    /// <summary>Adds <see cref="StartupState"/>, <see cref="HealthChecks"/> and <see cref="Draining"/>.</summary>
    public static IServiceCollection AddConclaveHealth(this IServiceCollection services, ServerOptions options)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<StartupState>();
        services.AddSingleton(provider => new HealthChecks(
            options.HealthCheckTimeout, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<HealthChecks>>()));
        services.AddSingleton(provider => new Draining(
            provider.GetRequiredService<IHostApplicationLifetime>(), options.DrainDelay,
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<Draining>>()));
        services.AddHostedService(provider => provider.GetRequiredService<Draining>());
        services.Configure<HostOptions>(host => host.ShutdownTimeout = options.DrainDelay + options.DrainTimeout);
        return services;
    }

    /// <summary>Maps the three; none needs a key.</summary>
    /// <returns>The group, so that the caller can allow everyone in.</returns>
    public static RouteGroupBuilder MapConclaveHealth(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/health");
        group.MapGet("/live", (HttpContext context) => AnswerAsync(context, new HealthAnswer("live")))
            .Describe("GetLiveness", "Whether the process answers", o => o.Answers<HealthAnswer>());
        group.MapGet("/startup", (HttpContext context, StartupState startup) => AnswerAsync(context, startup.IsFinished
            ? new HealthAnswer("started")
            : new HealthAnswer("starting", startup.Step)))
            .Describe("GetStartup", "Whether start-up has finished", o => o.Answers<HealthAnswer>().Answers<HealthAnswer>(503, "It has not."));
        group.MapGet("/ready", async (HttpContext context, StartupState startup, Draining draining, HealthChecks checks) =>
        {
            if (draining.IsDraining)
            {
                await AnswerAsync(context, new HealthAnswer("draining"));
            }
            else if (!startup.IsFinished)
            {
                await AnswerAsync(context, new HealthAnswer("starting", startup.Step));
            }
            else
            {
                var results = await checks.RunAsync(context.RequestAborted);
                var status = draining.IsDraining ? "draining" : results.All(r => r.Healthy) ? "ready" : "failing";
                await AnswerAsync(context, new HealthAnswer(status, Checks: results));
            }
        }).Describe("GetReadiness", "Whether requests may come", o => o.Answers<HealthAnswer>().Answers<HealthAnswer>(503, "They may not."));
        group.ExcludeFromDescription().DisableHttpMetrics();
        return group;
    }

    private static Task AnswerAsync(HttpContext context, HealthAnswer answer)
    {
        context.Response.StatusCode = answer.Status is "live" or "started" or "ready"
            ? StatusCodes.Status200OK
            : StatusCodes.Status503ServiceUnavailable;
        context.Response.Headers.CacheControl = "no-store";
        return context.Response.WriteAsJsonAsync(answer, HealthJson.Default.HealthAnswer, null, context.RequestAborted);
    }
}

/// <summary>What a health address answers.</summary>
/// <param name="Status"><c>live</c>, <c>started</c> or <c>ready</c> with 200; <c>starting</c>, <c>draining</c> or <c>failing</c> with 503.</param>
/// <param name="Step">What start-up is doing.</param>
/// <param name="Checks">What the checks said.</param>
internal sealed record HealthAnswer(string Status, string? Step = null, IReadOnlyList<HealthResult>? Checks = null);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(HealthAnswer))]
internal sealed partial class HealthJson : JsonSerializerContext;
