using Conclave.Server;

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

await ServerApplication.Build(builder, options).RunAsync();
return Environment.ExitCode;
