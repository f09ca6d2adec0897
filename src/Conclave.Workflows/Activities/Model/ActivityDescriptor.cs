namespace Conclave.Workflows.Activities;

/// <summary>What an activity type offers to authors. Generated once from the activity's class.</summary>
public sealed record ActivityDescriptor
{
    /// <summary>Full type name, for example <c>Elsa.WriteLine</c>.</summary>
    public required string TypeName { get; init; }

    /// <summary>Namespace part of the type name.</summary>
    public required string Namespace { get; init; }

    /// <summary>Last part of the type name.</summary>
    public required string Name { get; init; }

    /// <summary>Version of the contract.</summary>
    public int Version { get; init; } = 1;

    /// <summary>Group in the toolbox.</summary>
    public required string Category { get; init; }

    /// <summary>Name shown to authors.</summary>
    public required string DisplayName { get; init; }

    /// <summary>What the activity does.</summary>
    public required string Description { get; init; }

    /// <summary>Icon for designers as SVG; null where they have one of their own.</summary>
    public string? Icon { get; init; }

    /// <summary>CSS colour of the icon's background; null where designers have one of their own.</summary>
    public string? Color { get; init; }

    /// <summary>What starts the activity and where it runs.</summary>
    public ActivityKind Kind { get; init; }

    /// <summary>Inputs in the order of the designer.</summary>
    public required IReadOnlyList<InputDescriptor> Inputs { get; init; }

    /// <summary>Outputs in the order of the designer.</summary>
    public required IReadOnlyList<OutputDescriptor> Outputs { get; init; }

    /// <summary>Outcomes and embedded children.</summary>
    public required IReadOnlyList<PortDescriptor> Ports { get; init; }

    /// <summary>Whether the activity holds a list of activities.</summary>
    public bool IsContainer { get; init; }

    /// <summary>Whether the toolbox offers the activity.</summary>
    public bool IsBrowsable { get; init; } = true;

    /// <summary>Whether a flowchart begins here.</summary>
    public bool IsStart { get; init; }

    /// <summary>Whether completing the activity completes the container around it.</summary>
    public bool IsTerminal { get; init; }

    /// <summary>Whether the activity can be given a resilience strategy.</summary>
    public bool IsResilient { get; init; }

    /// <summary>Whether the activity changes something outside, see <see cref="ActivityAttribute.HasEffect"/>.</summary>
    public bool HasEffect { get; init; }

    /// <summary>Whether what comes of the effect is kept elsewhere, see <see cref="ActivityAttribute.IsRecorded"/>.</summary>
    public bool IsRecorded { get; init; }

    /// <summary>Expression syntax without which the activity cannot run; null when it needs none.</summary>
    public string? RequiredSyntax { get; init; }

    /// <summary>The workflow behind an activity that runs one; null for all others.</summary>
    public WorkflowReference? Workflow { get; init; }
}

/// <summary>The version of a workflow that an activity runs.</summary>
/// <param name="DefinitionId">The workflow.</param>
/// <param name="VersionId">Id of the version.</param>
/// <param name="Version">Number of the version.</param>
public sealed record WorkflowReference(string DefinitionId, string VersionId, int Version);

/// <summary>A value to choose from.</summary>
/// <param name="Value">What the definition gets.</param>
/// <param name="Text">What authors see.</param>
public sealed record InputOption(string Value, string Text);

/// <summary>An input of an activity type.</summary>
/// <param name="Name">Name in Pascal case; the JSON property is its camel case.</param>
/// <param name="TypeName">Type alias.</param>
/// <param name="DisplayName">Label.</param>
/// <param name="Description">Help text.</param>
/// <param name="Category">Group.</param>
/// <param name="Order">Place among the inputs, from 0.</param>
/// <param name="UIHint">Editor.</param>
/// <param name="DefaultSyntax">Expression syntax to begin with.</param>
/// <param name="DefaultValue">Value when the author gives none.</param>
/// <param name="Options">Values to choose from; empty when free.</param>
/// <param name="IsWrapped">Whether the value is an expression rather than plain JSON.</param>
/// <param name="AutoEvaluate">Whether the input is evaluated before the activity runs.</param>
/// <param name="IsBrowsable">Whether the designer shows it.</param>
/// <param name="IsSensitive">Whether the value must not be logged.</param>
public sealed record InputDescriptor(
    string Name,
    string TypeName,
    string DisplayName,
    string? Description,
    string? Category,
    int Order,
    string UIHint,
    string? DefaultSyntax,
    object? DefaultValue,
    IReadOnlyList<InputOption> Options,
    bool IsWrapped,
    bool AutoEvaluate,
    bool IsBrowsable,
    bool IsSensitive)
{
    /// <summary>Whether the input is not a property of the activity's class, but one of the workflow that it runs.</summary>
    public bool IsSynthetic { get; init; }

    /// <summary>Where the value is kept between bursts; null for inputs that are not variables.</summary>
    public string? StorageDriverType { get; init; }

    /// <summary>Whether the value continues the address of the host's HTTP endpoints, which the editor then shows before it.</summary>
    public bool ShowsAddress { get; init; }
}

/// <summary>An output of an activity type.</summary>
/// <param name="Name">Name in Pascal case; the JSON property is its camel case.</param>
/// <param name="TypeName">Type alias.</param>
/// <param name="DisplayName">Label.</param>
/// <param name="Description">Help text.</param>
public sealed record OutputDescriptor(string Name, string TypeName, string DisplayName, string? Description)
{
    /// <summary>Whether the output is not a property of the activity's class, but one of the workflow that it runs.</summary>
    public bool IsSynthetic { get; init; }
}

/// <summary>A way out of an activity, or a place for an embedded child.</summary>
/// <param name="Name">Outcome, or name of the property that holds the child.</param>
/// <param name="DisplayName">Label.</param>
/// <param name="Type"><see cref="PortType.Flow"/> for outcomes, <see cref="PortType.Embedded"/> for children.</param>
/// <param name="IsBrowsable">Whether the designer shows it.</param>
public sealed record PortDescriptor(string Name, string DisplayName, PortType Type, bool IsBrowsable = true);

/// <summary>Kinds of ports.</summary>
public enum PortType
{
    /// <summary>An outcome that connections leave from.</summary>
    Flow,

    /// <summary>A property that holds a child activity.</summary>
    Embedded,
}
