using System.Buffers;
using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Unicode;

namespace Conclave.Workflows.Definitions;

/// <summary>Reads workflow definitions in the Elsa 3 format, older variants included.</summary>
/// <remarks>
/// Reading checks form, not meaning: whether activity types exist and connections lead somewhere is what
/// <see cref="WorkflowGraph.Compile"/> finds out. Everything the reader does not know is kept for export.
/// </remarks>
public static partial class WorkflowDefinitionReader
{
    /// <summary>A document below this size cannot reach the token limit, so it is not scanned separately.</summary>
    private const int ScanThreshold = 512 * 1024;

    private static readonly FrozenDictionary<string, Member>.AlternateLookup<ReadOnlySpan<char>> Members =
        Enum.GetValues<Member>().ToFrozenDictionary(m => MemberName(m), StringComparer.OrdinalIgnoreCase)
            .GetAlternateLookup<ReadOnlySpan<char>>();

    private static readonly FrozenSet<string> VariableMembers = Names("id", "name", "typeName", "isArray", "value", "storageDriverTypeName", "_type");

    private static FrozenSet<string> Names(params string[] names) => names.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private enum Member
    {
        Schema,
        Id,
        DefinitionId,
        Name,
        Description,
        CreatedAt,
        Version,
        ToolVersion,
        Variables,
        Inputs,
        Outputs,
        Outcomes,
        CustomProperties,
        IsReadonly,
        IsSystem,
        IsLatest,
        IsPublished,
        Options,
        UsableAsActivity,
        Links,
        Root,
    }

