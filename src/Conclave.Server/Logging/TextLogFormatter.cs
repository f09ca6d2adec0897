using System.Globalization;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Formatting.Display;

namespace Conclave.Server.Logging;

/// <summary>Writes a log event for people at a terminal: time, level, message, and the exception below.</summary>
internal sealed class TextLogFormatter : ITextFormatter
{
    /// <inheritdoc/>
    public void Format(LogEvent logEvent, TextWriter output)
    {
        output.Write(logEvent.Timestamp.ToString("HH:mm:ss.fff ", CultureInfo.InvariantCulture));
        output.Write(logEvent.Level switch
        {
            LogEventLevel.Verbose => "trace ",
            LogEventLevel.Debug => "debug ",
            LogEventLevel.Information => "info  ",
            LogEventLevel.Warning => "WARN  ",
            LogEventLevel.Error => "ERROR ",
            _ => "FATAL ",
        });
        output.Write(LogMessage.Of(logEvent));
        output.Write('\n');
        if (logEvent.Exception is null) return;
        output.Write(Redaction.Text(logEvent.Exception.ToString()));
        output.Write('\n');
    }
}

/// <summary>The message of an event as people read it.</summary>
internal static class LogMessage
{
    // Serilog by itself puts quotes around every text in a message.
    private static readonly MessageTemplateTextFormatter Plain = new("{Message:lj}", CultureInfo.InvariantCulture);

    /// <summary>The message with its values and without secrets.</summary>
    public static string Of(LogEvent logEvent)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture);
        Plain.Format(logEvent, text);
        return Redaction.Text(text.ToString());
    }
}
