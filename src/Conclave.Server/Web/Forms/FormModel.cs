using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Server.Web.Forms;

/// <summary>How a field is filled in.</summary>
public enum FormFieldKind
{
    /// <summary>A line of text.</summary>
    Text,

    /// <summary>Several lines.</summary>
    LongText,

    /// <summary>A number.</summary>
    Number,

    /// <summary>A whole number.</summary>
    WholeNumber,

    /// <summary>Yes or no.</summary>
    Flag,

    /// <summary>One of several values.</summary>
    Choice,

    /// <summary>A day.</summary>
    Date,

    /// <summary>Texts, one in each line.</summary>
    Lines,

    /// <summary>Anything else, as JSON.</summary>
    Json,
}

/// <summary>A field of a form.</summary>
public sealed class FormField
{
    /// <summary>Name of the member.</summary>
    public required string Name { get; init; }

    /// <summary>What people see of the name.</summary>
    public required string Label { get; init; }

    /// <summary>What it means; empty for nothing.</summary>
    public string Hint { get; init; } = "";

    /// <summary>How it is filled in.</summary>
    public required FormFieldKind Kind { get; init; }

    /// <summary>Whether it must be filled in.</summary>
    public bool IsRequired { get; init; }

    /// <summary>What to choose from, as JSON; for <see cref="FormFieldKind.Choice"/>.</summary>
    public IReadOnlyList<string> Options { get; init; } = [];

    /// <summary>What people are likely to want, beside anything else; the schema's <c>examples</c> that are texts.</summary>
    public IReadOnlyList<string> Suggestions { get; init; } = [];

    /// <summary>What was filled in to begin with.</summary>
    public required string Initial { get; init; }

    /// <summary>The same as JSON; null when there was nothing.</summary>
    internal string? Given { get; init; }

    /// <summary>What is filled in, as text; empty for nothing. Of flags <c>true</c> and <c>false</c>, of choices the JSON.</summary>
    public string Value { get; set; } = "";

    /// <summary>Whether something else is filled in than to begin with.</summary>
    public bool IsChanged => Value != Initial;

    /// <summary>What is wrong with it; null for nothing.</summary>
    public string? Problem { get; set; }
}

/// <summary>A form made of a JSON Schema, and of the values that are there: what the schema does not describe has a field as well.</summary>
public sealed class FormModel
{
    private FormModel(IReadOnlyList<FormField> fields) => Fields = fields;

    /// <summary>The fields in order.</summary>
    public IReadOnlyList<FormField> Fields { get; }

    /// <summary>Makes a form.</summary>
    /// <param name="schema">JSON Schema of an object; null for none.</param>
    /// <param name="values">What is filled in already; null for nothing.</param>
    public static FormModel Of(JsonElement? schema, JsonElement? values)
    {
        var fields = new List<FormField>();
        var given = values is { ValueKind: JsonValueKind.Object } present ? present.EnumerateObject().ToDictionary(m => m.Name, m => m.Value, StringComparer.Ordinal) : [];
        if (schema is { ValueKind: JsonValueKind.Object } described)
        {
            var required = Member(described, "required") is { ValueKind: JsonValueKind.Array } list
                ? list.EnumerateArray().Where(n => n.ValueKind == JsonValueKind.String).Select(n => n.GetString()!).ToHashSet(StringComparer.Ordinal)
                : [];
            if (Member(described, "properties") is { ValueKind: JsonValueKind.Object } properties)
            {
                foreach (var property in properties.EnumerateObject())
                {
                    JsonElement? value = given.Remove(property.Name, out var found) ? found : Member(property.Value, "default");
                    fields.Add(Field(property.Name, property.Value, required.Contains(property.Name), value));
                }
            }
        }

        fields.AddRange(given.Select(g => Field(g.Key, null, false, g.Value)));
        return new FormModel(fields);
    }

    /// <summary>What is filled in; null when something cannot be read, which the fields then say.</summary>
    public JsonElement? Read()
    {
        var result = new JsonObject();
        var isGood = true;
        foreach (var field in Fields)
        {
            field.Problem = null;
            // An empty list is not the same as none, and lines may be empty: what nobody touched stays as it is.
            if (field is { Kind: FormFieldKind.Lines, IsChanged: false, Given: { } given })
            {
                result[field.Name] = JsonNode.Parse(given);
            }
            else if (field.Value.Length == 0 && !(field.Kind == FormFieldKind.Flag || field is { Kind: FormFieldKind.Lines, IsChanged: true }))
            {
                if (field.IsRequired)
                    field.Problem = "This has to be filled in.";
            }
            else
            {
                try
                {
                    result[field.Name] = Parse(field);
                }
                catch (Exception exception) when (exception is JsonException or FormatException or OverflowException)
                {
                    field.Problem = exception is OverflowException ? "This number is too large." : field.Kind is FormFieldKind.Number or FormFieldKind.WholeNumber ? "This is not a number." : "This is not JSON.";
                }
            }

            isGood &= field.Problem is null;
        }

        return isGood ? JsonElement.Parse(result.ToJsonString()) : null;
    }

