using System.Buffers;
using System.Collections;
using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Expressions;

/// <summary>
/// Converts the values that flow through a workflow. A value is null, a CLR scalar (string, bool, numbers, dates, Guid,
/// TimeSpan, Uri, byte[]) or, for anything structured, an immutable <see cref="JsonElement"/>.
/// </summary>
/// <remarks>Rules: elsa/server-api.md section 6.2. All conversions are culture-invariant.</remarks>
public static class ValueConverter
{
    private static readonly ConcurrentDictionary<Type, Func<object?, object?>> Custom = new();

    /// <summary>Values may nest deeper than the reader's default of 64.</summary>
    private static readonly JsonDocumentOptions Deep = new() { MaxDepth = 512 };

    private static readonly object True = true;
    private static readonly object False = false;

    /// <summary>A boxed boolean without an allocation.</summary>
    public static object Box(bool value) => value ? True : False;

    /// <summary>Converts a value to a type.</summary>
    /// <exception cref="ValueConversionException">The value cannot be read as that type.</exception>
    public static T? Convert<T>(object? value) => value is T typed ? typed
        : Convert(value, typeof(T)) is { } converted ? (T)converted
        : default;

    /// <summary>Converts a value to a declared type, lists included.</summary>
    /// <exception cref="ValueConversionException">The value cannot be read as that type.</exception>
    public static object? Convert(object? value, DataType type)
    {
        if (type.IsList)
            return ToList(value);
        var converted = Convert(value, type.Clr);
        if (type.IsMap && converted is JsonElement { ValueKind: not (JsonValueKind.Object or JsonValueKind.Null) })
            throw Failure(value!, "an object");
        return converted;
    }

    /// <summary>Converts a value to a type.</summary>
    /// <returns>The converted value; null for null, or the default of a value type.</returns>
    /// <exception cref="ValueConversionException">The value cannot be read as that type.</exception>
    public static object? Convert(object? value, Type target)
    {
        target = Nullable.GetUnderlyingType(target) ?? target;
        if (value is null || target == typeof(object) || target.IsInstanceOfType(value))
            return value;
        if (target == typeof(string))
            return ToText(value);
        if (target == typeof(JsonElement))
            return ToStructured(value);
        if (value is JsonElement json)
        {
            var scalar = FromJson(json);
            if (scalar is not JsonElement)
                return Convert(scalar, target);
            try
            {
                return FromStructured(json, target);
            }
            catch (Exception exception) when (exception is FormatException or InvalidOperationException)
            {
                throw Failure(value, target, exception);
            }
        }

        if (value is JsonNode node)
            return Convert(JsonElement.Parse(node.ToJsonString()), target);
        try
        {
            return value is string text ? FromText(text, target) : FromScalar(value, target);
        }
        catch (Exception exception) when (exception is FormatException or OverflowException or InvalidCastException
                                              or ArgumentException or JsonException or InvalidOperationException)
        {
            throw Failure(value, target, exception);
        }
    }

