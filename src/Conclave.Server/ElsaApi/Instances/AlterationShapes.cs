using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>A change: Cancel, ModifyVariable (variableId, value), Migrate (targetVersion) or ScheduleActivity (activityInstanceId or activityId).</summary>
/// <param name="Type">Which one.</param>
internal sealed record AlterationRequest(string Type)
{
    public string? VariableId { get; init; }

    public JsonElement Value { get; init; }

    public JsonElement TargetVersion { get; init; }

    public string? ActivityInstanceId { get; init; }

    public string? ActivityId { get; init; }
}

/// <summary>Which instances are changed; an empty one means nobody.</summary>
internal sealed record AlterationFilterRequest
{
    public bool? EmptyFilterSelectsAll { get; init; }

    public IReadOnlyList<string>? WorkflowInstanceIds { get; init; }

    public IReadOnlyList<string>? CorrelationIds { get; init; }

    public IReadOnlyList<string>? Names { get; init; }

    public string? SearchTerm { get; init; }

    public IReadOnlyList<TimestampFilterRequest>? TimestampFilters { get; init; }

    public IReadOnlyList<string>? DefinitionIds { get; init; }

    public IReadOnlyList<string>? DefinitionVersionIds { get; init; }

    public bool? HasIncidents { get; init; }

    public bool? IsSystem { get; init; }

    public IReadOnlyList<WorkflowStatus>? Statuses { get; init; }

    public IReadOnlyList<InstanceSubStatus>? SubStatuses { get; init; }
}

/// <summary>Changes to the instances that fit a filter at this moment.</summary>
internal sealed record AlterationPlanRequest(IReadOnlyList<AlterationRequest> Alterations)
{
    /// <summary>Id of the plan; one is made without it.</summary>
    public string? Id { get; init; }

    public AlterationFilterRequest? Filter { get; init; }
}

/// <summary>Changes to instances at once.</summary>
internal sealed record AlterationRunRequest(IReadOnlyList<AlterationRequest> Alterations, IReadOnlyList<string> WorkflowInstanceIds);

/// <summary>Who would be changed.</summary>
internal sealed record AlterationDryRunRequest
{
    public AlterationFilterRequest? Filter { get; init; }
}

/// <summary>Activities to run again.</summary>
internal sealed record AlterationRetryRequest(IReadOnlyList<string> WorkflowInstanceIds)
{
    /// <summary>All that faulted without it.</summary>
    public IReadOnlyList<string>? ActivityIds { get; init; }
}

/// <summary>A plan that was taken.</summary>
internal sealed record PlanIdShape(string PlanId);

/// <summary>What changes did to each instance.</summary>
internal sealed record AlterationResultsShape(IReadOnlyList<AlterationResultShape> Results);

/// <summary>What changes did to an instance.</summary>
internal sealed record AlterationResultShape(string WorkflowInstanceId, bool IsSuccessful, bool WorkflowHasScheduledWork, AlterationLogShape Log);

/// <summary>What happened.</summary>
internal sealed record AlterationLogShape(IReadOnlyList<AlterationLogEntryShape> LogEntries);

/// <summary>One thing that happened.</summary>
internal sealed record AlterationLogEntryShape(string Message, string LogLevel, DateTimeOffset Timestamp);

/// <summary>Instances that a filter fits.</summary>
internal sealed record FoundInstancesShape(IReadOnlyList<string> WorkflowInstanceIds);

/// <summary>How far a plan is.</summary>
internal sealed record AlterationProgressShape(AlterationPlanShape Plan, IReadOnlyList<AlterationJobShape> Jobs);

/// <summary>A plan.</summary>
internal sealed record AlterationPlanShape(
    string Id, IReadOnlyList<JsonObject> Alterations, string Status, DateTimeOffset CreatedAt, DateTimeOffset? StartedAt, DateTimeOffset? CompletedAt);

/// <summary>A plan's work on one instance.</summary>
internal sealed record AlterationJobShape(
    string Id,
    string PlanId,
    string WorkflowInstanceId,
    string Status,
    IReadOnlyList<AlterationLogEntryShape> Log,
    DateTimeOffset CreatedAt,
    DateTimeOffset? CompletedAt);
