using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>A workflow in Elsa's format; members that the server does not know stay as they are.</summary>
/// <param name="Id">Id of the version.</param>
/// <param name="DefinitionId">Id of the workflow.</param>
/// <param name="Name">Name, for people.</param>
/// <param name="Description">What it does.</param>
/// <param name="CreatedAt">When the version was made.</param>
/// <param name="Version">Number of the version, from 1.</param>
/// <param name="ToolVersion">Version of the designer that saved it.</param>
/// <param name="Variables">Its variables.</param>
/// <param name="Inputs">What it takes.</param>
/// <param name="Outputs">What it gives.</param>
/// <param name="Outcomes">Its ports when it is used as an activity.</param>
/// <param name="CustomProperties">More about it, such as test values of variables.</param>
/// <param name="IsReadonly">Whether nobody may change it.</param>
/// <param name="IsSystem">Whether it belongs to the platform.</param>
/// <param name="IsLatest">Whether it is the newest version.</param>
/// <param name="IsPublished">Whether triggers start it.</param>
/// <param name="Options">How it runs.</param>
/// <param name="Root">Its root activity.</param>
internal record DefinitionFileShape(
    string Id,
    string DefinitionId,
    string? Name,
    string? Description,
    DateTimeOffset? CreatedAt,
    int Version,
    string? ToolVersion,
    IReadOnlyList<VariableShape> Variables,
    IReadOnlyList<InputShape> Inputs,
    IReadOnlyList<OutputShape> Outputs,
    IReadOnlyList<string> Outcomes,
    JsonObject CustomProperties,
    bool IsReadonly,
    bool IsSystem,
    bool IsLatest,
    bool IsPublished,
    OptionsShape Options,
    ActivityShape Root);

/// <summary>A workflow as a designer gets it.</summary>
internal sealed record DefinitionShape(
    string Id,
    string DefinitionId,
    string? Name,
    string? Description,
    DateTimeOffset CreatedAt,
    int Version,
    string? ToolVersion,
    IReadOnlyList<VariableShape> Variables,
    IReadOnlyList<InputShape> Inputs,
    IReadOnlyList<OutputShape> Outputs,
    IReadOnlyList<string> Outcomes,
    JsonObject CustomProperties,
    bool IsReadonly,
    bool IsSystem,
    bool IsLatest,
    bool IsPublished,
    OptionsShape Options,
    ActivityShape Root,
    IReadOnlyList<LinkShape> Links);

/// <summary>A workflow to be saved. Its id, number, flags and dates of versions do not count.</summary>
internal sealed record DefinitionRequest
{
    /// <summary>The workflow; a new one without it.</summary>
    public string? DefinitionId { get; init; }

    public string? Name { get; init; }

    public string? Description { get; init; }

    public string? ToolVersion { get; init; }

    public IReadOnlyList<VariableShape>? Variables { get; init; }

    public IReadOnlyList<InputShape>? Inputs { get; init; }

    public IReadOnlyList<OutputShape>? Outputs { get; init; }

    public IReadOnlyList<string>? Outcomes { get; init; }

    public JsonObject? CustomProperties { get; init; }

    public bool? IsReadonly { get; init; }

    public JsonObject? Options { get; init; }

    /// <summary>The root activity; an empty sequence without it.</summary>
    public JsonObject? Root { get; init; }
}

/// <summary>An activity, with a member for each input, output and port besides these.</summary>
internal sealed record ActivityShape(string? Id, string? Type, int? Version, string? NodeId, string? Name, JsonObject? CustomProperties, JsonObject? Metadata);

/// <summary>A variable.</summary>
internal sealed record VariableShape(string Id, string Name, string TypeName, bool IsArray, JsonElement? Value, string? StorageDriverTypeName);

/// <summary>An input of a workflow.</summary>
internal sealed record InputShape(string Type, bool IsArray, string Name, string? DisplayName, string? Description, string? Category, string? UiHint, string? StorageDriverType);

/// <summary>An output of a workflow.</summary>
internal sealed record OutputShape(string Type, bool IsArray, string Name, string? DisplayName, string? Description, string? Category);

/// <summary>How a workflow runs.</summary>
internal sealed record OptionsShape(
    string? ActivationStrategyType, bool? UsableAsActivity, bool AutoUpdateConsumingWorkflows, string? ActivityCategory, string? IncidentStrategyType, string? CommitStrategyName);

/// <summary>Something that the caller may do.</summary>
/// <param name="Href">Where.</param>
/// <param name="Rel">What, such as publish.</param>
/// <param name="Method">The HTTP method.</param>
internal sealed record LinkShape(string Href, string Rel, string Method);

/// <summary>What lists show of a version.</summary>
internal sealed record DefinitionSummaryShape(
    string Id,
    string DefinitionId,
    string? Name,
    string? Description,
    int Version,
    string? ToolVersion,
    bool IsLatest,
    bool IsPublished,
    string MaterializerName,
    DateTimeOffset CreatedAt,
    bool IsReadonly,
    bool IsMaterializerAvailable,
    IReadOnlyList<LinkShape>? Links);

/// <summary>A list of versions, and what the caller may do with lists.</summary>
internal sealed record DefinitionListShape(IReadOnlyList<DefinitionSummaryShape> Items, long TotalCount, IReadOnlyList<LinkShape> Links);

/// <summary>Whether nobody else has a name.</summary>
internal sealed record UniqueShape(bool IsUnique);

