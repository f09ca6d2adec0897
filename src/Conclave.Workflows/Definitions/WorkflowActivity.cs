using Conclave.Workflows.Activities;

namespace Conclave.Workflows.Definitions;

/// <summary>What authors see of a workflow that is marked usable as an activity.</summary>
public static class WorkflowActivity
{
    /// <summary>Category of workflows that name none.</summary>
    public const string DefaultCategory = "Workflows";

    /// <summary>Describes a version of a workflow as an activity.</summary>
    public static ActivityDescriptor Describe(WorkflowDefinition definition) => new()
    {
        TypeName = definition.ActivityTypeName,
        Namespace = "",
        Name = definition.ActivityTypeName,
        Version = definition.Version,
        Category = TextOr(definition.Options.ActivityCategory, DefaultCategory),
        DisplayName = TextOr(definition.Name, definition.DefinitionId),
        Description = TextOr(definition.Description, $"Runs version {definition.Version} of the workflow '{TextOr(definition.Name, definition.DefinitionId)}' and goes on when it has ended."),
        Icon = ActivityIcons.Workflow,
        Color = "#4f46e5",
        Inputs = [.. definition.Inputs.Select(Describe)],
        Outputs = [.. definition.Outputs.Select(o => new OutputDescriptor(o.Name, TypeOf(o), TextOr(o.DisplayName, o.Name), o.Description) { IsSynthetic = true })],
        Ports =
        [
            new PortDescriptor("Root", "Root", PortType.Embedded, IsBrowsable: false),
            .. definition.Outcomes.Distinct().Select(o => new PortDescriptor(o, o, PortType.Flow)),
        ],
        IsBrowsable = definition.IsPublished,
        Workflow = new WorkflowReference(definition.DefinitionId, definition.Id, definition.Version),
    };

    private static InputDescriptor Describe(InputDefinition input, int order) => new(
        input.Name,
        TypeOf(input),
        TextOr(input.DisplayName, input.Name),
        input.Description,
        input.Category,
        order,
        TextOr(input.UIHint, HintOf(input)),
        null,
        input.DefaultValue.ValueKind is System.Text.Json.JsonValueKind.Undefined or System.Text.Json.JsonValueKind.Null ? null : input.DefaultValue,
        [],
        IsWrapped: true,
        AutoEvaluate: true,
        IsBrowsable: true,
        IsSensitive: false)
    {
        IsSynthetic = true,
        StorageDriverType = input.StorageDriverType,
    };

    private static string TypeOf(ArgumentDefinition argument) => argument.IsArray ? $"{argument.Type}[]" : argument.Type;

    private static string HintOf(InputDefinition input)
    {
        var type = TypeAliases.Resolve(input.Type, input.IsArray);
        return type.IsList ? InputUIHints.MultiText : type.Clr == typeof(bool) ? InputUIHints.CheckBox : InputUIHints.SingleLine;
    }

    private static string TextOr(string? text, string other) => string.IsNullOrWhiteSpace(text) ? other : text;
}
