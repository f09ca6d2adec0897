using System.Text.Json;

namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>Reads the JSON of answer frames.</summary>
internal static class RunnerAnswers
{
    private static readonly JsonReaderOptions ReaderOptions = new() { MaxDepth = ScriptTypes.MaxDepth };

    public static JavaScriptResult ReadResult(ReadOnlyMemory<byte> payload)
    {
        var reader = new Utf8JsonReader(payload.Span, ReaderOptions);
        reader.Read();
        var result = new JavaScriptResult(ScriptValue.Null);
        ReadOnlyMemory<byte> json = default;
        string? type = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("v"u8)) json = Slice(ref reader, payload);
            else if (reader.ValueTextEquals("t"u8)) type = ReadType(ref reader);
            else if (reader.ValueTextEquals("variables"u8))
                result = result with { Variables = ReadValues(ref reader, payload) };
            else if (reader.ValueTextEquals("correlationId"u8))
                result = result with { CorrelationIdSet = true, CorrelationId = ReadText(ref reader) };
            else if (reader.ValueTextEquals("instanceName"u8))
                result = result with { InstanceNameSet = true, InstanceName = ReadText(ref reader) };
            else if (reader.ValueTextEquals("outcomes"u8)) result = result with { Outcomes = ReadTexts(ref reader) };
            else if (reader.ValueTextEquals("log"u8)) result = result with { Log = ReadTexts(ref reader) };
            else reader.Skip();
        }

        return result with { Value = new ScriptValue(json, type) };
    }

    public static SchemaReport ReadReport(ReadOnlyMemory<byte> payload)
    {
        using var document = JsonDocument.Parse(payload);
        var errors = document.RootElement.GetProperty("errors"u8);
        var list = new List<SchemaError>(errors.GetArrayLength());
        foreach (var error in errors.EnumerateArray())
        {
            list.Add(new SchemaError(
                Text(error, "path") ?? "", Text(error, "keyword") ?? "", Text(error, "message") ?? ""));
        }

        return new SchemaReport(document.RootElement.GetProperty("valid"u8).GetBoolean(), list);
    }

    public static IReadOnlyList<ScriptFinding> ReadFindings(ReadOnlyMemory<byte> payload)
    {
        using var document = JsonDocument.Parse(payload);
        return [.. document.RootElement.GetProperty("findings"u8).EnumerateArray().Select(f => new ScriptFinding(
            Text(f, "rule") ?? "", Text(f, "message") ?? "", f.GetProperty("line"u8).GetInt32(), f.GetProperty("column"u8).GetInt32()))];
    }

    public static ScriptException ReadError(ReadOnlyMemory<byte> payload, string? scriptName)
    {
        using var document = JsonDocument.Parse(payload);
        var root = document.RootElement;
        var kind = Text(root, "kind") switch
        {
            "syntax" => ScriptFailure.Syntax,
            "timeout" => ScriptFailure.Timeout,
            "memory" => ScriptFailure.Memory,
            "size" => ScriptFailure.ResultTooLarge,
            "schema" => ScriptFailure.Schema,
            "crashed" => ScriptFailure.Crashed,
            _ => ScriptFailure.Error,
        };
        var message = Text(root, "message") ?? "";
        var name = Text(root, "name");
        int? line = root.TryGetProperty("line"u8, out var lineJson) ? lineJson.GetInt32() : null;
        int? column = root.TryGetProperty("column"u8, out var columnJson) ? columnJson.GetInt32() : null;
        var showName = kind is ScriptFailure.Error or ScriptFailure.Syntax && name is not (null or "Error");
        var place = (scriptName, line) switch
        {
            (null, null) => "",
            (null, _) => $" (line {line}, column {column})",
            (_, null) => $" (in '{scriptName}')",
            _ => $" (in '{scriptName}', line {line}, column {column})",
        };
        return new ScriptException(kind, (showName ? $"{name}: {message}" : message) + place)
        {
            ErrorName = name,
            ErrorMessage = message,
            Line = line,
            Column = column,
            SourceLine = Text(root, "sourceLine"),
            ScriptName = scriptName,
        };
    }

    private static Dictionary<string, ScriptValue> ReadValues(ref Utf8JsonReader reader, ReadOnlyMemory<byte> payload)
    {
        var values = new Dictionary<string, ScriptValue>(StringComparer.Ordinal);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            ReadOnlyMemory<byte> json = default;
            string? type = null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("v"u8)) json = Slice(ref reader, payload);
                else if (reader.ValueTextEquals("t"u8)) type = ReadType(ref reader);
                else reader.Skip();
            }

            values[name] = new ScriptValue(json, type);
        }

        return values;
    }

    private static ReadOnlyMemory<byte> Slice(ref Utf8JsonReader reader, ReadOnlyMemory<byte> payload)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return payload[start..(int)reader.BytesConsumed];
    }

    private static string? ReadType(ref Utf8JsonReader reader)
    {
        reader.Read();
        return ScriptTypes.Intern(ref reader);
    }

    private static string? ReadText(ref Utf8JsonReader reader)
    {
        reader.Read();
        return ReadLenient(ref reader);
    }

    private static List<string> ReadTexts(ref Utf8JsonReader reader)
    {
        var texts = new List<string>();
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) texts.Add(ReadLenient(ref reader) ?? "");
        return texts;
    }

    // JavaScript strings may hold half a surrogate pair, which .NET's reader refuses to turn into a string.
    private static string? ReadLenient(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString();
        }
        catch (InvalidOperationException)
        {
            return System.Text.Encoding.UTF8.GetString(reader.ValueSpan);
        }
    }

    private static string? Text(JsonElement element, string name)
    {
        if (!element.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.String) return null;
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            return value.GetRawText().Trim('"');
        }
    }
}
