using Conclave.Server.Accounts;
using Conclave.Server.Accounts.Pages;
using Conclave.Server.Agents;
using Conclave.Server.Api;
using Conclave.Server.Approvals;
using Conclave.Server.Designer;
using Conclave.Server.ElsaApi;
using Conclave.Server.Health;
using Conclave.Server.Hosting;
using Conclave.Server.Inference;
using Conclave.Server.Logging;
using Conclave.Server.OpenApi;
using Conclave.Server.Telemetry;
using Conclave.Server.Tools;
using Conclave.Server.Web;
using Conclave.Server.Webhooks;

namespace Conclave.Server;

/// <summary>What the server is made of.</summary>
internal static class ServerApplication
{
    /// <summary>Builds the server; nothing has started yet.</summary>
    public static WebApplication Build(WebApplicationBuilder builder, ServerOptions options)
    {
        // A request is handled where it was read, and its answer sent from there: each change of threads costs a call of a model some of the little time that
        // it may take here. What handles requests gives its thread back while it waits.
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        builder.Logging.AddConclaveLogging(builder.Configuration);
        builder.Services.AddTelemetryExport();
        builder.Services.AddPrometheusMetrics();
        builder.Services.AddConclaveHealth(options);
        builder.Services.AddSingleton<ServerRuntime>();
        builder.Services.AddHostedService(services => services.GetRequiredService<ServerRuntime>());
        // Before the accounts, which take out what would read the keys before the database has started.
        if (options.IsWeb)
            builder.Services.AddWebApp();
        builder.Services.AddAccounts(options);
        builder.Services.AddInference();
        builder.Services.AddModelApis(builder.Configuration);
        builder.Services.AddAgents();
        builder.Services.AddConclaveApi();
        builder.Services.AddApprovals();
        builder.Services.AddTools();
        builder.Services.AddElsaApi();
        builder.Services.AddWebhooks();
        builder.Services.AddOpenApiDocument();

        var app = builder.Build();
        app.UseKnownProxies(options);
        app.Use(ApiVersion.ReadAsync);
        // First, so that browsers may read every answer.
        if (options.IsWeb)
            app.UseElsaCrossOrigin(options);
        if (options.IsWeb || options.IsInference)
            app.UseMiddleware<StartupGate>();
        if (options.IsInference)
            app.Use(ModelApiRequests.AnswerRootAsync);

        // After the gate, which so comes before webhooks, too: they are run from here.
        app.UseRouting();
        app.UseAccounts();
        app.MapConclaveHealth();
        app.MapPrometheusMetrics().RequireMetricsAccess(options.MetricsAccess);
        if (options.IsWeb)
        {
            app.MapAccountPages();
            app.MapWebApp();
            app.MapConclaveApi();
            app.MapMcp();
            app.MapElsaApi();
            app.MapDesigner();
            app.MapWebhooks();
            app.MapOpenApiDocument();
        }

        if (options.IsInference)
            app.MapModelApis();
        return app;
    }
}
