using Conclave.Server;
using Conclave.Server.OpenApi;

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

var app = ServerApplication.Build(builder, options);
if (app.Configuration[DocumentFile.WriteTo] is { } document)
{
    // Starting would do so: without it there are no endpoints to describe.
    app.UseEndpoints(_ => { });
    await DocumentFile.WriteAsync(app.Services, document, CancellationToken.None);
    return 0;
}

await app.RunAsync();
return Environment.ExitCode;
