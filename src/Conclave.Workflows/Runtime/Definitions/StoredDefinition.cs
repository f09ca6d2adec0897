using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>A version of a workflow as the store keeps it.</summary>
/// <param name="Definition">The definition, with the flags that hold now.</param>
/// <param name="Hash">Hash of its content, 64 hex digits; what a save must name so that no other save is lost.</param>
/// <param name="UpdatedAt">When this version last changed.</param>
public sealed record StoredDefinition(WorkflowDefinition Definition, string Hash, DateTimeOffset UpdatedAt)
{
    /// <summary>Who saved it last; null when nobody knows, as after an import.</summary>
    public string? UpdatedBy { get; init; }

    /// <summary>The editor that saved it last, see <see cref="DefinitionEdit.Session"/>.</summary>
    public string? EditSession { get; init; }
}

/// <summary>Who saves a workflow, and what they began with.</summary>
public sealed record DefinitionEdit
{
    /// <summary>Who saves; null when nobody knows.</summary>
    public string? Actor { get; init; }

    /// <summary>Hash of the version that was edited, or <see cref="DefinitionStore.AnyHash"/>; null overwrites whatever is there.</summary>
    public string? ExpectedHash { get; init; }

    /// <summary>
    /// Names the opened editor. It saves more often than it hears answers, so it may overwrite what it has saved itself,
    /// whatever hash it expects, as long as nobody else saved since; and saving the same again does nothing.
    /// </summary>
    public string? Session { get; init; }

    internal bool IsOwn(StoredDefinition latest) => Session is not null && latest.EditSession == Session;

    /// <summary>Whether this was saved already, and the editor does not know of it.</summary>
    internal bool IsRepeated(StoredDefinition latest, string hash, bool publish) => Session is not null && latest.Hash == hash
        && (latest.Definition.IsPublished == publish || (latest.Definition.IsPublished && ExpectedHash is not null && ExpectedHash != hash));
}

/// <summary>What a list shows of a version.</summary>
/// <param name="Id">Id of the version.</param>
/// <param name="DefinitionId">Id of the workflow.</param>
/// <param name="Version">Number of the version.</param>
/// <param name="Name">Name.</param>
/// <param name="Description">Description.</param>
/// <param name="IsLatest">Whether it is the newest.</param>
/// <param name="IsPublished">Whether triggers start it.</param>
/// <param name="CreatedAt">When it was made.</param>
public sealed record DefinitionSummary(
    string Id,
    string DefinitionId,
    int Version,
    string? Name,
    string? Description,
    bool IsLatest,
    bool IsPublished,
    DateTimeOffset CreatedAt)
{
    /// <summary>Whether people may not change it.</summary>
    public bool IsReadonly { get; init; }

    /// <summary>Version of the designer that wrote it.</summary>
    public string? ToolVersion { get; init; }
}

/// <summary>What a list shows of a workflow: its newest version.</summary>
/// <param name="DefinitionId">Id of the workflow.</param>
/// <param name="Id">Id of the newest version.</param>
/// <param name="Name">Name.</param>
/// <param name="Description">Description.</param>
/// <param name="Version">Number of the newest version.</param>
/// <param name="IsPublished">Whether that one is published.</param>
/// <param name="PublishedVersion">Number of the published version; null when there is none.</param>
/// <param name="UpdatedAt">When the newest version last changed.</param>
public sealed record WorkflowSummary(
    string DefinitionId,
    string Id,
    string? Name,
    string? Description,
    int Version,
    bool IsPublished,
    int? PublishedVersion,
    DateTimeOffset UpdatedAt);

/// <summary>What a published version starts on.</summary>
/// <param name="Tenant">Owner of the workflow.</param>
/// <param name="DefinitionId">The workflow.</param>
/// <param name="VersionId">The version that starts.</param>
/// <param name="ActivityId">The trigger.</param>
/// <param name="Name">Name of the stimulus: the type of the trigger.</param>
/// <param name="Hash">Key of the stimulus.</param>
/// <param name="Payload">Members of the trigger's payload, an object.</param>
/// <param name="RouteKey">Method and path template of an HTTP endpoint, without names of parameters; null for other triggers.</param>
public sealed record WorkflowTrigger(
    string Tenant,
    string DefinitionId,
    string VersionId,
    string ActivityId,
    string Name,
    byte[] Hash,
    JsonElement Payload,
    string? RouteKey);

/// <summary>Says what a version starts on, and refuses one that must not be published.</summary>
/// <exception cref="WorkflowDefinitionException">It must not be published; carries every problem.</exception>
public delegate ValueTask<IReadOnlyList<WorkflowTrigger>> TriggerScan(string tenant, WorkflowDefinition definition, CancellationToken cancellationToken);

/// <summary>Somebody else saved the workflow in between.</summary>
public sealed class DefinitionConflictException(string definitionId, string expected, string? actual) : WorkflowException(
    "definition.conflict",
    actual is null
        ? $"Workflow '{definitionId}' does not exist, or was deleted by somebody else. Save it as a new one."
        : $"Workflow '{definitionId}' was changed by somebody else: the version you edited has the hash {Short(expected)}, the newest one {Short(actual)}. Reload it, apply your changes and save again.")
{
    /// <summary>Hash of the newest version; null when there is none.</summary>
    public string? CurrentHash { get; } = actual;

    /// <summary>Who saved the newest version; null when nobody knows.</summary>
    public string? ChangedBy { get; init; }

    /// <summary>When the newest version was saved; null when there is none.</summary>
    public DateTimeOffset? ChangedAt { get; init; }

    // What a client expects is anything.
    private static string Short(string hash) => hash.Length > 8 ? hash[..8] : hash;
}