    /// <summary>Reads a definition from a stream, refusing it as soon as a limit is passed.</summary>
    /// <param name="stream">UTF-8 JSON, with or without a byte order mark.</param>
    /// <param name="limits">Size limits; null takes <see cref="DefinitionLimits.Default"/>.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    /// <exception cref="WorkflowDefinitionException">The document is not a definition; carries every problem.</exception>
    public static async Task<WorkflowDefinition> ReadAsync(
        Stream stream, DefinitionLimits? limits, CancellationToken cancellationToken)
    {
        limits ??= DefinitionLimits.Default;
        var buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
        var scan = new StructureScan(limits);
        var length = 0;
        try
        {
            while (true)
            {
                if (length == buffer.Length)
                {
                    var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
                    buffer.AsSpan(0, length).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = larger;
                }

                var read = await stream.ReadAsync(buffer.AsMemory(length), cancellationToken);
                length += read;
                if (length > limits.MaxBytes)
                    throw new WorkflowDefinitionException(TooLarge(limits));
                if (read == 0)
                    break;
                // A byte order mark takes three bytes; before they are there the document has not begun.
                if (length >= 3)
                    scan.Advance(WithoutByteOrderMark(buffer.AsSpan(0, length)), isFinal: false);
            }

            return Parse(WithoutByteOrderMark(buffer.AsSpan(0, length)), limits);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Reads a definition from memory.</summary>
    /// <param name="utf8Json">UTF-8 JSON, with or without a byte order mark.</param>
    /// <param name="limits">Size limits; null takes <see cref="DefinitionLimits.Default"/>.</param>
    /// <exception cref="WorkflowDefinitionException">The document is not a definition; carries every problem.</exception>
    public static WorkflowDefinition Read(ReadOnlySpan<byte> utf8Json, DefinitionLimits? limits = null)
    {
        limits ??= DefinitionLimits.Default;
        if (utf8Json.Length > limits.MaxBytes)
            throw new WorkflowDefinitionException(TooLarge(limits));
        utf8Json = WithoutByteOrderMark(utf8Json);
        if (utf8Json.Length > ScanThreshold)
            new StructureScan(limits).Advance(utf8Json, isFinal: true);
        return Parse(utf8Json, limits);
    }

    private static WorkflowDefinition Parse(ReadOnlySpan<byte> utf8Json, DefinitionLimits limits)
    {
        if (!Utf8.IsValid(utf8Json))
            throw new WorkflowDefinitionException(new DefinitionProblem(
                "definition.invalid_utf8", "The document is not valid UTF-8. Save it as UTF-8 and try again."));
        JsonElement document;
        try
        {
            document = JsonElement.Parse(utf8Json, new JsonDocumentOptions { MaxDepth = limits.MaxDepth });
        }
        catch (JsonException exception)
        {
            new StructureScan(limits).Advance(utf8Json, isFinal: true);
            throw new WorkflowDefinitionException(Malformed(exception));
        }

        if (utf8Json.IndexOf("\\u"u8) >= 0)
            RefuseLoneSurrogates(utf8Json, limits);
        return ReadEnvelope(document);
    }

    /// <summary>Refuses escapes such as <c>\ud800</c> alone, which are valid JSON and no text.</summary>
    private static void RefuseLoneSurrogates(ReadOnlySpan<byte> utf8Json, DefinitionLimits limits)
    {
        var reader = new Utf8JsonReader(utf8Json, new JsonReaderOptions { MaxDepth = limits.MaxDepth });
        var text = ArrayPool<char>.Shared.Rent(256);
        try
        {
            while (reader.Read())
            {
                if (!reader.ValueIsEscaped)
                    continue;
                if (text.Length < reader.ValueSpan.Length)
                {
                    ArrayPool<char>.Shared.Return(text);
                    text = ArrayPool<char>.Shared.Rent(reader.ValueSpan.Length);
                }

                reader.CopyString(text);
            }
        }
        catch (InvalidOperationException)
        {
            throw new WorkflowDefinitionException(new DefinitionProblem(
                "definition.invalid_text", $"The text at byte {reader.TokenStartIndex + 1:N0} holds half of a surrogate pair, such as \\ud800 alone. Write the whole character."));
        }
        finally
        {
            ArrayPool<char>.Shared.Return(text);
        }
    }

    /// <summary>Reads a definition from parsed JSON.</summary>
    /// <exception cref="WorkflowDefinitionException">The JSON is not a definition; carries every problem.</exception>
    public static WorkflowDefinition ReadEnvelope(JsonElement document)
    {
        if (document.ValueKind != JsonValueKind.Object)
            throw new WorkflowDefinitionException(new DefinitionProblem(
                "definition.not_an_object", "A workflow definition is a JSON object with at least the member 'root'."));
        var envelope = new Envelope();
        foreach (var property in document.EnumerateObject())
        {
            if (JsonShapes.TryFind(Members, property, out var member))
                envelope.Set(member, property.Value);
            else
                (envelope.Extra ??= []).Add(new(property.Name, property.Value));
        }

        return envelope.Build();
    }

    private static ReadOnlySpan<byte> WithoutByteOrderMark(ReadOnlySpan<byte> utf8) =>
        utf8.StartsWith("\uFEFF"u8) ? utf8[3..] : utf8;

    private static string MemberName(Member member) => member switch
    {
        Member.Schema => "$schema",
        _ => member.ToString(),
    };

    private static DefinitionProblem TooLarge(DefinitionLimits limits) => new(
        "definition.too_large",
        $"The document is larger than {limits.MaxBytes:N0} bytes. Split the workflow into workflows used as activities.");

    private static DefinitionProblem Malformed(JsonException exception) => new(
        "definition.malformed_json",
        $"The document is not valid JSON: {exception.Message}",
        Property: $"line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}");

    internal static string NewId() => RandomNumberGenerator.GetHexString(16, lowercase: true);

    /// <summary>Walks tokens without keeping them, so that depth and count are refused before anything is built.</summary>
    private sealed class StructureScan(DefinitionLimits limits)
    {
        private JsonReaderState _state = new(new JsonReaderOptions { MaxDepth = limits.MaxDepth + 2 });
        private int _consumed;
        private int _tokens;

        /// <param name="utf8Json">The whole document so far, from its beginning.</param>
        /// <param name="isFinal">Whether nothing follows.</param>
        public void Advance(ReadOnlySpan<byte> utf8Json, bool isFinal)
        {
            var reader = new Utf8JsonReader(utf8Json[_consumed..], isFinal, _state);
            try
            {
                while (reader.Read())
                {
                    if (reader.CurrentDepth >= limits.MaxDepth)
                        throw new WorkflowDefinitionException(new DefinitionProblem(
                            "definition.too_deep",
                            $"The document nests deeper than {limits.MaxDepth} levels at byte {_consumed + reader.BytesConsumed:N0}."));
                    if (++_tokens > limits.MaxTokens)
                        throw new WorkflowDefinitionException(new DefinitionProblem(
                            "definition.too_many_tokens", $"The document holds more than {limits.MaxTokens:N0} JSON tokens."));
                }
            }
            catch (JsonException exception)
            {
                throw new WorkflowDefinitionException(Malformed(exception));
            }

            _consumed += (int)reader.BytesConsumed;
            _state = reader.CurrentState;
        }
    }

    internal static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "nothing",
    };

    /// <summary>Reads the variables of a workflow or of a container activity.</summary>
    internal static List<VariableDefinition> ReadVariables(
        JsonElement value, string property, List<DefinitionProblem> problems, string? activityId = null)
    {
        var variables = new List<VariableDefinition>();
        if (JsonShapes.Unwrap(value).ValueKind is not (JsonValueKind.Array or JsonValueKind.Null))
            problems.Add(new("definition.wrong_type", $"'{property}' must be a list, not {Kind(value)}.", activityId, property));
        foreach (var item in JsonShapes.Items(value))
        {
            var name = JsonShapes.GetString(item, "name");
            var id = JsonShapes.GetString(item, "id") ?? name;
            if (string.IsNullOrEmpty(id))
            {
                problems.Add(new("definition.missing_name", "Every variable needs an 'id' or a 'name'.", activityId, property));
                continue;
            }

            variables.Add(new VariableDefinition(
                id,
                name ?? id,
                JsonShapes.GetString(item, "typeName") ?? "Object",
                JsonShapes.GetBoolean(item, "isArray") ?? false,
                JsonShapes.TryGet(item, "value", out var initial) ? initial : default,
                JsonShapes.GetString(item, "storageDriverTypeName"))
            {
                Extra = JsonShapes.Others(item, VariableMembers),
            });
        }

        return variables;
    }
}
