using System.Text.Json;

namespace Conclave.Workflows.Definitions;

/// <summary>
/// One version of a workflow in the Elsa 3 format: the envelope as typed values, the activities as the author's own JSON.
/// Immutable; change it with <c>with</c>.
/// </summary>
/// <remarks>
/// The root activity stays JSON so that nothing in it is lost: unknown activity types, properties and designer
/// metadata are written back exactly as they came. <see cref="WorkflowGraph.Compile"/> turns it into what runs.
/// </remarks>
public sealed record WorkflowDefinition
{
    /// <summary>Id of this version.</summary>
    public required string Id { get; init; }

    /// <summary>Id that all versions of the workflow share.</summary>
    public required string DefinitionId { get; init; }

    /// <summary>Name shown to people; its Pascal-cased form is the type name when the workflow is used as an activity.</summary>
    public string? Name { get; init; }

    /// <summary>What the workflow is for.</summary>
    public string? Description { get; init; }

    /// <summary>When this version was made; null when the document does not say.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    /// <summary>Number of this version, starting at 1.</summary>
    public int Version { get; init; } = 1;

    /// <summary>Version of the designer that wrote the document, such as <c>3.8.0.0</c>; echoed, never interpreted.</summary>
    public string? ToolVersion { get; init; }

    /// <summary>Variables that every activity of the workflow can see.</summary>
    public IReadOnlyList<VariableDefinition> Variables { get; init; } = [];

    /// <summary>Inputs that a caller may give.</summary>
    public IReadOnlyList<InputDefinition> Inputs { get; init; } = [];

    /// <summary>Outputs that <c>SetOutput</c> and output bindings may set.</summary>
    public IReadOnlyList<OutputDefinition> Outputs { get; init; } = [];

    /// <summary>Outcomes that the workflow may complete with when it is used as an activity.</summary>
    public IReadOnlyList<string> Outcomes { get; init; } = [];

    /// <summary>Custom properties as an object; <see cref="JsonValueKind.Undefined"/> when there are none.</summary>
    public JsonElement CustomProperties { get; init; }

    /// <summary>Whether people may change the workflow.</summary>
    public bool IsReadonly { get; init; }

    /// <summary>Whether the workflow belongs to the platform and is hidden from lists.</summary>
    public bool IsSystem { get; init; }

    /// <summary>Whether this is the newest version.</summary>
    public bool IsLatest { get; init; }

    /// <summary>Whether this version is the one that triggers start.</summary>
    public bool IsPublished { get; init; }

    /// <summary>How instances of the workflow behave.</summary>
    public WorkflowOptions Options { get; init; } = new();

    /// <summary>The root activity as JSON; never undefined.</summary>
    public required JsonElement Root { get; init; }

    /// <summary>Top-level members this version of the engine does not know, kept for export.</summary>
    public IReadOnlyList<KeyValuePair<string, JsonElement>> Extra { get; init; } = [];

    /// <summary>Type name of the workflow when used as an activity: its name in Pascal case, or its definition id.</summary>
    public string ActivityTypeName => string.IsNullOrWhiteSpace(Name) ? DefinitionId : Pascalize(Name);

    /// <summary>Joins the words of a name, each with a capital first letter: <c>Grand child</c> becomes <c>GrandChild</c>.</summary>
    internal static string Pascalize(string name)
    {
        var result = new System.Text.StringBuilder(name.Length);
        var atWordStart = true;
        foreach (var c in name.Trim())
        {
            if (!char.IsLetterOrDigit(c))
            {
                atWordStart = true;
                continue;
            }

            result.Append(atWordStart ? char.ToUpperInvariant(c) : c);
            atWordStart = false;
        }

        return result.ToString();
    }
}

/// <summary>A variable of a workflow or of a container activity.</summary>
/// <param name="Id">What expressions and bindings refer to.</param>
/// <param name="Name">What scripts call it.</param>
/// <param name="TypeName">Type alias, see <see cref="TypeAliases"/>.</param>
/// <param name="IsArray">Whether the variable holds a list of <paramref name="TypeName"/>.</param>
/// <param name="Value">Initial value; undefined when there is none.</param>
/// <param name="StorageDriverTypeName">Where the value is kept between bursts; null keeps it in memory only.</param>
public sealed record VariableDefinition(
    string Id, string Name, string TypeName, bool IsArray, JsonElement Value, string? StorageDriverTypeName)
{
    /// <summary>Members this version of the engine does not know, kept for export.</summary>
    public IReadOnlyList<KeyValuePair<string, JsonElement>> Extra { get; init; } = [];
}

/// <summary>What inputs and outputs of a workflow have in common.</summary>
public abstract record ArgumentDefinition
{
    /// <summary>Name that callers, readers and expressions use.</summary>
    public required string Name { get; init; }

    /// <summary>Type alias, see <see cref="TypeAliases"/>.</summary>
    public string Type { get; init; } = "Object";

    /// <summary>Whether the value is a list of <see cref="Type"/>.</summary>
    public bool IsArray { get; init; }

    /// <summary>Label in the designer.</summary>
    public string? DisplayName { get; init; }

    /// <summary>Help text in the designer.</summary>
    public string? Description { get; init; }

    /// <summary>Group in the designer.</summary>
    public string? Category { get; init; }

    /// <summary>Members this version of the engine does not know, kept for export.</summary>
    public IReadOnlyList<KeyValuePair<string, JsonElement>> Extra { get; init; } = [];
}

/// <summary>An input of a workflow.</summary>
public sealed record InputDefinition : ArgumentDefinition
{
    /// <summary>Editor in the designer.</summary>
    public string? UIHint { get; init; }

    /// <summary>Where the value is kept; echoed.</summary>
    public string? StorageDriverType { get; init; }

    /// <summary>Value used when the caller gives none; undefined when there is none.</summary>
    public JsonElement DefaultValue { get; init; }
}

/// <summary>An output of a workflow.</summary>
public sealed record OutputDefinition : ArgumentDefinition;

/// <summary>Options of a workflow definition.</summary>
public sealed record WorkflowOptions
{
    /// <summary>Type name of the strategy that decides whether another instance may start.</summary>
    public string? ActivationStrategyType { get; init; }

    /// <summary>Whether other workflows may use this one as an activity; null when the document does not say.</summary>
    public bool? UsableAsActivity { get; init; }

    /// <summary>Whether publishing moves consumers to the new version.</summary>
    public bool AutoUpdateConsumingWorkflows { get; init; }

    /// <summary>Category of the workflow in the designer's toolbox.</summary>
    public string? ActivityCategory { get; init; }

    /// <summary>What a faulted activity does to the workflow; null means <c>FaultStrategy</c>.</summary>
    public string? IncidentStrategyType { get; init; }

    /// <summary>When state is committed within a burst.</summary>
    public string? CommitStrategyName { get; init; }

    /// <summary>Members this version of the engine does not know, kept for export.</summary>
    public IReadOnlyList<KeyValuePair<string, JsonElement>> Extra { get; init; } = [];

    /// <summary>Whether the workflow goes on beside a faulted activity instead of faulting at once.</summary>
    public bool ContinuesWithIncidents =>
        IncidentStrategyType?.Contains("ContinueWithIncidents", StringComparison.OrdinalIgnoreCase) == true;
}
