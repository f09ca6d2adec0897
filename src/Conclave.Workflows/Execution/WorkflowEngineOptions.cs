using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Execution;

/// <summary>Limits and defaults of an engine.</summary>
public sealed record WorkflowEngineOptions
{
    /// <summary>Size limits of definitions.</summary>
    public DefinitionLimits Limits { get; init; } = DefinitionLimits.Default;

    /// <summary>How flowcharts run when neither the workflow nor the caller says; default <see cref="FlowchartMode.Counter"/>.</summary>
    public FlowchartMode FlowchartMode { get; init; }

    /// <summary>Most activities one burst may execute before it faults as an endless loop; default 10,000,000.</summary>
    public long MaxActivitiesPerBurst { get; init; } = 10_000_000;

    /// <summary>Most activities that may wait for their turn at once; default 1,000,000.</summary>
    public int MaxScheduledActivities { get; init; } = 1_000_000;

    /// <summary>Deepest nesting of workflows that execute each other in process; default 32.</summary>
    public int MaxWorkflowDepth { get; init; } = 32;

    /// <summary>Strategies that activities may name.</summary>
    public IReadOnlyList<ResilienceStrategy> ResilienceStrategies { get; init; } =
    [
        new("default", "Default (3 retries, exponential from 1 s)", 3, TimeSpan.FromSeconds(1)),
        new("patient", "Patient (8 retries, exponential from 2 s)", 8, TimeSpan.FromSeconds(2)),
        new("once", "One retry after 1 s", 1, TimeSpan.FromSeconds(1), Polly.DelayBackoffType.Constant, UseJitter: false),
    ];

    /// <summary>Whether C# expressions and RunCSharp may run; they have the rights of this process. Default false.</summary>
    public bool AllowCSharp { get; init; }
}
