using System.Buffers;
using System.Globalization;
using System.Text.Json;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Conclave.Agents.Tools;

/// <summary>Reads YAML as JSON: the subset that both know.</summary>
public static class YamlJson
{
    private const int Deepest = 48;
    private const int MostNodes = 100_000;

    /// <summary>Reads one document.</summary>
    /// <exception cref="FormatException">It is no YAML, has several documents, or refers to itself; the message names the line.</exception>
    public static JsonElement Read(string text)
    {
        var stream = new YamlStream();
        try
        {
            CheckDepth(text);
            stream.Load(new StringReader(text));
        }
        catch (YamlException exception)
        {
            throw new FormatException($"line {exception.Start.Line}: {exception.Message}", exception);
        }

        if (stream.Documents.Count != 1)
            throw new FormatException($"It has {stream.Documents.Count} YAML documents; there must be one.");
        var buffer = new ArrayBufferWriter<byte>(1024);
        var nodes = 0;
        using (var writer = new Utf8JsonWriter(buffer))
            Write(writer, stream.Documents[0].RootNode, 0, ref nodes);
        return JsonElement.Parse(buffer.WrittenSpan);
    }

    // The stream follows whatever nesting there is, and would end the process with the stack.
    private static void CheckDepth(string text)
    {
        var parser = new Parser(new StringReader(text));
        for (var depth = 0; parser.MoveNext();)
        {
            depth += parser.Current!.NestingIncrease;
            if (depth > Deepest + 2)
                throw new FormatException($"line {parser.Current.Start.Line}: it is nested deeper than {Deepest} levels.");
        }
    }

    // An alias is written as often as it is used; the count keeps a few lines from becoming gigabytes.
    private static void Write(Utf8JsonWriter writer, YamlNode node, int depth, ref int nodes)
    {
        if (depth > Deepest)
            throw new FormatException($"line {node.Start.Line}: it is nested deeper than {Deepest} levels.");
        if (++nodes > MostNodes)
            throw new FormatException($"It has more than {MostNodes:N0} values.");
        switch (node)
        {
            case YamlMappingNode mapping:
                writer.WriteStartObject();
                foreach (var (key, value) in mapping.Children)
                {
                    if (key is not YamlScalarNode { Value: { } name })
                        throw new FormatException($"line {key.Start.Line}: a key must be a text.");
                    writer.WritePropertyName(name);
                    Write(writer, value, depth + 1, ref nodes);
                }

                writer.WriteEndObject();
                break;
            case YamlSequenceNode sequence:
                writer.WriteStartArray();
                foreach (var item in sequence.Children)
                    Write(writer, item, depth + 1, ref nodes);
                writer.WriteEndArray();
                break;
            case YamlScalarNode scalar:
                WriteScalar(writer, scalar.Value ?? "", scalar.Style is ScalarStyle.Plain);
                break;
            default:
                throw new FormatException($"line {node.Start.Line}: JSON has nothing for {node.NodeType}.");
        }
    }

    /// <summary>Writes a scalar by YAML 1.2's core schema (10.3.2): what is quoted is a text, whatever it looks like. Only what JSON can say counts as a number.</summary>
    internal static void WriteScalar(Utf8JsonWriter writer, string text, bool isPlain)
    {
        if (!isPlain)
            writer.WriteStringValue(text);
        else if (text is "" or "~" or "null" or "Null" or "NULL")
            writer.WriteNullValue();
        else if (text is "true" or "True" or "TRUE")
            writer.WriteBooleanValue(true);
        else if (text is "false" or "False" or "FALSE")
            writer.WriteBooleanValue(false);
        else if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole))
            writer.WriteNumberValue(whole);
        else if (char.IsAsciiDigit(text[^1]) && double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number))
            writer.WriteNumberValue(number);
        else
            writer.WriteStringValue(text);
    }
}