/// <summary>Workflows that use another.</summary>
internal sealed record ConsumersShape(IReadOnlyList<string> ConsumingWorkflowDefinitionIds);

/// <summary>A save.</summary>
/// <param name="Model">The workflow.</param>
internal sealed record SaveRequest(DefinitionRequest Model)
{
    /// <summary>Whether it is published at once.</summary>
    public bool? Publish { get; init; }
}

/// <summary>What was saved or published.</summary>
/// <param name="WorkflowDefinition">The version.</param>
/// <param name="AlreadyPublished">Whether nothing had to be published.</param>
/// <param name="ConsumingWorkflowCount">How many workflows use an older version.</param>
/// <param name="ValidationErrors">What keeps a draft from being published.</param>
internal sealed record SavedShape(DefinitionShape WorkflowDefinition, bool AlreadyPublished, int ConsumingWorkflowCount, IReadOnlyList<string> ValidationErrors);

/// <summary>Names of workflows that were changed.</summary>
internal sealed record AffectedShape(IReadOnlyList<string> AffectedWorkflows);

/// <summary>How many workflows were imported, and why others were not.</summary>
internal sealed record ImportedFilesShape(int Count, IReadOnlyList<string> Refused);

/// <summary>Workflows.</summary>
internal sealed record DefinitionIdsRequest(IReadOnlyList<string> DefinitionIds);

/// <summary>Workflows; all without it.</summary>
internal sealed record RefreshRequest
{
    public IReadOnlyList<string>? DefinitionIds { get; init; }
}

/// <summary>Versions of workflows.</summary>
internal sealed record VersionIdsRequest(IReadOnlyList<string> Ids);

/// <summary>Versions of workflows to export.</summary>
internal sealed record ExportRequest(IReadOnlyList<string> Ids)
{
    /// <summary>Whether what uses them comes along.</summary>
    public bool? IncludeConsumingWorkflows { get; init; }
}

/// <summary>How many were deleted, and why others were not.</summary>
internal sealed record DeletedDefinitionsShape(long Deleted, IReadOnlyDictionary<string, IReadOnlyList<string>> Errors);

/// <summary>What became of which workflow.</summary>
internal sealed record PublishedManyShape(
    IReadOnlyList<string> Published,
    IReadOnlyList<string> AlreadyPublished,
    IReadOnlyList<string> NotFound,
    IReadOnlyList<string> Skipped,
    IReadOnlyList<string> UpdatedConsumers,
    IReadOnlyList<string> Failed,
    IReadOnlyDictionary<string, IReadOnlyList<string>> Warnings);

/// <summary>What became of which workflow.</summary>
internal sealed record RetractedManyShape(
    IReadOnlyList<string> Retracted,
    IReadOnlyList<string> AlreadyRetracted,
    IReadOnlyList<string> NotFound,
    IReadOnlyList<string> Skipped,
    IReadOnlyList<string> NotPublished);

/// <summary>What became of which workflow.</summary>
internal sealed record RefreshedShape(IReadOnlyList<string> Refreshed, IReadOnlyList<string> NotFound, IReadOnlyDictionary<string, IReadOnlyList<string>> Errors);

/// <summary>An activity with its place.</summary>
internal sealed record NodeShape(string NodeId, string Port, ActivityShape Activity);

/// <summary>The way to an activity.</summary>
internal sealed record SegmentsShape(NodeShape ChildNode, NodeShape Container, IReadOnlyList<SegmentShape> PathSegments);

/// <summary>A container on the way.</summary>
internal sealed record SegmentShape(string ActivityNodeId, string ActivityId, string ActivityType, string PortName, string? ActivityName);

/// <summary>A run.</summary>
internal sealed record ExecuteRequest
{
    public string? CorrelationId { get; init; }

    public string? Name { get; init; }

    /// <summary>The trigger to begin with.</summary>
    public string? TriggerActivityId { get; init; }

    /// <summary>Another activity to begin with: activityId or activityNodeId.</summary>
    public JsonObject? ActivityHandle { get; init; }

    /// <summary>Latest, Published, Draft, LatestOrPublished, LatestAndPublished or a number; Published without it.</summary>
    public string? VersionOptions { get; init; }

    public JsonObject? Input { get; init; }

    /// <summary>Values of variables by name.</summary>
    public JsonObject? Variables { get; init; }
}

/// <summary>A run in the queue.</summary>
internal sealed record DispatchRequest
{
    public string? InstanceId { get; init; }

    public string? CorrelationId { get; init; }

    public string? Name { get; init; }

    public string? TriggerActivityId { get; init; }

    public string? VersionOptions { get; init; }

    public JsonObject? Input { get; init; }

    /// <summary>Has no meaning: there is one queue.</summary>
    public string? Channel { get; init; }
}

/// <summary>Many runs in the queue.</summary>
internal sealed record BulkDispatchRequest
{
    public string? TriggerActivityId { get; init; }

    public string? VersionOptions { get; init; }

    public JsonObject? Input { get; init; }

    /// <summary>How many, 1 to 10,000; 1 without it.</summary>
    public int? Count { get; init; }
}

/// <summary>A dispatched instance.</summary>
internal sealed record DispatchedShape(string WorkflowInstanceId);

/// <summary>Dispatched instances.</summary>
internal sealed record DispatchedManyShape(IReadOnlyList<string> WorkflowInstanceIds);

/// <summary>The state after a run.</summary>
internal sealed record ExecutedShape(Instances.StateShape WorkflowState);
