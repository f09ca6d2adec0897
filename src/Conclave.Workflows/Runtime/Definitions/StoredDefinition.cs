using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>A version of a workflow as the store keeps it.</summary>
/// <param name="Definition">The definition, with the flags that hold now.</param>
/// <param name="Hash">Hash of its content, 64 hex digits; what a save must name so that no other save is lost.</param>
/// <param name="UpdatedAt">When this version last changed.</param>
public sealed record StoredDefinition(WorkflowDefinition Definition, string Hash, DateTimeOffset UpdatedAt);

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
    DateTimeOffset CreatedAt);

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

    // What a client expects is anything.
    private static string Short(string hash) => hash.Length > 8 ? hash[..8] : hash;
}
