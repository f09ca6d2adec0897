using Conclave.Server;
using Conclave.Server.Accounts;
using Conclave.Server.Accounts.Pages;
using Conclave.Server.Api;
using Conclave.Server.Designer;
using Conclave.Server.ElsaApi;
using Conclave.Server.Health;
using Conclave.Server.Hosting;
using Conclave.Server.Inference;
using Conclave.Server.Logging;
using Conclave.Server.Telemetry;
using Conclave.Server.Webhooks;

if (ServerCommandLine.Parse(args, out var settings) is { } exitCode)
    return exitCode;
var builder = WebApplication.CreateSlimBuilder();
ServerOptions options;
try
{
    options = builder.AddServerOptions(settings);
}
catch (ServerOptionsException exception)
{
    await Console.Error.WriteLineAsync(exception.Message);
    return 1;
}

builder.Logging.AddConclaveLogging(builder.Configuration);
builder.Services.AddTelemetryExport();
builder.Services.AddPrometheusMetrics();
builder.Services.AddConclaveHealth(options);
builder.Services.AddSingleton<ServerRuntime>();
builder.Services.AddHostedService(services => services.GetRequiredService<ServerRuntime>());
builder.Services.AddAccounts(options);
builder.Services.AddInference();
builder.Services.AddConclaveApi();
builder.Services.AddElsaApi();
builder.Services.AddWebhooks();

var app = builder.Build();
if (options.IsWeb)
{
    // First, so that browsers may read every answer.
    app.UseElsaCrossOrigin(options);
    app.UseMiddleware<StartupGate>();
}

app.UseAccounts();
app.MapConclaveHealth();
app.MapPrometheusMetrics().RequireMetricsAccess(options.MetricsAccess);
if (options.IsWeb)
{
    app.MapAccountPages();
    app.MapConclaveApi();
    app.MapElsaApi();
    app.MapDesigner();
    app.MapWebhooks();
}

await app.RunAsync();
return Environment.ExitCode;
