using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Expressions;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>What Elsa Studio's editors of inputs need to know: <c>uiSpecifications</c>.</summary>
internal static class InputEditors
{
    /// <summary>Syntax of what an editor writes, for inputs that name none.</summary>
    public static string SyntaxOf(string uiHint) => uiHint is
        InputUIHints.CheckList or InputUIHints.MultiText or InputUIHints.Dictionary or InputUIHints.DynamicOutcomes ? "Object" : "Literal";

    /// <summary>Whether an input's editor needs anything.</summary>
    public static bool HasSettings(InputDescriptor input) => input.ShowsAddress || input.Options.Count > 0
        || input.UIHint is InputUIHints.DropDown or InputUIHints.RadioList or InputUIHints.CheckList or InputUIHints.CodeEditor or InputUIHints.JsonEditor or InputUIHints.DynamicOutcomes;

    /// <summary>Writes the settings of an input's editor.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="input">The input.</param>
    /// <param name="address">Address of this server's HTTP endpoints; null for a list that serves every address, whose reader asks for it.</param>
    public static void Write(Utf8JsonWriter writer, InputDescriptor input, string? address)
    {
        writer.WriteStartObject();
        switch (input.UIHint)
        {
            case InputUIHints.DropDown:
                WriteList(writer, "dropdown", "selectList", input, isCheckList: false);
                break;
            case InputUIHints.RadioList:
                WriteList(writer, "radiolist", "radioList", input, isCheckList: false);
                break;
            case InputUIHints.CheckList:
                WriteList(writer, "checklist", "checkList", input, isCheckList: true);
                break;
            case InputUIHints.CodeEditor:
                WriteCodeEditor(writer, input.DefaultSyntax?.ToLowerInvariant());
                break;
            case InputUIHints.JsonEditor:
                WriteCodeEditor(writer, "json");
                break;
            case InputUIHints.DynamicOutcomes:
                writer.WriteStartObject("DynamicOutcomesOptions");
                writer.WriteStartArray("fixedOutcomes");
                writer.WriteEndArray();
                writer.WriteEndObject();
                break;
        }

        if (input.ShowsAddress)
        {
            if (address is not null)
            {
                writer.WriteStartObject("singleline");
                writer.WriteString("adornmentText", address);
                writer.WriteBoolean("enableCopyAdornment", true);
                writer.WriteEndObject();
            }

            writer.WriteBoolean("Refresh", true);
        }

        writer.WriteEndObject();
    }

    private static void WriteList(Utf8JsonWriter writer, string editor, string list, InputDescriptor input, bool isCheckList)
    {
        var chosen = isCheckList ? ValueConverter.Enumerate(input.DefaultValue).Select(v => ValueConverter.ToText(v)).ToHashSet() : [];
        writer.WriteStartObject(editor);
        writer.WriteStartObject(list);
        writer.WriteStartArray("items");
        foreach (var option in input.Options)
        {
            writer.WriteStartObject();
            writer.WriteString("text", option.Text);
            writer.WriteString("value", option.Value);
            if (isCheckList)
                writer.WriteBoolean("isChecked", chosen.Contains(option.Value));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteBoolean("isFlagsEnum", false);
        if (editor == "dropdown")
            writer.WriteBoolean("sortItems", false);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteCodeEditor(Utf8JsonWriter writer, string? language)
    {
        writer.WriteStartObject("code-editor");
        if (language is not null)
            writer.WriteString("language", language);
        // Large. Studio 3.8.2 reads this enum as a number only.
        writer.WriteNumber("editorHeight", 1);
        writer.WriteEndObject();
    }
}
