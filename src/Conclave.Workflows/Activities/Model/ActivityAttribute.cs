namespace Conclave.Workflows.Activities;

/// <summary>Makes a class an activity: its stable type name is <c>Namespace.ClassName</c>.</summary>
/// <param name="ns">Namespace of the type name, <c>Elsa</c> for activities of the Elsa format.</param>
/// <param name="category">Group in the designer's toolbox.</param>
/// <param name="description">One sentence that tells an author what the activity does.</param>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class ActivityAttribute(string ns, string category, string description) : Attribute
{
    /// <summary>Namespace of the type name.</summary>
    public string Namespace { get; } = ns;

    /// <summary>Group in the designer's toolbox.</summary>
    public string Category { get; } = category;

    /// <summary>What the activity does, in one sentence.</summary>
    public string Description { get; } = description;

    /// <summary>Name in the type name; default the class name.</summary>
    public string? Type { get; init; }

    /// <summary>Version of the activity's contract, starting at 1. Bump it instead of changing meaning.</summary>
    public int Version { get; init; } = 1;

    /// <summary>Name shown to authors; default the class name in words.</summary>
    public string? DisplayName { get; init; }

    /// <summary>Icon for designers, see <see cref="ActivityIcons"/>; null where they have one of their own, as Elsa's have for most of Elsa's activities.</summary>
    public string? Icon { get; init; }

    /// <summary>CSS colour of the icon's background, such as <c>#0f766e</c>; null as for <see cref="Icon"/>.</summary>
    public string? Color { get; init; }

    /// <summary>What starts the activity and where it runs; default <see cref="ActivityKind.Action"/>.</summary>
    public ActivityKind Kind { get; init; }

    /// <summary>Whether the toolbox offers the activity; default true.</summary>
    public bool IsBrowsable { get; init; } = true;

    /// <summary>Whether the activity holds a list of activities.</summary>
    public bool IsContainer { get; init; }

    /// <summary>Whether a flowchart begins here.</summary>
    public bool IsStart { get; init; }

    /// <summary>Whether completing the activity completes the container around it.</summary>
    public bool IsTerminal { get; init; }

    /// <summary>Whether the activity can be given a resilience strategy in the designer.</summary>
    public bool IsResilient { get; init; }

    /// <summary>Expression syntax without which the activity cannot run; an engine that lacks it does not offer the activity.</summary>
    public string? RequiredSyntax { get; init; }

    /// <summary>
    /// Whether the activity changes something outside, so that a durable runtime stores the instance before and after it.
    /// </summary>
    public bool HasEffect { get; init; }

    /// <summary>
    /// Whether what comes of the effect is kept under the activity's idempotency key by whoever does it, so that it gives the same and does nothing again when it is repeated
    /// after a crash. The instance is then stored before it only, which takes what came of it along with the next commit.
    /// </summary>
    public bool IsRecorded { get; init; }
}

/// <summary>What starts an activity and where it runs.</summary>
public enum ActivityKind
{
    /// <summary>Runs when its turn comes.</summary>
    Action,

    /// <summary>Can also start a workflow.</summary>
    Trigger,

    /// <summary>Always runs in the background.</summary>
    Job,

    /// <summary>May run in the background.</summary>
    Task,
}

/// <summary>Names the outcomes that an activity may complete with; each is a port in the designer.</summary>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class FlowNodeAttribute(params string[] outcomes) : Attribute
{
    /// <summary>The outcomes in the order the designer shows them.</summary>
    public IReadOnlyList<string> Outcomes { get; } = outcomes;
}

/// <summary>Describes an input. On an <see cref="Input{T}"/> the input is an expression, on anything else a plain value.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class InputAttribute : Attribute
{
    /// <summary>What the input means, for authors.</summary>
    public string? Description { get; init; }

    /// <summary>Label; default the property name in words.</summary>
    public string? DisplayName { get; init; }

    /// <summary>Group of the input.</summary>
    public string? Category { get; init; }

    /// <summary>Editor in the designer, see <see cref="InputUIHints"/>; default by type.</summary>
    public string? UIHint { get; init; }

    /// <summary>Expression syntax that the designer begins with; default <c>Literal</c>.</summary>
    public string? DefaultSyntax { get; init; }

    /// <summary>Type alias in the descriptor; default by type. For structured values that have an alias of their own.</summary>
    public string? TypeName { get; init; }

    /// <summary>Values to choose from; for enums they are the names.</summary>
    public string[]? Options { get; init; }

    /// <summary>Label of a choice with an empty value, above <see cref="Options"/>; null for none.</summary>
    public string? EmptyOption { get; init; }

    /// <summary>Whether the value continues the address of the host's HTTP endpoints, which the editor then shows before it.</summary>
    public bool ShowsAddress { get; init; }

    /// <summary>Whether the input is evaluated before the activity runs; default true.</summary>
    public bool AutoEvaluate { get; init; } = true;

    /// <summary>Whether the designer shows the input; default true.</summary>
    public bool IsBrowsable { get; init; } = true;

    /// <summary>Whether the value is a secret that must not be logged.</summary>
    public bool IsSensitive { get; init; }
}

/// <summary>Describes an output.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class OutputAttribute : Attribute
{
    /// <summary>What the output holds, for authors.</summary>
    public string? Description { get; init; }

    /// <summary>Type alias in the descriptor; default by type. For structured values that have an alias of their own.</summary>
    public string? TypeName { get; init; }

    /// <summary>Label; default the property name in words.</summary>
    public string? DisplayName { get; init; }
}

/// <summary>Marks a property that holds an embedded child activity.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class PortAttribute : Attribute
{
    /// <summary>Label; default the property name in words.</summary>
    public string? DisplayName { get; init; }

    /// <summary>Whether the designer shows the port and definitions fill it; default true. Others the engine fills itself.</summary>
    public bool IsBrowsable { get; init; } = true;
}

/// <summary>Names of the editors that the designer can show for an input.</summary>
public static class InputUIHints
{
    public const string SingleLine = "singleline";
    public const string MultiLine = "multiline";
    public const string CheckBox = "checkbox";
    public const string DropDown = "dropdown";
    public const string RadioList = "radiolist";
    public const string CheckList = "checklist";
    public const string MultiText = "multitext";
    public const string Dictionary = "dictionary";
    public const string DynamicOutcomes = "dynamic-outcomes";
    public const string SwitchEditor = "switch-editor";
    public const string FlowSwitchEditor = "flow-switch-editor";
    public const string HttpStatusCodes = "http-status-codes";
    public const string CodeEditor = "code-editor";
    public const string JsonEditor = "json-editor";
    public const string DateTimePicker = "datetime-picker";
    public const string VariablePicker = "variable-picker";
    public const string OutputPicker = "output-picker";
    public const string OutcomePicker = "outcome-picker";
    public const string WorkflowDefinitionPicker = "workflow-definition-picker";
}
