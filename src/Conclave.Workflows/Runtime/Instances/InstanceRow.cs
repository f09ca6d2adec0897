using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>An instance that a worker holds: its state, and the number that its commit must show.</summary>
/// <param name="Tenant">Owner of the instance.</param>
/// <param name="Id">Id of the instance.</param>
/// <param name="DefinitionVersionId">Version that it runs.</param>
/// <param name="Fence">Number of this hold; a commit with an older one is refused.</param>
/// <param name="SubStatus">How the instance stands.</param>
/// <param name="State">State as <see cref="InstanceSerializer"/> wrote it.</param>
public sealed record HeldInstance(
    string Tenant, string Id, string DefinitionVersionId, long Fence, WorkflowSubStatus SubStatus, byte[] State);

/// <summary>What a list shows of an instance.</summary>
/// <param name="Id">Id of the instance.</param>
/// <param name="DefinitionId">Workflow that it runs.</param>
/// <param name="DefinitionVersionId">Version that it runs.</param>
/// <param name="Version">Number of that version.</param>
/// <param name="Status">Whether it may still run.</param>
/// <param name="SubStatus">How it stands.</param>
/// <param name="CorrelationId">Correlation id.</param>
/// <param name="Name">Name.</param>
/// <param name="IncidentCount">Number of incidents.</param>
/// <param name="CreatedAt">When it was created.</param>
/// <param name="UpdatedAt">When it last changed.</param>
/// <param name="FinishedAt">When it ended.</param>
public sealed record InstanceSummary(
    string Id,
    string DefinitionId,
    string DefinitionVersionId,
    int Version,
    WorkflowStatus Status,
    WorkflowSubStatus SubStatus,
    string? CorrelationId,
    string? Name,
    int IncidentCount,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    DateTimeOffset? FinishedAt);