    private static JsonNode? Parse(FormField field) => field.Kind switch
    {
        FormFieldKind.Text or FormFieldKind.LongText or FormFieldKind.Date => JsonValue.Create(field.Value),
        FormFieldKind.Flag => JsonValue.Create(field.Value == "true"),
        FormFieldKind.Lines => new JsonArray([.. field.Value.Split(['\n', '\r'], StringSplitOptions.RemoveEmptyEntries).Select(line => (JsonNode)line)]),
        FormFieldKind.WholeNumber => JsonValue.Create(long.Parse(field.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)),
        // As it was written: money must not become a binary fraction on the way.
        FormFieldKind.Number => JsonNode.Parse(decimal.Parse(field.Value, NumberStyles.Float, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture)),
        _ => JsonNode.Parse(field.Value),
    };

    private static FormField Field(string name, JsonElement? schema, bool isRequired, JsonElement? value)
    {
        var options = schema is { } s && Member(s, "enum") is { ValueKind: JsonValueKind.Array } choices ? choices.EnumerateArray().Select(c => c.GetRawText()).ToList() : [];
        var kind = options.Count > 0 ? FormFieldKind.Choice : KindOf(schema, value);
        var initial = value is not { } given || given.ValueKind is JsonValueKind.Undefined ? kind == FormFieldKind.Flag ? "false" : ""
            : kind is not (FormFieldKind.Choice or FormFieldKind.Json) && given.ValueKind == JsonValueKind.String ? given.GetString()!
            : kind == FormFieldKind.Lines ? string.Join('\n', given.EnumerateArray().Select(line => line.GetString()))
            : given.ValueKind == JsonValueKind.Null ? ""
            : given.GetRawText();
        return new FormField
        {
            Name = name,
            Label = schema is { } described && Text(described, "title") is { Length: > 0 } title ? title : name,
            Hint = schema is { } withHint ? Text(withHint, "description") ?? "" : "",
            Kind = kind,
            IsRequired = isRequired,
            Options = options,
            Suggestions = schema is { } suggesting && Member(suggesting, "examples") is { ValueKind: JsonValueKind.Array } examples
                ? [.. examples.EnumerateArray().Where(e => e.ValueKind == JsonValueKind.String).Select(e => e.GetString()!)]
                : [],
            Initial = initial,
            Given = value is { ValueKind: not (JsonValueKind.Undefined or JsonValueKind.Null) } there ? there.GetRawText() : null,
            Value = initial,
        };
    }

    private static FormFieldKind KindOf(JsonElement? schema, JsonElement? value)
    {
        var type = schema is { } described ? Text(described, "type") : null;
        var format = schema is { } formatted ? Text(formatted, "format") : null;
        return type switch
        {
            // What does not fit the schema is shown as it is.
            "string" when value is { ValueKind: not (JsonValueKind.String or JsonValueKind.Undefined or JsonValueKind.Null) } => FormFieldKind.Json,
            "string" when format == "date" => FormFieldKind.Date,
            "string" => IsLong(schema, value) ? FormFieldKind.LongText : FormFieldKind.Text,
            "number" => FormFieldKind.Number,
            "integer" => FormFieldKind.WholeNumber,
            "boolean" => FormFieldKind.Flag,
            "array" when IsTexts(schema!.Value, value) => FormFieldKind.Lines,
            not null => FormFieldKind.Json,
            null => value?.ValueKind switch
            {
                JsonValueKind.String => IsLong(schema, value) ? FormFieldKind.LongText : FormFieldKind.Text,
                JsonValueKind.Number => FormFieldKind.Number,
                JsonValueKind.True or JsonValueKind.False => FormFieldKind.Flag,
                _ => FormFieldKind.Json,
            },
        };
    }

    /// <summary>Whether it is a list of texts none of which has lines of its own.</summary>
    private static bool IsTexts(JsonElement schema, JsonElement? value) =>
        Member(schema, "items") is { } items && Text(items, "type") == "string"
        && (value is not { ValueKind: not (JsonValueKind.Undefined or JsonValueKind.Null) } given
            || (given.ValueKind == JsonValueKind.Array && given.EnumerateArray().All(e => e.ValueKind == JsonValueKind.String && !e.GetString()!.AsSpan().ContainsAny('\n', '\r'))));

    private static bool IsLong(JsonElement? schema, JsonElement? value) =>
        (value is { ValueKind: JsonValueKind.String } text && (text.GetString()!.Length > 80 || text.GetString()!.Contains('\n', StringComparison.Ordinal)))
        || (schema is { } described && (Text(described, "format") == "textarea" || (Member(described, "maxLength") is { ValueKind: JsonValueKind.Number } most && most.TryGetInt32(out var length) && length > 200)));

    private static JsonElement? Member(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) ? value : null;

    private static string? Text(JsonElement json, string name) => Member(json, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
}
