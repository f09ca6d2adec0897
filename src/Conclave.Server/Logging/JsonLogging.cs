using Serilog;
using Serilog.Core;
using Serilog.Extensions.Logging;

namespace Conclave.Server.Logging;

/// <summary>Sets up logs.</summary>
public static class JsonLogging
{
    /// <summary>
    /// Logs to standard output: a line of JSON per event, or plain text when it is a terminal; <c>Logging:Format</c>
    /// (<c>auto</c>, <c>json</c>, <c>text</c>) decides otherwise. Levels come from <c>Logging:LogLevel</c>.
    /// </summary>
    /// <remarks>Replaces other providers. Values whose names tell of secrets are written as <c>***</c>.</remarks>
    public static ILoggingBuilder AddConclaveLogging(this ILoggingBuilder logging, IConfiguration configuration) =>
        logging.AddConclaveLogging(configuration, null);

    internal static ILoggingBuilder AddConclaveLogging(this ILoggingBuilder logging, IConfiguration configuration, ILogEventSink? sink)
    {
        var json = configuration["Logging:Format"]?.ToUpperInvariant() switch
        {
            "JSON" => true,
            "TEXT" => false,
            _ => Console.IsOutputRedirected,
        };
        // The levels are those of Microsoft.Extensions.Logging, which asks before it formats anything.
        var logger = new LoggerConfiguration().MinimumLevel.Verbose().Enrich.With<Redaction>();
        if (sink is not null) logger.WriteTo.Sink(sink);
        else if (json) logger.WriteTo.Console(new JsonLogFormatter());
        else logger.WriteTo.Console(new TextLogFormatter());

        logging.ClearProviders();
        logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
        // Each command that it ran.
        logging.AddFilter("Npgsql", LogLevel.Warning);
        // After the filter, so that the configuration wins.
        logging.AddConfiguration(configuration.GetSection("Logging"));
        // Made by a factory, so that the container disposes it and with it the logger.
        logging.Services.AddSingleton<ILoggerProvider>(_ => new SerilogLoggerProvider(logger.CreateLogger(), dispose: true));
        return logging;
    }
}
