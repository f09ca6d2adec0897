using System.Text.Json;
using System.Text.Json.Serialization;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.RunTests;

/// <summary>A run that was made a test: the workflow has to do the same again with the same answers from outside.</summary>
public sealed record RunTest
{
    /// <summary>Its id.</summary>
    public required string Id { get; init; }

    /// <summary>Its name, for people.</summary>
    public required string Name { get; init; }

    /// <summary>The workflow that ran.</summary>
    public required string DefinitionId { get; init; }

    /// <summary>The version that ran.</summary>
    public required int Version { get; init; }

    /// <summary>The instance.</summary>
    public required string InstanceId { get; init; }

    /// <summary>What it belongs to beside the workflow, such as <c>agent:id</c>; null for nothing.</summary>
    public string? Subject { get; init; }

    /// <summary>What was recorded; null in lists.</summary>
    public RunRecording? Recording { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Who made it.</summary>
    public required string CreatedBy { get; init; }

    /// <summary>What came of the last time; null when it was not run yet.</summary>
    public RunTestResult? Result { get; init; }
}

/// <summary>What was recorded of a run.</summary>
public sealed record RunRecording
{
    /// <summary>The workflow.</summary>
    public required string DefinitionId { get; init; }

    /// <summary>Id of the version that ran.</summary>
    public required string VersionId { get; init; }

    /// <summary>Its number.</summary>
    public required int Version { get; init; }

    /// <summary>The instance.</summary>
    public required string InstanceId { get; init; }

    /// <summary>Its correlation id.</summary>
    public string? CorrelationId { get; init; }

    /// <summary>The activity that started the workflow as a trigger; null for none.</summary>
    public string? TriggerActivityId { get; init; }

    /// <summary>Inputs by name.</summary>
    public required IReadOnlyDictionary<string, JsonElement> Input { get; init; }

    /// <summary>Activities that did something outside or waited, oldest first.</summary>
    public required IReadOnlyList<RecordedExecution> Executions { get; init; }

    /// <summary>How it ended.</summary>
    public required WorkflowSubStatus SubStatus { get; init; }

    /// <summary>What it gave, by name: outputs of the workflow, and what features beside the engine count as such.</summary>
    public required IReadOnlyDictionary<string, JsonElement> Output { get; init; }

    /// <summary>What is another each time and so is not compared: inputs as <c>nodeId.input</c>, outputs by their names.</summary>
    public IReadOnlyList<string> Varying { get; init; } = [];
}

/// <summary>What came of repeating a run.</summary>
/// <param name="Passed">Whether nothing differed.</param>
/// <param name="Version">The version that ran.</param>
/// <param name="At">When.</param>
/// <param name="Differences">What differed.</param>
public sealed record RunTestResult(bool Passed, int Version, DateTimeOffset At, IReadOnlyList<RunDifference> Differences);

/// <summary>What a feature beside the engine has a recorded run begin with, as things are now.</summary>
/// <param name="DefinitionId">The workflow that it runs.</param>
/// <param name="Version">The version that it stays on; null for the newest or the published one.</param>
/// <param name="Input">Inputs that are others now, by name.</param>
public sealed record PresentRun(string DefinitionId, int? Version, IReadOnlyDictionary<string, object?> Input);

/// <summary>JSON of recorded runs.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(RunRecording))]
[JsonSerializable(typeof(RunTestResult))]
internal sealed partial class RunTestJson : JsonSerializerContext;
