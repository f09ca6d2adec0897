using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Serilog.Events;
using Serilog.Formatting;

namespace Conclave.Server.Logging;

/// <summary>
/// Writes a log event as one line of JSON: <c>timestamp, level, message, template, properties, exception, trace_id, span_id</c>,
/// those without a value left out.
/// </summary>
internal sealed class JsonLogFormatter : ITextFormatter
{
    private const int LongestBuffer = 64 * 1024;

    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    [ThreadStatic]
    private static ArrayBufferWriter<byte>? Buffer;

    /// <inheritdoc/>
    public void Format(LogEvent logEvent, TextWriter output)
    {
        var buffer = Buffer ??= new ArrayBufferWriter<byte>(1024);
        buffer.ResetWrittenCount();
        using (var json = new Utf8JsonWriter(buffer, Options))
            Write(logEvent, json);
        output.Write(Encoding.UTF8.GetString(buffer.WrittenSpan));
        output.Write('\n');
        if (buffer.Capacity > LongestBuffer) Buffer = null;
    }

    private static void Write(LogEvent logEvent, Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("timestamp", logEvent.Timestamp.UtcDateTime.ToString("O", CultureInfo.InvariantCulture));
        json.WriteString("level", logEvent.Level.ToString());
        WriteText(json, "message", LogMessage.Of(logEvent));
        WriteText(json, "template", Redaction.Text(logEvent.MessageTemplate.Text));
        if (logEvent.Properties.Count > 0)
        {
            json.WriteStartObject("properties");
            foreach (var (name, value) in logEvent.Properties)
            {
                json.WritePropertyName(Whole(name));
                Write(json, value);
            }
            json.WriteEndObject();
        }
        if (logEvent.Exception is { } exception) WriteText(json, "exception", Redaction.Text(exception.ToString()));
        if (logEvent.TraceId is { } trace) json.WriteString("trace_id", trace.ToHexString());
        if (logEvent.SpanId is { } span) json.WriteString("span_id", span.ToHexString());
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, LogEventPropertyValue value)
    {
        switch (value)
        {
            case ScalarValue scalar:
                WriteScalar(json, scalar.Value);
                break;
            case SequenceValue sequence:
                json.WriteStartArray();
                foreach (var element in sequence.Elements)
                    Write(json, element);
                json.WriteEndArray();
                break;
            case StructureValue structure:
                json.WriteStartObject();
                foreach (var property in structure.Properties)
                {
                    json.WritePropertyName(Whole(property.Name));
                    Write(json, property.Value);
                }
                json.WriteEndObject();
                break;
            case DictionaryValue dictionary:
                json.WriteStartObject();
                foreach (var (key, element) in dictionary.Elements)
                {
                    json.WritePropertyName(Whole(Convert.ToString(key.Value, CultureInfo.InvariantCulture) ?? ""));
                    Write(json, element);
                }
                json.WriteEndObject();
                break;
            default:
                json.WriteStringValue(Whole(value.ToString()));
                break;
        }
    }

    private static void WriteScalar(Utf8JsonWriter json, object? value)
    {
        switch (value)
        {
            case null: json.WriteNullValue(); break;
            case string text: json.WriteStringValue(Whole(text)); break;
            case bool flag: json.WriteBooleanValue(flag); break;
            case int number: json.WriteNumberValue(number); break;
            case long number: json.WriteNumberValue(number); break;
            case double number when double.IsFinite(number): json.WriteNumberValue(number); break;
            case float number when float.IsFinite(number): json.WriteNumberValue(number); break;
            case decimal number: json.WriteNumberValue(number); break;
            case byte or sbyte or short or ushort or uint: json.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture)); break;
            case ulong number: json.WriteNumberValue(number); break;
            case DateTime time: json.WriteStringValue(time); break;
            case DateTimeOffset time: json.WriteStringValue(time); break;
            default: json.WriteStringValue(Whole(Convert.ToString(value, CultureInfo.InvariantCulture) ?? "")); break;
        }
    }

    private static void WriteText(Utf8JsonWriter json, string name, string text) => json.WriteString(name, Whole(text));

    // Half of a surrogate pair cannot be written; a log line must not be lost for it.
    private static string Whole(string text) =>
        text.AsSpan().ContainsAnyInRange('\ud800', '\udfff') ? Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) : text;
}