    /// <summary>A JSON value as a workflow value: scalars become CLR values, objects and arrays stay JSON.</summary>
    public static object? FromJson(JsonElement json)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.String:
                return json.GetString();
            case JsonValueKind.True:
                return True;
            case JsonValueKind.False:
                return False;
            case JsonValueKind.Number:
                if (json.TryGetInt32(out var small))
                    return small;
                if (json.TryGetInt64(out var integer))
                    return integer;
                var floating = json.GetDouble();
                return double.IsFinite(floating) ? floating : json;
            case JsonValueKind.Undefined or JsonValueKind.Null:
                return null;
            default:
                return json;
        }
    }

    /// <summary>Writes a workflow value as JSON. Dates are ISO 8601, byte arrays base64.</summary>
    public static void WriteJson(Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null: writer.WriteNullValue(); break;
            case string text: writer.WriteStringValue(text); break;
            case bool flag: writer.WriteBooleanValue(flag); break;
            case int number: writer.WriteNumberValue(number); break;
            case long number: writer.WriteNumberValue(number); break;
            case double number when double.IsFinite(number): writer.WriteNumberValue(number); break;
            case double: writer.WriteNullValue(); break;
            case float number when float.IsFinite(number): writer.WriteNumberValue(number); break;
            case float: writer.WriteNullValue(); break;
            case decimal number: writer.WriteNumberValue(number); break;
            case short number: writer.WriteNumberValue(number); break;
            case byte number: writer.WriteNumberValue(number); break;
            case JsonElement { ValueKind: JsonValueKind.Undefined }: writer.WriteNullValue(); break;
            case JsonElement json: json.WriteTo(writer); break;
            case JsonNode node: node.WriteTo(writer); break;
            case byte[] bytes: writer.WriteBase64StringValue(bytes); break;
            case DateTime date: writer.WriteStringValue(date); break;
            case DateTimeOffset date: writer.WriteStringValue(date); break;
            case Guid guid: writer.WriteStringValue(guid); break;
            case IJsonValue json: json.WriteJson(writer); break;
            case IReadOnlyDictionary<string, object?> map: WriteMap(writer, map); break;
            case IReadOnlyDictionary<string, string> map: WriteMap(writer, map); break;
            case IReadOnlyDictionary<string, string[]> map: WriteMap(writer, map); break;
            case IEnumerable items:
                writer.WriteStartArray();
                foreach (var item in items)
                    WriteJson(writer, item);
                writer.WriteEndArray();
                break;
            default: writer.WriteStringValue(ToText(value)); break;
        }
    }

    private static void WriteMap<T>(Utf8JsonWriter writer, IEnumerable<KeyValuePair<string, T>> map)
    {
        writer.WriteStartObject();
        foreach (var (name, item) in map)
        {
            writer.WritePropertyName(name);
            WriteJson(writer, item);
        }

        writer.WriteEndObject();
    }

    /// <summary>A workflow value as JSON.</summary>
    public static JsonElement ToJson(object? value)
    {
        if (value is JsonElement { ValueKind: not JsonValueKind.Undefined } json)
            return json;
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
            WriteJson(writer, value);
        return JsonElement.Parse(buffer.WrittenSpan, Deep);
    }

    /// <summary>A workflow value as people read it; null for null.</summary>
    public static string? ToText(object? value) => value switch
    {
        null => null,
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } json => json.GetString(),
        JsonElement { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined } => null,
        JsonElement json => json.GetRawText(),
        byte[] bytes => System.Convert.ToBase64String(bytes),
        DateTime date => date.ToString("O", CultureInfo.InvariantCulture),
        DateTimeOffset date => date.ToString("O", CultureInfo.InvariantCulture),
        IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
        IEnumerable or IJsonValue => ToJson(value).GetRawText(),
        _ => value.ToString(),
    };

    /// <summary>Reads a value as a list of values: arrays item by item, a scalar as one item, null as none.</summary>
    public static IEnumerable<object?> Enumerate(object? value)
    {
        if (value is string text && text.AsSpan().TrimStart() is ['[', ..] && TryParse(text) is { } parsed)
            value = parsed;
        switch (value)
        {
            case null:
                return [];
            case JsonElement { ValueKind: JsonValueKind.Array } array:
                return array.EnumerateArray().Select(FromJson);
            case JsonElement { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined }:
                return [];
            case string or byte[] or JsonElement or IReadOnlyDictionary<string, object?>:
                return [value];
            case IEnumerable items:
                return items.Cast<object?>();
            default:
                return [value];
        }
    }

    /// <summary>Lets a library teach the converter one more target type.</summary>
    internal static void Register<T>(Func<object?, T> convert) => Custom[typeof(T)] = value => convert(value);

    private static object? FromText(string text, Type target)
    {
        var trimmed = text.AsSpan().Trim();
        if (trimmed is ['{', ..] or ['[', ..] && TryParse(text) is { } json)
            return FromStructured(json, target);
        if (target.IsEnum)
            return Enum.Parse(target, text.Trim(), ignoreCase: true);
        if (trimmed.IsEmpty && target.IsValueType)
            return Activator.CreateInstance(target);
        var invariant = CultureInfo.InvariantCulture;
        if (target == typeof(bool))
            return Box(bool.Parse(trimmed));
        if (target == typeof(int))
            return int.TryParse(trimmed, NumberStyles.Integer, invariant, out var number) ? number : checked((int)Whole(trimmed));
        if (target == typeof(long))
            return long.TryParse(trimmed, NumberStyles.Integer, invariant, out var number) ? number : checked((long)Whole(trimmed));
        if (target == typeof(short))
            return short.Parse(trimmed, NumberStyles.Integer, invariant);
        if (target == typeof(double))
            return double.Parse(trimmed, NumberStyles.Float | NumberStyles.AllowThousands, invariant);
        if (target == typeof(float))
            return float.Parse(trimmed, NumberStyles.Float | NumberStyles.AllowThousands, invariant);
        if (target == typeof(decimal))
            return decimal.Parse(trimmed, NumberStyles.Float | NumberStyles.AllowThousands, invariant);
        if (target == typeof(Guid))
            return Guid.Parse(trimmed);
        if (target == typeof(TimeSpan))
            return TimeSpan.Parse(text, invariant);
        if (target == typeof(DateTimeOffset))
            return DateTimeOffset.Parse(text, invariant, DateTimeStyles.AssumeUniversal);
        if (target == typeof(DateTime))
            return DateTime.Parse(text, invariant, DateTimeStyles.RoundtripKind);
        if (target == typeof(Uri))
            return new Uri(text, UriKind.RelativeOrAbsolute);
        if (target == typeof(byte[]))
            return System.Convert.FromBase64String(text);
        if (ListItem(target) is { } item)
            return trimmed.IsEmpty ? BuildList([], item) : BuildList(text.Split(','), item);
        if (Custom.TryGetValue(target, out var custom))
            return custom(text);
        throw new InvalidCastException($"There is no conversion from text to {target.Name}.");
    }

    private static decimal Whole(ReadOnlySpan<char> text) =>
        decimal.Round(decimal.Parse(text, NumberStyles.Float | NumberStyles.AllowThousands, CultureInfo.InvariantCulture));

    private static object? FromScalar(object value, Type target)
    {
        if (target.IsEnum)
            return Enum.ToObject(target, System.Convert.ToInt64(value, CultureInfo.InvariantCulture));
        if (ListItem(target) is { } item)
            return BuildList(Enumerate(value), item);
        if (target == typeof(DateTimeOffset) && value is DateTime dateTime)
            return new DateTimeOffset(dateTime);
        if (target == typeof(DateTime) && value is DateTimeOffset offset)
            return offset.UtcDateTime;
        if (Custom.TryGetValue(target, out var custom))
            return custom(value);
        if (value is IReadOnlyDictionary<string, object?> or IReadOnlyDictionary<string, string>)
            return FromStructured(ToJson(value), target);
        return System.Convert.ChangeType(value, target, CultureInfo.InvariantCulture);
    }

    private static object? FromStructured(JsonElement json, Type target)
    {
        if (target == typeof(JsonElement) || target == typeof(object))
            return json;
        if (target == typeof(string))
            return json.GetRawText();
        if (ListItem(target) is { } item)
            return BuildList(Enumerate(json), item);
        if (target == typeof(byte[]) && json.ValueKind == JsonValueKind.Array)
            return json.EnumerateArray().Select(b => b.GetByte()).ToArray();
        if (target == typeof(IReadOnlyDictionary<string, object?>) && json.ValueKind == JsonValueKind.Object)
            return ToMap(json, FromJson);
        if (target == typeof(IReadOnlyDictionary<string, string>) && json.ValueKind == JsonValueKind.Object)
            return ToMap(json, v => ToText(v) ?? "");
        if (Custom.TryGetValue(target, out var custom))
            return custom(json);
        throw Failure(json, target, null);
    }

    private static Dictionary<string, T> ToMap<T>(JsonElement json, Func<JsonElement, T> convert)
    {
        var map = new Dictionary<string, T>(StringComparer.Ordinal);
        foreach (var property in json.EnumerateObject())
            map[property.Name] = convert(property.Value);
        return map;
    }

    private static Type? ListItem(Type target)
    {
        if (target.IsArray && target != typeof(byte[]))
            return target.GetElementType();
        return target.IsGenericType && target.GetGenericTypeDefinition() == typeof(IReadOnlyList<>)
            ? target.GetGenericArguments()[0]
            : null;
    }

    private static Array BuildList(IEnumerable<object?> items, Type item)
    {
        var converted = items.Select(i => Convert(i, item)).ToArray();
        var list = Array.CreateInstance(item, converted.Length);
        for (var i = 0; i < converted.Length; i++)
            list.SetValue(converted[i], i);
        return list;
    }

    private static object? ToList(object? value)
    {
        if (value is null or JsonElement { ValueKind: JsonValueKind.Array })
            return value;
        return ToJson(Enumerate(value).ToArray());
    }

    private static object? ToStructured(object value)
    {
        if (value is string text)
            return TryParse(text) ?? ToJson(text);
        return ToJson(value);
    }

    private static JsonElement? TryParse(string text)
    {
        try
        {
            return JsonElement.Parse(text, Deep);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static ValueConversionException Failure(object value, Type target, Exception? inner) =>
        Failure(value, FriendlyName(target), inner);

    private static ValueConversionException Failure(object value, string target, Exception? inner = null)
    {
        var shown = ToText(value) ?? "null";
        if (shown.Length > 80)
            shown = shown[..80] + "…";
        return new ValueConversionException($"'{shown}' cannot be read as {target}.", inner);
    }

    private static string FriendlyName(Type type) => type.IsEnum
        ? $"one of {string.Join(", ", Enum.GetNames(type))}"
        : ListItem(type) is { } item ? $"a list of {item.Name}" : type.Name;
}

/// <summary>A value could not be converted to the type that was asked for.</summary>
public sealed class ValueConversionException(string message, Exception? inner = null) : Exception(message, inner);
