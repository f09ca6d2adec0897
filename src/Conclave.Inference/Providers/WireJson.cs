using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers;

/// <summary>Reads and writes the JSON of model servers.</summary>
internal static class WireJson
{
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private static readonly JsonElement Nothing = JsonElement.Parse("[]");

    /// <summary>A writer of compact JSON.</summary>
    public static Utf8JsonWriter Writer(ArrayBufferWriter<byte> target) => new(target, Options);

    /// <summary>The body of a request.</summary>
    /// <param name="state">Handed to <paramref name="write"/>.</param>
    /// <param name="write">Writes the members of the object.</param>
    public static ArrayBufferWriter<byte> Object<TState>(TState state, Action<Utf8JsonWriter, TState> write)
    {
        var body = new ArrayBufferWriter<byte>(1024);
        using var writer = Writer(body);
        writer.WriteStartObject();
        write(writer, state);
        writer.WriteEndObject();
        return body;
    }

    /// <summary>A member that is text; null when it is missing or something else.</summary>
    public static string? TextOf(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>A member that is a whole number; null when it is missing or something else.</summary>
    public static long? NumberOf(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number : null;

    /// <summary>A member that is an object; undefined when it is missing or something else.</summary>
    public static JsonElement ObjectOf(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object ? value : default;

    /// <summary>The elements of a member that is an array; none when it is missing or something else.</summary>
    public static JsonElement.ArrayEnumerator ItemsOf(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : Nothing.EnumerateArray();

    /// <summary>Writes a value of <see cref="ChatOptions.AdditionalProperties"/> or of a tool call's arguments.</summary>
    public static void WriteAny(this Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null:
                writer.WriteNullValue();
                break;
            case JsonElement element:
                element.WriteTo(writer);
                break;
            case JsonNode node:
                node.WriteTo(writer);
                break;
            case string text:
                writer.WriteStringValue(text);
                break;
            case bool flag:
                writer.WriteBooleanValue(flag);
                break;
            case int number:
                writer.WriteNumberValue(number);
                break;
            case long number:
                writer.WriteNumberValue(number);
                break;
            case float number when float.IsFinite(number):
                writer.WriteNumberValue(number);
                break;
            case double number when double.IsFinite(number):
                writer.WriteNumberValue(number);
                break;
            case IDictionary<string, object?> members:
                writer.WriteStartObject();
                foreach (var (name, member) in members)
                {
                    writer.WritePropertyName(name);
                    writer.WriteAny(member);
                }

                writer.WriteEndObject();
                break;
            default:
                JsonSerializer.Serialize(writer, value, AIJsonUtilities.DefaultOptions.GetTypeInfo(value.GetType()));
                break;
        }
    }

    /// <summary>Writes the schema of a tool's parameters; a tool without one takes none.</summary>
    public static void WriteParameters(this Utf8JsonWriter writer, string name, AIFunctionDeclaration function)
    {
        writer.WritePropertyName(name);
        if (function.JsonSchema.ValueKind == JsonValueKind.Object)
            function.JsonSchema.WriteTo(writer);
        else
            writer.WriteRawValue("""{"type":"object","properties":{}}"""u8);
    }

    /// <summary>A value as JSON text.</summary>
    public static string ToJson(object? value)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = Writer(buffer))
            writer.WriteAny(value);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>What a tool returned, as the text that models are given.</summary>
    public static string ToText(object? result) => result switch
    {
        null => "",
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } text => text.GetString()!,
        JsonElement { ValueKind: JsonValueKind.Undefined } => "",
        TextContent text => text.Text,
        _ => ToJson(result),
    };

    /// <summary>A tool call from what a model wrote. Arguments that are no JSON object are kept as text under <c>arguments</c>, with the reason.</summary>
    public static FunctionCallContent ToolCall(string id, string name, string arguments)
    {
        try
        {
            if (string.IsNullOrWhiteSpace(arguments))
                return new FunctionCallContent(id, name, new Dictionary<string, object?>());
            using var document = JsonDocument.Parse(arguments);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return new FunctionCallContent(id, name, Arguments(document.RootElement));
        }
        catch (JsonException exception)
        {
            return Broken(exception);
        }

        return Broken(null);

        FunctionCallContent Broken(JsonException? exception) => new(id, name)
        {
            Exception = exception ?? new JsonException("The model's arguments are not a JSON object."),
            AdditionalProperties = new() { ["arguments"] = arguments },
        };
    }

    /// <summary>The members of an object, kept beyond the document's life.</summary>
    public static Dictionary<string, object?> Arguments(JsonElement element)
    {
        var arguments = new Dictionary<string, object?>();
        foreach (var member in element.EnumerateObject())
            arguments[member.Name] = member.Value.Clone();
        return arguments;
    }

    /// <summary>The arguments of a tool call as JSON text.</summary>
    public static string ArgumentsText(FunctionCallContent call) =>
        call.Arguments is null && call.AdditionalProperties?.TryGetValue("arguments", out var raw) == true && raw is string text ? text : call.Arguments is null ? "{}" : ToJson(call.Arguments);

    /// <summary>A setting of the caller as text, whether it is text or JSON.</summary>
    public static string? TextSetting(this ChatOptions options, string name) => options.AdditionalProperties?.GetValueOrDefault(name) switch
    {
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } text => text.GetString(),
        _ => null,
    };

    /// <summary>A setting of the caller as yes or no, whether it is a value or JSON.</summary>
    public static bool? FlagSetting(this ChatOptions options, string name) => options.AdditionalProperties?.GetValueOrDefault(name) switch
    {
        bool flag => flag,
        JsonElement { ValueKind: JsonValueKind.True } => true,
        JsonElement { ValueKind: JsonValueKind.False } => false,
        _ => null,
    };

    private static object? GetValueOrDefault(this AdditionalPropertiesDictionary properties, string name) => properties.TryGetValue(name, out var value) ? value : null;

    /// <summary>A moment from seconds since 1970; null where there is none.</summary>
    public static DateTimeOffset? FromUnix(long? seconds) => seconds is > 0 and < 253_402_300_800 ? DateTimeOffset.FromUnixTimeSeconds(seconds.Value) : null;

    /// <summary>A moment from text; null where there is none.</summary>
    public static DateTimeOffset? FromText(string? text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var moment) ? moment : null;
}
