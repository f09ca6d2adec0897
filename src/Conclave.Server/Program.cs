using Conclave.Server;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.ElsaApi;
using Conclave.Server.Health;
using Conclave.Server.Hosting;
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
builder.Services.AddAccounts();
builder.Services.AddConclaveApi();
builder.Services.AddElsaApi();
builder.Services.AddWebhooks();

var app = builder.Build();
app.MapConclaveHealth();
app.MapPrometheusMetrics();
if (options.IsWeb)
{
    app.UseMiddleware<StartupGate>();
    app.UseAuthentication();
    app.UseAuthorization();
    app.MapConclaveApi();
    app.MapElsaApi();
    app.MapWebhooks();
}

await app.RunAsync();
return Environment.ExitCode;
