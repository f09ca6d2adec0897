using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Conclave.Agents.Tools;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Conclave.Agents.Packages;

/// <summary>A YAML document as JSON that remembers its lines.</summary>
/// <param name="Json">The document: the core schema of YAML 1.2 says what is a number, a truth value or null.</param>
/// <param name="Lines">Line of each value, from 1, by its JSON Pointer.</param>
internal sealed record ManifestYaml(JsonElement Json, IReadOnlyDictionary<string, int> Lines)
{
    private const int MostValues = 20_000;
    private const int Deepest = 32;

    /// <summary>The line of a value, or of the nearest one around it that has a line.</summary>
    public int? LineOf(string pointer)
    {
        while (true)
        {
            if (Lines.TryGetValue(pointer, out var line))
                return line;
            var slash = pointer.LastIndexOf('/');
            if (slash < 0)
                return null;
            pointer = pointer[..slash];
        }
    }

    /// <summary>Reads a document.</summary>
    /// <exception cref="ManifestYamlException">It is no YAML, or uses what data from others may not: anchors, tags, several documents, endless nesting.</exception>
    public static ManifestYaml Read(ReadOnlySpan<byte> utf8)
    {
        string text;
        try
        {
            text = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(utf8);
        }
        catch (DecoderFallbackException)
        {
            throw new ManifestYamlException(1, "The file is not valid UTF-8. Save it as UTF-8.");
        }

        try
        {
            return new Reader(new Parser(new StringReader(text))).Read();
        }
        catch (YamlException exception)
        {
            throw new ManifestYamlException((int)exception.Start.Line, $"This is no YAML: {exception.Message} Mend it at line {exception.Start.Line}, column {exception.Start.Column}.");
        }
    }

    /// <summary>Goes through the parser's events one by one: a document object model would follow whatever nesting there is.</summary>
    private sealed class Reader(Parser parser)
    {
        private readonly Dictionary<string, int> _lines = new(StringComparer.Ordinal);
        private readonly ArrayBufferWriter<byte> _buffer = new(4_096);
        private int _values;

        public ManifestYaml Read()
        {
            parser.Consume<StreamStart>();
            if (parser.Accept<StreamEnd>(out _))
                throw new ManifestYamlException(1, "The file is empty. docs/agent-packages.md shows what a manifest looks like.");
            parser.Consume<DocumentStart>();
            using (var writer = new Utf8JsonWriter(_buffer))
                Write(writer, "", 0);
            parser.Consume<DocumentEnd>();
            if (!parser.Accept<StreamEnd>(out _))
                throw new ManifestYamlException(Line(parser.Current!), "The file holds several documents. Leave one of them in it.");
            return new ManifestYaml(JsonElement.Parse(_buffer.WrittenSpan), _lines);
        }

        private void Write(Utf8JsonWriter writer, string pointer, int depth)
        {
            var current = parser.Consume<ParsingEvent>();
            _lines.TryAdd(pointer, Line(current));
            if (++_values > MostValues)
                throw new ManifestYamlException(Line(current), $"The file holds more than {MostValues:N0} values. Make it shorter.");
            if (depth > Deepest)
                throw new ManifestYamlException(Line(current), $"This is nested deeper than {Deepest} levels.");
            if (current is AnchorAlias || (current is NodeEvent { Anchor.IsEmpty: false }))
                throw new ManifestYamlException(Line(current), "Anchors and aliases are not read here. Write the value out.");
            if (current is NodeEvent { Tag.IsEmpty: false, Tag.IsNonSpecific: false })
                throw new ManifestYamlException(Line(current), "Tags are not read here. Write the value without it.");
            switch (current)
            {
                case MappingStart:
                    WriteMapping(writer, pointer, depth);
                    break;
                case SequenceStart:
                    writer.WriteStartArray();
                    for (var i = 0; !parser.TryConsume<SequenceEnd>(out _); i++)
                        Write(writer, string.Create(CultureInfo.InvariantCulture, $"{pointer}/{i}"), depth + 1);
                    writer.WriteEndArray();
                    break;
                case Scalar scalar:
                    YamlJson.WriteScalar(writer, Checked(scalar), scalar.Style == ScalarStyle.Plain);
                    break;
                default:
                    throw new ManifestYamlException(Line(current), "A value was expected here.");
            }
        }

        private void WriteMapping(Utf8JsonWriter writer, string pointer, int depth)
        {
            writer.WriteStartObject();
            var names = new HashSet<string>(StringComparer.Ordinal);
            while (!parser.TryConsume<MappingEnd>(out _))
            {
                if (!parser.TryConsume<Scalar>(out var key))
                    throw new ManifestYamlException(Line(parser.Current!), "The name of a member must be plain text.");
                if (!names.Add(Checked(key)))
                    throw new ManifestYamlException(Line(key), $"'{key.Value}' is there twice. Leave one of them.");
                writer.WritePropertyName(key.Value);
                var member = $"{pointer}/{key.Value.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}";
                _lines.TryAdd(member, Line(key));
                Write(writer, member, depth + 1);
            }

            writer.WriteEndObject();
        }

        /// <summary>Neither JSON columns nor logs take NUL characters and halves of surrogate pairs.</summary>
        private static string Checked(Scalar scalar)
        {
            if (!scalar.Value.Contains('\0', StringComparison.Ordinal) && !scalar.Value.AsSpan().ContainsAnyInRange('\ud800', '\udfff'))
                return scalar.Value;
            foreach (var rune in scalar.Value.EnumerateRunes())
            {
                if (rune.Value == 0 || rune == Rune.ReplacementChar)
                    throw new ManifestYamlException(Line(scalar), "The text has a NUL character, or half of one that takes two. Take it out.");
            }

            return scalar.Value;
        }

        private static int Line(ParsingEvent at) => (int)at.Start.Line;
    }
}

/// <summary>A manifest cannot be read.</summary>
internal sealed class ManifestYamlException(int line, string message) : Exception(message)
{
    /// <summary>The line, from 1.</summary>
    public int Line { get; } = line;
}
